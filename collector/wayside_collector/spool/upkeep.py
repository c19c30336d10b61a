"""What the writer's thread does between transactions: files that every sink has read go, sessions long over are
forgotten, the ballast is filled again.
"""

import contextlib
import errno
import os
import sqlite3
from collections.abc import Iterable
from pathlib import Path

from ..media_folder import MediaFolder
from . import accounts, index, media_index
from .database import Database
from .files import Files, segment_files

BALLAST = 8 << 20  #: bytes set aside, given back to the database when the disk is full
BALLAST_SHARE = 4  #: it is set aside where this many times as much is free: a small disk is left to the rows
#: sessions over and delivered that are still known, some megabytes: a journal that comes twice is told
KEEP_ENDED = 2000
NO_SPACE = 1 << 20  #: bytes: with less the disk is full, as far as a database is concerned
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)


def remove_read(database: Database, files: Files, media: MediaFolder, readers: Iterable[str]) -> None:
    """Unlink files of which every one of these sinks has done everything. A sink that never committed holds all."""
    with database.transaction() as db:
        positions = accounts.positions(db)
        done = min((positions.get(name, 0) for name in readers), default=0)
        active = {file.number for file in files.uncounted}
        read = [
            number
            for number, _, _ in index.files(db)
            if number not in active and index.newest_of_file(db, number) <= done
        ]
        for number in read:
            index.drop_file(db, number)
        index.drop_empty(db, done)
        passed = media_index.take_read(db, done)
    for number in read:
        files.unlink(number)
    media.remove(passed)


def forget_sessions(database: Database, ended_before: float) -> list[int]:
    """Keys of sessions that are known no longer."""
    with database.transaction() as db:
        return index.forget_sessions(db, ended_before, KEEP_ENDED)


def remove_strays(database: Database, folder: Path) -> None:
    """Files a crash left before anything referred to them."""
    known = {number for number, _, _ in database.read(index.files)}
    for number, _, path in segment_files(folder):
        if number not in known:
            path.unlink()


def fill_ballast(folder: Path) -> None:
    """Set the ballast aside where there is room. Raises OSError."""
    path = folder / "ballast"
    free = os.statvfs(folder)
    if path.exists() or free.f_bavail * free.f_frsize < BALLAST_SHARE * BALLAST:
        return
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o640)
    try:
        os.posix_fallocate(fd, 0, BALLAST)
    finally:
        os.close(fd)


def give_ballast(folder: Path) -> None:
    """The disk is full: let the database have this."""
    with contextlib.suppress(OSError):
        os.unlink(folder / "ballast")


def is_no_space(problem: BaseException, folder: Path) -> bool:
    """Whether it failed because the disk is full, which SQLite does not always tell."""
    if isinstance(problem, OSError):
        return problem.errno in _NO_SPACE
    code = getattr(problem, "sqlite_errorcode", None) or 0
    if code & 0xFF == sqlite3.SQLITE_IOERR:
        found = os.statvfs(folder)
        return found.f_bavail * found.f_frsize < NO_SPACE
    return code == sqlite3.SQLITE_FULL
