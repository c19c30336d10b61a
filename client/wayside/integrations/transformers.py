"""Hugging Face's Trainer, and whatever is built on it (TRL): `TrainingArguments(report_to="wayside")`, once this module
is imported, or `Trainer(callbacks=[WaysideCallback()])`.

Names are those of its W&B callback: `train/…`, `eval/…`, `test/…`, with the trainer's global step as step.
"""

from typing import Any, Dict, Mapping, Optional

from ..runs import Run
from .adapter import OfItsProcess, base_of, begin, ended, harmless, slashed

_Callback: Any = base_of("transformers.trainer_callback.TrainerCallback")

_PREFIXES = {"eval_": "eval/", "test_": "test/"}
#: What the trainer tells once, at its end: figures of the whole training, which no curve shows.
_OF_THE_WHOLE = ("train_runtime", "train_samples_per_second", "train_steps_per_second", "train_loss", "total_flos")


class WaysideCallback(OfItsProcess, _Callback):  # type: ignore[misc]
    """Logs from the process of rank 0. run: an open one to log into, instead of the current or a new one. The run stays
    open at the end of the training, for what is evaluated after it, until the process ends or `wayside.finish()`.
    """

    def __init__(self, run: Optional[Run] = None) -> None:
        self._given = run
        self._run: Optional[Run] = None

    @harmless
    def on_train_begin(self, args: Any, state: Any, control: Any, model: Any = None, **others: Any) -> None:
        if state.is_hyper_param_search and self._run is not None and self._given is None:
            self._run.finish()  # of the trial before
            self._run = None
        self._open(args, state, model)

    @harmless
    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, model: Any = None, **others: Any) -> None:
        run = self._open(args, state, model)
        if run is None or not logs:
            return
        whole = {name: value for name, value in logs.items() if name in _OF_THE_WHOLE}
        if whole:
            run.summary.update(slashed(whole, {}, "train/"))
        rows = {name: value for name, value in logs.items() if name not in whole and value is not None}
        run.log(slashed(rows, _PREFIXES, "train/"), step=state.global_step)

    @harmless
    def on_predict(self, args: Any, state: Any, control: Any, metrics: Any, **others: Any) -> None:
        run = self._open(args, state, None)
        if run is not None and metrics:
            run.log(slashed(metrics, _PREFIXES, "train/"), step=state.global_step)

    def _open(self, args: Any, state: Any, model: Any) -> Optional[Run]:
        """The run, begun where there is none yet; None in processes that do not log."""
        if ended(self._run) and state.is_world_process_zero:
            trial = getattr(state, "trial_name", None)
            name = args.run_name if args.run_name != args.output_dir else None
            asked = {"name": trial or name, "group": name if trial else None}
            self._run = begin("transformers", "huggingface", _config(args, model), self._given, **asked)
        return self._run


def _config(args: Any, model: Any) -> Dict[str, Any]:
    """The model's configuration and, above it, the trainer's arguments."""
    config: Dict[str, Any] = {}
    of_model = getattr(model, "config", None)
    if of_model is not None:
        config.update(of_model if isinstance(of_model, Mapping) else of_model.to_dict())
    config.update(args.to_sanitized_dict())
    if hasattr(model, "num_parameters"):
        config["model/num_parameters"] = model.num_parameters()
    return config


def register(integrations: Any) -> None:
    """Have `report_to="wayside"` mean this callback. integrations: transformers.integrations.integration_utils."""
    integrations.INTEGRATION_TO_CALLBACK["wayside"] = WaysideCallback


if _Callback is not object:
    _register = base_of("transformers.integrations.integration_utils.INTEGRATION_TO_CALLBACK")
    if isinstance(_register, dict):
        _register["wayside"] = WaysideCallback
