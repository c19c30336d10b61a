"""What runs logged, step by step: the rows that Lens would have, in a stable order and page by page. A page is cut by
the steps that are known of a run, so that reading one costs no more than its rows; or `thinned`, points of the whole
range, which cost what a chart does.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple

from .answers import MetricInfo, PerformancePage, PerformancePoint, PerformanceRow
from .catalog import Kept, Key, find, stats
from .chart import draw
from .database import Database
from .known import MAX_TIME
from .walk import Range, Unpacked, reach, read_rows, read_tail_of, walk


class Wanted(NamedTuple):
    """names: of metrics, None for all; rows without any of them are told all the same where `empty`. start, end: Unix
    time in seconds, both included.
    """

    names: frozenset[str] | None = None
    start: float | None = None
    end: float | None = None
    empty: bool = False


def page(
    db: Database, runs: Sequence[tuple[int, str]], wanted: Wanted, limit: int, after: tuple[str, int] | None
) -> PerformancePage:
    """The next rows of these runs (key and id, in their order)."""
    rows: list[PerformanceRow] = []
    begin = next((place for place, (_, id) in enumerate(runs) if after is not None and id == after[0]), 0)
    for key, id in runs[begin:]:
        bound = after[1] if after is not None and id == after[0] else None
        series = _primary(find(db, key))
        first, last = _bounds(db, series, wanted)
        if first is not None:
            bound = first - 1 if bound is None else max(bound, first - 1)
        while steps := list(islice(_steps(db, key, bound, last), limit - len(rows))):
            rows += _rows(db, id, series, wanted, steps)
            bound = steps[-1]
            if len(rows) >= limit:
                return PerformancePage(rows, (id, bound))
    return PerformancePage(rows, None)


def thinned(db: Database, runs: Sequence[tuple[int, str]], wanted: Wanted, most: int) -> list[PerformancePoint]:
    """About `most` of the points, from end to end: each as it was logged, and of many that lie close the first."""
    series = [(id, key, kept) for run, id in runs for key, kept in _primary(find(db, run))]
    chosen = [one for one in series if wanted.names is None or one[1].name in wanted.names]
    bounds = Range("time", wanted.start, wanted.end)
    found: list[PerformancePoint] = []
    unpacked: Unpacked = {}
    for id, key, kept in chosen:
        share = max(1, most // len(chosen))
        drawn = draw(*walk(db, [kept.leg], bounds, share, unpacked), share)
        rows: Iterable[tuple[int | None, float, float]]
        if drawn.points is not None:
            rows = zip(drawn.points.steps, drawn.points.times, drawn.points.values, strict=True)
        else:
            rows = ((piece.step, piece.time, piece.summary.first) for piece in drawn.buckets or ())
        found += [PerformancePoint(id, key.name, step, time, value) for step, time, value in rows if step is not None]
    return found


def available(db: Database, runs: Sequence[tuple[int, str]]) -> list[MetricInfo]:
    """The metrics of such rows, by name."""
    counts: dict[str, int] = {}
    for run, _ in runs:
        series = _primary(find(db, run))
        known = stats(db, (kept.leg for _, kept in series))
        for key, kept in series:
            counts[key.name] = counts.get(key.name, 0) + known[kept.leg.series].points
    return [MetricInfo(name, counts[name]) for name in sorted(counts)]


def _bounds(db: Database, series: Sequence[tuple[Key, Kept]], wanted: Wanted) -> tuple[int | None, int | None]:
    """Between which steps everything lies that was logged in the time that is wanted; None for no bound."""
    if wanted.start is None and wanted.end is None:
        return None, None
    bounds = Range("time", wanted.start, wanted.end)
    times = (-MAX_TIME if wanted.start is None else wanted.start, MAX_TIME if wanted.end is None else wanted.end)
    lows, highs = [], []
    for leg in {kept.leg.stream: kept.leg for _, kept in series}.values():
        first, last = reach(db, leg, bounds)
        found = db.query(_REACHED, leg.stream, first, last) + db.query(_TAIL, leg.stream, *times)
        lows += [low for low, _ in found if low is not None]
        highs += [high for _, high in found if high is not None]
    return (min(lows), max(highs)) if lows else (1, 0)


_REACHED = "SELECT min(first_step), max(last_step) FROM spans WHERE stream = ? AND level = 0 AND number BETWEEN ? AND ?"
_TAIL = "SELECT min(step), max(step) FROM tail WHERE stream = ? AND time BETWEEN ? AND ?"


def _steps(db: Database, run: int, after: int | None, last: int | None) -> Iterator[int]:
    """The run's steps in order, those beyond `after` up to `last`."""
    for step in _all_steps(db, run, after):
        if last is not None and step > last:
            return
        yield step


def _all_steps(db: Database, run: int, after: int | None) -> Iterator[int]:
    sql, bounds = "SELECT first, last, stride FROM strides WHERE run = ?", [run]
    if after is not None:
        sql, bounds = sql + " AND last > ?", [run, after]
    pending: set[int] = set()
    for first, last, stride in db.query(sql + " ORDER BY first", *bounds):
        early = sorted(step for step in pending if step < first)
        pending.difference_update(early)
        yield from early
        pending.update(step for step in range(first, last + 1, stride) if after is None or step > after)
    yield from sorted(pending)


def _rows(
    db: Database, id: str, series: Sequence[tuple[Key, Kept]], wanted: Wanted, steps: Sequence[int]
) -> Iterator[PerformanceRow]:
    metrics: dict[int, dict[str, tuple[_Turn, float]]] = {}
    times: dict[int, float] = {}
    inside = set(steps)
    for row in _points(db, series, wanted, Range("step", steps[0], steps[-1])):
        if row.step not in inside:
            continue
        times[row.step] = min(row.time, times.get(row.step, row.time))
        if row.name is not None:
            there = metrics.setdefault(row.step, {})
            if row.name not in there or there[row.name][0] < row.turn:  # logged twice for one step: the later counts
                there[row.name] = row.turn, row.value
    for step in steps:
        if step not in times or not (wanted.empty or step in metrics):
            continue
        if (wanted.start is None or times[step] >= wanted.start) and (wanted.end is None or times[step] <= wanted.end):
            values = {name: value for name, (_, value) in sorted(metrics.get(step, {}).items())}
            yield PerformanceRow(id, step, times[step], values)


def _primary(found: dict[Key, list[Kept]]) -> list[tuple[Key, Kept]]:
    """The series of the rank that speaks for the run: the lowest that logged steps."""
    own = [(key, kept) for key, some in found.items() for kept in some if key.kind == "run" and kept.stepped]
    ranks = {-1 if key.rank is None else key.rank for key, _ in own}
    lowest = min(ranks, default=-1)
    return [(key, kept) for key, kept in own if (-1 if key.rank is None else key.rank) == lowest]


_Turn = tuple[tuple[float, str], int]  # whose session, and the row's seq in it


class _Point(NamedTuple):
    """A metric of a row; without a name, a row whose metrics may not be wanted."""

    name: str | None
    step: int
    time: float
    turn: _Turn
    value: float = 0.0


def _points(db: Database, series: Iterable[tuple[Key, Kept]], wanted: Wanted, bounds: Range) -> Iterator[_Point]:
    streams: dict[int, list[tuple[str, Kept]]] = {}
    for key, kept in series:
        streams.setdefault(kept.leg.stream, []).append((key.name, kept))
    for some in streams.values():
        leg, turn = some[0][1].leg, some[0][1].turn
        chosen = [(name, kept.leg) for name, kept in some if wanted.names is None or name in wanted.names]
        first, last = reach(db, leg, bounds)
        legs = [one for _, one in chosen]
        for axes, columns in [*read_rows(db, leg, legs, first, last), read_tail_of(db, leg, legs)]:
            for place, (seq, time, step) in enumerate(zip(axes.seqs, axes.times, axes.steps, strict=True)):
                yield _Point(None, step, time, (turn, seq))
                for (name, _), values in zip(chosen, columns, strict=True):
                    yield _Point(name, step, time, (turn, seq), values[place])
