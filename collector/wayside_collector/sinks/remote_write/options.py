"""What can be set of the remote write sink, and its check. Pure: the check touches neither network nor disk."""

import re
from typing import Annotated, Literal

import msgspec

from ..http_options import HttpOptions

_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")


class RemoteWriteOptions(HttpOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of the remote write sink, beside those of every HTTP sink.

    endpoint: the whole address, such as `http://prometheus:9090/api/v1/write`. external_labels: put on every series
    that has no such label. names: "legacy", `wayside_train_loss`, as on `/metrics`, or "utf8", `wayside_train/loss`,
    for receivers from Prometheus 3 on. protocol: of the body, "v1" or "v2". max_samples_per_send: samples of one
    request. max_label_length: characters of a label's value; a longer one is cut and ends in a hash of the whole.
    """

    external_labels: dict[str, str] = msgspec.field(default_factory=dict)
    names: Literal["legacy", "utf8"] = "legacy"
    protocol: Literal["v1", "v2"] = "v1"
    # As in Prometheus' own sender: a request of some 20 kB, and little to send again when one of it is refused.
    max_samples_per_send: Annotated[int, msgspec.Meta(ge=1, le=50_000)] = 2000
    max_label_length: Annotated[int, msgspec.Meta(ge=32, le=65536)] = 256

    def check(self) -> list[str]:
        """What is wrong with these options, each text beginning with the option's name; empty when nothing is."""
        problems = HttpOptions.check(self)
        for name, value in self.external_labels.items():
            if not _LABEL.fullmatch(name) or name.startswith("__"):
                problems.append(f"external_labels: {name!r:.80} is no name of a label: letters, digits and _")
            if not value or "\x00" in value:
                problems.append(f"external_labels: what stands at {name!r:.80} must be text")
        return problems
