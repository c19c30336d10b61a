"""The module-level functions, and the one piece of state behind them: the process's current run."""

import atexit
import json
import os
import sys
from typing import Any, Dict, List, Optional, Sequence

from ._version import __version__
from .about import gather
from .identity import Place, find_place, run_id
from .keyvalues import KeyValues
from .runs import Identity, Run, Surroundings
from .segments import boot_id
from .settings import MAX_TAGS, MAX_TEXT, MODES, Settings, choose, read_settings, socket_candidates

DEFAULT_PROJECT = "default"

_current: Optional[Run] = None
_begun = 0  # runs begun by this process
_open: List[Run] = []  # runs to finish at exit, in the order they were begun
_said = False  # that log() came before init()


class AlertLevel:
    """Levels of `alert`, as in wandb."""

    INFO = "INFO"
    WARN = "WARN"
    ERROR = "ERROR"


def init(  # noqa: PLR0913 -- wandb's own arguments, so that its scripts run unchanged
    project: Optional[str] = None,
    name: Optional[str] = None,
    id: Optional[str] = None,
    config: Any = None,
    *,
    entity: Optional[str] = None,
    group: Optional[str] = None,
    job_type: Optional[str] = None,
    tags: Optional[Sequence[str]] = None,
    notes: Optional[str] = None,
    mode: Optional[str] = None,
    resume: Any = None,
    reinit: Any = None,
    **others: Any,
) -> Run:
    """Begin a run and make it the current one; names and arguments are wandb's.

    mode: "online" (the default), "offline" (the journal stays below WAYSIDE_DIR until `wayside-collector sync`) or
    "disabled". reinit: while a run is open, None or "return_previous" gives that run back, "finish_previous" or True
    ends it first, "create_new" begins another one beside it, which does not become the current one. Takes
    milliseconds, and waits for no network and no collector. Arguments of wandb's that mean nothing here are accepted
    and named once.
    """
    global _current, _begun
    settings = read_settings(os.environ)
    previous = _current
    if previous is not None and reinit != "create_new":
        if reinit not in ("finish_previous", True):
            return previous
        previous.finish()
    chosen, problem = choose("init(mode=)", mode or settings.mode, MODES)
    place = find_place(os.environ)
    project, name = project or settings.project, name or settings.name
    _begun += 1
    identifier, problems = run_id(id, settings, place, project, name, _begun)
    given = [tags] if isinstance(tags, str) else tags or settings.tags
    identity = Identity(
        id=identifier,
        name=name or identifier,
        project=project or DEFAULT_PROJECT,
        entity=entity or settings.entity,
        group=group or settings.group,
        job_type=job_type or settings.job_type,
        tags=tuple(str(tag)[:MAX_TEXT] for tag in given)[:MAX_TAGS],
        notes=(notes or settings.notes or "")[:MAX_TEXT] or None,
        resume=None if resume is None else str(resume),
    )
    surroundings = _surroundings(chosen, settings, place)
    run = Run(identity, surroundings, config)
    for message in [*settings.problems, *problems, *([problem] if problem else [])]:
        run._tell(message, message)
    if others:
        run._tell("arguments", f"init() has no use for {', '.join(sorted(others))}; ignored")
    if surroundings.enabled and not surroundings.quiet:
        sys.stderr.write(f"wayside: {_where(run, surroundings)}\n")
    if not _open:
        atexit.register(_at_exit)
    _open.append(run)
    run._on_finish = _forget
    if _current is None:
        _current = run
    return run


def _surroundings(mode: str, settings: Settings, place: Place) -> Surroundings:
    addresses = socket_candidates(settings) if mode == "online" else []
    overflow = os.path.realpath(settings.dir)
    fields = dict(
        place.fields(),
        wayside=__version__,
        origin="wayside",
        mode=mode,
        addresses=[os.path.abspath(address) for address in addresses],
        dir=overflow,
        boot=boot_id().hex(),
    )
    return Surroundings(
        enabled=mode != "disabled",
        fields=fields,
        addresses=addresses,
        overflow=overflow,
        send=settings.transport == "socket",
        about=lambda: gather(settings, place),
        url=_look_at_collector(addresses),
        quiet=settings.quiet,
    )


def log(data: Dict[str, Any], step: Optional[int] = None, commit: Optional[bool] = None) -> None:
    """Log one row into the current run; see `Run.log`."""
    run = _current
    if run is not None:
        run.log(data, step, commit)
    else:
        _say_no_run("log")


def finish(exit_code: Optional[int] = None) -> None:
    """End the current run; see `Run.finish`."""
    if _current is not None:
        _current.finish(exit_code)


def alert(title: str, text: str = "", level: Any = AlertLevel.INFO, wait_duration: Any = 0) -> None:
    """Tell people something about the current run; see `Run.alert`."""
    if _current is not None:
        _current.alert(title, text, level, wait_duration)
    else:
        _say_no_run("alert")


def define_metric(
    name: str, step_metric: Optional[str] = None, step_sync: Optional[bool] = None, **options: Any
) -> None:
    """Say how a metric of the current run is to be shown; see `Run.define_metric`."""
    if _current is not None:
        _current.define_metric(name, step_metric, step_sync, **options)
    else:
        _say_no_run("define_metric")


def current(name: str) -> Any:
    """What `wayside.run`, `wayside.config` and `wayside.summary` are right now."""
    if name == "run":
        return _current
    if _current is not None:
        return getattr(_current, name)
    return KeyValues(lambda found, gone: _say_no_run(name))


def _say_no_run(what: str) -> None:
    global _said
    if not _said:
        _said = True
        sys.stderr.write(
            f"wayside: {what} was called while no run is open and is not kept; call wayside.init() first\n"
        )


def _look_at_collector(addresses: List[str]) -> Optional[str]:
    """The address of the collector's page, from the note it leaves beside its socket; None when there is no
    collector.
    """
    for address in addresses:
        if not os.path.exists(address):
            continue
        try:
            with open(os.path.join(os.path.dirname(address), "collector.json"), encoding="utf-8") as file:
                url = json.load(file).get("url")
        except (OSError, ValueError, AttributeError):
            return ""
        return url if isinstance(url, str) else ""
    return None


def _where(run: Run, around: Surroundings) -> str:
    """One line for the user: which run, and where to look at it."""
    shown = f"run {run.id if run.name == run.id else f'{run.name} ({run.id})'} of project {run.project}"
    if run.url:
        return f"{shown}: {run.url}"
    if run.url is not None:
        return f"{shown}: a collector is here"
    why = "no collector found" if around.addresses else "offline"
    return f"{shown}: {why}, kept in {around.overflow}; deliver it with `wayside-collector sync {around.overflow}`"


def _forget(run: Run) -> None:
    global _current
    if run is _current:
        _current = None
    if run in _open:
        _open.remove(run)


def _at_exit() -> None:
    """End what the script did not end; an exception that reached the top is exit code 1."""
    failed = getattr(sys, "last_value", None) is not None
    for run in list(_open):
        run.finish(exit_code=int(failed))
