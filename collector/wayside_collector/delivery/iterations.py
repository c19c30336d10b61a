"""Which step of the training a row belongs to, for sinks that file by it. Pure.

Half of the frameworks give `log()` no step: the Hugging Face Trainer, Lightning, torchtune and nanoGPT put it into the
row, as one of its numbers. The step of a row is, in this order: the one the call gave; the metric that `define_metric`
names as the x axis of one of the row's; a number under one of the names below; the run's own counter.

A number of epochs is a step only as long as it tells rows apart: a script that logs each batch with its epoch would
have all rows of an epoch become one. Once a metric comes again in an epoch with another value, epochs are no steps.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

import msgspec
from wayside.row import Row

#: Where frameworks put the step: Hugging Face, Lightning, torchtune and many, nanoGPT, Keras, Ray Tune; epochs last.
KNOWN = (
    *("train/global_step", "trainer/global_step", "global_step", "iter", "batch/batch_step", "training_iteration"),
    *("epoch/epoch", "epoch"),
)
MAX_DEFINED = 100  #: definitions remembered of one session; those that come later are not looked at
MAX_REMEMBERED = 10_000  #: names whose step metric is remembered, some MB; beyond it they are looked up anew
_LARGEST = 2**53  # beyond it a float is no exact number


class KeptIterations(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """What outlives a restart. defined: name or pattern of metrics to the metric that is their step. last: step metric
    to its last number. coarse: names of epochs that are no steps.
    """

    defined: dict[str, str] = {}
    last: dict[str, int] = {}
    coarse: list[str] = []


@dataclass
class Iterations:
    """One session's rows, in order."""

    kept: KeptIterations = field(default_factory=KeptIterations)
    _seen: dict[str, tuple[int, dict[str, float]]] = field(default_factory=dict)  # epochs' name: epoch, its numbers
    _known: dict[str, str | None] = field(default_factory=dict)  # what `_defined` said, until something else is defined

    def define(self, data: Mapping[str, Any]) -> None:
        """A DEFINE_METRIC event (`wayside.row`) of the session."""
        name, step_metric = data.get("name"), data.get("step_metric")
        if not (isinstance(name, str) and isinstance(step_metric, str)):
            return
        if name in self.kept.defined or len(self.kept.defined) < MAX_DEFINED:
            self.kept.defined[name] = step_metric
            self._known.clear()

    def resolve(self, row: Row) -> Row:
        """The row with its step. One that is found in the row stays open for others of the same step."""
        if row.step is not None and not row.auto_step:
            return row
        metrics = row.metrics
        for name in self._candidates(metrics):
            step = _whole(metrics[name]) if name in metrics else self.kept.last.get(name)
            if step is None or self._is_coarse(name, step, metrics):
                continue
            if name in self.kept.defined.values():
                self.kept.last[name] = step
            return row._replace(step=step, commit=False)
        return row

    def _candidates(self, metrics: Mapping[str, float]) -> Iterator[str]:
        """Names under which the step may stand, the surest first. One that is defined counts also where this row does
        not have it: as in W&B, it is then what it was last.
        """
        named = map(self._step_metric_of, metrics if self.kept.defined else ())
        yield from (name for name in dict.fromkeys(named) if name is not None)
        yield from (name for name in KNOWN if name in metrics)

    def _step_metric_of(self, name: str) -> str | None:
        if name not in self._known:
            if len(self._known) >= MAX_REMEMBERED:
                self._known.clear()
            self._known[name] = self._defined(name)
        return self._known[name]

    def _defined(self, name: str) -> str | None:
        """The step metric of a metric: by its own name, else by the longest pattern."""
        defined = self.kept.defined
        if name in defined:
            return defined[name]
        patterns = [one for one in defined if one.endswith("*") and fnmatchcase(name, one)]
        return defined[max(patterns, key=len)] if patterns and name not in defined.values() else None

    def _is_coarse(self, name: str, step: int, metrics: Mapping[str, float]) -> bool:
        if name.rpartition("/")[2] != "epoch" or name not in metrics:
            return False
        if name in self.kept.coarse:
            return True
        epoch, numbers = self._seen.get(name, (None, {}))
        if epoch != step:
            numbers = {}
        elif any(numbers[one] != value for one, value in metrics.items() if one in numbers):
            self.kept.coarse.append(name)
            self._seen.pop(name, None)
            return True
        self._seen[name] = step, {**numbers, **metrics}
        return False


def _whole(number: float) -> int | None:
    """A step, where the number is one."""
    return int(number) if 0 <= number <= _LARGEST and number == int(number) else None
