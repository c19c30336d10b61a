"""Ray Tune, and Ray Train's results as Tune reports them: `RunConfig(callbacks=[WaysideLoggerCallback()])`.

Every trial is a run of its own, logged from the driver: numbers of each report, nested ones joined by "/", with
`training_iteration` as step. A training loop that calls `wayside.init` itself needs none of this.
"""

from typing import Any, Dict, Mapping

from .. import api, hook
from ..runs import Run
from .adapter import base_of, harmless

_Callback: Any = base_of("ray.tune.logger.LoggerCallback")

#: Of each report, what says nothing of the training.
_LEFT_OUT = frozenset(
    ("config", "date", "done", "experiment_tag", "hostname", "node_ip", "pid", "timestamp", "trial_id")
)


class WaysideLoggerCallback(_Callback):  # type: ignore[misc]
    """project, and asked: as `wayside.init` takes them, for every trial's run."""

    def __init__(self, project: str = "ray", **asked: Any) -> None:
        self._asked = {"project": project, **asked}
        self._runs: Dict[str, Run] = {}

    @harmless
    def log_trial_start(self, trial: Any) -> None:
        hook.yield_to("ray")
        known = {"id": trial.trial_id, "name": str(trial), "group": getattr(trial, "experiment_dir_name", None)}
        self._runs[trial.trial_id] = api.init(
            **{**known, **self._asked, "config": trial.config, "reinit": "create_new"}
        )

    @harmless
    def log_trial_result(self, iteration: int, trial: Any, result: Mapping[str, Any]) -> None:
        if trial.trial_id not in self._runs:  # it goes on after the driver was restarted
            self.log_trial_start(trial)
        told = {name: value for name, value in result.items() if name not in _LEFT_OUT and value is not None}
        self._runs[trial.trial_id].log(told, step=result.get("training_iteration", iteration), commit=True)

    @harmless
    def log_trial_end(self, trial: Any, failed: bool = False) -> None:
        run = self._runs.pop(trial.trial_id, None)
        if run is not None:
            run.finish(exit_code=int(failed))

    def __getstate__(self) -> Dict[str, Any]:
        """Ray copies callbacks: the runs stay in the process that began them."""
        return {**self.__dict__, "_runs": {}}
