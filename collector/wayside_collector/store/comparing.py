"""Several runs beside each other."""

from collections.abc import Sequence
from typing import Any

from . import facts
from .answers import ComparedMetric, Comparison, RunInfo, SeriesInfo
from .catalog import definitions, describe, find
from .database import Database
from .finding import flatten


def compare(db: Database, runs: Sequence[tuple[int, RunInfo]]) -> Comparison:
    """Runs by key and what they are, in the order in which they are to be told."""
    configs = [_leaves(facts.read(db, key, "config")) for key, _ in runs]
    series = [_primary(describe(db, find(db, key), definitions(db, key))) for key, _ in runs]
    names = sorted({name for some in series for name in some})
    metrics = [_metric(name, [some.get(name) for some in series]) for name in names]
    return Comparison([info for _, info in runs], _different(configs), metrics)


def _leaves(config: dict[str, Any]) -> dict[str, Any]:
    flat = flatten(config, "")
    return {path: value for path, value in flat.items() if path and not (isinstance(value, dict) and value)}


def _different(configs: Sequence[dict[str, Any]]) -> dict[str, list[Any]]:
    paths = sorted({path for config in configs for path in config})
    found = {}
    for path in paths:
        there = [path in config for config in configs]
        values = [config.get(path) for config in configs]
        if not all(there) or any(value != values[0] for value in values):
            found[path] = values
    return found


def _primary(series: Sequence[SeriesInfo]) -> dict[str, SeriesInfo]:
    """Of each metric the run logged itself, the lowest rank's: they come in that order."""
    found: dict[str, SeriesInfo] = {}
    for one in series:
        if one.kind == "run":
            found.setdefault(one.name, one)
    return found


def _metric(name: str, found: Sequence[SeriesInfo | None]) -> ComparedMetric:
    goal = next((one.goal for one in found if one is not None and one.goal is not None), None)
    last = [None if one is None else one.last for one in found]
    best: list[float | None] = [None] * len(found)
    if goal is not None:
        values = [None if one is None else (one.min if goal == "min" else one.max) for one in found]
        best = [value if value is not None and value == value else None for value in values]
    there = [(value if goal == "min" else -value, place) for place, value in enumerate(best) if value is not None]
    return ComparedMetric(name, goal, last, best, min(there)[1] if len(there) > 1 else None)
