"""What `wayside doctor` finds out: how the client would do in a training process with this environment.

Everything is asked of the parts that training itself uses. Nothing is left behind: the journals made here go when
they have shown that they can be made.
"""

import contextlib
import os
import tempfile
from functools import lru_cache, partial
from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Optional, Tuple

from . import wire
from .handover import Plan
from .identity import Here, Place, find_place, run_id
from .journal import Journal
from .kept import KEPT_SHARE
from .launchers import rank_problems
from .orphans import Orphan, find_orphans, judge
from .peer import Answer
from .probe import Echo, Socket, look_at, missing_folders, remove, send_row, test_record
from .roots import find_roots, held_below, own_folder, room, show_size
from .sessions import begin_journal, common_fields
from .settings import DEFAULT_PROJECT, Settings, read_settings, socket_candidates
from .whence import whence

Environ = Mapping[str, str]


class Value(NamedTuple):
    """Something the client works with. source: the variables or the rule that gave it."""

    name: str
    value: str
    source: str


class Check(NamedTuple):
    """One thing that must be right. found: what was found; do: what to do about it, or what else to know."""

    name: str
    ok: bool
    found: str
    do: str = ""


class Report(NamedTuple):
    """Everything. ok: whether a training with this environment would be heard."""

    settings: List[Value]
    sockets: List[Socket]
    identity: List[Value]
    orphans: List[Orphan]
    checks: List[Check]

    @property
    def ok(self) -> bool:
        return all(check.ok for check in self.checks)


def examine(environ: Environ, here: Here, patience: float) -> Report:
    """Look at everything; a collector has `patience` seconds to store the test row."""
    settings = read_settings(environ)
    orphans: List[Orphan] = []
    addresses = socket_candidates(settings) if settings.mode == "online" else []
    sockets = [look_at(address) for address in addresses]
    place = find_place(environ, here)
    fields = common_fields(place.fields(), settings.mode, addresses, os.path.realpath(settings.dir))
    roots = find_roots(addresses[0] if addresses else None, settings.dir, settings.shared_memory)
    missing = missing_folders([root.path for root in roots])
    checks = [_check_settings(settings), _check_identity(environ, settings, place)]
    if settings.mode != "disabled":
        checks += [_check_journal(settings, fields), _check_disk(settings, fields["dir"])]
        orphans = orphans_of(settings)
        checks.append(Check("orphans", *judge(orphans, _memory(settings))))
    if settings.mode == "online":
        checks += _check_collector(settings, sockets, fields, patience)
    for folder in missing:
        with contextlib.suppress(OSError):  # by now another process may have it, or it was never made
            os.rmdir(folder)
    identity = _identity(environ, here, settings, place)
    return Report(_settings(environ, settings), sockets, identity, orphans, checks)


# --- values and whence they came -------------------------------------------------------------------------------------


def _settings(environ: Environ, settings: Settings) -> List[Value]:
    shown = {
        "mode": settings.mode,
        "transport": settings.transport,
        "dir": settings.dir,
        "shared_memory": settings.shared_memory,
        "kept_limit": show_size(settings.kept_limit),
        "git": "recorded" if settings.git else "not recorded",
        "diff": "recorded" if settings.diff else "not recorded",
    }
    return [
        Value(name.replace("_", " "), value, _variables(environ, partial(_setting, field=name)))
        for name, value in shown.items()
    ]


def _setting(environ: Environ, field: str) -> Any:
    return getattr(read_settings(environ), field)


def _standing(environ: Environ, here: Here, field: str, pod: bool = False) -> Any:
    place = find_place(environ, here)
    return getattr(place.pod if pod else place, field)


def _variables(environ: Environ, read: Callable[[Environ], Any], rule: str = "default") -> str:
    return ", ".join(whence(environ, read)) or rule


def _identity(environ: Environ, here: Here, settings: Settings, place: Place) -> List[Value]:
    found = [_run_id(environ, here, settings, place)]
    for field, rule in (
        ("name", "the run's id"),
        ("project", DEFAULT_PROJECT),
        ("entity", ""),
        ("group", ""),
        ("job_type", ""),
        ("tags", ""),
        ("notes", ""),
    ):
        value = getattr(settings, field)
        if value or rule:
            shown = ", ".join(value) if isinstance(value, tuple) else value or rule
            source = _variables(environ, partial(_setting, field=field))
            found.append(Value(field.replace("_", " "), shown, source))
    for field in Place._fields:
        value = getattr(place, field)
        if field in ("anchor", "pod") or (value is None and field not in ("rank", "world_size", "workload")):
            continue
        rule = "the machine's name" if field == "host" else "default" if value is not None else "nobody told"
        source = _variables(environ, partial(_standing, here=here, field=field), rule)
        found.append(Value(field.replace("_", " "), "none" if value is None else str(value), source))
    for field, value in place.pod._asdict().items():
        if value is not None:
            source = _variables(environ, partial(_standing, here=here, field=field, pod=True))
            found.append(Value(f"pod {field}", value, source))
    return found


def _run_id(environ: Environ, here: Here, settings: Settings, place: Place) -> Value:
    """The id that the first run of a training process would have."""
    if settings.run_id is not None:
        id, _ = run_id(None, settings, place, None, None, 1)
        return Value("run id", id, _variables(environ, partial(_setting, field="run_id")))
    if place.anchor is None:
        return Value("run id", "random", "no job is known here; WAYSIDE_RUN_ID or init(id=) gives one that stays")
    variables = _variables(environ, partial(_standing, here=here, field="anchor"), "this process")
    if find_place(environ, here._replace(argv=("another",))).anchor != place.anchor:
        return Value("run id", "one for each command line", f"{variables}, project, name, the command line")
    if find_place(environ, here._replace(parent="another")).anchor != place.anchor:
        return Value("run id", "one for each launch", f"{variables}, project, name, the parent process")
    id, _ = run_id(None, settings, place, settings.project, settings.name, 1)
    return Value("run id", id, f"{variables}, project, name")


# --- checks --------------------------------------------------------------------------------------------------------


def _check_settings(settings: Settings) -> Check:
    if settings.problems:
        return Check("settings", False, "; ".join(settings.problems), "set these variables right, or unset them")
    if settings.mode == "disabled":
        return Check("settings", False, "the mode is disabled: nothing is kept", "unset WAYSIDE_MODE")
    return Check("settings", True, "every variable is understood")


def _check_identity(environ: Environ, settings: Settings, place: Place) -> Check:
    wrong = rank_problems(environ)
    if wrong:
        return Check("identity", False, "; ".join(wrong), "set them right, or unset them")
    _, problems = run_id(None, settings, place, settings.project, settings.name, 1)
    if problems:
        return Check("identity", False, "; ".join(problems), "one WAYSIDE_RUN_ID for all ranks settles it")
    rank = "a process without rank" if place.rank is None else f"rank {place.rank} of {place.world_size or '?'}"
    return Check("identity", True, f"{rank}, started by {place.launcher or 'hand'}")


def _begin_journal(settings: Settings, fields: Dict[str, Any]) -> Tuple[Dict[str, Any], Optional[Journal], str]:
    """A test session's record and journal, and why there is none."""
    problems: List[str] = []
    hello = test_record(fields)
    tell = lambda key, message: problems.append(message)  # noqa: E731
    journal = begin_journal(hello, fields["addresses"], fields["dir"], tell, settings.shared_memory)
    return hello, journal, "; ".join(problems)


def _check_journal(settings: Settings, fields: Dict[str, Any]) -> Check:
    _, journal, problem = _begin_journal(settings, fields)
    if journal is None:
        return Check("journal", False, problem, "free some memory or disk there, or set WAYSIDE_DIR to another folder")
    root, most = journal.shelf.root, room(journal.shelf.root.path, 0)
    remove(journal)
    found = f"lies in {root.path}, {_free(root.path)} free; a session holds up to {show_size(most)}"
    if root.memory:
        return Check("journal", True, f"{found}, in memory")
    slow = "it is on a disk, where a row may have to be dropped in a burst: share a memory-backed folder (/dev/shm)"
    return Check("journal", True, found, slow)


def _check_disk(settings: Settings, folder: str) -> Check:
    try:
        above = _nearest(folder)
        tempfile.TemporaryFile(dir=above).close()
    except OSError as problem:
        why = f"{folder} cannot be written by this user ({problem.strerror})"
        return Check("disk", False, why, "set WAYSIDE_DIR to a folder that can")
    found = os.statvfs(above)
    most = min(settings.kept_limit, found.f_bavail * found.f_frsize // KEPT_SHARE)
    held = held_below(folder)
    waits = f"journals of {show_size(held)} lie there; `wayside-collector sync {folder}` delivers those that are over"
    kept = f"without a collector a session keeps up to {show_size(most)} in {folder}, {_free(above)} free"
    return Check("disk", True, kept, waits if held else "")


def orphans_of(settings: Settings) -> List[Orphan]:
    """Journals that nobody reads, in all places where a process with these settings would put its own."""
    sockets = [os.path.dirname(os.path.realpath(address)) for address in socket_candidates(settings)]
    answers = lru_cache(maxsize=None)(lambda address: look_at(address).connects)
    return find_orphans([*sockets, _memory(settings), os.path.realpath(settings.dir)], answers)


def _memory(settings: Settings) -> str:
    return own_folder(os.path.realpath(settings.shared_memory))


def _nearest(folder: str) -> str:
    """The folder, or the one above it that is there; raises OSError where it cannot be looked at."""
    while True:
        try:
            os.stat(folder)
            return folder
        except FileNotFoundError:
            folder = os.path.dirname(folder)


def _check_collector(settings: Settings, sockets: List[Socket], fields: Dict[str, Any], patience: float) -> List[Check]:
    connecting = [socket for socket in sockets if socket.connects]
    if not connecting:
        hints = [f"{socket.path}: {socket.do}" for socket in sockets if socket.do]
        start = "start `wayside-collector run`, or set WAYSIDE_SOCKET to its socket; until then rows are kept on disk"
        return [Check("collector", False, "none answers at any of these places", "; ".join(hints) or start)]
    checks: List[Check] = []
    for socket in connecting:  # as training does: the next one where the first gives no answer
        hello, journal, problem = _begin_journal(settings, fields)
        if journal is None:
            return [Check("collector", False, f"{socket.path} takes connections, but there is no journal", problem)]
        plan = Plan(hello, [], fields["dir"], 0, settings.transport == "socket", None, dict, lambda key, message: None)
        echo = send_row(socket.path, journal, plan, patience)
        checks = _judge(settings, socket, echo)
        if echo.answer is not None:
            break
    return checks


def _judge(settings: Settings, socket: Socket, echo: Echo) -> List[Check]:
    answer = echo.answer
    if answer is None or answer.version is None:
        who = "" if answer is None else f", wayside-collector {answer.collector},"
        return [Check("collector", False, f"{socket.path}{who}: {echo.problem}", echo.do)]
    page = f", its page {answer.url}" if answer.url else ""
    reads = " ".join(map(str, answer.versions))
    collector = Check(
        "collector",
        True,
        f"{answer.collector or 'of no version'} at {socket.path}{page}; it reads wire versions {reads}, "
        f"this client writes {wire.VERSION}",
    )
    if echo.seconds is None:
        return [collector, Check("row", False, f"the test row is not stored: {echo.problem}", echo.do)]
    return [collector, Check("row", True, *_way(settings, answer, echo.seconds))]


def _way(settings: Settings, answer: Answer, seconds: float) -> Tuple[str, str]:
    stored = f"a test row was stored after {1000 * seconds:.0f} ms"
    if settings.transport == "socket":
        return f"{stored}, sent over the socket", ""
    if answer.readable:
        return f"{stored}, read from the journal", ""
    return f"{stored}, sent over the socket", f"it is not read from the journal: {answer.reason}"


def _free(path: str) -> str:
    found = os.statvfs(path)
    return show_size(found.f_bavail * found.f_frsize)
