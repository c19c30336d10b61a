"""A run that wandb made in mode "disabled", given our ears: because the script asked for no W&B, which says nothing of
the collector, or because the hook diverts and W&B hears of the run through the collector alone.

Such a run overrides what real ones share (and older ones carry their methods on the instance), so the object gets a
class of its own above its own: `isinstance` holds, and all that is not said here is wandb's.
"""

import sys
from collections.abc import Mapping
from typing import Any, Callable, Dict

from ..runs import Run
from . import beside
from .guarded import guarded
from .native import yielded

MARK = "_wayside_run"  #: what the class of a run that was taken over holds
ENDED = "_wayside_ended"  #: what such a run holds once the script has ended it
_REBOUND = ("log", "define_metric", "alert", "summary")  # names that wandb.init binds in the module
_FACTS = ("id", "name", "project", "entity", "group", "job_type", "tags", "notes", "url", "step", "dir")


def keep_silent() -> None:
    """Where wandb is diverted it has nobody to talk to: what sends its reports about itself is not even to be made,
    which takes the import of `requests`, most of what `wandb.init` would cost (bench/hook.py).
    """
    disable = getattr(sys.modules.get("wandb.analytics.opentelemetry.opentelemetry_proxy"), "disable", None)
    if disable is not None:
        guarded(disable)


def is_silent(run: Any) -> bool:
    """Whether wandb made this run in mode "disabled"; how it does that changed from version to version."""
    return type(run).__name__ in ("NoopRun", "RunDisabled") or "log" in getattr(run, "__dict__", {})


def take_over(wandb: Any, run: Any, ours: Run, diverted: bool) -> None:
    """Have a silent run tell ours. diverted: it shows our id, name and address, which are those W&B will get."""
    members = {MARK: ours, **_methods(ours, run.finish, run.define_metric)}
    if diverted:
        members.update({name: _shown(ours, name) for name in _FACTS}, **beside.methods(ours, run))
        members["use_artifact"] = _use_artifact(wandb, ours)
    for name in members:
        getattr(run, "__dict__", {}).pop(name, None)
    object.__setattr__(run, "__class__", type(type(run).__name__, (type(run),), members))
    _hear_config_and_summary(run, ours)
    if wandb.run is run:
        for name in (*_REBOUND, *((*beside.NAMES, "use_artifact") if diverted else ())):
            if hasattr(run, name):
                setattr(wandb, name, getattr(run, name))


def _methods(ours: Run, their_finish: Any, their_define_metric: Any) -> Dict[str, Any]:
    def log(self: Any, data: Any, step: Any = None, commit: Any = None, *args: Any, **named: Any) -> None:
        if not isinstance(data, Mapping):
            raise TypeError("wandb.log must be passed a dictionary")
        if not yielded():
            ours.log(data, step, commit)  # type: ignore[arg-type]
        dict.update(self.summary, data)

    def finish(self: Any, exit_code: Any = None, *args: Any, **named: Any) -> None:
        self.__dict__[ENDED] = True
        guarded(ours.finish, exit_code)
        their_finish()

    def define_metric(self: Any, name: Any, *args: Any, **named: Any) -> Any:
        guarded(ours.define_metric, name, *args[:2], **named)
        return their_define_metric(name)

    def alert(self: Any, title: Any, text: Any = "", level: Any = None, wait_duration: Any = None) -> None:
        guarded(ours.alert, title, text, level or "INFO", wait_duration or 0)

    def leave(self: Any, kind: Any, problem: Any, trace: Any) -> bool:
        self.__dict__[ENDED] = True
        guarded(ours.__exit__, kind, problem, trace)
        their_finish()
        return kind is None

    return {"log": log, "finish": finish, "define_metric": define_metric, "alert": alert, "__exit__": leave}


def _shown(ours: Run, name: str) -> Any:
    """A fact of ours. What the script makes of it later does not change: W&B is told when the run begins."""

    def change(self: Any, value: Any) -> None:
        told = f"run.{name} = … is not carried to W&B: a diverted run is what wandb.init() called it"
        guarded(ours.notices.tell, f"set {name}", told)

    return property(lambda self: getattr(ours, name), change)


def _use_artifact(wandb: Any, ours: Run) -> Callable[..., Any]:
    """An artifact is input that the script cannot go on without: it is asked for at W&B, as by wandb's own Api, with
    its errors. That the run used it is not told.
    """

    def use_artifact(self: Any, artifact_or_name: Any, type: Any = None, *args: Any, **named: Any) -> Any:
        if not isinstance(artifact_or_name, str):
            return artifact_or_name
        told = "use_artifact() asks W&B itself, from this process; that the run used it is not told"
        guarded(ours.notices.tell, "use_artifact", told)
        where = {name: value for name, value in (("entity", ours.entity), ("project", ours.project)) if value}
        return wandb.Api(overrides=where).artifact(artifact_or_name, type=type)

    return use_artifact


def _hear_config_and_summary(run: Any, ours: Run) -> None:
    config, summary = run.config, run.summary

    def changed(key: Any = None, val: Any = None, data: Any = None) -> None:
        if data or key:
            guarded(ours.config.update, data or {key if isinstance(key, str) else key[0]: val})

    config._set_callback(changed)
    run.__dict__["summary"] = run.__dict__["_summary"] = _Summary(ours, summary)


class _Summary(dict):  # type: ignore[type-arg]
    """The summary of a silent run: what the script sets is told; what comes of logging follows from the rows."""

    def __init__(self, ours: Run, values: Any) -> None:
        super().__init__(values)
        self.__dict__["_ours"] = ours

    def __setitem__(self, key: Any, value: Any) -> None:
        super().__setitem__(key, value)
        guarded(self._ours.summary.update, {key: value})

    def update(self, *args: Any, **named: Any) -> None:
        found = dict(*args, **named)
        super().update(found)
        guarded(self._ours.summary.update, found)

    def __delitem__(self, key: Any) -> None:
        super().__delitem__(key)
        guarded(self._ours.summary.pop, key, None)

    def __getattr__(self, key: str) -> Any:
        try:
            return self[key]
        except KeyError:
            raise AttributeError(key) from None

    def __setattr__(self, key: str, value: Any) -> None:
        self[key] = value
