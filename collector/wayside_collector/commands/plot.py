"""Curves drawn in a terminal, on plotille's canvas: braille dots, four to a line's height. Where a point stands for
several, all between their least and greatest is drawn, so that no outlier is missed.
"""

import math
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import plotille

from ..configuration import config
from ..printing import number, owner, plain
from ..store.answers import Curve

POINTS = 400  #: of one curve: the dots of 200 columns
MARGIN = 12  #: columns beside the drawing, for the numbers of its axis
WIDEST = 160
HEIGHT = 16
LARGEST = 308.25  #: the power of ten of the largest number there is, a trifle less
COLOURS = ("bright_blue", "bright_red", "bright_green", "bright_magenta", "bright_yellow", "bright_cyan", "white")


class Stroke(NamedTuple):
    """Points in a row, none of them missing; each with the least and the greatest it stands for."""

    xs: list[float]
    ys: list[float]
    lows: list[float]
    highs: list[float]


def has_colours(environ: Mapping[str, str]) -> bool:
    """Whether what is printed may be coloured: a terminal reads it, and nobody asked for none (no-color.org)."""
    return sys.stdout.isatty() and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"


def draw_curves(curves: Sequence[Curve], *, log: bool = False) -> str:
    """The curves over each other, and which is which."""
    strokes = [list(_strokes(curve, log)) for curve in curves]
    every = [stroke for some in strokes for stroke in some]
    if not every:
        return f"nothing to draw: no point here is a finite number{' above zero' * log}"
    columns = max(20, min(WIDEST, shutil.get_terminal_size((100, 24)).columns - MARGIN))
    left, right = _apart(min(stroke.xs[0] for stroke in every), max(stroke.xs[-1] for stroke in every))
    low, high = _apart(min(min(stroke.lows) for stroke in every), max(max(stroke.highs) for stroke in every))
    if math.isinf(high - low):
        return f"nothing to draw: from {number(low)} to {number(high)} is too far"
    canvas = plotille.Canvas(columns, HEIGHT, left, low, right, high)
    colours = [
        COLOURS[place % len(COLOURS)] if has_colours(config.environment()) else None for place in range(len(curves))
    ]
    for some, colour in zip(strokes, colours, strict=True):
        for stroke in some:
            _draw(canvas, stroke, colour)
    lines = canvas.plot().split("\n")
    heights = {0: high, HEIGHT // 2: (low + high) / 2, HEIGHT - 1: low}
    heights = {row: 10 ** min(height, LARGEST) if log else height for row, height in heights.items()}
    labels = [number(heights[row], 4) if row in heights else "" for row in range(HEIGHT)]
    told = [f"{label:>{MARGIN - 2}} ┤{line}" for label, line in zip(labels, lines, strict=True)]
    return "\n".join([*told, *_axis(left, right, columns, curves[0].axis), _legend(curves, colours)])


def _strokes(curve: Curve, log: bool) -> Iterator[Stroke]:
    """The curve, broken where nothing can be drawn: where it is not finite, or not above zero on a logarithmic axis. Of
    points together that reach to infinity the mean of the others is.
    """
    xs: Sequence[Any] = curve.steps if curve.axis == "step" else curve.times
    lows, highs = curve.mins or curve.values, curve.maxs or curve.values
    found = Stroke([], [], [], [])
    for x, *told in zip(xs, curve.values, lows, highs, strict=True):
        values = [math.log10(y) if y > 0 else math.nan for y in told] if log else told
        values = [value if math.isfinite(value) else values[0] for value in values]
        if x is None or not math.isfinite(values[0]):
            if found.xs:
                yield found
                found = Stroke([], [], [], [])
            continue
        for column, value in zip(found, (float(x), *values), strict=True):
            column.append(value)
    if found.xs:
        yield found


def _draw(canvas: Any, stroke: Stroke, colour: str | None) -> None:
    canvas.point(stroke.xs[0], stroke.ys[0], color=colour)
    for place in range(1, len(stroke.xs)):
        canvas.line(*(column[at] for at in (place - 1, place) for column in stroke[:2]), color=colour)
    for x, low, high in zip(stroke.xs, stroke.lows, stroke.highs, strict=True):
        if high > low:
            canvas.line(x, low, x, high, color=colour)


def _apart(low: float, high: float) -> tuple[float, float]:
    """Two ends that differ."""
    room = abs(low) * 0.05 or 1.0
    return (low, high) if high - low > abs(low) * 1e-9 else (low - room, high + room)


def _axis(left: float, right: float, columns: int, axis: str) -> list[str]:
    told = [_x(x, axis, right - left) for x in (left, (left + right) / 2, right)]
    gap = columns - sum(map(len, told))
    before = max(1, columns // 2 - len(told[0]) - len(told[1]) // 2)
    labels = f"{told[0]}{' ' * before}{told[1]}{' ' * max(1, gap - before)}{told[2]}"
    return [f"{'':>{MARGIN - 2}} └{'─' * columns}", f"{'':>{MARGIN}}{labels}"]


def _x(x: float, axis: str, width: float) -> str:
    if axis == "step":
        return str(round(x))
    try:
        return datetime.fromtimestamp(x).strftime("%H:%M:%S" if width < 86400 else "%Y-%m-%d %H:%M")
    except (ValueError, OverflowError, OSError):
        return number(x)


def _legend(curves: Sequence[Curve], colours: Sequence[str | None]) -> str:
    names = [f"{plain(curve.name)} {owner(curve.rank, curve.host)}".rstrip() for curve in curves]
    signs = [plotille.color("━━", fg=colour) + " " if colour else "" for colour in colours]
    return " " * MARGIN + "   ".join(sign + name for sign, name in zip(signs, names, strict=True))
