"""MosaicML Composer: `Trainer(loggers=[WaysideLogger()])`.

Names are Composer's (`loss/train/total`, `metrics/eval/…`, `throughput/…`), the step is its batch.
"""

from typing import Any, Dict, Optional

from ..runs import Run
from .adapter import OfItsProcess, base_of, begin, ended, harmless

_Destination: Any = base_of("composer.loggers.LoggerDestination")
_get_rank: Any = base_of("composer.utils.dist.get_global_rank")


class WaysideLogger(OfItsProcess, _Destination):  # type: ignore[misc]
    """Logs from rank 0, or from all with rank_zero_only=False. run: an open one to log into. asked: arguments of
    `wayside.init` for a new one.
    """

    def __init__(self, run: Optional[Run] = None, rank_zero_only: bool = True, **asked: Any) -> None:
        super().__init__()
        self._logs = not rank_zero_only or _get_rank is object or _get_rank() == 0
        self._given = run
        self._asked = asked
        self._run: Optional[Run] = None

    @harmless
    def init(self, state: Any, logger: Any) -> None:
        self._asked.setdefault("name", state.run_name)
        self._open()

    @harmless
    def log_hyperparameters(self, hyperparameters: Dict[str, Any]) -> None:
        run = self._open()
        if run is not None:
            run.config.update(hyperparameters)

    @harmless
    def log_metrics(self, metrics: Dict[str, Any], step: Optional[int] = None) -> None:
        run = self._open()
        if run is not None and metrics:
            run.log(dict(metrics), step=step)

    def _open(self) -> Optional[Run]:
        if ended(self._run) and self._logs:
            self._run = begin("composer", "composer", None, self._given, **self._asked)
        return self._run
