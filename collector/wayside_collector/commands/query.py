"""`query`: what a run logged: its metrics, and of some of them the values, as a table or drawn in the terminal."""

import argparse
import math
from collections.abc import Sequence

from ..printing import json_text, number, owner, plain, when
from ..store.answers import Curve, SeriesInfo
from ..store.walk import Range
from .asking import ROWS
from .base import parse_moment, show
from .choosing import choose_metrics, choose_run
from .history import Misused, opened
from .plot import POINTS, draw_curves
from .showing import format_table


def show_metrics(chosen: argparse.Namespace) -> int:
    """The metrics, and the values of those that were chosen."""
    wanted = Range(chosen.axis, _end(chosen.start, chosen.axis), _end(chosen.end, chosen.axis))
    most = chosen.points or (POINTS if chosen.plot else ROWS)
    curves: list[Curve] = []
    with opened(chosen) as history:
        run = choose_run(history, chosen.wanted)
        series = history.series(run.id)
        if chosen.metrics:
            names = choose_metrics(series, chosen.metrics, run.id)
            curves = history.curves(run.id, names, wanted, max_points=most, ranks=chosen.ranks)
            series = [one for name in names for one in series if one.name == name]
    if chosen.ranks is not None:
        series = [one for one in series if one.rank in chosen.ranks]
    if chosen.json:
        show(json_text({"run": run, "series": series, "curves": curves}))
        return 0
    parts = [format_series(series) if wanted.start is None and wanted.end is None else _format_range(curves)]
    parts += [draw_curves(curves, log=chosen.log)] if chosen.plot and curves else map(_format_curve, curves)
    show("\n\n".join(part for part in parts if part))
    return 0


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
