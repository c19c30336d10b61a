"""Journals that nobody reads: their process is gone, and no collector has taken them. They count against the limit of
their folder (`roots.FOLDER_LIMIT`) until they are delivered, or removed by `wayside clear`.

A session's journal may lie in two folders, in memory and below WAYSIDE_DIR; here it is one. Nothing is changed but by
`remove`, and nothing is opened but plain files in folders named like a session.
"""

import contextlib
import json
import os
import stat
import struct
import sys
import time
from typing import Any, Callable, Dict, Iterable, List, NamedTuple, Optional, Sequence, Tuple

if sys.platform != "win32":
    import fcntl

from . import wire
from .roots import FOLDER_LIMIT, held_below, show_size
from .segments import DROPPED, JOURNALS, SEGMENT_SIZE

_MAX_FOLDERS = 4  # that one line names
_MAX_ADDRESSES = 8  # of one record that are asked whether a collector is there

_FLOCK = struct.Struct("@hhqqi4x")  # struct flock of 64-bit Linux
_NUMBERED = (wire.ROW, wire.NAMED_ROW, wire.EVENT)  # frames that have a seq
_HEX = frozenset("0123456789abcdef")


class Orphan(NamedTuple):
    """One of them. folders: where it lies. run, project, dir: what its record says, "" where it cannot be read; dir is
    the run's WAYSIDE_DIR. began: Unix seconds. bytes: of its files. rows: rows and events in it. why: why nobody took
    it. taken: whether a collector is there that will take it in a moment.
    """

    session: str
    folders: Tuple[str, ...]
    run: str
    project: str
    dir: str
    began: float
    bytes: int
    rows: int
    why: str
    taken: bool


def find_orphans(roots: Iterable[str], answers: Callable[[str], bool]) -> List[Orphan]:
    """Every one below these roots, oldest first. answers: whether a collector answers at a socket's path."""
    sessions: Dict[str, List[str]] = {}
    for root in dict.fromkeys(roots):
        journals = os.path.join(root, JOURNALS)
        for name in _names(journals):
            if len(name) == 32 and _HEX.issuperset(name) and _is_folder(os.path.join(journals, name)):
                sessions.setdefault(name, []).append(os.path.join(journals, name))
    found = [_orphan(session, folders, answers) for session, folders in sessions.items()]
    return sorted((one for one in found if one is not None), key=lambda one: one.began)


def judge(orphans: Sequence[Orphan], memory: str) -> Tuple[bool, str, str]:
    """Whether all is well with them, what was found, and what to do. memory: the root in memory of the clients here."""
    left = [orphan for orphan in orphans if not orphan.taken]
    rows, size = sum(orphan.rows for orphan in left), sum(orphan.bytes for orphan in left)
    found = f"{count(len(left), 'journal')} of processes that are gone, {rows} rows and events, {show_size(size)}"
    folders = sorted({orphan.dir for orphan in left if orphan.dir and orphan.rows})
    deliver = ", ".join(f"`wayside-collector sync {folder}`" for folder in folders[:_MAX_FOLDERS])
    do = f"to deliver them: {deliver}; " * bool(deliver) + "to delete them: `wayside clear`"
    held = held_below(memory)
    if held + SEGMENT_SIZE <= FOLDER_LIMIT:
        return (True, found, do) if left else (True, "no journal that nobody reads", "")
    full = f"the journals in {memory} hold {show_size(held)}, the limit: those of new runs lie on a disk"
    return False, f"{found if left else 'none is left'}; {full}", do if left else "wait until a collector has read them"


def count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def remove(orphan: Orphan) -> bool:
    """Delete its segments, its lock and its count of lost rows; whether it is gone: a folder with anything else in it
    stays. The lock goes last: without it nobody would know the owner for dead.
    """
    for folder in orphan.folders:
        with contextlib.suppress(OSError):
            for name in sorted(os.listdir(folder), key=lambda name: name == "lock"):
                if name.endswith(".seg") or name in ("lock", DROPPED):
                    os.unlink(os.path.join(folder, name))
            os.rmdir(folder)
    return not any(os.path.exists(folder) for folder in orphan.folders)


def _orphan(session: str, folders: List[str], answers: Callable[[str], bool]) -> Optional[Orphan]:
    """None while its process lives, or has been gone for less than a look."""
    held = [_is_held(os.path.join(folder, "lock")) for folder in folders]
    if True in held:
        return None
    segments = sorted(segment for folder in folders for segment in _segments(folder, session))
    record = _record(segments[0][2]) if segments else {}
    why, taken = _reason(record, segments, folders, answers)
    if None in held and not taken:
        why = "its lock is missing or may not be asked: nobody can tell whether its process lives"
    run = record.get("run")
    named = run if isinstance(run, dict) else {}
    began = record.get("started")
    return Orphan(
        session,
        tuple(folders),
        _text(named.get("id")),
        _text(named.get("project")),
        _text(record.get("dir")),
        float(began) if isinstance(began, (int, float)) else _changed(folders[0]),
        sum(_size(os.path.join(folder, name)) for folder in folders for name in _names(folder)),
        _end(segments[-1]) - segments[0][1] if segments else 0,
        why,
        taken,
    )


def _reason(
    record: Dict[str, Any], segments: List[Tuple[int, int, str]], folders: List[str], answers: Callable[[str], bool]
) -> Tuple[str, bool]:
    """Why nobody took it, and whether somebody is about to."""
    if not segments:
        return "nothing was written into it", False
    if not record:
        return "its session record cannot be read", False
    if record.get("mode") == "offline":
        return "it was logged offline", False
    asked = record.get("addresses")
    addresses = [text for text in asked if isinstance(text, str)] if isinstance(asked, list) else []
    for address in addresses[:_MAX_ADDRESSES]:
        if answers(address):
            roots = [os.path.dirname(os.path.dirname(folder)) for folder in folders]
            if any(_is_looked_at(root, address) for root in roots):
                return f"the collector at {address} is about to take it", True
            return f"the collector at {address} answers, but does not look in {', '.join(roots)}", False
    return f"no collector answers at {', '.join(addresses[:_MAX_ADDRESSES]) or 'any place it knew'}", False


def _is_looked_at(root: str, address: str) -> bool:
    """Whether the collector with this socket takes journals below a root; also where its note does not say."""
    beside = os.path.dirname(os.path.realpath(address))
    try:
        with open(os.path.join(beside, "collector.json"), encoding="utf-8") as file:
            roots = json.load(file)["journals"]
    except (OSError, ValueError, LookupError, TypeError):
        return True
    return not isinstance(roots, list) or os.path.realpath(root) in [beside, *roots]


def _segments(folder: str, session: str) -> List[Tuple[int, int, str]]:
    """(number, first seq, path) of each that was begun; of what is no segment nothing can be told."""
    found = []
    for name in _names(folder):
        path = os.path.join(folder, name)
        with contextlib.suppress(OSError, wire.WireError):
            if name.endswith(".seg"):
                header = wire.read_segment_header(_read(path, wire.HEADER_SIZE))
                if header.session.hex() == session:
                    found.append((header.number, header.first_seq, path))
    return found


def _record(path: str) -> Dict[str, Any]:
    with contextlib.suppress(OSError, wire.WireError, IndexError, ValueError):
        data = _read(path, wire.MAX_FRAME)[wire.HEADER_SIZE :]
        record = wire.read_json(data, wire.scan(data).spans[0])
        if isinstance(record, dict):
            return record
    return {}


def _end(segment: Tuple[int, int, str]) -> int:
    """The seq after the last in a segment."""
    with contextlib.suppress(OSError, wire.WireError):
        data = _read(segment[2], 2 * wire.MAX_FRAME)
        position = max(wire.HEADER_SIZE, min(wire.read_segment_header(data).position, len(data)))
        spans = wire.scan(data, wire.HEADER_SIZE, position).spans
        return segment[1] + sum(span.frames for span in spans if span.type in _NUMBERED)
    return segment[1]


def _is_held(path: str) -> Optional[bool]:
    """Whether a process holds the lock; None where there is none to ask."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        asked = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
        return bool(_FLOCK.unpack(fcntl.fcntl(fd, fcntl.F_GETLK, asked))[0] != fcntl.F_UNLCK)
    except OSError:
        return None
    finally:
        os.close(fd)


def _read(path: str, most: int) -> bytes:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(fd, "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(f"{path} is no plain file")
        return file.read(most)


def _names(path: str) -> List[str]:
    try:
        return sorted(os.listdir(path))
    except OSError:
        return []


def _is_folder(path: str) -> bool:
    try:
        return stat.S_ISDIR(os.lstat(path).st_mode)
    except OSError:
        return False


def _size(path: str) -> int:
    try:
        return os.lstat(path).st_size
    except OSError:
        return 0


def _changed(path: str) -> float:
    try:
        return os.lstat(path).st_mtime
    except OSError:
        return time.time()


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
