"""The state of the code: commit, branch, remote and uncommitted changes, as git tells them.

Git runs as a child with a time limit, without prompts, pagers, monitors, diff drivers or a network, takes no locks
and changes nothing. What could not be had is said in words. Only files whose names are not those of secrets get into
the diff, and known forms of keys are masked in it.
"""

import contextlib
import os
import select
import signal
import subprocess
import time
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from .masking import MASK, clean_url, is_secret_file, mask_diff, mask_text, secrets_of

GIT_SECONDS = 5.0  #: for all of git's calls together; a working copy that takes longer lies on a sick file system
MAX_DIFF = 1 << 20  #: bytes of uncommitted changes; W&B's own limit, and a quarter of a frame
MAX_UNTRACKED = 100  #: names of files git does not know
MAX_CHANGED = 1000  #: files whose changes are asked for; beyond it a diff is a checkout gone wrong
MAX_PATHS = 64 << 10  #: bytes of their names: they go onto git's command line
MAX_STATUS = 4 << 20  #: bytes of git's list of changes
MAX_ERROR = 4096  #: bytes of what git says when it fails

_GIT = ("git", "--no-pager", "--literal-pathspecs", "-c", "core.fsmonitor=")
_DIFF = (
    *("diff", "--no-ext-diff", "--no-textconv", "--no-color", "--no-renames", "--ignore-submodules=dirty"),
    *("--src-prefix=a/", "--dst-prefix=b/"),
)
# Set by git for its hooks and by scripts for themselves: they point git to another repository, or make it talk.
_LEFT_OUT = (
    *("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_NAMESPACE", "GIT_PREFIX"),
    *("GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_EXTERNAL_DIFF", "GIT_DIFF_OPTS"),
    *("GIT_TRACE", "GIT_TRACE_SETUP", "GIT_TRACE_PERFORMANCE", "GIT_TRACE2", "GIT_TRACE2_EVENT", "GIT_TRACE2_PERF"),
)
_PAUSE = 0.0005  # seconds in which the training's threads run between two pieces of our work
_IDLE = 0.1  # seconds after git's end in which what it wrote has arrived


class GitTrouble(Exception):
    """Git could not be run, failed, or took too long; the message is for the user."""


class Status(NamedTuple):
    """What `git status` tells: the branch, changed files (a renamed one with its old name), unknown files."""

    branch: Optional[str]
    changed: List[Tuple[str, str]]
    untracked: List[str]


def find_repository(folder: str) -> Optional[str]:
    """The top of the working copy that `folder` lies in, or None; looks for `.git` without running anything."""
    folder = os.path.abspath(folder)
    while True:
        if os.path.exists(os.path.join(folder, ".git")):
            return folder
        above = os.path.dirname(folder)
        if above == folder:
            return None
        folder = above


def describe(top: str, changes: bool, environ: Mapping[str, str]) -> Tuple[Dict[str, Any], List[str]]:
    """The state of the working copy at `top`, and what could not be had. changes: whether the diff is wanted.

    Keys: commit, branch, remote, dirty; with changes also changed (how many files), diff, diff_cut (the diff is longer
    than MAX_DIFF), left_out (changed files that are not in it), untracked and untracked_left_out (how many more).
    """
    call = _Call(top, _environment(environ), time.monotonic() + GIT_SECONDS)
    found: Dict[str, Any] = {}
    problems: List[str] = []
    for step in (_head, _remote, _changes if changes else _dirty):
        try:
            found.update(step(call, found))
        except GitTrouble as problem:
            problems.append(str(problem))
            if step is _head:
                break  # no git, or none that trusts this folder
    return found, problems


def parse_status(text: bytes) -> Status:
    """The output of `git status --porcelain=v2 --branch -z`; lines of a kind unknown here are passed over."""
    branch: Optional[str] = None
    changed: List[Tuple[str, str]] = []
    untracked: List[str] = []
    parts = iter(os.fsdecode(text).split("\0"))
    for part in parts:
        kind, _, rest = part.partition(" ")
        if part.startswith("# branch.head ") and not part.endswith(" (detached)"):
            branch = part[len("# branch.head ") :]
        elif kind == "?":
            untracked.append(rest)
        elif kind in ("1", "2", "u"):
            path = rest.split(" ", {"1": 7, "2": 8, "u": 9}[kind])[-1]
            changed.append((path, next(parts, path) if kind == "2" else path))
    return Status(branch, changed, untracked)


class _Call(NamedTuple):
    """Where, with what environment and until when git runs."""

    top: str
    environ: Dict[str, str]
    deadline: float

    def git(self, arguments: Sequence[str], limit: int = MAX_ERROR) -> Tuple[bytes, bool]:
        """What git wrote, at most `limit` bytes, and whether that was cut; raises GitTrouble."""
        return _run([*_GIT, *arguments], self, limit)


def _head(call: _Call, found: Dict[str, Any]) -> Dict[str, Any]:
    try:
        output, _ = call.git(["rev-parse", "HEAD", "--abbrev-ref", "HEAD"])
    except GitTrouble as problem:
        if "unknown revision" in str(problem):
            return {"commit": None}  # a repository without a commit
        raise
    commit, _, branch = os.fsdecode(output).strip().partition("\n")
    return {"commit": commit, "branch": None if branch == "HEAD" else branch}


def _remote(call: _Call, found: Dict[str, Any]) -> Dict[str, Any]:
    """The address of `origin`, else of the first remote there is."""
    try:
        output, _ = call.git(["config", "--local", "-z", "--get-regexp", r"^remote\..*\.url$"], 64 << 10)
    except GitTrouble as problem:
        if "ended with 1" in str(problem):
            return {"remote": None}  # none is set
        raise
    remotes = [part.partition("\n") for part in os.fsdecode(output).split("\0") if part]
    remotes.sort(key=lambda remote: remote[0] != "remote.origin.url")
    return {"remote": clean_url(remotes[0][2])} if remotes else {"remote": None}


def _dirty(call: _Call, found: Dict[str, Any]) -> Dict[str, Any]:
    return {"dirty": bool(_status(call, "no")[0].changed)}


def _changes(call: _Call, found: Dict[str, Any]) -> Dict[str, Any]:
    status, status_cut = _status(call, "normal")
    wanted: List[str] = []
    left_out: List[str] = []
    size = 0
    for path, before in status.changed:
        size += len(os.fsencode(path)) + 1
        secret = is_secret_file(path) or is_secret_file(before)
        (left_out if secret or size > MAX_PATHS or len(wanted) >= MAX_CHANGED else wanted).append(path)
    found.update(  # at once: when the diff then takes too long, this much is known
        branch=found.get("branch", status.branch),
        dirty=bool(status.changed),
        changed=len(status.changed),
        untracked=[_readable(path) for path in status.untracked[:MAX_UNTRACKED]],
        untracked_left_out=max(0, len(status.untracked) - MAX_UNTRACKED),
        left_out=[_readable(path) for path in left_out[:MAX_UNTRACKED]],
    )
    diff, diff_cut = "", False
    if wanted:
        base = "HEAD" if found.get("commit") else "--cached"
        output, diff_cut = call.git([*_DIFF, base, "--", *wanted], MAX_DIFF)
        diff = _whole_lines(output, diff_cut)
        for known in secrets_of(call.environ):
            diff = diff.replace(known, MASK)
        diff = mask_diff(diff, _pause)
    found.update(diff=diff, diff_cut=diff_cut)
    if status_cut:
        raise GitTrouble(f"git's list of changes is longer than {MAX_STATUS} bytes and was read in part")
    return found


def _status(call: _Call, untracked: str) -> Tuple[Status, bool]:
    """What `git status` tells, and whether it told more than is read."""
    command = ["status", "--porcelain=v2", "--branch", "-z", "--find-renames", f"--untracked-files={untracked}"]
    output, cut = call.git([*command, "--ignore-submodules=dirty"], MAX_STATUS)
    return parse_status(output[: output.rfind(b"\0")] if cut else output), cut


def _whole_lines(output: bytes, cut: bool) -> str:
    if cut:
        output = output[: output.rfind(b"\n") + 1]
    return output.decode("utf-8", "replace")


def _pause() -> None:
    time.sleep(_PAUSE)


def _readable(path: str) -> str:
    return os.fsencode(path).decode("utf-8", "replace")


def _environment(environ: Mapping[str, str]) -> Dict[str, str]:
    """The environment git runs in: the process's own, made quiet, read-only and deaf."""
    kept = {name: value for name, value in environ.items() if name not in _LEFT_OUT}
    kept.update(
        GIT_TERMINAL_PROMPT="0",
        GIT_OPTIONAL_LOCKS="0",
        GIT_ALLOW_PROTOCOL="none",  # a partial clone would fetch what a diff needs
        LC_ALL="C",
    )
    return kept


def _run(command: Sequence[str], call: _Call, limit: int) -> Tuple[bytes, bool]:
    try:
        process = subprocess.Popen(
            command,
            cwd=call.top,
            env=call.environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for the training, and a filter git runs is ended with it
        )
    except FileNotFoundError:
        raise GitTrouble("git is not installed, so commit and changes are not recorded") from None
    except OSError as problem:
        raise GitTrouble(f"git could not be run: {problem.strerror}") from problem
    try:
        output, error, cut = _collect(process, call.deadline, limit)
        if not cut:
            _check_end(process, command, error, call.deadline)
    finally:
        _end(process)
    return output, cut


def _collect(process: "subprocess.Popen[bytes]", deadline: float, limit: int) -> Tuple[bytes, bytes, bool]:
    """What git writes, until it ends; the end of its pipes is not waited for, since a worker forked by another thread
    at the moment of our own fork holds them open.
    """
    assert process.stdout is not None
    assert process.stderr is not None
    output, error = bytearray(), bytearray()
    sinks = {process.stdout.fileno(): (output, limit), process.stderr.fileno(): (error, MAX_ERROR)}
    poll = select.poll()
    for descriptor in sinks:
        poll.register(descriptor, select.POLLIN)
    while sinks:
        left = deadline - time.monotonic()
        if left <= 0:
            raise GitTrouble(f"git took longer than {GIT_SECONDS:g} s, so the state of the code is recorded in part")
        ended = process.poll() is not None
        events = poll.poll(min(left, _IDLE) * 1000)
        if ended and not events:
            break
        for descriptor, _ in events:
            data = os.read(descriptor, 64 << 10)
            sink, most = sinks[descriptor]
            sink.extend(data[: most + 1 - len(sink)])
            if not data:
                poll.unregister(descriptor)
                del sinks[descriptor]
        if len(output) > limit:
            return bytes(output[:limit]), bytes(error), True
    return bytes(output), bytes(error), False


def _check_end(process: "subprocess.Popen[bytes]", command: Sequence[str], error: bytes, deadline: float) -> None:
    try:
        code = process.wait(max(0.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        raise GitTrouble(
            f"git took longer than {GIT_SECONDS:g} s, so the state of the code is recorded in part"
        ) from None
    if code:
        said = mask_text(error.decode("utf-8", "replace").strip().replace("\n", " "))[:400]
        raise GitTrouble(f"git {command[len(_GIT)]} ended with {code}: {said}")


def _end(process: "subprocess.Popen[bytes]") -> None:
    if process.poll() is None:
        with contextlib.suppress(OSError):
            os.killpg(process.pid, signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(1.0)
    for pipe in (process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()
