"""Points and summaries as one curve of at most so many buckets. Pure.

A point or a summary falls into one bucket, by where it begins; so the least and the greatest of all are told, however
few the buckets.
"""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from operator import le
from typing import NamedTuple

from .blocks import Summary, merge, summarize


class Piece(NamedTuple):
    """Summarized points, all of them wanted. x: where they begin on the axis."""

    x: float
    step: int | None
    time: float
    summary: Summary


class Raw(NamedTuple):
    """Points by rising x, all of them wanted. steps: may be empty where none has one."""

    xs: Sequence[float]
    steps: Sequence[int | None]
    times: Sequence[float]
    values: Sequence[float]


def cut(raw: Raw, start: float | None, end: float | None) -> Raw:
    """The points from start to end, both included, by rising x."""
    if not isinstance(raw.xs, range) and not all(map(le, raw.xs, raw.xs[1:])):
        order = sorted(range(len(raw.xs)), key=raw.xs.__getitem__)
        steps = [raw.steps[place] for place in order] if len(raw.steps) else []
        xs, times, values = ([column[place] for place in order] for column in (raw.xs, raw.times, raw.values))
        raw = Raw(xs, steps, times, values)
    low = 0 if start is None else bisect_left(raw.xs, start)
    high = len(raw.xs) if end is None else bisect_right(raw.xs, end)
    return Raw(raw.xs[low:high], raw.steps[low:high], raw.times[low:high], raw.values[low:high])


class Drawn(NamedTuple):
    """buckets: by rising x, or None where all points are told one by one, in `points`."""

    points: Raw | None
    buckets: list[Piece] | None


def draw(pieces: Sequence[Piece], raws: Sequence[Raw], most: int) -> Drawn:
    """At most `most` points, or buckets of equal width."""
    raws = [raw for raw in raws if len(raw.xs)]
    if not pieces and sum(len(raw.xs) for raw in raws) <= most:
        return Drawn(_joined(raws), None)
    low = min([piece.x for piece in pieces] + [raw.xs[0] for raw in raws])
    high = max([piece.x for piece in pieces] + [raw.xs[-1] for raw in raws])
    scale = most / (high - low) if high > low else 0.0
    if not math.isfinite(scale):  # numbers so near each other that the difference has no inverse
        scale = 0.0
    found: dict[int, list[Piece]] = {}
    for piece in pieces:
        found.setdefault(_bucket(piece.x, low, scale, most), []).append(piece)
    for raw in raws:
        _sort_in(raw, low, scale, most, found)
    return Drawn(None, [_together(found[number]) for number in sorted(found)])


def _bucket(x: float, low: float, scale: float, most: int) -> int:
    return min(most - 1, int((x - low) * scale))


def _sort_in(raw: Raw, low: float, scale: float, most: int, found: dict[int, list[Piece]]) -> None:
    begin, count = 0, len(raw.xs)
    while begin < count:
        number = _bucket(raw.xs[begin], low, scale, most)
        end = count
        if scale and number < most - 1:
            end = max(begin + 1, bisect_left(raw.xs, low + (number + 1) / scale, begin))
        step = raw.steps[begin] if len(raw.steps) else None
        piece = Piece(raw.xs[begin], step, raw.times[begin], summarize(raw.values[begin:end]))
        found.setdefault(number, []).append(piece)
        begin = end


def _together(pieces: list[Piece]) -> Piece:
    if len(pieces) == 1:
        return pieces[0]
    pieces.sort(key=lambda piece: (piece.x, piece.time))
    first = pieces[0]
    return Piece(first.x, first.step, first.time, merge([piece.summary for piece in pieces]))


def _joined(raws: Sequence[Raw]) -> Raw:
    """All points by rising x; where two stand at one x, the earlier first."""
    if len(raws) == 1:
        return raws[0]
    rows = [
        (x, raw.times[place], raw.steps[place] if len(raw.steps) else None, raw.values[place])
        for raw in raws
        for place, x in enumerate(raw.xs)
    ]
    rows.sort(key=lambda row: row[:2])
    return Raw([row[0] for row in rows], [row[2] for row in rows], [row[1] for row in rows], [row[3] for row in rows])
