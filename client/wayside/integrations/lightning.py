"""Lightning: `Trainer(logger=WaysideLogger())`, alone or in a list with others.

Names are those of `self.log`, the step is Lightning's own, as its loggers are given it.
"""

from typing import Any, Dict, Optional

from ..runs import Run
from .adapter import OfItsProcess, base_of, begin, ended, harmless

_Logger: Any = base_of("lightning.pytorch.loggers.Logger", "pytorch_lightning.loggers.Logger")
_rank_zero: Any = base_of(
    "lightning.fabric.utilities.rank_zero.rank_zero_only", "lightning_fabric.utilities.rank_zero.rank_zero_only"
)


class WaysideLogger(OfItsProcess, _Logger):  # type: ignore[misc]
    """Logs from the process of rank 0. asked: arguments of `wayside.init`, for a run that is begun at the first word.
    It stays open after `fit`, for what is tested after it, until the process ends or `wayside.finish()`.
    """

    def __init__(self, run: Optional[Run] = None, **asked: Any) -> None:
        super().__init__()
        self._given = run
        self._asked = asked
        self._run: Optional[Run] = None

    @property
    def name(self) -> Optional[str]:
        return self._asked.get("project") if self._run is None else self._run.project

    @property
    def version(self) -> Optional[str]:
        return self._asked.get("id") if self._run is None else self._run.id

    @property
    def experiment(self) -> Optional[Run]:
        """The run, as `trainer.logger.experiment`; None in processes that do not log."""
        return self._open()

    @harmless
    def log_metrics(self, metrics: Dict[str, Any], step: Optional[int] = None) -> None:
        run = self._open()
        if run is not None:
            run.log(dict(metrics), step=step)

    @harmless
    def log_hyperparams(self, params: Any, *args: Any, **others: Any) -> None:
        run = self._open()
        if run is not None:
            run.config.update(params)

    @harmless
    def _open(self) -> Optional[Run]:
        if ended(self._run) and not getattr(_rank_zero, "rank", 0):
            self._run = begin("lightning", "lightning_logs", None, self._given, **self._asked)
        return self._run
