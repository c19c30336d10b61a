"""What a run is: the command, the code, the machine, the packages; gathered once, beside the training.

`gather` takes as long as git and a file system take, and belongs on a background thread. No piece of it can fail the
others: what could not be had stands in `problems`, in words. The environment is never recorded, and secrets in
command lines, addresses and diffs are masked (`masking.py`).
"""

import os
import sys
import time
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence

from .identity import Place
from .importing import importing
from .settings import Settings

MAX_PACKAGES = 1000  #: a large image has 500
MAX_VERSION = 200  #: characters of a package's name or version
PAUSE = 0.0005  #: seconds between two packages, in which the training's threads run
MAX_ABOUT = 3 << 20  #: bytes of the whole as JSON: it must fit a frame of 4 MiB

# What a step may come to through files, git, and metadata that anybody's package brought along.
_TROUBLE = (OSError, ValueError, LookupError, TypeError, AttributeError, RuntimeError, ImportError, ArithmeticError)


def gather(
    settings: Settings,
    place: Place,
    environ: Optional[Mapping[str, str]] = None,
    argv: Optional[Sequence[str]] = None,
    started: Optional[float] = None,
) -> Dict[str, Any]:
    """What the run is, as the `about` event has it.

    environ: what git runs in; argv: the command line; the process's own when not given. started: Unix time in
    seconds when the run began, now when not given. Keys: command, executable, cwd, host, platform, python,
    implementation, cpu_count, cpu_usable, world_size, launcher, started, git (see `repository.describe`; absent
    outside a working copy or when switched off), packages (name to version), packages_left_out, problems.
    """
    command = list(getattr(sys, "argv", ()) if argv is None else argv)
    problems: List[str] = []
    about: Dict[str, Any] = {"world_size": place.world_size, "launcher": place.launcher, "job": place.job}
    about["started"] = time.time() if started is None else started
    steps: Dict[str, Callable[[], Dict[str, Any]]] = {
        "command": lambda: _command(command, settings.cwd),
        "machine": _machine,
        "git": lambda: _code(command, settings, os.environ if environ is None else environ, problems),
        "packages": lambda: _packages(problems),
    }
    for name, step in steps.items():
        try:
            about.update(step())
        except _TROUBLE as problem:
            problems.append(f"{name}: {type(problem).__name__}: {problem}"[:400])
    about["problems"] = problems
    return _fit(about)


def _command(command: Sequence[str], cwd: str) -> Dict[str, Any]:
    with importing():
        from .masking import mask_command, secrets_of

    known = secrets_of(os.environ)
    return {"command": mask_command(command, known), "executable": sys.executable, "cwd": cwd or os.getcwd()}


def _machine() -> Dict[str, Any]:
    """Host and Python, without the `platform` module, which runs a program to say as much in Python 3.8."""
    system = os.uname()
    libc = (os.confstr("CS_GNU_LIBC_VERSION") or "").replace(" ", "") if hasattr(os, "confstr") else ""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "host": system.nodename,
        "platform": "-".join(filter(None, (system.sysname, system.release, system.machine, libc))),
        "python": ".".join(map(str, sys.version_info[:3])),
        "implementation": sys.implementation.name,
        "cpu_count": os.cpu_count(),
        "cpu_usable": usable,
    }


def _code(
    command: Sequence[str], settings: Settings, environ: Mapping[str, str], problems: List[str]
) -> Dict[str, Any]:
    """The state of the working copy around the working directory, else around the script."""
    if not settings.git:
        return {}
    with importing():
        from .repository import describe, find_repository

    cwd = settings.cwd or os.getcwd()
    script = os.path.join(cwd, command[0]) if command else cwd
    top = find_repository(cwd) or find_repository(os.path.dirname(os.path.realpath(script)))
    if top is None:
        return {}
    state, trouble = describe(top, settings.diff, environ)
    problems.extend(f"git: {said}" for said in trouble)
    return {"git": state}


def _packages(problems: List[str]) -> Dict[str, Any]:
    """Installed packages; of two versions the one that Python imports. A broken one is passed over, and counted."""
    with importing():
        from importlib.metadata import distributions

    versions: Dict[str, str] = {}
    broken = 0
    found = distributions()
    for distribution in found:
        try:
            with importing():  # reading the first one imports a parser
                metadata = distribution.metadata
                name, version = str(metadata["Name"] or "")[:MAX_VERSION], str(metadata["Version"] or "")[:MAX_VERSION]
        except _TROUBLE:
            name = version = ""
        if name and version:
            versions.setdefault(name, version)
        else:
            broken += 1
        if len(versions) == MAX_PACKAGES:
            break
        time.sleep(PAUSE)
    left_out = sum(1 for _ in found)
    if broken:
        problems.append(f"packages: {broken} have no readable name and version")
    return {"packages": dict(sorted(versions.items(), key=lambda item: item[0].lower())), "packages_left_out": left_out}


def _fit(about: Dict[str, Any]) -> Dict[str, Any]:
    """The whole within MAX_ABOUT: of a diff full of control characters, six bytes each in JSON, that takes its end."""
    with importing():
        import json

    for drop in ("diff", "packages", "command"):
        size = len(json.dumps(about, ensure_ascii=False).encode("utf-8", "replace"))
        if size <= MAX_ABOUT:
            break
        holder = about.get("git", {}) if drop == "diff" else about
        if holder.pop(drop, None) is not None:
            about["problems"].append(f"{drop}: left out, since all together would be {size} bytes, over {MAX_ABOUT}")
    return about
