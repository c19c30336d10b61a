"""Opening what clients name: below allowed roots only, never through a link, and nothing but plain files.

A client that names a path has the collector open it, with the collector's rights. So a journal is always
`<root>/journals/<session>`, with a root that the operator or the system names, and each step from the root on is
opened by itself and relative to the one before (O_NOFOLLOW): a folder that is exchanged for a link between a check and
its use is not followed. A file is looked at before it is opened (O_PATH), since opening a FIFO waits for a writer and
opening a device may do anything; it must be plain and belong to whom its folder belongs to, which a hard link to
somebody else's file does not.
"""

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from wayside.segments import JOURNALS

MEDIA_FOLDER = "media"  #: beside `journals`: folders of files that events name
SHARED_MEMORY = Path("/dev/shm")
_STEP = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_LIST = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Forbidden(OSError):
    """What was named is not opened; the message says why."""


def shared_memory_of(uid: int) -> Path:
    """The root below which this user's clients keep journals in memory."""
    return SHARED_MEMORY / f"wayside-{uid}"


def allowed(folder: Path, session: str, roots: list[Path], owner: int | None, kind: str = JOURNALS) -> None:
    """Whether a journal, or another kind of folder, that a client named may be read. owner: the client's user, to whom
    it must belong; None where nobody knows any more. Raises OSError, as Forbidden saying what is wrong.
    """
    if ".." in folder.parts or folder.name != session or folder.parent.name != kind or not folder.is_absolute():
        raise Forbidden(f"it is no {kind}/<session>")
    root = folder.parent.parent
    if root not in roots and not _is_shared_memory(root, owner):
        raise Forbidden(
            "it is in none of the folders where clients may keep journals (the collector's clients.journals)"
        )
    with journal_folder(folder) as fd:
        found = os.fstat(fd).st_uid
    if owner is not None and found != owner:
        raise Forbidden(f"it belongs to user {found}, not to the client's, {owner}")


def _is_shared_memory(root: Path, owner: int | None) -> bool:
    """Whether a root is a user's own in shared memory, and really that user's: anybody may make folders there."""
    uid = root.name.removeprefix("wayside-")
    if not uid.isascii() or not uid.isdigit() or root != shared_memory_of(int(uid)):
        return False
    try:
        found = os.lstat(root)
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == int(uid) and owner in (None, int(uid))


@contextlib.contextmanager
def journal_folder(folder: Path) -> Iterator[int]:
    """A journal's folder, opened; raises OSError, for a link on the way, too."""
    fds = [os.open(folder.parent.parent, _STEP)]
    try:
        fds.append(os.open(folder.parent.name, _STEP, dir_fd=fds[-1]))
        fds.append(os.open(folder.name, _LIST, dir_fd=fds[-1]))
        yield fds[-1]
    finally:
        for fd in fds:
            os.close(fd)


def owner_uid(folder: Path) -> int | None:
    """Whom a journal's folder belongs to; None where there is none."""
    try:
        with journal_folder(folder) as fd:
            return os.fstat(fd).st_uid
    except OSError:
        return None


def open_plain(folder_fd: int, name: str, flags: int = os.O_RDONLY) -> int:
    """A plain file in an opened folder, that belongs to whom the folder belongs to. Raises OSError."""
    path_fd = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder_fd)
    try:
        found, owner = os.fstat(path_fd), os.fstat(folder_fd).st_uid
        if not stat.S_ISREG(found.st_mode):
            raise Forbidden(f"{name!r:.100} is no plain file")
        if found.st_uid != owner:
            raise Forbidden(f"{name!r:.100} belongs to user {found.st_uid}, its folder to {owner}")
        return os.open(f"/proc/self/fd/{path_fd}", flags | os.O_CLOEXEC | os.O_NONBLOCK)
    finally:
        os.close(path_fd)


def open_below(root: Path, path: str) -> int:
    """A plain file below a root, each step on the way opened by itself and through no link. Raises OSError."""
    steps = Path(path).relative_to(root).parts
    if not steps or ".." in steps:
        raise Forbidden("it leads out of its root")
    fd = os.open(root, _STEP)
    try:
        for step in steps[:-1]:
            fd, before = os.open(step, _STEP, dir_fd=fd), fd
            os.close(before)
        path_fd = os.open(steps[-1], os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=fd)
        try:
            if not stat.S_ISREG(os.fstat(path_fd).st_mode):
                raise Forbidden("it is no plain file")
            return os.open(f"/proc/self/fd/{path_fd}", os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        finally:
            os.close(path_fd)
    finally:
        os.close(fd)


def remove_same(folder_fd: int, name: str, fd: int) -> None:
    """Unlink a file, if it is still the one that was opened. Raises OSError."""
    there, opened = os.stat(name, dir_fd=folder_fd, follow_symlinks=False), os.fstat(fd)
    if (there.st_dev, there.st_ino) == (opened.st_dev, opened.st_ino):
        os.unlink(name, dir_fd=folder_fd)


def elsewhere(folder: Path, record: dict[str, Any]) -> list[Path]:
    """Where the rest of an orphan may lie: without a collector its end stays in memory, beside the socket that was
    looked for. That this was there is the record's word only, so it must belong to whom the orphan belongs to.
    """
    addresses = record.get("addresses")
    sockets = (
        [text for text in addresses if isinstance(text, str) and "\0" not in text]
        if isinstance(addresses, list)
        else []
    )
    beside = dict.fromkeys(Path(os.path.realpath(os.path.dirname(text))) for text in sockets)
    owner = owner_uid(folder)
    others = [root / JOURNALS / folder.name for root in beside]
    return [path for path in others if owner is not None and owner_uid(path) == owner]
