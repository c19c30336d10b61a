"""The values that go in and out of the spool."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from ..media_folder import MediaFile

PartName = Literal["rows", "events"]  #: the two parts of a batch: they lie in different files, and are lost apart


class Amount(NamedTuple):
    """How much, in the three units of the books."""

    points: int = 0
    rows: int = 0
    events: int = 0

    def plus(self, other: "Amount") -> "Amount":
        return Amount(self.points + other.points, self.rows + other.rows, self.events + other.events)

    def minus(self, other: "Amount") -> "Amount":
        return Amount(self.points - other.points, self.rows - other.rows, self.events - other.events)

    def of(self, part: PartName) -> "Amount":
        """What of it is rows, or events."""
        return Amount(0, 0, self.events) if part == "events" else Amount(self.points, self.rows, 0)

    def __bool__(self) -> bool:
        return any(self[:])


class Extent(NamedTuple):
    """Where bytes lie: a segment file, the offset of the block's header, and the length of the bytes after it."""

    file: int
    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class Batch:
    """Consecutive rows and events of one session, to be stored.

    session: its key in the spool. first_seq, next_seq: the seqs it covers. next_point: the session's points up to its
    end. rows, events: frames, either may be empty; where seqs are not consecutive within one of them, SEQ frames say
    so. composition: (schema, rows of it) for each schema, -1 for rows that carry their names. defines: schemas first
    used here, number to frame. time: Unix time in seconds of the first row or event. finishes: the session's finish
    is in it. media: files of its one event, which lie in the media folder.
    """

    session: int
    first_seq: int
    next_seq: int
    next_point: int
    rows: bytes
    events: bytes
    amount: Amount
    composition: tuple[tuple[int, int], ...]
    time: float
    defines: Mapping[int, bytes] = field(default_factory=dict)
    chain: str = "scalars"
    finishes: bool = False
    media: tuple[MediaFile, ...] = ()


class Stored(NamedTuple):
    """A batch as the index knows it. What it has no longer, having lost it to a limit, is not in its amount either."""

    id: int
    session: int
    first_seq: int
    next_seq: int
    time: float
    rows: Extent | None
    events: Extent | None
    amount: Amount
    composition: tuple[tuple[int, int], ...]

    def without(self, part: PartName) -> "Stored":
        """The batch as it is when it has lost a part."""
        left = self.amount.minus(self.amount.of(part))
        if part == "events":
            return self._replace(events=None, amount=left)
        return self._replace(rows=None, amount=left, composition=())


class Loss(NamedTuple):
    """Rows of a session that never came: its numbers jump over them. points may be 0 when the sender did not say."""

    session: int
    first_seq: int
    next_seq: int
    points: int
    reason: str
    time: float


class SessionRow(NamedTuple):
    """A session as the spool knows it. record: its HELLO frame. ended: Unix time in seconds, or None while it lives.
    finished: its finish is stored. finish: where the collector itself wrote the session's end, its seq and the points
    before it; None when the session said so, or lives. journals: folders its journal was read from.
    """

    key: int
    id: str
    record: bytes
    next_seq: int
    next_point: int
    started: float
    ended: float | None
    finished: bool
    finish: tuple[int, int] | None
    journals: tuple[str, ...]


class DeadLetter(NamedTuple):
    """A row or event that a sink refused for good, as it was handed to it."""

    time: float
    session: int
    seq: int
    reason: str
    points: int
    record: bytes


@dataclass(frozen=True, slots=True)
class SinkCommit:
    """What one sink commits at once: how far it is, its accounts, and changes of its kept state.

    position: every batch up to this id is done. cursors: session key to an opaque text, None to forget it. books: an
    opaque text. state: key to bytes, None to remove. letters: what was refused since the last commit. revived: ids of
    dead letters that wait from now on. settled: of those that waited and are done. kind: of sink.
    """

    sink: str
    position: int
    cursors: Mapping[int, str | None]
    books: str
    state: Mapping[str, bytes | None] = field(default_factory=dict)
    letters: Sequence[DeadLetter] = ()
    revived: Sequence[int] = ()
    settled: Sequence[int] = ()
    kind: str | None = None
