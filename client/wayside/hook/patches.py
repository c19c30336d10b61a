"""What is wrapped in wandb: `init`, and of its class Run the methods that every row, every change of config and
summary, and every end pass through, whoever calls what. `wandb.log` itself is bound anew by each `wandb.init`, and
many frameworks call `run.log`; both go through `Run._log` in every wandb from 0.13 on.
"""

import functools
import weakref
from collections.abc import Mapping
from typing import Any, Callable, Dict, Optional

from ..media.mirrored import without_media
from ..runs import Run
from . import again
from .asked import ask, called, may_divert
from .counterpart import begin
from .guarded import guarded
from .native import yielded
from .silent import MARK as SILENT_MARK
from .silent import is_silent, keep_silent, take_over
from .switch import DIVERT

MARK = "_wayside_patched"
THEIR_MARK = "_primus_lens_patched"  #: what AMD's exporter sets, and its tools look for

_runs: "weakref.WeakKeyDictionary[Any, Run]" = weakref.WeakKeyDictionary()  # wandb's run to ours


def patch(wandb: Any, mode: str) -> None:
    """Hook this module, or what of it is not hooked: a reload gives it back its own `init`. Without a class Run it is
    no wandb (a folder of that name, say), and is left alone.
    """
    sdk = getattr(getattr(wandb, "sdk", None), "wandb_run", None)
    if sdk is None or not hasattr(wandb, "init"):
        return
    if not hasattr(wandb.init, MARK):
        wandb.init = _wrap_init(wandb, mode)
    if mode == DIVERT:
        keep_silent()
    run = sdk.Run
    _wrap(run, "_log", before=_row)
    _wrap(run, "define_metric", after=_define_metric)
    _wrap(run, "alert", after=_alert)
    _wrap(run, "_config_callback", after=_config)
    _wrap(run, "_summary_update_callback", after=_summary)
    _wrap(run, "_atexit_cleanup", after=_finish)
    setattr(wandb, MARK, True)
    setattr(wandb, THEIR_MARK, True)


# --- wrapping ----------------------------------------------------------------------------------------------------


def _wrap_init(wandb: Any, mode: str) -> Callable[..., Any]:
    original = wandb.init

    @functools.wraps(original)
    def init(*args: Any, **named: Any) -> Any:
        asked = ask(original, args, named)
        if mode == DIVERT and asked is not None and may_divert(asked):
            return _divert(wandb, original, asked)
        run = original(*args, **named)
        guarded(_begin, wandb, run, asked)
        return run

    setattr(init, MARK, True)
    return init


def _wrap(
    kind: Any, name: str, before: Optional[Callable[..., None]] = None, after: Optional[Callable[..., None]] = None
) -> None:
    """Have a method of theirs call ours, too; what it takes, gives and raises stays theirs."""
    original = kind.__dict__.get(name)
    if original is None or hasattr(original, MARK):
        return

    @functools.wraps(original)
    def wrapped(run: Any, *args: Any, **named: Any) -> Any:
        if before is not None:
            guarded(before, run, *args, **named)
        given = original(run, *args, **named)
        if after is not None:
            guarded(after, run, *args, **named)
        return given

    setattr(wrapped, MARK, True)
    setattr(kind, name, wrapped)


# --- what is heard -----------------------------------------------------------------------------------------------


def _begin(wandb: Any, run: Any, asked: Optional[Dict[str, Any]]) -> None:
    if run is None or SILENT_MARK in vars(type(run)):  # wandb gave an open run back
        return
    if is_silent(run):
        take_over(wandb, run, begin(called(asked or {}), dict(run.config), "wandb"), False)
    elif run not in _runs:
        _runs[run] = _mirror(run)


def _divert(wandb: Any, original: Callable[..., Any], asked: Dict[str, Any]) -> Any:
    """What `wandb.init` gives where the collector stands in for the SDK."""
    run = again.given_back(asked)
    if run is None:
        with again.in_place(wandb, asked):
            run = original(**dict(asked, mode="disabled"))
        guarded(_take_over, wandb, run, asked)
        if not (SILENT_MARK in vars(type(run)) or yielded()):  # it would be heard by nobody
            run = original(**asked)
            guarded(_begin, wandb, run, asked)
    return run


def _take_over(wandb: Any, run: Any, asked: Dict[str, Any]) -> None:
    ours = begin(called(asked), dict(run.config), "wayside")
    take_over(wandb, run, ours, True)
    again.diverted(run, ours)


def _mirror(run: Any) -> Run:
    """Ours beside a run that wandb uploads itself."""
    named = ("id", "name", "project", "entity", "group", "job_type", "tags", "notes")
    told: Dict[str, Any] = {name: getattr(run, name, None) for name in named}
    return begin(told, dict(run.config), "wandb", int(getattr(run, "starting_step", 0) or 0))


def _row(run: Any, data: Any, step: Any = None, commit: Any = None) -> None:
    ours = _runs.get(run)
    if ours is None:  # begun before the hook was there, or attached to from another process
        ours = _runs[run] = _mirror(run)
    if isinstance(data, Mapping):
        ours.log(without_media(data, ours.notices.refused), step, commit)  # type: ignore[arg-type]


def _define_metric(run: Any, name: Any, *args: Any, **named: Any) -> None:
    ours = _runs.get(run)
    if ours is not None:
        ours.define_metric(name, *args[:2], **named)


def _alert(run: Any, title: Any, text: Any = "", level: Any = None, wait_duration: Any = None) -> None:
    ours = _runs.get(run)
    if ours is not None:
        ours.alert(title, text, level or "INFO", wait_duration or 0)


def _config(run: Any, key: Any = None, val: Any = None, data: Any = None) -> None:
    ours = _runs.get(run)
    if ours is None:
        return
    if data:
        ours.config.update(dict(data))
    elif key:
        first = key if isinstance(key, str) else key[0]
        ours.config.update({first: dict(run.config).get(first, val)})


def _summary(run: Any, record: Any) -> None:
    ours = _runs.get(run)
    if ours is None:
        return
    found = {item.key[0]: item.value for item in record.update if len(item.key) == 1}
    if found:
        ours.summary.update(found)
    for item in record.remove:
        if len(item.key) == 1 and item.key[0] in ours.summary:
            del ours.summary[item.key[0]]


def _finish(run: Any, exit_code: Any = None) -> None:
    ours = _runs.get(run)
    if ours is not None:
        ours.finish(getattr(run, "_exit_code", exit_code))
