"""Every point of a run, asked over HTTP: what `store.logged.Logged` is of the store, put together again from curves.

All metrics of an owner are asked for together, in windows of time that hold no more points than memory should; a window
that has more is asked for in pieces. Points of one rank, step and moment were logged together, so they are one row
again; between rows of different sessions of a rank nothing is told apart.
"""

import heapq
import math
from collections.abc import Callable, Iterator, Sequence
from operator import itemgetter
from typing import NamedTuple

from ..store.answers import Curve, SeriesInfo
from ..store.catalog import Key
from ..store.logged import LoggedRow, Owner
from ..store.reader import MAX_CURVES, MAX_POINTS
from ..store.walk import Range
from .history import History, Unanswered

VALUES = 100_000  #: points held at a time: some 20 MB


class _Point(NamedTuple):
    time: float
    step: float  # -inf where there is none: it must have an order
    name: str
    value: float


_Points = Iterator[_Point]


class RemoteRows:
    """Iterates as `Logged` does, and has what it has."""

    def __init__(self, history: History, run: str, wanted: Callable[[Key], bool]) -> None:
        self._history = history
        self._run = run
        self._hosts = {one.rank: one.host for one in history.sessions(run)}
        every = history.series(run)
        self._series = [one for one in every if wanted(Key(one.name, one.kind, one.rank, one.host))]
        self._owners = {(one.rank, one.kind, one.host) for one in every}
        self.names = list(dict.fromkeys(one.name for one in self._series))
        self.points = sum(one.count for one in self._series)

    def __iter__(self) -> Iterator[tuple[Owner, LoggedRow]]:
        owners: dict[Owner, list[SeriesInfo]] = {}
        for one in self._series:
            host = one.host if one.kind == "system" else self._hosts.get(one.rank, "")
            owners.setdefault(Owner("", one.kind, one.rank, host), []).append(one)
        for owner in sorted(owners, key=lambda owner: (owner.kind == "system", _rank(owner.rank), owner.host)):
            for number, row in enumerate(_rows(self._points(owners[owner]))):
                yield owner, row._replace(seq=number)

    def _points(self, series: Sequence[SeriesInfo], start: float | None = None, end: float | None = None) -> _Points:
        """Those from start to end, both included, by time."""
        most = max(1, min(MAX_POINTS, VALUES // len(series)))
        found = self._curves(series, Range("time", start, end, kept=True), most)
        fullest = max((curve for curve in found if curve.kind == "buckets"), key=_count, default=None)
        if fullest is None:
            yield from sorted((point for curve in found for point in _told(curve)), key=itemgetter(0, 1))
        elif len(fullest.times) > 1:
            ends = list(_pieces(fullest.times, fullest.counts, most))
            del found
            for place, begin in enumerate(ends):
                upto = math.nextafter(ends[place + 1], -math.inf) if place + 1 < len(ends) else end
                yield from self._points(series, start if not place else begin, upto)
        elif len(series) > 1:  # at one moment, where all together are too many: each metric by itself
            yield from heapq.merge(*(self._points([one], start, end) for one in series), key=itemgetter(0, 1))
        else:
            raise Unanswered(f"{series[0].name}: over {most} points at one moment: export from the store itself")

    def _curves(self, series: Sequence[SeriesInfo], wanted: Range, most: int) -> list[Curve]:
        """Of one owner's metrics. Those of other hosts come along, so fewer metrics are asked for at a time."""
        rank, *_ = owner = series[0].rank, series[0].kind, series[0].host
        at_once = max(1, MAX_CURVES // sum(other[0] == rank for other in self._owners))
        found: list[Curve] = []
        for begin in range(0, len(series), at_once):
            names = [one.name for one in series[begin : begin + at_once]]
            curves = self._history.curves(self._run, names, wanted, max_points=most, ranks=[rank])
            found += [curve for curve in curves if (curve.rank, curve.series_kind, curve.host) == owner]
        return found


def _told(curve: Curve) -> _Points:
    for time, step, value in zip(curve.times, curve.steps, curve.values, strict=True):
        yield _Point(time, -math.inf if step is None else step, curve.name, value)


def _count(curve: Curve) -> int:
    return curve.count


def _rank(rank: int | None) -> int:
    return -1 if rank is None else rank


def _pieces(times: list[float], counts: list[int], most: int) -> Iterator[float]:
    """Where pieces begin that hold about so many points; at least two of them."""
    most = min(most, sum(counts) // 2)
    gathered = most + 1
    for time, count in zip(times, counts, strict=True):
        if gathered + count > most:
            yield time
            gathered = 0
        gathered += count


def _rows(points: Iterator[_Point]) -> Iterator[LoggedRow]:
    """Points of one moment and step together; a metric that stands there twice begins another row."""
    row: dict[str, float] = {}
    at = (math.nan, math.nan)
    for time, step, name, value in points:
        if (time, step) != at or name in row:
            if row:
                yield _row(at, row)
            at, row = (time, step), {}
        row[name] = value
    if row:
        yield _row(at, row)


def _row(at: tuple[float, float], row: dict[str, float]) -> LoggedRow:
    return LoggedRow(0, at[0], None if math.isinf(at[1]) else int(at[1]), tuple(row), tuple(row.values()))
