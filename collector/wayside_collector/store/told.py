"""What a reader found, as it is told. Pure."""

import json
import math
from typing import Any

from .answers import Axis, Curve, SessionInfo
from .catalog import Key
from .chart import Drawn


def session(run: str, row: tuple[Any, ...]) -> SessionInfo:
    """A row of `sessions`."""
    id, rank, host, started, active, finished, code, rows, points, record = row
    return SessionInfo(id, run, rank, host, started, active, finished, code, rows, points, json.loads(record))


def curve(run: str, key: Key, axis: Axis, drawn: Drawn) -> Curve:
    """All its points, or buckets."""
    head = (run, key.name, key.kind, key.rank, key.host, axis)
    if drawn.points is not None:
        points = drawn.points
        steps: list[int | None] = [*points.steps] if len(points.steps) else [None] * len(points.xs)
        return Curve(*head, "points", len(points.xs), steps, list(points.times), list(points.values))
    buckets = drawn.buckets or []
    parts = [bucket.summary for bucket in buckets]
    return Curve(
        *head, "buckets", sum(part.points for part in parts), [bucket.step for bucket in buckets],
        [bucket.time for bucket in buckets], [part.sum / part.finite if part.finite else math.nan for part in parts],
        [part.min for part in parts], [part.max for part in parts], [part.first for part in parts],
        [part.last for part in parts], [part.points for part in parts],
    )  # fmt: skip
