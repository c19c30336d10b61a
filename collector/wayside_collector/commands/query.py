"""`query`: what a run logged: its metrics, and of some of them the values, as a table or drawn in the terminal."""

import argparse
import math
from collections.abc import Iterator, Sequence

from ..printing import json_text, number, owner, plain, when
from ..store.answers import Axis, Curve, SeriesInfo
from ..store.walk import Range
from .asking import ROWS
from .base import parse_moment, say, show
from .choosing import LISTED, choose_metrics, choose_run
from .history import Misused, Unanswered, opened
from .plot import POINTS, draw_curves
from .showing import format_table


def show_metrics(chosen: argparse.Namespace) -> int:
    """The metrics, and the values of those that were chosen."""
    with opened(chosen) as history:
        run = choose_run(history, chosen.wanted)
        series = history.series(run.id)
        names = choose_metrics(series, chosen.metrics, run.id)
        if names:
            series = [one for name in names for one in series if one.name == name]
        if chosen.ranks is not None:
            series = _of_ranks(series, chosen.ranks, run.id)
        most = chosen.points or (POINTS if chosen.plot else ROWS)
        curves: list[Curve] = []
        for wanted, some in list(_ranges(chosen, series, names)):
            curves += history.curves(run.id, some, wanted, max_points=most, ranks=chosen.ranks)
    if chosen.json:
        show(json_text({"run": run, "series": series, "curves": curves}))
        return 0
    parts = [format_series(series) if chosen.start is None and chosen.end is None else _format_range(curves)]
    if chosen.plot:
        for axis in dict.fromkeys(curve.axis for curve in curves):
            parts.append(draw_curves([curve for curve in curves if curve.axis == axis], log=chosen.log))
    else:
        parts += map(_format_curve, curves)
    show("\n\n".join(part for part in parts if part))
    return 0


def _of_ranks(series: Sequence[SeriesInfo], ranks: Sequence[int], run: str) -> list[SeriesInfo]:
    """Those of these ranks. Raises Unanswered where there is none."""
    found = [one for one in series if one.rank in ranks]
    if series and not found:
        known = sorted({one.rank for one in series if one.rank is not None})
        there = f"{', '.join(map(str, known[:LISTED]))}{', …' * (len(known) > LISTED)}" if known else "none"
        raise Unanswered(f"run {run} has nothing of rank {', '.join(map(str, ranks))}; the ranks there are: {there}")
    return found


def _ranges(
    chosen: argparse.Namespace, series: Sequence[SeriesInfo], names: Sequence[str]
) -> Iterator[tuple[Range, list[str]]]:
    """What is asked of which metrics: those that were never logged with a step are told by time, unless an axis was
    chosen, or a range of steps. Raises Misused.
    """
    stepped = {one.name for one in series if one.last_step is not None}
    free = chosen.axis is None and chosen.start is None and chosen.end is None
    by_time = [name for name in names if free and name not in stepped]
    axis: Axis = chosen.axis or "step"
    wanted = Range(axis, _end(chosen.start, axis), _end(chosen.end, axis))
    if wanted.start is not None and wanted.end is not None and wanted.start > wanted.end:
        raise Misused(f"--from {chosen.start} lies after --to {chosen.end}")
    if axis == "step" and not free and (without := [plain(name) for name in names if name not in stepped]):
        say(f"without steps, so nothing is told of it: {', '.join(without[:LISTED])}; by time: --axis time")
    for one, some in ((wanted, [name for name in names if name not in by_time]), (Range("time", None, None), by_time)):
        if some:
            yield one, some


def _end(text: str | None, axis: str) -> float | None:
    """An end of the range, as the axis has it. Raises Misused."""
    if text is None:
        return None
    try:
        return parse_moment(text) if axis == "time" else int(text)
    except argparse.ArgumentTypeError as problem:
        raise Misused(str(problem)) from None
    except ValueError:
        raise Misused(f"{text!r} is no step; for a time: --axis time") from None


def format_series(series: Sequence[SeriesInfo]) -> str:
    """What each metric has come to."""
    rows = [["metric", "of", "points", "last", "at", "best", "at", "min", "max", "mean"]]
    for one in series:
        numbers = (one.last, one.last_step, one.best, one.best_step, one.min, one.max, one.mean)
        rows.append([plain(one.name), owner(one.rank, one.host), _count(one), *map(number, numbers)])
    return format_table(rows, right=range(2, 10)) if series else "no metric yet"


def _count(one: SeriesInfo) -> str:
    odd = one.count - one.finite
    return f"{one.count} ({odd} not finite)" if odd else str(one.count)


def _format_range(curves: Sequence[Curve]) -> str:
    """The same of a range, as far as a curve tells it."""
    rows = [["metric", "of", "points", "first", "last", "min", "max"]]
    for curve in curves:
        lows = [value for value in curve.mins or curve.values if not math.isnan(value)]
        highs = [value for value in curve.maxs or curve.values if not math.isnan(value)]
        firsts, lasts = curve.firsts or curve.values, curve.lasts or curve.values
        numbers = (*firsts[:1], *lasts[-1:], min(lows, default=None), max(highs, default=None))
        told = list(map(number, numbers)) if curve.count else [""] * 4
        rows.append([plain(curve.name), owner(curve.rank, curve.host), str(curve.count), *told])
    return format_table(rows, right=range(2, 7))


def _format_curve(curve: Curve) -> str:
    """Its points, or what becomes of several together."""
    title = f"{plain(curve.name)} {owner(curve.rank, curve.host)}".rstrip()
    head = ["step", "time", "value"]
    columns = [map(number, curve.steps), map(when, curve.times), map(number, curve.values)]
    if curve.kind == "buckets":
        title += f": {curve.count} points as {len(curve.values)}; --points for more, `export` for all"
        head = ["step", "time", "mean", "min", "max", "points"]
        columns += [map(number, curve.mins), map(number, curve.maxs), map(str, curve.counts)]
    rows = [head, *map(list, zip(*columns, strict=True))]
    return f"{title}\n{format_table(rows, right={0, 2, 3, 4, 5})}"
