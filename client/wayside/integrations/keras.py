"""Keras 3, on any backend: `model.fit(callbacks=[WaysideCallback()])`.

Names are those of W&B's callback: `epoch/…` at the end of each epoch and, where asked for, `batch/…`; the step is the
number of batches trained so far.
"""

from typing import Any, Dict, Mapping, Optional

from ..runs import Run
from .adapter import OfItsProcess, base_of, begin, ended, harmless

_Callback: Any = base_of("keras.callbacks.Callback")


class WaysideCallback(OfItsProcess, _Callback):  # type: ignore[misc]
    """batches: how often a row of a batch's own metrics is logged, each so many batches; 0 is never. run: an open one
    to log into. asked: arguments of `wayside.init`, for a new one.
    """

    def __init__(self, batches: int = 0, run: Optional[Run] = None, **asked: Any) -> None:
        super().__init__()
        self._every = batches
        self._given = run
        self._asked = asked
        self._run: Optional[Run] = None
        self._batches = 0

    @harmless
    def on_train_begin(self, logs: Any = None) -> None:
        if ended(self._run):
            self._run = begin("keras", "keras", self._config(), self._given, **self._asked)

    @harmless
    def on_train_batch_end(self, batch: int, logs: Optional[Mapping[str, Any]] = None) -> None:
        self._batches += 1
        if self._run is not None and self._every and self._batches % self._every == 0:
            self._run.log(_named("batch", logs), step=self._batches)

    @harmless
    def on_epoch_end(self, epoch: int, logs: Optional[Mapping[str, Any]] = None) -> None:
        if self._run is not None:
            row = {"epoch/epoch": epoch, **_named("epoch", logs)}
            rate = self._learning_rate()
            if rate is not None:
                row["epoch/learning_rate"] = rate
            self._run.log(row, step=self._batches)

    @harmless
    def on_test_end(self, logs: Optional[Mapping[str, Any]] = None) -> None:
        if self._run is not None and self._batches == 0:
            self._run.log(_named("test", logs))

    def _learning_rate(self) -> Any:
        """As the optimizer has it, a variable on a GPU perhaps, which `log` waits for no more than for others."""
        rate = getattr(getattr(self.model, "optimizer", None), "learning_rate", None)
        return getattr(rate, "value", rate)

    def _config(self) -> Dict[str, Any]:
        """How the training was called, and the optimizer."""
        config = dict(self.params or {})
        optimizer = getattr(self.model, "optimizer", None)
        if optimizer is not None:
            config["optimizer"] = optimizer.get_config()
        return config


def _named(prefix: str, logs: Optional[Mapping[str, Any]]) -> Dict[str, Any]:
    return {f"{prefix}/{name}": value for name, value in (logs or {}).items()}
