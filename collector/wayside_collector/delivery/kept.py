"""What a sink begins with: what the spool keeps of it, as far as that can be believed.

Damaged accounts never keep a sink from its work, and in doubt it has rows twice, never not at all. Without its
position it begins at the oldest row, and its cursors still say what of each session it has had; without a session's
cursor, that session begins at the position; without its books, these begin at nothing.

The accounts are of one kind of sink: another one that takes the same name is a new sink.
"""

import logging
from dataclasses import dataclass, field
from typing import NamedTuple

from ..sinks.base import Traits
from ..spool import Spool
from .books import Books, WrittenOff, from_text
from .progress import Progress
from .texts import BadText

log = logging.getLogger(__name__)


class SinkName(NamedTuple):
    """What a sink is called, and what kind it is; None where nobody says."""

    name: str
    kind: str | None = None


@dataclass(slots=True)
class Kept:
    """repaired: sessions whose cursor is another than the one that is kept. ended: keys of state that means nothing
    any more. damaged: what could not be read, and how much of it. new: nothing is kept under the sink's name.
    """

    position: int = 0
    books: Books = field(default_factory=Books)
    written_off: list[WrittenOff] = field(default_factory=list)
    cursors: dict[int, Progress] = field(default_factory=dict)
    state: dict[str, bytes] = field(default_factory=dict)
    repaired: list[int] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    damaged: dict[str, int] = field(default_factory=dict)
    new: bool = False

    @property
    def differs(self) -> bool:
        """Whether it is something else than what is kept, and must be committed."""
        return self.new or bool(self.repaired or self.ended or self.damaged)


def read_kept(spool: Spool, named: SinkName, traits: Traits) -> Kept:
    """What is kept of a sink. Blocks; raises SpoolError."""
    sink, kind = named
    found = spool.sink(sink)
    texts = spool.cursors(sink)
    state = spool.state(sink)
    start = spool.last_batch() if traits.start == "now" else 0
    if found is None and not texts:
        return Kept(start, state=state, new=True)
    before = spool.kind_of(sink)
    if kind is not None and before is not None and before != kind:
        log.warning("sink %s was of kind %s, and is of kind %s now: it begins as a new one", sink, before, kind)
        begun = {session: Progress() for session in texts}
        return Kept(start, cursors=begun, repaired=list(texts), ended=list(state), new=True)
    kept = Kept(state=state)
    for session, text in texts.items():
        try:
            kept.cursors[session] = Progress.from_text(text)
        except BadText:
            kept.cursors[session] = Progress()
            kept.repaired.append(session)
    try:
        position, text = found or (0, "")
        if not 0 <= position <= spool.last_batch():
            raise BadText(f"position {position} is beyond every batch")
        kept.books, kept.written_off = from_text(text)
        kept.position = position
    except BadText:
        kept.damaged["books_damaged"] = 1
    if kept.repaired:
        kept.damaged["cursors_damaged"] = len(kept.repaired)
    if kept.damaged:
        log.error(
            "of what the spool keeps of sink %s is damaged: %s; it goes on, and may have some rows twice",
            sink,
            ", ".join(f"{what.removesuffix('_damaged')} ({count})" for what, count in kept.damaged.items()),
        )
    return kept
