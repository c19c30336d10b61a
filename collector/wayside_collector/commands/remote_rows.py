"""Every point of a run, asked over HTTP: what `store.logged.Logged` is of the store, put together again from curves.

A range of time that holds more points than are told at once is asked for in pieces. Points of one rank, step and
moment were logged together, so they are one row again; between rows of different sessions of a rank nothing is told
apart.
"""

import heapq
import math
from collections.abc import Callable, Iterator
from operator import itemgetter
from typing import NamedTuple

from ..store.answers import SeriesInfo
from ..store.catalog import Key
from ..store.logged import LoggedRow, Owner
from ..store.reader import MAX_POINTS
from ..store.walk import Range
from .history import History, Unanswered


class _Point(NamedTuple):
    time: float
    step: float  # -inf where there is none: it must have an order
    name: str
    value: float


class RemoteRows:
    """Iterates as `Logged` does, and has what it has."""

    def __init__(self, history: History, run: str, wanted: Callable[[Key], bool]) -> None:
        self._history = history
        self._run = run
        self._hosts = {one.rank: one.host for one in history.sessions(run)}
        self._series = [one for one in history.series(run) if wanted(Key(one.name, one.kind, one.rank, one.host))]
        self.names = list(dict.fromkeys(one.name for one in self._series))
        self.points = sum(one.count for one in self._series)

    def __iter__(self) -> Iterator[tuple[Owner, LoggedRow]]:
        owners: dict[Owner, list[SeriesInfo]] = {}
        for one in self._series:
            host = one.host if one.kind == "system" else self._hosts.get(one.rank, "")
            owners.setdefault(Owner("", one.kind, one.rank, host), []).append(one)
        for owner in sorted(owners, key=lambda owner: (owner.kind == "system", _rank(owner.rank), owner.host)):
            points = heapq.merge(*map(self._points, owners[owner]), key=itemgetter(0, 1))
            for number, row in enumerate(_rows(points)):
                yield owner, row._replace(seq=number)

    def _points(self, one: SeriesInfo, start: float | None = None, end: float | None = None) -> Iterator[_Point]:
        """Those from start to end, both included, by time."""
        wanted = Range("time", start, end)
        found = self._history.curves(self._run, one.name, wanted, max_points=MAX_POINTS, ranks=[one.rank])
        for curve in found:
            if (curve.series_kind, curve.rank, curve.host) != (one.kind, one.rank, one.host):
                continue
            if curve.kind == "points":
                for time, step, value in zip(curve.times, curve.steps, curve.values, strict=True):
                    yield _Point(time, -math.inf if step is None else step, one.name, value)
                continue
            if len(curve.times) < 2:
                raise Unanswered(f"{one.name}: over {MAX_POINTS} points at one moment: export from the store itself")
            ends = list(_pieces(curve.times, curve.counts))
            for place, begin in enumerate(ends):
                upto = math.nextafter(ends[place + 1], -math.inf) if place + 1 < len(ends) else end
                yield from self._points(one, start if not place else begin, upto)


def _rank(rank: int | None) -> int:
    return -1 if rank is None else rank


def _pieces(times: list[float], counts: list[int]) -> Iterator[float]:
    """Where pieces begin that hold about as many points as are told at once; at least two of them."""
    most = min(MAX_POINTS, sum(counts) // 2)
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
