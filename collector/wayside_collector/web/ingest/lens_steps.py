"""Which step a row has whose sender says 0 for every row without one. Pure.

AMD's exporter sends `wandb.log(data)` without a step as step 0, whichever call it is. Some frameworks log their own
counter as a metric: that is the step. Otherwise a metric that comes at step 0 a second time tells: W&B would have
overwritten it, had the step been meant. From then on the rows are counted, as W&B itself counts them. So they are where
more names than a session may have came at step 0: no one row has them all.
"""

from collections.abc import Mapping

from wayside import wire

#: Metrics that are a framework's own step, the first that is there.
COUNTERS = ("train/global_step", "trainer/global_step", "global_step", "iter")


class Steps:
    """Of one session. before: rows and events it had, when it is gone on with."""

    def __init__(self, before: int = 0) -> None:
        self._last = before - 1
        self._counts = before > 0
        self._at_zero: set[str] = set()

    def of(self, said: int, values: Mapping[str, object]) -> tuple[int, bool]:
        """The row's step, and whether it was counted here."""
        step, counted = said or _counter(values), False
        if step == 0:
            self._counts = self._counts or not self._at_zero.isdisjoint(values)
            if self._counts:
                self._at_zero.clear()
                step, counted = self._last + 1, True
            else:
                self._at_zero.update(values)
                self._counts = len(self._at_zero) > wire.MAX_SLOTS
        self._last = max(self._last, step)
        return step, counted


def _counter(values: Mapping[str, object]) -> int:
    for name in COUNTERS:
        value = values.get(name)
        if isinstance(value, float) and value.is_integer() and abs(value) < 1 << 53:
            return int(value)
    return 0
