"""What the environment asks of the client: the only place in the client where variables are read as options.

`read_settings` is a pure function of a mapping; nothing here fails: a value that cannot be used is replaced by the
default, and `Settings.problems` says what was wrong, where, and what to do. An empty variable counts as unset, since
pod manifests write unset values so. `WAYSIDE_*` goes before the `WANDB_*` of the same meaning. The collector finds
its socket with the same `socket_candidates`.
"""

import os
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from .for_wandb import ForWandb, read_for_wandb, read_resume
from .primus import Primus, read_primus
from .reading import SHOWN, choose, first, switch
from .variables import unknown

MODES = ("online", "offline", "disabled")
TRANSPORTS = ("journal", "socket")
DEFAULT_DIR = ".wayside"
DEFAULT_PROJECT = "default"
SHARED_MEMORY = "/dev/shm"
SYSTEM_SOCKET = "/run/wayside/wayside.sock"
MAX_SOCKET_PATH = 107  #: bytes; `sun_path` of Linux holds 108, the last of them a zero
MAX_TAGS = 256  #: tags of one run; the record that carries them opens every journal segment and must stay small
MAX_TEXT = 16 << 10  #: characters of one value, for the same reason; longer ones (notes) are cut
KEPT_LIMIT = 10 << 30  #: bytes: weeks of a busy run, and less than a training node's scratch disk
MAX_BYTES = 1 << 60  #: more is a slip of the pen, or a wish for no limit

_UNITS = {
    **{"": 1, "b": 1, "k": 1 << 10, "kib": 1 << 10, "kb": 1000, "m": 1 << 20, "mib": 1 << 20, "mb": 1000**2},
    **{"g": 1 << 30, "gib": 1 << 30, "gb": 1000**3, "t": 1 << 40, "tib": 1 << 40, "tb": 1000**4},
}  # as in the collector's configuration


class Settings(NamedTuple):
    """The client's options.

    socket: the collector's socket, or None to look in the usual places. dir: folder for journals while there is no
    collector. shared_memory: where journals lie when the socket's folder is on a disk. kept_limit: bytes one session
    may keep in `dir`. mode: one of MODES; transport: one of TRANSPORTS. run_id:
    asked for in the environment, unchecked. git: whether the run's commit, branch and remote are recorded; diff:
    whether uncommitted changes are, too. quiet: say nothing on stderr but problems. primus, wandb: what is announced
    to the collector with each session. runtime_dir: the user's folder for sockets (XDG_RUNTIME_DIR). cwd: the working
    directory when the settings were read, which relative paths start from, since training code changes it. problems:
    what could not be used, for the user to read.
    """

    socket: Optional[str] = None
    dir: str = DEFAULT_DIR
    shared_memory: str = SHARED_MEMORY
    kept_limit: int = KEPT_LIMIT
    mode: str = "online"
    transport: str = "journal"
    run_id: Optional[str] = None
    project: Optional[str] = None
    name: Optional[str] = None
    entity: Optional[str] = None
    group: Optional[str] = None
    job_type: Optional[str] = None
    notes: Optional[str] = None
    tags: Tuple[str, ...] = ()
    resume: Optional[str] = None
    git: bool = True
    diff: bool = True
    quiet: bool = False
    primus: Primus = Primus()
    wandb: ForWandb = ForWandb()
    runtime_dir: Optional[str] = None
    cwd: str = ""
    problems: Tuple[str, ...] = ()


def read_settings(environ: Mapping[str, str], cwd: Optional[str] = None) -> Settings:
    """The settings of an environment. cwd: where relative paths start, the working directory when not given."""
    problems: List[str] = []

    def text(*names: str) -> Optional[str]:
        name, value = first(environ, names)
        if len(value) > MAX_TEXT:
            problems.append(f"{name} is {len(value)} characters long and was cut after {MAX_TEXT}")
            value = value[:MAX_TEXT]
        return value or None

    def choice(name: str, choices: Sequence[str]) -> str:
        chosen, problem = choose(name, environ.get(name, "").strip(), choices)
        if problem is not None:
            problems.append(problem)
        return chosen

    disable_git = switch(environ, ("WAYSIDE_DISABLE_GIT", "WANDB_DISABLE_GIT"), True, problems)
    disable_code = switch(environ, ("WAYSIDE_DISABLE_CODE", "WANDB_DISABLE_CODE"), True, problems)
    cwd = _working_directory(problems) if cwd is None else cwd
    settings = Settings(
        socket=text("WAYSIDE_SOCKET"),
        dir=text("WAYSIDE_DIR") or DEFAULT_DIR,
        shared_memory=text("WAYSIDE_SHARED_MEMORY") or SHARED_MEMORY,
        kept_limit=_size(environ, "WAYSIDE_KEPT_LIMIT", KEPT_LIMIT, problems),
        mode=choice("WAYSIDE_MODE", MODES),
        transport=choice("WAYSIDE_TRANSPORT", TRANSPORTS),
        run_id=text("WAYSIDE_RUN_ID", "WANDB_RUN_ID"),
        project=text("WAYSIDE_PROJECT", "WANDB_PROJECT"),
        name=text("WAYSIDE_NAME", "WANDB_NAME"),
        entity=text("WAYSIDE_ENTITY", "WANDB_ENTITY"),
        group=text("WAYSIDE_RUN_GROUP", "WANDB_RUN_GROUP"),
        job_type=text("WAYSIDE_JOB_TYPE", "WANDB_JOB_TYPE"),
        notes=text("WAYSIDE_NOTES", "WANDB_NOTES"),
        tags=_tags(*first(environ, ("WAYSIDE_TAGS", "WANDB_TAGS")), problems),
        git=not disable_git,
        diff=not disable_git and not disable_code,
        resume=read_resume(environ, problems),
        quiet=switch(environ, ("WAYSIDE_QUIET", "WANDB_SILENT"), False, problems),
        primus=read_primus(environ, cwd, problems),
        wandb=read_for_wandb(environ, cwd, problems),
        runtime_dir=text("XDG_RUNTIME_DIR"),
        cwd=cwd,
    )
    settings = settings._replace(
        dir=os.path.join(settings.cwd, os.path.expanduser(settings.dir)),
        shared_memory=os.path.join(settings.cwd, os.path.expanduser(settings.shared_memory)),
    )
    problems.extend(_sockets(settings)[1])
    problems.extend(unknown(environ))
    return settings._replace(problems=tuple(problems))


def announced(settings: Settings) -> Dict[str, Any]:
    """What the session record says of the environment beside who and where it is; empty where nothing is asked."""
    told = {"primus": settings.primus.fields(), "wandb": settings.wandb.fields()}
    return {name: fields for name, fields in told.items() if fields}


def socket_candidates(settings: Settings) -> List[str]:
    """Where a collector's socket may be, the likeliest first; `WAYSIDE_SOCKET` alone when it is set.

    Paths are absolute, so that they stay true when training code changes its working directory, unless only the
    relative one is short enough for a socket. One that is too long either way is left out, and
    `Settings.problems` says so.
    """
    return _sockets(settings)[0]


def _size(environ: Mapping[str, str], name: str, default: int, problems: List[str]) -> int:
    """A number of bytes, written as "10GiB", "500 MB" or plainly."""
    value = environ.get(name, "").strip()
    if not value:
        return default
    number = value.lower().rstrip("abcdefghijklmnopqrstuvwxyz ")
    try:
        size = float(number) * _UNITS[value.lower()[len(number) :].strip()]
    except (ValueError, KeyError):
        size = 0.0
    if 1 <= size <= MAX_BYTES:
        return int(size)
    asked = 'must be a size above zero, like "10GiB" or a number of bytes'
    problems.append(f"{name} is {value[:SHOWN]!r} and {asked}; {default >> 30} GiB is used")
    return default


def _tags(name: str, value: str, problems: List[str]) -> Tuple[str, ...]:
    """Tags as W&B writes them, between commas, each once."""
    if len(value) > MAX_TEXT:
        problems.append(f"{name} is {len(value)} characters long and was cut after {MAX_TEXT}")
        value = value[:MAX_TEXT]
    tags = tuple(dict.fromkeys(tag for tag in (part.strip() for part in value.split(",")) if tag))
    if len(tags) > MAX_TAGS:
        problems.append(f"{name} holds {len(tags)} tags; the first {MAX_TAGS} were taken")
    return tags[:MAX_TAGS]


def _working_directory(problems: List[str]) -> str:
    try:
        return os.getcwd()
    except OSError as problem:
        problems.append(f"the working directory cannot be read ({problem.strerror}); WAYSIDE_DIR must be absolute")
        return ""


def _sockets(settings: Settings) -> Tuple[List[str], List[str]]:
    """Paths that fit into a socket's address, and what to say of those that do not."""
    if settings.socket is not None:
        wanted = [("WAYSIDE_SOCKET", os.path.expanduser(settings.socket))]
    else:
        wanted = [("the system's folder", SYSTEM_SOCKET)]
        if settings.runtime_dir is not None:
            wanted.append(("XDG_RUNTIME_DIR", os.path.join(settings.runtime_dir, "wayside", "wayside.sock")))
        wanted.append(("the working directory", os.path.join(DEFAULT_DIR, "wayside.sock")))
    paths: List[str] = []
    problems: List[str] = []
    for source, path in wanted:
        absolute = os.path.join(settings.cwd, path)
        fitting = [found for found in (absolute, path) if len(os.fsencode(found)) <= MAX_SOCKET_PATH]
        if fitting:
            paths.append(fitting[0])
            continue
        size = len(os.fsencode(path))
        problems.append(
            f"the socket path of {source} is {size} bytes long, and a Unix socket's is at most {MAX_SOCKET_PATH}: "
            f"set WAYSIDE_SOCKET to a shorter one, the same for the collector ({path[:SHOWN]}…)"
        )
    return paths, problems
