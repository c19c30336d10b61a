"""How far one sink is in one session, and how that is written down."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field

from .selection import Kept


@dataclass(slots=True)
class Progress:
    """read: every row and event below it has been taken from the spool. again: those below it that were not yet done
    at the last commit and come once more after a start. closed: the largest step handed over, for sinks that merge
    steps.
    """

    read: int = 0
    again: set[int] = field(default_factory=set)
    closed: int | None = None
    kept: Kept | None = None

    def is_new(self, seq: int) -> bool:
        return seq >= self.read or seq in self.again

    def to_text(self, open_seqs: Iterable[int]) -> str:
        """As it is now, with the seqs taken and not done."""
        return json.dumps({"read": self.read, "open": _ranges(open_seqs), "closed": self.closed, "kept": self.kept})

    @classmethod
    def from_text(cls, text: str) -> "Progress":
        value = json.loads(text)
        again = {seq for first, last in value["open"] for seq in range(first, last + 1)}
        kept = Kept(*value["kept"]) if value["kept"] else None
        return cls(value["read"], again, value["closed"], kept)


def _ranges(seqs: Iterable[int]) -> list[tuple[int, int]]:
    """Ascending seqs as inclusive ranges."""
    found: list[tuple[int, int]] = []
    for seq in sorted(seqs):
        if found and found[-1][1] == seq - 1:
            found[-1] = (found[-1][0], seq)
        else:
            found.append((seq, seq))
    return found
