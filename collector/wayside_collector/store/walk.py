"""From the tables to a curve's pieces: the coarsest summaries that are fine enough, and the points themselves where a
summary reaches beyond the range that is wanted, or where nothing is summarized yet.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from wayside.row import Row

from .answers import Axis
from .blocks import FAN, Axes, unpack_axes, unpack_values
from .chart import Piece, Raw, cut
from .database import Database
from .streams import axes_of, read_summary, read_tail, read_tail_column

_NODES = (
    "SELECT p.number, p.first_step, p.last_step, p.first_time, p.last_time, m.count, m.finite, m.min, m.max, m.sum,"
    " m.first, m.last FROM spans p JOIN summaries m ON m.series = ? AND m.level = p.level AND m.number = p.number"
    " WHERE p.stream = ? AND p.level = ? AND p.number BETWEEN ? AND ? ORDER BY p.number"
)


class Leg(NamedTuple):
    """One stream that holds the series, in which place of its rows, and from when to when it counts (a sampler's
    session measures for a run while the run is open).
    """

    stream: int
    series: int
    place: int
    width: int
    blocks: int
    tail: int
    since: float | None = None
    until: float | None = None


class Range(NamedTuple):
    """What is wanted of an axis, both ends included; None for no end. kept: where points are read, those that were let
    go of are left out, and not told as the summaries that stay of them.
    """

    axis: Axis
    start: float | None
    end: float | None
    kept: bool = False

    def holds(self, low: float, high: float) -> bool:
        return (self.start is None or low >= self.start) and (self.end is None or high <= self.end)

    def misses(self, low: float, high: float) -> bool:
        return (self.start is not None and high < self.start) or (self.end is not None and low > self.end)


class Found(NamedTuple):
    """What a walk has found."""

    pieces: list[Piece]
    raws: list[Raw]


Unpacked = dict[tuple[int, int], Axes]  #: axes by stream and block, shared by curves that are asked for together


def walk(db: Database, legs: Sequence[Leg], wanted: Range, most: int, unpacked: Unpacked) -> Found:
    """What a curve of at most `most` points needs of all legs."""
    ranges = [within(leg, wanted) for leg in legs]
    reached = [reach(db, leg, one) for leg, one in zip(legs, ranges, strict=True)]
    level = level_for(sum(last - first + 1 for first, last in reached), most)
    found = Found([], [])
    for leg, one, (first, last) in zip(legs, ranges, reached, strict=True):
        walker = _Walker(db, leg, one, found, unpacked)
        walker.blocks(level, first, last)
        walker.tail()
    return found


COSTLY = 128  #: blocks whose points take some 20 ms to read


def level_for(blocks: int, most: int) -> int:
    """The level to read so many blocks at; -1: the points themselves. There are at least half as many summaries as may
    be told; where points would be costly a quarter is enough, since a block's cost 30 times what its summary does.
    """
    enough = (most + 1) // 2
    level = 0 if blocks >= (enough if blocks < COSTLY else (most + 3) // 4) else -1
    while level >= 0 and blocks // FAN ** (level + 1) >= enough:
        level += 1
    return level


def within(leg: Leg, wanted: Range) -> Range:
    """The range, no longer than the leg counts."""
    if wanted.axis == "step":
        return wanted
    starts = [value for value in (wanted.start, leg.since) if value is not None]
    ends = [value for value in (wanted.end, leg.until) if value is not None]
    return wanted._replace(start=max(starts, default=None), end=min(ends, default=None))


def reach(db: Database, leg: Leg, wanted: Range) -> tuple[int, int]:
    """The first and the last block that may hold what is wanted; the last is less where none does."""
    if wanted.start is None and wanted.end is None:
        return 0, leg.blocks - 1
    firsts, lasts = [], []
    for level, begin, end in roots(leg.blocks):
        first, last = _overlap(db, leg, wanted, level, begin, end)
        if first is None or last is None:
            continue
        for depth in range(level - 1, -1, -1):
            head, _ = _overlap(db, leg, wanted, depth, first * FAN, first * FAN + FAN - 1)
            _, tail = _overlap(db, leg, wanted, depth, last * FAN, last * FAN + FAN - 1)
            first = first * FAN if head is None else head
            last = last * FAN + FAN - 1 if tail is None else tail
        firsts.append(first)
        lasts.append(last)
    return min(firsts, default=0), max(lasts, default=-1)


def roots(blocks: int) -> Iterator[tuple[int, int, int]]:
    """The spans that no higher one covers: level, first and last number. At most 7 of a level."""
    level, covered = 0, 0
    while blocks // FAN ** (level + 1):
        level += 1
    for depth in range(level, -1, -1):
        there = blocks // FAN**depth
        if there > covered:
            yield depth, covered, there - 1
        covered = there * FAN


def _overlap(db: Database, leg: Leg, wanted: Range, level: int, first: int, last: int) -> tuple[int | None, int | None]:
    """The first and the last of these spans that may hold what is wanted."""
    sql = "SELECT min(number), max(number) FROM spans WHERE stream = ? AND level = ? AND number BETWEEN ? AND ?"
    bounds: list[float] = []
    if wanted.start is not None:
        sql, bounds = f"{sql} AND last_{wanted.axis} >= ?", [*bounds, wanted.start]
    if wanted.end is not None:
        sql, bounds = f"{sql} AND first_{wanted.axis} <= ?", [*bounds, wanted.end]
    low, high = db.query(sql, leg.stream, level, first, last, *bounds)[0]
    return low, high


class _Walker:
    """Walks one leg, and adds to what is found."""

    def __init__(self, db: Database, leg: Leg, wanted: Range, found: Found, unpacked: Unpacked) -> None:
        self._db = db
        self._leg = leg
        self._wanted = wanted
        self._found = found
        self._unpacked = unpacked

    def blocks(self, level: int, first: int, last: int) -> None:
        """Blocks first to last, summarized at this level as far as there are such summaries; -1: as points."""
        if level < 0:
            self._points(first, last)
            return
        while level >= 0 and first <= last:
            size = FAN**level
            end = min(last // size, self._leg.blocks // size - 1)
            if first // size <= end:
                self._nodes(level, first // size, end)
                first = (end + 1) * size
            level -= 1

    def _nodes(self, level: int, first: int, last: int) -> None:
        edges: list[int] = []
        for number, low_step, high_step, low_time, high_time, *row in self._db.query(
            _NODES, self._leg.series, self._leg.stream, level, first, last
        ):
            low, high = (low_step, high_step) if self._wanted.axis == "step" else (low_time, high_time)
            if self._wanted.holds(low, high):
                self._found.pieces.append(Piece(low, low_step, low_time, read_summary(row)))
            elif not self._wanted.misses(low, high):
                edges.append(number)
        for first, last in _stretches(edges):
            if level:
                self._nodes(level - 1, first * FAN, last * FAN + FAN - 1)
            else:
                self._points(first, last)

    def _points(self, first: int, last: int) -> None:
        missing = set(range(first, last + 1))
        for begin in range(first, last + 1, READ):
            end = min(last, begin + READ - 1)
            values = read_columns(self._db, self._leg.stream, self._leg.series, begin, end)
            unknown = [number for number in values if (self._leg.stream, number) not in self._unpacked]
            if unknown:
                axes = read_columns(self._db, self._leg.stream, -self._leg.stream, unknown[0], unknown[-1])
                self._unpacked.update(((self._leg.stream, number), unpack_axes(axes[number])) for number in unknown)
            for number, data in values.items():
                missing.discard(number)
                self._add(self._unpacked[self._leg.stream, number], unpack_values(data))
        if self._wanted.kept:
            return
        for first, last in _stretches(sorted(missing)):  # their points were let go of; their summaries stay
            rows = self._db.query(_NODES, self._leg.series, self._leg.stream, 0, first, last)
            for _, low_step, high_step, low_time, high_time, *row in rows:
                low, high = (low_step, high_step) if self._wanted.axis == "step" else (low_time, high_time)
                if not self._wanted.misses(low, high):
                    self._found.pieces.append(Piece(low, low_step, low_time, read_summary(row)))

    def tail(self) -> None:
        if self._leg.tail:
            self._add(*read_tail_column(self._db, self._leg.stream, self._leg.place))

    def _add(self, axes: Axes, values: Sequence[float]) -> None:
        xs: Any = axes.steps if self._wanted.axis == "step" else axes.times
        raw = cut(Raw(xs, axes.steps, axes.times, values), self._wanted.start, self._wanted.end)
        if len(raw.xs):
            self._found.raws.append(raw)


def _stretches(numbers: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Consecutive numbers as (first, last)."""
    begin = 0
    for place in range(1, len(numbers) + 1):
        if place == len(numbers) or numbers[place] != numbers[place - 1] + 1:
            yield numbers[begin], numbers[place - 1]
            begin = place


def axes_of_rows(rows: Sequence[Row]) -> Axes:
    return axes_of([row.seq for row in rows], [row.time for row in rows], [row.step for row in rows])


READ = 256  #: blocks read at a time: 1 MiB


Columns = tuple[Axes, list[Sequence[float]]]


def read_rows(db: Database, leg: Leg, series: Sequence[Leg], first: int, last: int) -> Iterator[Columns]:
    """The axes of the blocks first to last, and the values of these series of the same stream."""
    for number in range(first, last + 1):
        axes = read_columns(db, leg.stream, -leg.stream, number, number)
        if axes:
            columns = [read_columns(db, leg.stream, one.series, number, number)[number] for one in series]
            yield unpack_axes(axes[number]), [unpack_values(data) for data in columns]


def read_tail_of(db: Database, leg: Leg, series: Sequence[Leg]) -> Columns:
    """The same of the rows that are in no block yet."""
    rows = read_tail(db, leg.stream, leg.width) if leg.tail else []
    return axes_of_rows(rows), [[row.values[one.place] for row in rows] for one in series]


def read_columns(db: Database, stream: int, series: int, first: int, last: int) -> dict[int, bytes]:
    """A column of the blocks first to last, packed, by number."""
    periods = db.query(
        "SELECT min(period), max(period) FROM spans WHERE stream = ? AND level = 0 AND number BETWEEN ? AND ?",
        stream, first, last,
    )  # fmt: skip
    if periods[0][0] is None:
        return {}
    found = db.query(
        "SELECT number, data FROM blocks WHERE series = ? AND number BETWEEN ? AND ? AND period BETWEEN ? AND ?"
        " ORDER BY number",
        series, first, last, *periods[0],
    )  # fmt: skip
    return dict(found)
