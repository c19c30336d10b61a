"""What a slice of rows comes to: pure functions of the rows.

A page shows latest values, so of rows with the same names only the last is looked at; of the others it matters only
how many points they had and whether one was not finite.
"""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from wayside.row import Row

from ..base import Record

SLICE_RECORDS = 2000  #: records taken in one go while the event loop waits, about 2 ms
SLICE_POINTS = 50_000  #: points, for wide rows: a new series costs about 1 µs


class Digest(NamedTuple):
    """latest: each metric's last value. points: all that the rows had. nonfinite: metric to how often it was NaN or
    infinite. time: Unix time in seconds of the last row. step: the last step given.
    """

    latest: dict[str, float]
    points: int
    nonfinite: dict[str, int]
    time: float
    step: int | None


def digest(rows: Sequence[Row]) -> Digest:
    """What `rows` (at least one, in the order of the session) come to."""
    latest: dict[str, float] = {}
    nonfinite: dict[str, int] = {}
    shapes: set[int] = set()  # ids of the tuples of names seen; the rows keep them alive
    points = 0
    step = None
    for row in reversed(rows):
        values = row.values
        points += len(values)
        if id(row.names) not in shapes:
            shapes.add(id(row.names))
            for name, value in zip(row.names, values, strict=True):
                latest.setdefault(name, value)
        if step is None:
            step = row.step
        if not math.isfinite(sum(values)):  # also when finite values overflow, hence the second look
            for name, value in zip(row.names, values, strict=True):
                if not math.isfinite(value):
                    nonfinite[name] = nonfinite.get(name, 0) + 1
    return Digest(latest, points, nonfinite, rows[-1].time, step)


def slices(records: Sequence[Record]) -> Iterator[Sequence[Record]]:
    """The records in pieces that are each taken without letting the event loop run."""
    start, points = 0, 0
    for place, record in enumerate(records):
        points += len(record.names) if isinstance(record, Row) else 1
        if points >= SLICE_POINTS or place - start >= SLICE_RECORDS - 1:
            yield records[start : place + 1]
            start, points = place + 1, 0
    if start < len(records):
        yield records[start:]
