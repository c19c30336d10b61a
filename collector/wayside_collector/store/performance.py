"""What runs logged, step by step: the rows that Lens would have, in a stable order and page by page. A page is cut by
the steps that are known of a run, so that reading one costs no more than its rows.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple

from .answers import PerformancePage, PerformanceRow
from .catalog import Kept, Key, find
from .database import Database
from .walk import Range, reach, read_rows, read_tail_of


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
        while steps := list(islice(_steps(db, key, bound), limit - len(rows))):
            rows += _rows(db, key, id, wanted, steps)
            bound = steps[-1]
            if len(rows) >= limit:
                return PerformancePage(rows, (id, bound))
    return PerformancePage(rows, None)


def _steps(db: Database, run: int, after: int | None) -> Iterator[int]:
    """The run's steps in order."""
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


def _rows(db: Database, run: int, id: str, wanted: Wanted, steps: Sequence[int]) -> Iterator[PerformanceRow]:
    metrics: dict[int, dict[str, float]] = {}
    times: dict[int, float] = {}
    inside = set(steps)
    bounds = Range("step", steps[0], steps[-1])
    for name, step, time, value in _points(db, _primary(find(db, run)), wanted, bounds):
        if step not in inside:
            continue
        times[step] = min(time, times.get(step, time))
        if name is not None:
            metrics.setdefault(step, {})[name] = value
    for step in steps:
        if step not in times or not (wanted.empty or step in metrics):
            continue
        if (wanted.start is None or times[step] >= wanted.start) and (wanted.end is None or times[step] <= wanted.end):
            yield PerformanceRow(id, step, times[step], dict(sorted(metrics.get(step, {}).items())))


def _primary(found: dict[Key, list[Kept]]) -> list[tuple[Key, Kept]]:
    """The series of the rank that speaks for the run: the lowest that logged steps."""
    own = [(key, kept) for key, some in found.items() for kept in some if key.kind == "run" and kept.stepped]
    ranks = {-1 if key.rank is None else key.rank for key, _ in own}
    lowest = min(ranks, default=-1)
    return [(key, kept) for key, kept in own if (-1 if key.rank is None else key.rank) == lowest]


def _points(
    db: Database, series: Iterable[tuple[Key, Kept]], wanted: Wanted, bounds: Range
) -> Iterator[tuple[str | None, int, float, float]]:
    """(name, step, time, value), sessions in their order; without a name, rows whose metrics are not wanted."""
    streams: dict[int, list[tuple[str, Kept]]] = {}
    for key, kept in series:
        streams.setdefault(kept.leg.stream, []).append((key.name, kept))
    for some in streams.values():
        leg = some[0][1].leg
        chosen = [(name, kept.leg) for name, kept in some if wanted.names is None or name in wanted.names]
        first, last = reach(db, leg, bounds)
        blocks = read_rows(db, leg, [one for _, one in chosen], first, last)
        for axes, columns in [*blocks, read_tail_of(db, leg, [one for _, one in chosen])]:
            yield from ((None, step, time, 0.0) for step, time in zip(axes.steps, axes.times, strict=True))
            for (name, _), values in zip(chosen, columns, strict=True):
                yield from ((name, *point) for point in zip(axes.steps, axes.times, values, strict=True))
