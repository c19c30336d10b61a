"""The store's oracle: rows in lists, answers by looking at all of them."""

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from wayside.row import Event, Row
from wayside_collector.session import Session
from wayside_collector.store import Reader
from wayside_collector.store.answers import Curve
from wayside_collector.store.walk import Range


class Point(NamedTuple):
    step: int | None
    time: float
    value: float


def points_of(
    sessions: Iterable[tuple[Session, Sequence[Row | Event]]], run: str, name: str, rank: int | None
) -> list[Point]:
    """Every point of a series."""
    return [
        Point(row.step, row.time, row.metrics[name])
        for session, rows in sessions
        for row in rows
        if isinstance(row, Row) and session.run.id == run and session.rank == rank and name in row.metrics
    ]


def inside(points: Sequence[Point], wanted: Range) -> list[Point]:
    """Those in the range, by rising axis and then time."""
    found = []
    for point in points:
        x = point.step if wanted.axis == "step" else point.time
        if x is None or (wanted.start is not None and x < wanted.start) or (wanted.end is not None and x > wanted.end):
            continue
        found.append(point)
    return sorted(found, key=lambda point: (point.step if wanted.axis == "step" else point.time, point.time))


def check_curve(curve: Curve, points: Sequence[Point], most: int) -> None:
    """A curve tells the truth of exactly these points."""
    numbers = [point.value for point in points if not math.isnan(point.value)]
    assert curve.count == len(points)
    assert len(curve.values) <= most
    if curve.kind == "points":
        assert curve.steps == [point.step for point in points]
        assert curve.times == [point.time for point in points]
        assert same(curve.values, [point.value for point in points])
        return
    assert len(points) > most or not points
    assert sum(curve.counts) == len(points)
    assert min((low for low in curve.mins if low == low), default=None) == min(numbers, default=None)
    assert max((high for high in curve.maxs if high == high), default=None) == max(numbers, default=None)
    axis = curve.steps if curve.axis == "step" else curve.times
    assert list(axis) == sorted(axis)


def same(some: Sequence[float], others: Sequence[float]) -> bool:
    """Whether numbers are the same, nan and nan too."""
    return len(some) == len(others) and all(a == b or (a != a and b != b) for a, b in zip(some, others, strict=True))


def everything(reader: Reader, workloads: Iterable[str] = ()) -> dict[str, object]:
    """All a reader can be asked, as one value that can be compared."""
    found: dict[str, object] = {}
    for info in reader.runs(limit=1000).runs:
        series = reader.series(info.id)
        found[info.id] = {
            "run": info,
            "sessions": reader.sessions(info.id),
            "config": reader.config(info.id),
            "summary": reader.summary(info.id),
            "events": reader.events(info.id),
            "series": [repr(one) for one in series],
            "curves": [
                repr(reader.curves(info.id, name, Range(axis, None, None), max_points=20_000))
                for name in sorted({one.name for one in series})
                for axis in ("step", "time")
            ],
            "performance": repr(reader.performance(info.workload)),
            "iterations": repr(reader.iterations(info.workload)),
            "sources": reader.sources(info.workload),
        }
    return found
