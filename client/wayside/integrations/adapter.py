"""What all adapters share: the class they inherit from, the run they log into, and where their failures end."""

import functools
import importlib
import os
from typing import Any, Callable, Dict, Mapping, Optional, TypeVar

from .. import api, hook
from ..handlers import raised_by_handler
from ..notices import say
from ..runs import Run
from ..settings import read_settings

Called = TypeVar("Called", bound=Callable[..., Any])

_said = False


class OfItsProcess:
    """A run is of its process: an adapter that is copied, or sent to another process, begins anew there."""

    def __getstate__(self) -> Dict[str, Any]:
        return {**self.__dict__, "_run": None, "_given": None}


def base_of(*places: str) -> Any:
    """The first of these that can be had ("package.module.Class"), `object` where none can. A framework that is there
    and cannot be imported is told of.
    """
    for place in places:
        module, _, name = place.rpartition(".")
        try:
            found = getattr(importlib.import_module(module), name, None)
        except Exception as problem:  # noqa: BLE001 -- one that is half installed raises anything
            found = None
            if not isinstance(problem, ModuleNotFoundError):
                say(f"{module} cannot be imported, and nothing of it is heard: {problem!r}")
        if found is not None:
            return found
    return object


def harmless(ours: Called) -> Called:
    """A method whose failure is said, once in a process, and ends there; what a signal handler raised goes on."""

    @functools.wraps(ours)
    def guarded(*args: Any, **named: Any) -> Any:
        global _said
        try:
            return ours(*args, **named)
        except Exception as problem:
            if raised_by_handler(problem):
                raise
            if not _said:
                _said = True
                say(
                    f"something of the training was not heard by {ours.__qualname__}: {problem!r}; it goes on untouched"
                )
            return None

    return guarded  # type: ignore[return-value]


def begin(framework: str, fallback: str, config: Any = None, run: Optional[Run] = None, **asked: Any) -> Run:
    """The run to log into: `run` where it is given, else the process's current one, else one that the wandb hook had
    begun, else a new one, of project `fallback` where neither `asked` nor the environment names any. The hook yields.
    """
    hooked = hook.yield_to(framework)
    found = run or api.current("run") or hooked
    if found is None:
        if asked.get("project") is None and not read_settings(os.environ).project:
            asked["project"] = fallback
        found = api.init(**{name: value for name, value in asked.items() if value is not None})
    if config:
        found.config.update(config)
    return found


def ended(run: Optional[Run]) -> bool:
    """Whether there is no run to log into, or no longer."""
    return run is None or run._finished


def slashed(metrics: Mapping[str, Any], prefixes: Mapping[str, str], otherwise: str = "") -> Dict[str, Any]:
    """Metrics under names with a slash: `eval_loss` as `eval/loss` where `prefixes` has eval_ as eval/."""
    found = {}
    for name, value in metrics.items():
        prefix = next((prefix for prefix in prefixes if name.startswith(prefix)), None)
        found[otherwise + name if prefix is None else prefixes[prefix] + name[len(prefix) :]] = value
    return found
