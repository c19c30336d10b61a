"""The module-level functions, and the one piece of state behind them: the process's current run."""

import atexit
import os
from typing import Any, Dict, List, Optional, Sequence, Tuple

from . import exits
from .about import gather
from .identity import Place, find_place, run_id
from .keyvalues import KeyValues
from .notices import say
from .runs import Metric, Run
from .sessions import Identity, Surroundings, common_fields
from .settings import (
    DEFAULT_PROJECT,
    MAX_TAGS,
    MAX_TEXT,
    MODES,
    Settings,
    choose,
    read_settings,
    socket_candidates,
)
from .values import text_of

REINIT = ("return_previous", "finish_previous", "create_new")

_current: Optional[Run] = None
_begun = 0  # runs begun by this process
_open: List[Run] = []  # runs to finish at exit, in the order they were begun
_watching = False  # whether the process's exit is being waited for
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
    previous, again = _current, _reinit(reinit)
    if previous is not None and again == "return_previous":
        if any((project, name, id, config)):
            told = "init() while it is open gives it back as it is; reinit='finish_previous' ends it first"
            previous.notices.tell("reinit", f"run {previous.id} goes on: {told}")
        return previous
    if previous is not None and again == "finish_previous":
        previous.finish()
    settings = read_settings(os.environ)
    chosen, problem = choose("init(mode=)", mode or settings.mode, MODES)
    place = find_place(os.environ)
    project, name = _words(project) or settings.project, _words(name) or settings.name
    _begun += 1
    identifier, problems = run_id(id, settings, place, project, name, _begun)
    identity = Identity(
        id=identifier,
        name=name or identifier,
        project=project or DEFAULT_PROJECT,
        entity=_words(entity) or settings.entity,
        group=_words(group) or settings.group,
        job_type=_words(job_type) or settings.job_type,
        tags=_tags(tags) or settings.tags,
        notes=_words(notes) or settings.notes,
        resume=_words(resume),
    )
    surroundings = _surroundings(chosen, settings, place)
    run = Run(identity, surroundings, config)
    folders = _folders(surroundings.addresses)
    for message in [*settings.problems, *problems, *folders, *([problem] if problem else [])]:
        run.notices.tell(message, message)
    if others:
        run.notices.tell("arguments", f"init() has no use for {', '.join(sorted(others))}; ignored")
    if surroundings.enabled and not surroundings.quiet:
        say(_where(run, surroundings))
    _remember(run)
    return run


def _remember(run: Run) -> None:
    """Make a run the current one, if there is none, and see to its end."""
    global _current, _watching
    if not _watching:
        _watching = True
        exits.watch()
        atexit.register(_at_exit)
    _open.append(run)
    run._on_finish = _forget
    if _current is None:
        _current = run


def _reinit(asked: Any) -> str:
    """wandb's `reinit`, which may also be yes or no."""
    if asked is True:
        return "finish_previous"
    return asked if asked in REINIT else "return_previous"


def _words(value: Any) -> Optional[str]:
    """What a user called something, short enough for the session record."""
    return None if value is None else text_of(value)[:MAX_TEXT] or None


def _tags(tags: Any) -> Tuple[str, ...]:
    given = [tags] if isinstance(tags, str) or not hasattr(tags, "__iter__") else tags
    return tuple(text_of(tag)[:MAX_TEXT] for tag in given if tag is not None)[:MAX_TAGS]


def _surroundings(mode: str, settings: Settings, place: Place) -> Surroundings:
    addresses = socket_candidates(settings) if mode == "online" else []
    overflow = os.path.realpath(settings.dir)
    return Surroundings(
        enabled=mode != "disabled",
        fields=common_fields(place.fields(), mode, addresses, overflow),
        addresses=addresses,
        overflow=overflow,
        kept_limit=settings.kept_limit,
        send=settings.transport == "socket",
        about=lambda: gather(settings, place),
        url=_look_at_collector(addresses),
        quiet=settings.quiet,
        shared_memory=settings.shared_memory,
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
    name: str, step_metric: Any = None, step_sync: Optional[bool] = None, **options: Any
) -> Optional[Metric]:
    """Say how a metric of the current run is to be shown; see `Run.define_metric`."""
    if _current is not None:
        return _current.define_metric(name, step_metric, step_sync, **options)
    _say_no_run("define_metric")
    return None


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
        say(f"{what} was called while no run is open and is not kept; call wayside.init() first")


def _look_at_collector(addresses: List[str]) -> Optional[str]:
    """The address of the collector's page, from the note it leaves beside its socket; None when there is no
    collector.
    """
    import json

    for address in addresses:
        if not os.path.exists(address) or os.path.isdir(address):
            continue
        try:
            with open(os.path.join(os.path.dirname(address), "collector.json"), encoding="utf-8") as file:
                url = json.load(file).get("url")
        except (OSError, ValueError, AttributeError):
            return ""
        return url if isinstance(url, str) else ""
    return None


def _folders(addresses: List[str]) -> List[str]:
    """What to say of a folder where a socket should be."""
    wanted = "is a folder; set WAYSIDE_SOCKET, here and for the collector, to the path of a socket in it"
    return [f"{address} {wanted}: {address}/wayside.sock" for address in addresses if os.path.isdir(address)]


def _where(run: Run, around: Surroundings) -> str:
    """One line for the user: which run, and where to look at it."""
    shown = f"run {run.id if run.name == run.id else f'{run.name} ({run.id})'} of project {run.project}"
    if run._journal is None:
        return f"{shown}: nothing is kept until there is a place for its journal"
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
    """End what the script did not end."""
    for run in list(_open):
        run.finish(exits.code())
