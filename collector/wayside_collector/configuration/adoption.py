"""The options that say whose rows a collector delivers beside its own. Pure; `commands/adopting.py` does it."""

from collections.abc import Mapping

import msgspec

from ..sinks import SinkKind
from .options import Problems
from .wording import known_names, show


class AdoptSection(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What collectors left behind that are gone, such as those of deleted pods. below: folders, each folder in which is
    the `dir` of one. sinks: those of ours that deliver what waits there.
    """

    below: tuple[str, ...] = ()
    sinks: tuple[str, ...] = ()

    def check(self) -> list[str]:
        """What is wrong with these options, each text beginning with the option's name; empty when nothing is."""
        problems = [f"below: {path!r:.80} must be an absolute path" for path in self.below if not path.startswith("/")]
        if self.below and not self.sinks:
            problems.append("sinks: must name at least one of `sinks`: without it nothing could be delivered")
        return problems


def check_adopting(section: AdoptSection, sinks: Mapping[str, SinkKind], problems: Problems) -> None:
    """What adopts must be sinks of ours that deliver elsewhere: the folder goes when it is empty."""
    for name in section.sinks:
        if name not in sinks:
            problems.add("adopt.sinks", f"there is no sink {show(name)}; {known_names(name, list(sinks))}")
        elif sinks[name].local:
            problems.add("adopt.sinks", f"the sink {name} keeps what it is given in the folder, and would go with it")
