"""Where one sink stands in every session: what of it is taken from the spool, and what of that is done.

The sink's cursor, whenever it is committed, stands at the oldest row not done, so that one session's open step or
undecided rank holds no other session. Rows taken and not yet done are written down with it: they come once more after
a start, and nothing else does.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec

from ..spool import Stored
from .iterations import KeptIterations
from .selection import Kept
from .texts import BadText, parse

#: rows of one session taken and not done: a step's (`steps.MAX_STEP_ROWS`), and what a pump holds; far fewer
MAX_OPEN = 1 << 20


@dataclass(slots=True)
class Progress:
    """One session. read: every row and event below it has been taken from the spool. again: those below it that were
    not yet done at the last start. closed: the largest step handed over and done, for sinks that merge steps. kept:
    where the option `every` stands. iterations: how steps are found in rows, for sinks that look there.
    """

    read: int = 0
    again: set[int] = field(default_factory=set)
    closed: int | None = None
    kept: Kept | None = None
    iterations: KeptIterations = field(default_factory=KeptIterations)

    def is_new(self, seq: int) -> bool:
        return seq >= self.read or seq in self.again

    def to_text(self, open_seqs: Iterable[int]) -> str:
        """As it is now, with the seqs taken and not done."""
        iterations = self.iterations if self.iterations != KeptIterations() else None
        told = _Kept(self.read, _ranges(open_seqs), self.closed, self.kept, iterations)
        return msgspec.json.encode(told).decode()

    @classmethod
    def from_text(cls, text: str) -> "Progress":
        """Raises texts.BadText."""
        value = parse(text, _Kept)
        if any(not 0 <= first <= last < value.read for first, last in value.open):
            raise BadText("rows that were never taken are open")
        if sum(last + 1 - first for first, last in value.open) > MAX_OPEN:
            raise BadText(f"more than {MAX_OPEN} rows are open")
        again = {seq for first, last in value.open for seq in range(first, last + 1)}
        return cls(value.read, again, value.closed, value.kept, value.iterations or KeptIterations())


class _Kept(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """The shape of that text."""

    read: int
    open: list[tuple[int, int]]
    closed: int | None
    kept: Kept | None
    iterations: KeptIterations | None = None


class Outstanding(NamedTuple):
    """What of a session is taken and not done. step: the lowest step among it that was handed over in time."""

    seqs: set[int]
    step: int | None


class Standing:
    """All sessions of one sink. position: every batch up to this id is done."""

    def __init__(self) -> None:
        self.position = 0
        self.sessions: dict[int, Progress] = {}
        self._pending: dict[int, tuple[int, int]] = {}  # batch taken and not known to be done: (session, next_seq)
        self._touched: set[int] = set()  # what the last commit does not know of
        self._open: set[int] = set()  # what was outstanding at the last commit, and may be done by the next

    def resume(self, position: int, cursors: Mapping[int, Progress]) -> None:
        self.position = position
        self.sessions = dict(cursors)

    def of(self, session: int) -> Progress:
        return self.sessions.setdefault(session, Progress())

    def is_taken(self, batch: Stored) -> bool:
        """Whether a batch was taken before; of one that was, nothing but `again` can still come."""
        progress = self.sessions.get(batch.session)
        return batch.id <= self.position or (progress is not None and batch.first_seq < progress.read)

    def comes_again(self, batch: Stored) -> bool:
        """Whether something of a batch was taken before the last start, and was not done."""
        progress = self.sessions.get(batch.session)
        return progress is not None and not progress.again.isdisjoint(range(batch.first_seq, batch.next_seq))

    def take(self, batch: Stored, kept: Kept | None) -> None:
        """A batch is taken."""
        progress = self.of(batch.session)
        if progress.again:
            progress.again.difference_update(range(batch.first_seq, batch.next_seq))
        progress.read = max(progress.read, batch.next_seq)
        progress.kept = kept
        self._pending[batch.id] = (batch.session, batch.next_seq)
        self.touch(batch.session)

    def touch(self, session: int) -> None:
        """Something of a session changed that the last commit does not know of."""
        self._touched.add(session)

    @property
    def moved(self) -> bool:
        return bool(self._touched)

    def cursors(
        self, outstanding: Mapping[int, Outstanding], closed: Mapping[int, int | None], limit: int
    ) -> dict[int, str | None]:
        """The changed cursors, and `position` moved on, to `limit` at most: what was looked at and does not wait."""
        nothing = Outstanding(set(), None)
        changed: dict[int, str | None] = {}
        for session in self._touched | self._open:
            progress = self.of(session)
            seqs, step = outstanding.get(session, nothing)
            handed = closed.get(session)
            progress.closed = handed if step is None or handed is None else min(handed, step - 1)
            changed[session] = progress.to_text(seqs)
        lowest = {session: min(found.seqs) for session, found in outstanding.items() if found.seqs}
        for batch, (session, next_seq) in list(self._pending.items()):
            if session not in lowest or lowest[session] >= next_seq:
                del self._pending[batch]
        self.position = max(self.position, min([limit, *(batch - 1 for batch in self._pending)]))
        self._touched, self._open = set(), set(outstanding)
        return changed

    def forget(self, session: int) -> None:
        """A session is known no longer."""
        self.sessions.pop(session, None)
        self._touched.discard(session)
        self._open.discard(session)


def _ranges(seqs: Iterable[int]) -> list[tuple[int, int]]:
    """Ascending seqs as inclusive ranges."""
    found: list[tuple[int, int]] = []
    for seq in sorted(seqs):
        if found and found[-1][1] == seq - 1:
            found[-1] = (found[-1][0], seq)
        else:
            found.append((seq, seq))
    return found
