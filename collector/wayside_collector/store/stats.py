"""What a series has come to: its row in `series`, and the same of rows that are not in a block yet. Pure."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from .blocks import Axes, Summary, summarize
from .database import Value, stored, told

COLUMNS = (
    "count", "finite", "min", "max", "min_step", "max_step", "sum", "first", "last", "last_seq", "last_step",
    "last_time",
)  # fmt: skip


class Stat(NamedTuple):
    """min_step, max_step: where the least and the greatest stood first; None where the series has no steps. last: of
    the row with the largest seq.
    """

    points: int = 0
    finite: int = 0
    min: float = math.nan
    max: float = math.nan
    min_step: int | None = None
    max_step: int | None = None
    sum: float = 0.0
    first: float = math.nan
    last: float = math.nan
    last_seq: int | None = None
    last_step: int | None = None
    last_time: float | None = None

    def and_then(self, values: Sequence[float], axes: Axes, summary: Summary | None = None) -> "Stat":
        """With more rows; `summary` is that of the values."""
        new = summary or summarize(values)
        low, low_step = self.min, self.min_step
        if new.min < low or (low != low and new.min == new.min):
            low, low_step = new.min, _step(axes, values.index(new.min))
        high, high_step = self.max, self.max_step
        if new.max > high or (high != high and new.max == new.max):
            high, high_step = new.max, _step(axes, values.index(new.max))
        found = self._replace(
            points=self.points + new.points,
            finite=self.finite + new.finite,
            min=low,
            max=high,
            min_step=low_step,
            max_step=high_step,
            sum=self.sum + new.sum,
            first=self.first if self.points else new.first,
        )
        if self.last_seq is not None and axes.seqs[-1] < self.last_seq:
            return found
        return found._replace(
            last=new.last, last_seq=axes.seqs[-1], last_step=_step(axes, -1), last_time=axes.times[-1]
        )

    def row(self) -> tuple[Value, ...]:
        """As it stands in the table."""
        return tuple(stored(value) for value in self)


def read_stat(row: Sequence[float | int | None]) -> Stat:
    """From the columns above."""
    numbers = Stat(*row)  # type: ignore[arg-type]
    return numbers._replace(
        min=told(numbers.min), max=told(numbers.max), first=told(numbers.first), last=told(numbers.last)
    )


def together(parts: Sequence[Stat]) -> Stat:
    """Of the same series in several streams, the earliest session's first: the last one's last counts."""
    found = parts[0]
    for part in parts[1:]:
        low, high = (
            (part if _better(part.min, found.min) else found),
            (part if _better(-part.max, -found.max) else found),
        )
        last = part if found.last_time is None or (part.last_time or 0.0) >= found.last_time else found
        found = Stat(
            found.points + part.points, found.finite + part.finite, low.min, high.max, low.min_step, high.max_step,
            found.sum + part.sum, found.first, last.last, last.last_seq, last.last_step, last.last_time,
        )  # fmt: skip
    return found


def _better(new: float, old: float) -> bool:
    return new < old or (old != old and new == new)


def _step(axes: Axes, place: int) -> int | None:
    return axes.steps[place] if axes.steps else None
