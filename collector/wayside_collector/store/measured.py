"""What a sampler's series came to while a run was open: from the coarsest summaries that lie within that time, and at
its ends from the points themselves. Read for all series of a stream at once, since a machine has hundreds.
"""

from collections.abc import Sequence
from typing import NamedTuple

from .blocks import FAN, Axes
from .database import Database
from .stats import Stat, together
from .streams import read_summary
from .walk import Columns, Leg, Range, read_rows, read_tail_of, roots

_SUMMARIES = (
    "SELECT m.series, m.count, m.finite, m.min, m.max, m.sum, m.first, m.last FROM series e"
    " JOIN summaries m ON m.series = e.series AND m.level = ? AND m.number = ?"
    " WHERE e.stream = ? AND e.series BETWEEN ? AND ?"
)


class _Span(NamedTuple):
    level: int
    number: int
    last_seq: int
    last_time: float


Parts = dict[int, list[Stat]]  # by series


def measured(db: Database, legs: Sequence[Leg]) -> dict[int, Stat]:
    """What these series of one stream came to, by series, in the time that their legs count: the same for all."""
    parts: Parts = {leg.series: [] for leg in legs}
    wanted = Range("time", legs[0].since, legs[0].until)
    whole, edges = _cover(db, legs[0], wanted)
    for span in edges:
        there = False
        for columns in read_rows(db, legs[0], legs, span.number, span.number):
            there = True
            _add_points(parts, legs, columns, wanted)
        if not there:  # its points were let go of; the summary stays
            whole.append(span)
    for span in whole:
        _add_summaries(db, parts, legs, span)
    if legs[0].tail:
        _add_points(parts, legs, read_tail_of(db, legs[0], legs), wanted)
    return {
        series: together(sorted(some, key=lambda stat: stat.last_seq or 0)) if some else Stat()
        for series, some in parts.items()
    }


def _cover(db: Database, leg: Leg, wanted: Range) -> tuple[list[_Span], list[_Span]]:
    """The largest spans that lie in the range, and the blocks that it cuts."""
    whole, edges = list[_Span](), list[_Span]()
    sql = (
        "SELECT number, last_seq, first_time, last_time FROM spans WHERE stream = ? AND level = ?"
        " AND number BETWEEN ? AND ?"
    )
    open = list(roots(leg.blocks))
    while open:
        level, begin, end = open.pop()
        for number, last_seq, first_time, last_time in db.query(sql, leg.stream, level, begin, end):
            span = _Span(level, number, last_seq, last_time)
            if wanted.misses(first_time, last_time):
                continue
            if wanted.holds(first_time, last_time):
                whole.append(span)
            elif level:
                open.append((level - 1, number * FAN, number * FAN + FAN - 1))
            else:
                edges.append(span)
    return whole, edges


def _add_summaries(db: Database, parts: Parts, legs: Sequence[Leg], span: _Span) -> None:
    every = [leg.series for leg in legs]
    for series, *row in db.query(_SUMMARIES, span.level, span.number, legs[0].stream, min(every), max(every)):
        if series in parts:
            points, finite, low, high, total, first, last = read_summary(row)
            stat = Stat(points, finite, low, high, None, None, total, first, last, span.last_seq, None, span.last_time)
            parts[series].append(stat)


def _add_points(parts: Parts, legs: Sequence[Leg], columns: Columns, wanted: Range) -> None:
    axes, values = columns
    inside = [place for place, time in enumerate(axes.times) if wanted.holds(time, time)]
    if not inside:
        return
    kept = Axes([axes.seqs[place] for place in inside], [axes.times[place] for place in inside], ())
    for leg, column in zip(legs, values, strict=True):
        parts[leg.series].append(Stat().and_then([column[place] for place in inside], kept))
