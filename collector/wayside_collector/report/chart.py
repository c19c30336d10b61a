"""Curves as inline SVG. Pure: curves in, text out.

A curve is a line of means over a band from least to greatest, so that what a mean would hide is seen. It is broken
where there is no number. The numbers themselves stand beside it as JSON, for the script that shows them.
"""

import html
import json
import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ..printing import number
from ..store.answers import Curve

WIDTH, HEIGHT = 640, 240
LEFT, RIGHT, TOP, BOTTOM = 62, 10, 10, 26
COLOURS = 8  #: in the style sheet: line-0 to line-7


class Line(NamedTuple):
    """A curve as it is drawn: points in order, nan where there is none. colour: of the palette. dashed: of another
    rank than the first.
    """

    label: str
    colour: int
    dashed: bool
    xs: list[float]
    ys: list[float]
    lows: list[float]
    highs: list[float]


class Mark(NamedTuple):
    """Something that happened: a vertical line, with its words."""

    x: float
    text: str
    colour: int


class Frame(NamedTuple):
    """What of the numbers the chart shows."""

    left: float
    right: float
    low: float
    high: float

    def x(self, value: float) -> float:
        return LEFT + (value - self.left) / (self.right - self.left) * (WIDTH - LEFT - RIGHT)

    def y(self, value: float) -> float:
        part = 0.5 if math.isinf(self.high - self.low) else 1.0  # so long a way has no room in a number
        share = (self.high * part - value * part) / (self.high * part - self.low * part)
        return TOP + share * (HEIGHT - TOP - BOTTOM)


def line_of(curve: Curve, label: str, colour: int, dashed: bool, begin: float) -> Line:
    """begin: where the run's time begins, for an axis of time."""
    xs = [math.nan if step is None else float(step) for step in curve.steps]
    if curve.axis == "time":
        xs = [time - begin for time in curve.times]
    return Line(
        label, colour, dashed, xs, curve.values, curve.mins or curve.values, curve.maxs or curve.values
    )  # fmt: skip


def draw(lines: Sequence[Line], marks: Sequence[Mark], title: str, axis: str) -> str:
    """A chart; a sentence where there is nothing to draw."""
    frame = _frame(lines)
    if frame is None:
        return '<p class="none">No point of it is a finite number.</p>'
    parts = [
        f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{html.escape(title, quote=True)}"'
        f' data-frame="{LEFT},{RIGHT},{TOP},{BOTTOM},{frame.left!r},{frame.right!r}" data-axis="{axis}">'
    ]
    parts += _grid(frame, axis)
    parts += [_mark(frame, mark) for mark in marks if frame.left <= mark.x <= frame.right]
    for line in lines:
        parts.append(_band(frame, line))
        parts.append(_path(frame, line))
    parts.append("</svg>")
    parts.append(f'<script type="application/json">{_numbers(lines)}</script>')
    return "".join(parts)


def _frame(lines: Sequence[Line]) -> Frame | None:
    points = [point for line in lines for point in _points(line)]
    if not points:
        return None
    left, right = _apart(min(point[0] for point in points), max(point[0] for point in points), 0.0)
    low, high = _apart(min(point[2] for point in points), max(point[3] for point in points), 0.04)
    return Frame(left, right, low, high)


def _points(line: Line) -> Iterator[tuple[float, float, float, float]]:
    """x, y, least, greatest, of what can be drawn. Infinite ends of a bucket are cut to its mean."""
    for x, y, low, high in zip(line.xs, line.ys, line.lows, line.highs, strict=True):
        if math.isfinite(x) and math.isfinite(y):
            yield x, y, low if math.isfinite(low) else y, high if math.isfinite(high) else y


def _apart(low: float, high: float, margin: float) -> tuple[float, float]:
    """Two ends that differ, and a little room beyond them."""
    room = high - low
    if math.isinf(room):
        return low, high
    if room <= abs(low) * 1e-12:
        room, margin = max(abs(low), abs(high)) or 1.0, 0.05
    return max(-1.7e308, low - margin * room), min(1.7e308, high + margin * room)


def _runs(line: Line) -> Iterator[list[tuple[float, float, float, float]]]:
    """Points that follow each other without a gap."""
    found: list[tuple[float, float, float, float]] = []
    for x, y, low, high in zip(line.xs, line.ys, line.lows, line.highs, strict=True):
        if math.isfinite(x) and math.isfinite(y):
            found.append((x, y, low if math.isfinite(low) else y, high if math.isfinite(high) else y))
        elif found:
            yield found
            found = []
    if found:
        yield found


def _path(frame: Frame, line: Line) -> str:
    parts, dots = [], []
    for run in _runs(line):
        parts.append("M" + "L".join(f"{frame.x(x):.1f} {frame.y(y):.1f}" for x, y, _, _ in run))
        if len(run) == 1:
            dots.append(f'<circle cx="{frame.x(run[0][0]):.1f}" cy="{frame.y(run[0][1]):.1f}" r="2"/>')
    dashes = ' stroke-dasharray="5 3"' if line.dashed else ""
    return f'<g class="line c{line.colour}"><path d="{"".join(parts)}"{dashes}/>{"".join(dots)}</g>'


def _band(frame: Frame, line: Line) -> str:
    if line.lows is line.ys:
        return ""
    parts = []
    for run in _runs(line):
        there = [f"{frame.x(x):.1f} {frame.y(high):.1f}" for x, _, _, high in run]
        back = [f"{frame.x(x):.1f} {frame.y(low):.1f}" for x, _, low, _ in reversed(run)]
        parts.append(f"M{'L'.join(there + back)}Z")
    return f'<path class="band c{line.colour}" d="{"".join(parts)}"/>'


def _mark(frame: Frame, mark: Mark) -> str:
    x = frame.x(mark.x)
    return (
        f'<line class="mark c{mark.colour}" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}">'
        f"<title>{html.escape(mark.text)}</title></line>"
    )


def _grid(frame: Frame, axis: str) -> Iterator[str]:
    for value in ticks(frame.low, frame.high, 4):
        y = frame.y(value)
        yield f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        yield f'<text class="tick" x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{number(value, 4)}</text>'
    for value in ticks(frame.left, frame.right, 6):
        told = show_seconds(value) if axis == "time" else f"{value:.6g}"
        yield f'<text class="tick" x="{frame.x(value):.1f}" y="{HEIGHT - 8}" text-anchor="middle">{told}</text>'


def ticks(low: float, high: float, most: int) -> list[float]:
    """At most so many round numbers from low to high."""
    rough = (high - low) / most
    if not math.isfinite(rough) or rough <= 0:
        return []
    size = 10.0 ** math.floor(math.log10(rough))
    step = next((size * times for times in (1, 2, 5, 10) if size * times >= rough), size * 10)
    first = math.ceil(low / step)
    return [place * step for place in range(first, first + most + 1) if place * step <= high * (1 + 1e-12) + 1e-300]


def show_seconds(seconds: float) -> str:
    """Time since a run began, on an axis."""
    hours, rest = divmod(round(seconds), 3600)
    return f"{hours}:{rest // 60:02d}:{rest % 60:02d}" if hours else f"{rest // 60}:{rest % 60:02d}"


def _numbers(lines: Sequence[Line]) -> str:
    """The points, rounded for reading. Not even a label can end the element it stands in."""
    told = [
        {
            "label": line.label,
            "colour": line.colour,
            "x": [None if math.isnan(x) else round(x, 3) for x in line.xs],
            "y": [number(y, 6) for y in line.ys],
        }
        for line in lines
    ]
    return json.dumps(told, separators=(",", ":")).replace("<", "\\u003c")
