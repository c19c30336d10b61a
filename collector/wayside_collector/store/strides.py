"""The steps of a run as stretches with even spacing: exact, and small however long the run. Pure.

A run that logs every tenth step for a million rows takes 25 stretches of at most 4,096 steps; where steps follow no
rule, a stretch holds two of them.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from typing import NamedTuple

MOST = 4096  #: steps of one stretch: the view `training_performance` counts up to it


class Stretch(NamedTuple):
    """`steps` of them from `first` to `last`, `stride` apart (1 where there is but one)."""

    first: int
    last: int
    stride: int
    steps: int

    def holds(self, step: int) -> bool:
        return self.first <= step <= self.last and (step - self.first) % self.stride == 0


def uncovered(steps: Iterable[int], known: Sequence[Stretch]) -> list[int]:
    """The steps that none of these stretches holds, each once, in order."""
    wanted = sorted(set(steps))
    held: set[int] = set()
    for one in known:  # never step by step: between the least and the greatest of them a whole run may lie
        within = wanted[bisect_left(wanted, one.first) : bisect_right(wanted, one.last)]
        held.update(step for step in within if one.holds(step))
    return [step for step in wanted if step not in held]


def extend(last: Stretch | None, steps: list[int]) -> list[Stretch]:
    """Stretches that hold these steps (ascending, none of them known), the first of them `last` gone on with if it can
    be; then it begins where `last` does.
    """
    found = [] if last is None else [last]
    if len(steps) > 1 and steps == list(range(steps[0], steps[-1] + 1, steps[1] - steps[0])):
        return _extend_evenly(found, steps)
    for step in steps:
        open = found[-1] if found else None
        if open is not None and open.steps < MOST and step > open.last and _fits(open, step):
            found[-1] = Stretch(open.first, step, step - open.last, open.steps + 1)
        else:
            found.append(Stretch(step, step, 1, 1))
    return found


def _extend_evenly(found: list[Stretch], steps: list[int]) -> list[Stretch]:
    """The same of evenly spaced steps, without looking at each."""
    stride = steps[1] - steps[0]
    begin = 0
    alike = bool(found) and (found[-1].steps == 1 or found[-1].stride == stride)
    if alike and steps[0] == found[-1].last + stride:
        first, begin = found[-1].first, min(len(steps), MOST - found[-1].steps)
        if begin:
            found[-1] = Stretch(first, steps[begin - 1], stride, found[-1].steps + begin)
    for place in range(begin, len(steps), MOST):
        part = steps[place : place + MOST]
        found.append(Stretch(part[0], part[-1], stride if len(part) > 1 else 1, len(part)))
    return found


def _fits(open: Stretch, step: int) -> bool:
    return open.steps == 1 or step == open.last + open.stride
