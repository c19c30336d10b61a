"""Every row of a run as it was logged, one after the other, however many: each session's by seq, in bounded memory.

What there is, and the rows that are in no block yet, are read in one moment, when this is made; blocks never change,
so they are read a few at a time as they are asked for, each in a short snapshot. So whoever reads slowly holds nothing
up, and sees what was there when they began, but for points that were let go of meanwhile.
"""

import heapq
from collections.abc import Callable, Iterator, Sequence
from operator import itemgetter
from typing import NamedTuple

from .blocks import BLOCK, unpack_axes, unpack_values
from .catalog import Kept, Key, find, stats
from .database import Database
from .walk import Columns, Leg, read_columns, read_tail_of

VALUES = 1 << 20  #: numbers unpacked at a time, of all streams together: some 40 MB


class Owner(NamedTuple):
    """Whose rows they are. kind: "run", or "system" for a sampler's. host: where the session ran."""

    session: str
    kind: str
    rank: int | None
    host: str


class LoggedRow(NamedTuple):
    """One row, as far as its metrics were wanted."""

    seq: int
    time: float
    step: int | None
    names: tuple[str, ...]
    values: tuple[float, ...]


class _Stream(NamedTuple):
    names: tuple[str, ...]
    legs: list[Leg]
    stepped: bool
    tail: Columns


class Logged:
    """A run's rows. wanted: whether a series is. names: of the metrics there are, in order. points: how many there are
    of them; more than are told where some were let go of. Raises StoreError, here and later.
    """

    def __init__(self, db: Database, run: str, wanted: Callable[[Key], bool]) -> None:
        self._db = db
        self._id = run
        self._streams: dict[Owner, list[_Stream]] = {}
        with db.snapshot():
            self._run = self._key()
            found = {key: kept for key, kept in find(db, self._run).items() if wanted(key)}
            self.names = list(dict.fromkeys(key.name for key in sorted(found, key=lambda key: key.order)))
            self._read_streams(found)
            legs = [kept.leg for some in found.values() for kept in some]
            self.points = sum(stat.points for stat in stats(db, legs).values())

    def _key(self) -> int:
        """The run's key; -1 once it was let go of."""
        found = self._db.query("SELECT run FROM runs WHERE id = ? AND kind = 'run'", self._id)
        return int(found[0][0]) if found else -1

    def _read_streams(self, found: dict[Key, list[Kept]]) -> None:
        owners: dict[int, Owner] = {}
        streams: dict[int, list[tuple[Key, Kept]]] = {}
        for key, some in found.items():
            for kept in some:
                streams.setdefault(kept.leg.stream, []).append((key, kept))
        sql = (
            "SELECT s.id, s.kind, s.rank, s.host FROM streams t JOIN sessions s ON s.session = t.session"
            " WHERE t.stream = ?"
        )
        for stream in sorted(streams, key=lambda stream: (streams[stream][0][0].order[2], streams[stream][0][1].turn)):
            members = sorted(streams[stream], key=lambda member: member[1].leg.place)
            legs = [kept.leg for _, kept in members]
            owners[stream] = Owner(*self._db.query(sql, stream)[0])
            names = tuple(key.name for key, _ in members)
            told = _Stream(names, legs, members[0][1].stepped, read_tail_of(self._db, legs[0], legs))
            self._streams.setdefault(owners[stream], []).append(told)

    def __iter__(self) -> Iterator[tuple[Owner, LoggedRow]]:
        """The run's own rows by rank, then its samplers'."""
        every = [len(stream.names) for streams in self._streams.values() for stream in streams]
        for owner in sorted(self._streams, key=lambda owner: owner.kind == "system"):
            streams = self._streams[owner]
            room = max(1, VALUES // (BLOCK * max(every) * len(streams)))
            parts = [self._rows(stream, room) for stream in streams]
            for row in parts[0] if len(parts) == 1 else heapq.merge(*parts, key=itemgetter(0)):
                yield owner, row

    def _rows(self, stream: _Stream, room: int) -> Iterator[LoggedRow]:
        leg = stream.legs[0]
        for begin in range(0, leg.blocks, room):
            for columns in self._blocks(stream, begin, min(leg.blocks, begin + room) - 1):
                yield from _told(stream, columns)
        yield from _told(stream, stream.tail)

    def _blocks(self, stream: _Stream, first: int, last: int) -> list[Columns]:
        """Those of these blocks that are still there."""
        leg = stream.legs[0]
        with self._db.snapshot():
            if self._key() != self._run:
                return []  # keys are given out anew: what stands there may be another run's
            axes = read_columns(self._db, leg.stream, -leg.stream, first, last)
            values = [read_columns(self._db, leg.stream, one.series, first, last) for one in stream.legs]
        return [(unpack_axes(axes[number]), [unpack_values(one[number]) for one in values]) for number in sorted(axes)]


def _told(stream: _Stream, columns: Columns) -> Iterator[LoggedRow]:
    axes, values = columns
    steps: Sequence[int | None] = axes.steps if stream.stepped else [None] * len(axes.seqs)
    leg, names = stream.legs[0], stream.names
    whole = leg.since is None and leg.until is None
    for seq, time, step, row in zip(axes.seqs, axes.times, steps, zip(*values, strict=True), strict=True):
        if whole or ((leg.since is None or time >= leg.since) and (leg.until is None or time <= leg.until)):
            yield LoggedRow(seq, time, step, names, row)
