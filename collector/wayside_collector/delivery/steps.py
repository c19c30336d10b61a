"""Rows of one session merged by step, for sinks that keep one record a step. Pure: time comes in as an argument.

A step is complete when the session logs a larger one, when a row says so (`commit`), when the session finishes, when
no row has come for a while, or when too many have. A row of a step that is already complete is *late*: it goes on at
once, as a step of its own marked so.
"""

from dataclasses import dataclass, field

from wayside.row import Row

from ..sinks.base import Step

MAX_STEP_ROWS = 10_000  #: rows merged into one step: each is held until it closes; a script that never closes one


@dataclass(slots=True)
class _Open:
    step: int
    first_time: float
    seqs: list[int] = field(default_factory=list)
    time: float = 0.0
    metrics: dict[str, float] = field(default_factory=dict)
    points: int = 0
    touched: float = 0.0


class StepMerger:
    """Merges one session's rows. closed: the largest step handed over, kept with the sink's cursor."""

    def __init__(self, closed: int | None = None) -> None:
        self.closed = closed
        self._open: _Open | None = None

    @property
    def open_seqs(self) -> list[int]:
        """Rows taken and not yet handed over."""
        return self._open.seqs if self._open is not None else []

    def add(self, row: Row, now: float) -> list[Step]:
        """Take a row; returns the steps that are complete now."""
        done: list[Step] = []
        step = row.step
        if step is None:
            done += self.close()
            step = 0 if self.closed is None else self.closed + 1
        if self.closed is not None and step <= self.closed:
            done.append(Step((row.seq,), row.time, row.time, step, row.metrics, len(row.names), True))
            return done
        if self._open is not None and step != self._open.step:
            if step < self._open.step:
                # Behind the open step, and never seen: it goes on by itself, and is no reason to close the open one.
                done.append(Step((row.seq,), row.time, row.time, step, row.metrics, len(row.names), True))
                return done
            done += self.close()
        if self._open is None:
            self._open = _Open(step, row.time)
        into = self._open
        into.seqs.append(row.seq)
        into.time = row.time
        into.metrics.update(zip(row.names, row.values, strict=True))
        into.points += len(row.names)
        into.touched = now
        if row.commit or row.step is None or len(into.seqs) >= MAX_STEP_ROWS:
            done += self.close()
        return done

    def close(self) -> list[Step]:
        """Hand over the open step, if there is one."""
        if self._open is None:
            return []
        step, self._open = self._open, None
        self.closed = step.step
        return [Step(tuple(step.seqs), step.first_time, step.time, step.step, step.metrics, step.points, False)]

    def close_stale(self, now: float, timeout: float) -> list[Step]:
        """Hand over the open step when no row of it has come for `timeout` seconds."""
        if self._open is not None and now - self._open.touched >= timeout:
            return self.close()
        return []

    def stale_at(self, timeout: float) -> float | None:
        """When the open step becomes stale, or None."""
        return self._open.touched + timeout if self._open is not None else None
