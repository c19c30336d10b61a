"""The module-level functions, and the one piece of state behind them: the process's current run."""

import atexit
import os
import sys
from typing import Any, Dict, List, Mapping, Optional, Sequence

from . import exits
from .about import gather
from .asking import Asking, identity_of
from .identity import Place, find_place
from .importing import importing
from .keyvalues import KeyValues
from .launchers import rank_problems
from .notices import say
from .roots import is_memory, read_mounts
from .runs import Metric, Run
from .segments import POSSIBLE
from .sessions import Identity, Surroundings, common_fields
from .settings import MAX_TEXT, SHARED_MEMORY, Settings, announced, read_settings, socket_candidates
from .values import text_of

#: W&B's key is the collector's. Frameworks look here whether there is one (`wandb.api.api_key`).
api_key: Optional[str] = None

_current: Optional[Run] = None
_begun = 0  # runs begun by this process
_open: List[Run] = []  # runs to finish at exit, in the order they were begun
_watching = False  # whether the process's exit is being waited for
_said_elsewhere = False  # that nothing is kept on this system
_said = False  # that log() came before init()

#: What `init` has a use for, offered where another is asked for that looks alike.
ARGUMENTS = (
    *("project", "name", "id", "config", "entity", "group", "job_type", "tags", "notes", "mode", "resume", "reinit"),
)


class _Level(str):
    """A text that scripts may also ask as the member of an enumeration, which wandb's are."""

    @property
    def value(self) -> str:
        return str(self)

    name = value


class AlertLevel:
    """Levels of `alert`, as in wandb."""

    INFO = _Level("INFO")
    WARN = _Level("WARN")
    ERROR = _Level("ERROR")


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
    "disabled". reinit: while a run is open, "return_previous" gives that run back, "finish_previous" or True ends it
    first, "create_new" begins another one beside it, which does not become the current one; None is "return_previous",
    in a notebook "finish_previous". Takes
    milliseconds, and waits for no network and no collector. Arguments of wandb's that mean nothing here are accepted
    and named once.
    """
    global _begun
    if others.get("settings") is not None:
        from .dropin.settings import fill

        said: Dict[str, Any] = {"project": project, "name": name, "id": id, "entity": entity, "group": group}
        said.update(mode=mode, job_type=job_type, tags=tags, notes=notes, resume=resume, reinit=reinit)
        return init(config=config, **fill(others.pop("settings"), dict(said, **others)))
    asking = Asking()
    previous, again = _current, asking.reinit(reinit)
    if previous is not None and again == "return_previous":
        for message in asking.problems:
            previous.notices.tell(message, message)
        if any(asked is not None for asked in (project, name, id, config)):
            told = "init() while it is open gives it back as it is; reinit='finish_previous' ends it first"
            previous.notices.tell("reinit", f"run {previous.id} goes on: {told}")
        return previous
    if previous is not None and again == "finish_previous":
        previous.finish()
    settings = read_settings(os.environ)
    chosen = asking.mode(mode, settings.mode)
    place = find_place(os.environ)
    _begun += 1
    texts = {"project": project, "name": name, "id": id, "entity": entity, "group": group, "job_type": job_type}
    asked: Dict[str, Any] = {key: asking.words(key, text) for key, text in {**texts, "notes": notes}.items()}
    asked.update(tags=asking.tags(tags), resume=None if resume is None else text_of(resume)[:MAX_TEXT])
    identity, problems = identity_of(asked, settings, place, _begun)
    surroundings = surroundings_of(chosen, settings, place)
    run = Run(identity, surroundings, config)
    asking.others(others, ARGUMENTS)
    places = [*_folders(surroundings.addresses), *_not_in_memory(settings)]
    for message in [*settings.problems, *rank_problems(os.environ), *asking.problems, *problems, *places]:
        run.notices.tell(message, message)
    if surroundings.enabled and not surroundings.quiet:
        say(where_of(run, surroundings))
    remember(run)
    return run


def remember(run: Run, current: bool = True) -> None:
    """See to a run's end, and make it the current one if there is none."""
    global _current, _watching
    if not _watching:
        _watching = True
        exits.watch()
        atexit.register(_at_exit)
    _open.append(run)
    run._on_finish = _forget
    if current and _current is None:
        _current = run


def surroundings_of(mode: str, settings: Settings, place: Place) -> Surroundings:
    """What the sessions of a run that this process begins now will share."""
    if mode != "disabled" and not POSSIBLE:
        mode = "disabled"
        _say_elsewhere()
    addresses = socket_candidates(settings) if mode == "online" else []
    overflow = os.path.realpath(settings.dir)
    return Surroundings(
        enabled=mode != "disabled",
        fields=dict(common_fields(place.fields(), mode, addresses, overflow), **announced(settings)),
        addresses=addresses,
        overflow=overflow,
        kept_limit=settings.kept_limit,
        send=settings.transport == "socket",
        about=lambda: gather(settings, place),
        url=_look_at_collector(addresses),
        quiet=settings.quiet,
        shared_memory=settings.shared_memory,
        detect=_detect,
        debug=settings.primus.debug,
    )


def _detect(identity: Identity, config: Mapping[str, Any]) -> Dict[str, Any]:
    """On a thread of its own: which framework this process uses."""
    with importing():
        from .detect import Told
        from .detect import gather as detect
        from .masking import known_secrets

    told = Told(identity.id, identity.name, identity.project, identity.tags, config)
    return detect(dict(sys.modules), os.environ, told, known_secrets())


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
    """What `wayside.run`, and what is asked of the current run by its name alone, are right now."""
    if name == "run":
        return _current
    if _current is not None:
        return getattr(_current, name)
    if name in ("config", "summary"):
        return KeyValues(lambda found, gone: _say_no_run(name))
    return lambda *args, **named: _say_no_run(name)


def _say_elsewhere() -> None:
    global _said_elsewhere
    if not _said_elsewhere:
        _said_elsewhere = say("this system is no Linux: nothing that is logged is kept, and the script runs as ever")


def _say_no_run(what: str) -> None:
    global _said
    if not _said:
        _said = True
        say(f"{what} was called while no run is open and is not kept; call wayside.init() first")


def _look_at_collector(addresses: List[str]) -> Optional[str]:
    """The address of the collector's page, from the note it leaves beside its socket; None when there is no
    collector: a killed one leaves both.
    """
    import json

    for address in addresses:
        if not _listens(address):
            continue
        try:
            with open(os.path.join(os.path.dirname(address), "collector.json"), encoding="utf-8") as file:
                url = json.load(file).get("url")
        except (OSError, ValueError, AttributeError):
            return ""
        return url if isinstance(url, str) else ""
    return None


def _listens(address: str) -> bool:
    """Whether somebody listens there who lets us in."""
    import _socket  # the import of `socket` takes ten times as long, and `init` waits

    connection = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    try:
        connection.settimeout(0)
        connection.connect(address)
    except BlockingIOError:
        return True  # it has more to do than it can at once
    except (OSError, ValueError):
        return False
    finally:
        connection.close()
    return True


def _folders(addresses: List[str]) -> List[str]:
    """What to say of a folder where a socket should be."""
    wanted = "is a folder; set WAYSIDE_SOCKET, here and for the collector, to the path of a socket in it"
    return [f"{address} {wanted}: {address}/wayside.sock" for address in addresses if os.path.isdir(address)]


def _not_in_memory(settings: Settings) -> List[str]:
    """What to say of a WAYSIDE_SHARED_MEMORY that is none."""
    folder = settings.shared_memory
    if folder == SHARED_MEMORY or is_memory(os.path.realpath(folder), read_mounts()):
        return []
    return [f"WAYSIDE_SHARED_MEMORY is {folder}, which is not memory-backed (tmpfs) and is not used for journals"]


def where_of(run: Run, around: Surroundings) -> str:
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
