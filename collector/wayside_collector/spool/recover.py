"""What a person asks for when a spool will not open: what is wrong, what can be saved, and the saving of it.

A start does by itself what it can; this does the same for a spool that is in the way of a start, says what it finds,
and first keeps everything as it was, below `damaged/`: segment files as second names of the same bytes, which nobody
changes any more, the database as a copy. So whatever is done here can be looked at and undone.
"""

import contextlib
import os
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from . import index
from .database import Database
from .errors import SpoolError, SpoolHeld
from .files import read_blocks, segment_files
from .lock import Held, take_lock
from .salvage import Salvaged, salvage

_DATABASE = ("spool.db", "spool.db-wal", "spool.db-shm")


class FileFound(NamedTuple):
    """A segment file. blocks: those that are whole. damaged: places where none could be read. problem: why none of it
    can be read.
    """

    name: str
    size: int
    blocks: int
    damaged: int
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Findings:
    """What lies in a spool's folder. database: what is wrong with it, None when nothing is. newer: the format of a
    newer collector, which is left alone. saving: what a database made anew would hold.
    """

    files: list[FileFound]
    database: str | None
    newer: int | None
    saving: Salvaged

    @property
    def damaged_files(self) -> list[FileFound]:
        return [file for file in self.files if file.damaged or file.problem]


@contextlib.contextmanager
def held(folder: Path) -> Iterator[None]:
    """Nobody else has this spool meanwhile. Raises SpoolHeld, or SpoolError."""
    try:
        fd = take_lock(folder / "lock")
    except Held as holder:
        raise SpoolHeld(f"the spool {folder} is held by {holder}: stop it first") from None
    except OSError as problem:
        raise SpoolError(
            f"{folder} cannot be locked ({problem.strerror}): copy the folder to where you may write, and recover that"
        ) from problem
    try:
        yield
    finally:
        os.close(fd)


def holds_spool(folder: Path) -> bool:
    """Whether anything of a spool lies there. Raises OSError."""
    return (
        any(os.path.lexists(folder / name) for name in _DATABASE) or next(iter(segment_files(folder)), None) is not None
    )


def examine(folder: Path) -> Findings:
    """Look, and change nothing: the database is read as a copy. Raises SpoolError."""
    files = [_examine_file(path) for _, _, path in segment_files(folder)]
    try:
        with tempfile.TemporaryDirectory(prefix="wayside-recover-") as place:
            _copy_database(folder, Path(place))
            problem, newer = _examine_database(Path(place) / "spool.db")
            with contextlib.closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
                db.executescript(index.TABLES)
                saving = salvage(db, Path(place) / "spool.db", folder)
    except OSError as failed:
        raise SpoolError(f"{folder} cannot be read: {failed}") from failed
    return Findings(files, problem, newer, saving)


def _examine_file(path: Path) -> FileFound:
    try:
        data = path.read_bytes()
    except OSError as problem:
        return FileFound(path.name, 0, 0, 0, problem.strerror)
    whole = damaged = 0
    for _, block, _ in read_blocks(data):
        whole, damaged = whole + (block is not None), damaged + (block is None)
    return FileFound(path.name, len(data), whole, damaged)


def _copy_database(folder: Path, place: Path) -> None:
    for name in _DATABASE[:2]:
        if (folder / name).is_file():
            shutil.copyfile(folder / name, place / name)


def _examine_database(path: Path) -> tuple[str | None, int | None]:
    """What is wrong with it, and the format of a newer one."""
    if not path.exists() or not path.stat().st_size:
        return "it is gone", None
    try:
        with contextlib.closing(sqlite3.connect(path)) as db:
            version = db.execute("PRAGMA user_version").fetchone()[0]
            if version > index.FORMAT:
                return None, version
            found = db.execute("PRAGMA integrity_check(1)").fetchone()[0]
            for (table,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
                db.execute(f"SELECT count(*) FROM {table}").fetchone()
            return (None if found == "ok" else found), None
    except sqlite3.Error as problem:
        return str(problem), None


def keep_original(folder: Path) -> Path:
    """Everything as it is now, under other names; where. Raises OSError, and then nothing has changed."""
    kept = folder / "damaged" / f"recover-{time.strftime('%Y%m%dT%H%M%S')}-{time.monotonic_ns()}"
    kept.mkdir(parents=True)
    for name in _DATABASE:
        if (folder / name).is_file():
            shutil.copy2(folder / name, kept / name)
    for _, _, path in segment_files(folder):
        if path.is_file():
            try:
                os.link(path, kept / path.name)
            except OSError:  # a file system without second names
                shutil.copy2(path, kept / path.name)
    return kept


def make_anew(folder: Path, problem: str) -> str:
    """A new database in the place of the damaged one; a sentence for people. Raises SpoolError."""
    database = Database(folder / "spool.db")
    try:
        database.heal(sqlite3.DatabaseError(problem))
        return database.salvaged or ""
    except (OSError, sqlite3.Error) as failed:
        raise SpoolError(f"no new database could be made: {failed}") from failed
    finally:
        database.close()
