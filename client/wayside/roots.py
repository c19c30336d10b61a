"""Where journals may lie, and how much they may hold there.

Memory-backed folders come first: a page fault on a disk is a wait with the GIL held. But what lies there is memory of
the machine, and in most containers /dev/shm is 64 MiB that PyTorch's data loaders live in: hence the limits.
"""

import contextlib
import os
from typing import List, NamedTuple, Optional, Sequence

from .segments import JOURNALS
from .settings import SHARED_MEMORY

SESSION_LIMIT = 16 << 20  #: bytes of journal a session may hold: a third of a second of a tight loop, at most
FOLDER_LIMIT = 256 << 20  #: bytes of journals below one memory-backed root: sixteen sessions at their limit
FREE_SHARE = 10  #: a session never takes more than a tenth of what is free: PyTorch's data loaders live there, too


class Root(NamedTuple):
    """A folder journals may lie below. memory: whether it is memory-backed, so that a page fault there never waits."""

    path: str
    memory: bool


def is_memory(path: str, mounts: str) -> bool:
    """Whether a path lies on a memory-backed filesystem, by a text like that of /proc/self/mounts."""
    best, kind = "", ""
    for line in mounts.splitlines():
        fields = line.split(" ")
        if len(fields) < 3:
            continue
        point = fields[1].replace("\\040", " ").rstrip("/") or "/"
        inside = path == point or path.startswith(point if point == "/" else point + "/")
        if inside and len(point) >= len(best):
            best, kind = point, fields[2]
    return kind in ("tmpfs", "ramfs")


def read_mounts() -> str:
    try:
        with open("/proc/self/mounts", encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def find_roots(socket: Optional[str], overflow: str, shared_memory: str = SHARED_MEMORY) -> List[Root]:
    """Where a journal may lie, best first.

    The socket's folder when it is memory-backed, else `shared_memory` (WAYSIDE_SHARED_MEMORY), else the socket's folder
    on disk, else `overflow` (WAYSIDE_DIR).
    """
    mounts = read_mounts()
    roots: List[Root] = []
    beside = os.path.dirname(os.path.realpath(socket)) if socket else None
    if beside and is_memory(beside, mounts):
        roots.append(Root(beside, True))
    shared_memory = os.path.realpath(shared_memory)
    if is_memory(shared_memory, mounts):
        roots.append(Root(own_folder(shared_memory), True))
    if beside and not is_memory(beside, mounts):
        roots.append(Root(beside, False))
    overflow = os.path.realpath(overflow)
    roots.append(Root(overflow, is_memory(overflow, mounts)))
    return roots


def own_folder(shared_memory: str) -> str:
    """This user's own folder in shared memory."""
    return os.path.join(shared_memory, f"wayside-{os.geteuid()}")


def room(path: str, held: int) -> int:
    """Bytes a session that holds `held` may hold altogether below `path`: its limit, or a tenth of what is free."""
    found = os.statvfs(path)
    return min(SESSION_LIMIT, (found.f_bavail * found.f_frsize + held) // FREE_SHARE)


def held_below(root: str) -> int:
    """Bytes all journals below a root hold."""
    total = 0
    journals = os.path.join(root, JOURNALS)
    for folder in _names(journals):
        for name in _names(os.path.join(journals, folder)):
            with contextlib.suppress(OSError):
                total += os.lstat(os.path.join(journals, folder, name)).st_size
    return total


def show_size(count: float) -> str:
    """Bytes for people."""
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.0f} {unit}"
        count /= 1024
    return f"{count:.1f} GiB"


def _names(path: str) -> Sequence[str]:
    try:
        return os.listdir(path)
    except OSError:
        return ()
