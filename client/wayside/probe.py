"""One test row to a collector and back, on the way that a training's rows take; part of `wayside doctor`.

The session says `kind: test`: its rows are checked, stored on the collector's disk and told as stored like any
others, and then left out by every sink.
"""

import contextlib
import os
import select
import socket
import stat
import time
from typing import Any, Dict, List, NamedTuple, Optional, Sequence

from . import row, wire
from .handover import Handover, Plan
from .journal import Journal
from .kept import Keeper
from .packing import Frame
from .peer import Answer
from .segments import JOURNALS
from .sessions import Identity, new_record

RUN = "wayside-doctor"  #: the test row's run and project
METRIC = "wayside/doctor"
KIND = "test"

_LOOK = 0.05  # seconds between looks at a connection
_CONNECT = 5.0  # seconds a connection may take


class Socket(NamedTuple):
    """A place where a collector's socket may be. state: what is there, in words; do: what would help, where something
    would.
    """

    path: str
    connects: bool
    state: str
    do: str = ""


class Echo(NamedTuple):
    """What became of the row. answer: the collector's to the hello. seconds: from writing the row to hearing that it is
    stored; None when it is not. problem: why it is not, and do: what would help.
    """

    answer: Optional[Answer]
    seconds: Optional[float] = None
    problem: str = ""
    do: str = ""


def look_at(path: str) -> Socket:
    """What is at a socket's path; a connection is made and closed, nothing is said."""
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return Socket(path, False, "nothing is there")
    except OSError as problem:
        return Socket(path, False, f"cannot be looked at: {problem.strerror}", "let this user enter the folders above")
    if stat.S_ISDIR(found.st_mode):
        return Socket(
            path, False, "is a folder", f"set WAYSIDE_SOCKET to the path of a socket in it: {path}/wayside.sock"
        )
    if not stat.S_ISSOCK(found.st_mode):
        return Socket(path, False, "is no socket", "remove it, or set WAYSIDE_SOCKET to the collector's socket")
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(_CONNECT)
            connection.connect(path)
    except ConnectionRefusedError:
        return Socket(path, False, "nobody listens: left by a collector that is no more", "start the collector again")
    except PermissionError:
        whose = f"it belongs to {found.st_uid}:{found.st_gid}, mode {stat.S_IMODE(found.st_mode):o}"
        me = f"this process is {os.geteuid()}, groups {' '.join(map(str, sorted({os.getegid(), *os.getgroups()})))}"
        return Socket(
            path,
            False,
            f"may not be connected to: {whose}; {me}",
            "give both one group (in a pod: fsGroup), or one user",
        )
    except OSError as problem:
        why = problem.strerror or problem
        return Socket(path, False, f"takes no connection: {why}", "look at the collector's log; is it stopped?")
    return Socket(path, True, "takes connections")


def test_record(fields: Dict[str, Any]) -> Dict[str, Any]:
    """The record of a test session. fields: those of this process's sessions."""
    run = Identity(RUN, RUN, RUN, None, None, None, (), None, None)
    return new_record(run, dict(fields, kind=KIND))


def send_row(address: str, journal: Journal, plan: Plan, patience: float) -> Echo:
    """Write one row, say hello, and wait until it is stored. The journal is of no more use after that, and empty."""
    begun = time.monotonic()
    now = time.time()
    journal.append(Frame((METRIC,), (1.0,), now, 0, wire.COMMIT, b""))
    journal.append(Frame(None, (), now, None, 0, wire.event_frame(now, None, row.FINISH, {"exit_code": 0})))
    journal.seal()
    keeper = Keeper(plan.overflow, plan.hello["session"], plan.kept_limit)
    talk = Handover(journal, keeper, plan._replace(addresses=[address]))
    try:
        problem = _wait_until_stored(talk, journal.seq, begun + patience)
    finally:
        talk.disconnect()
        remove(journal)
    if problem is None:
        return Echo(talk.answer, time.monotonic() - begun)
    return _failed(talk, problem)


def missing_folders(roots: Sequence[str]) -> List[str]:
    """Folders that a journal made now would bring with it, innermost first."""
    found = set()
    for root in roots:
        folder = os.path.join(root, JOURNALS)
        while not os.path.lexists(folder):
            found.add(folder)
            folder = os.path.dirname(folder)
    return sorted(found, key=len, reverse=True)


def remove(journal: Journal) -> None:
    """Close a test's journal and leave nothing of it, whatever became of its row."""
    journal.seal()
    journal.shelf.let_go(journal.seq)
    journal.close()


def _wait_until_stored(talk: Handover, seq: int, deadline: float) -> Optional[str]:
    """None once everything below `seq` is stored, else what came in between."""
    while talk.stored < seq:
        try:
            talk.talk()
        except (OSError, wire.WireError) as problem:
            return str(problem)
        if talk.peer is None:
            return talk.refusal or "it hung up"
        if time.monotonic() > deadline:
            return "it did not answer in time" if talk.answer is None else "it did not store the row in time"
        with contextlib.suppress(OSError):
            poll = select.poll()
            poll.register(talk.peer, select.POLLIN)
            poll.poll(_LOOK * 1000)
    return None


def _failed(talk: Handover, problem: str) -> Echo:
    log = "look at the collector's log"
    if talk.refusal is not None:
        return Echo(talk.answer, None, f"it refuses this client: {talk.refusal}", f"{log}; are both of one version?")
    if talk.answer is None:
        return Echo(None, None, problem, f"{log}; is it stopped, or something else than a collector?")
    return Echo(talk.answer, None, problem, f"{log} and at `wayside-collector status`: is its disk full?")
