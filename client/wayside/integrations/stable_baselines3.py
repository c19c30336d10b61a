"""Stable-Baselines3: `model.learn(…, callback=WaysideCallback())`, or `WaysideOutput()` among a logger's outputs.

Names are those of its own logger (`rollout/ep_rew_mean`, `train/loss`, …), the step is the number of timesteps.
"""

from typing import Any, Dict, Mapping, Optional

from ..runs import Run
from .adapter import OfItsProcess, base_of, begin, harmless

_Output: Any = base_of("stable_baselines3.common.logger.KVWriter")
_Callback: Any = base_of("stable_baselines3.common.callbacks.BaseCallback")

_CONFIG = (
    "learning_rate",
    "gamma",
    "n_steps",
    "batch_size",
    "n_epochs",
    "ent_coef",
    "vf_coef",
    "buffer_size",
    "n_envs",
)


class WaysideOutput(OfItsProcess, _Output):  # type: ignore[misc]
    """A place the logger writes to: `model.set_logger(Logger(folder, [WaysideOutput(), …]))`."""

    def __init__(self, run: Optional[Run] = None, **asked: Any) -> None:
        self._run: Optional[Run] = run
        self._asked = asked

    @harmless
    def write(self, key_values: Mapping[str, Any], key_excluded: Mapping[str, Any], step: int = 0) -> None:
        run = self._run
        if run is None or run._finished:
            run = self._run = begin("stable-baselines3", "stable-baselines3", **self._asked)
        kept = {name: value for name, value in key_values.items() if "wayside" not in (key_excluded.get(name) or ())}
        run.log(kept, step=step)

    def close(self) -> None:
        """The run stays open: a model may learn again."""


class WaysideCallback(OfItsProcess, _Callback):  # type: ignore[misc]
    """Adds a `WaysideOutput` to the model's logger. run: an open one to log into. asked: as `wayside.init` takes it."""

    def __init__(self, run: Optional[Run] = None, **asked: Any) -> None:
        super().__init__()
        self._given = run
        self._asked = asked

    @harmless
    def _on_training_start(self) -> None:
        run = begin("stable-baselines3", "stable-baselines3", _config(self.model), self._given, **self._asked)
        outputs = self.model.logger.output_formats
        if not any(isinstance(output, WaysideOutput) for output in outputs):
            outputs.append(WaysideOutput(run))

    def _on_step(self) -> bool:
        return True


def _config(model: Any) -> Dict[str, Any]:
    found = {name: getattr(model, name) for name in _CONFIG if isinstance(getattr(model, name, None), (int, float))}
    return {"algorithm": type(model).__name__, "policy": type(getattr(model, "policy", None)).__name__, **found}
