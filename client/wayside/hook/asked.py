"""What a script asks of `wandb.init`, by argument or by `wandb.Settings`, and whether that can be diverted."""

import inspect
import os
from typing import Any, Callable, Dict, Mapping, Optional

from ..notices import say

#: What only the real SDK does in this process, and why.
_REAL = {
    "sync_tensorboard": "TensorBoard's files are read by the SDK",
    "tensorboard": "TensorBoard's files are read by the SDK",
    "fork_from": "W&B's server forks runs for the SDK alone",
    "resume_from": "W&B's server rewinds runs for the SDK alone",
}


def ask(init: Callable[..., Any], args: Any, named: Mapping[str, Any]) -> Optional[Dict[str, Any]]:
    """The arguments by name; None where they do not fit, which is for wandb to say."""
    try:
        found = inspect.signature(init).bind(*args, **named).arguments
    except (TypeError, ValueError):
        return None
    return {name: value for name, value in found.items() if value is not None and name != "kwargs"}


def may_divert(asked: Mapping[str, Any], environ: Mapping[str, str] = os.environ) -> bool:
    """Whether the collector can stand in for the SDK in this run; what it cannot is said."""
    mode = asked.get("mode") or _of_settings(asked.get("settings"), "mode") or environ.get("WANDB_MODE", "").strip()
    if mode == "offline":
        say("WANDB_MODE=offline wants wandb's own files: wandb itself runs, and its rows are mirrored")
    if mode not in ("", "online"):
        return False  # they need no network, and are what the script wants of W&B
    if environ.get("WANDB_SWEEP_ID"):
        say("a sweep needs wandb itself: its agent talks to the run; WAYSIDE_WANDB_HOOK=mirror for this process")
        return False
    for name, why in _REAL.items():
        if asked.get(name):
            say(f"wandb.init({name}=) cannot be diverted: {why}; wandb itself runs, and its rows are mirrored")
            return False
    return True


def called(asked: Mapping[str, Any]) -> Dict[str, Any]:
    """What the script calls its run."""
    names = ("id", "name", "project", "entity", "group", "job_type", "tags", "notes", "resume")
    settings = asked.get("settings")
    other = {"id": "run_id", "name": "run_name", "group": "run_group", "job_type": "run_job_type"}
    told = {}
    for name in names:
        value = asked.get(name)
        told[name] = _of_settings(settings, other.get(name, name)) if value is None else value
    return told


def reinit_of(asked: Mapping[str, Any], environ: Mapping[str, str] = os.environ) -> Any:
    """wandb's `reinit`: a bool, a word, or None."""
    found = asked.get("reinit")
    if found is None:
        found = _of_settings(asked.get("settings"), "reinit")
    return environ.get("WANDB_REINIT") if found in (None, "default") else found


def _of_settings(settings: Any, name: str) -> Any:
    found = settings.get(name) if isinstance(settings, Mapping) else getattr(settings, name, None)
    return found if isinstance(found, (bool, str, tuple, list)) else None
