"""The spool's database as a file: opened, found damaged and made anew, read under a lock.

Two connections: the writer's thread has one for its transactions, everyone else shares the other for short reads. What
SQLite says is told apart by what to do: a file that is no database, or a torn one, is moved away and made anew from
the segment files (`salvage.py`); a full disk or a missing permission is a matter for a person, and nothing is moved.
"""

import contextlib
import logging
import os
import sqlite3
import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from . import index
from .errors import SpoolError
from .files import segment_files, sync_folder
from .salvage import salvage, set_aside

_DAMAGE = (
    sqlite3.SQLITE_ERROR,  # a table or column is missing
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_NOTADB,
    sqlite3.SQLITE_FORMAT,
    sqlite3.SQLITE_MISMATCH,
)
_DAMAGE_READING = (sqlite3.SQLITE_IOERR_READ, sqlite3.SQLITE_IOERR_SHORT_READ)

Answer = TypeVar("Answer")

log = logging.getLogger(__name__)


class Unreadable(sqlite3.DatabaseError):
    """A database that opens and is not ours to use."""


class Database:
    """Opened, used, closed. salvaged: what was found, if it had to be made anew. suspect: a read failed in a way that
    the writer should look at. uncertain: the last transaction's commit failed, and it may count all the same.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.salvaged: str | None = None
        self.suspect = self.uncertain = False
        self._writer: sqlite3.Connection | None = None
        self._reader: sqlite3.Connection | None = None
        self._reading = threading.Lock()
        self._open = False

    def open(self) -> None:
        """Raises SpoolError for what a person must see to; sqlite3.Error or OSError for a full disk and the like."""
        self._open = True
        if self._fresh.exists() and not self.path.exists():
            os.rename(self._fresh, self.path)  # the last step of a rebuilding that was cut off
        lost = not self.path.exists() or self.path.stat().st_size == 0
        if lost and segment_files(self.path.parent):
            self._make_anew("it is gone")
        try:
            _prepare(self._connection())
        except sqlite3.DatabaseError as problem:
            self._disconnect()
            if not is_damage(problem):
                raise
            self._make_anew(str(problem))

    def renew(self) -> None:
        """Connect again, after a failed write: what this connection believes may not be what is on disk."""
        with self._reading:
            self._disconnect()

    def check(self) -> None:
        """Raises sqlite3.DatabaseError when the database is damaged. The writer's."""
        self.suspect = False
        _check(self._connection())

    def heal(self, problem: sqlite3.Error) -> None:
        """Made anew while in use, after it was found damaged. The writer's; raises sqlite3.Error or OSError."""
        with self._reading:
            self._disconnect()
            self._make_anew(str(problem))

    def _make_anew(self, problem: str) -> None:
        """A whole new one beside it first, then one takes the other's place: what fails on the way changes nothing."""
        for path in self._fresh.parent.glob(f"{self._fresh.name}*"):
            path.unlink()
        with contextlib.closing(connect(self._fresh)) as db:
            _prepare(db)
            found = str(salvage(db, self.path, self.path.parent))
        damaged = set_aside(self.path)
        os.rename(self._fresh, self.path)
        sync_folder(self.path.parent)
        self.salvaged = found
        log.error("the spool's database could not be used (%s); moved to %s, made anew: %s", problem, damaged, found)

    @property
    def _fresh(self) -> Path:
        return self.path.with_name(f"{self.path.name}.new")

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """The writer's: everything in it, or nothing. Raises sqlite3.Error."""
        db = self._connection()
        self.uncertain = False
        db.execute("BEGIN IMMEDIATE")
        try:
            yield db
            self.uncertain = True
            db.execute("COMMIT")
            self.uncertain = False
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                db.execute("ROLLBACK")
            raise

    def settle(self, cycle: int) -> bool:
        """Whether the transaction that noted this cycle counts, although its commit failed. Writing into the log may
        have succeeded where syncing it did not: whoever opens the database next finds it there, so that is asked now,
        and what counts is brought out of the log, synced. The writer's; raises sqlite3.Error while nobody can tell.
        """
        self.renew()
        db = self._connection()
        counts = index.last_cycle(db) == cycle
        if counts and db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
            raise sqlite3.OperationalError("the database's log is in use and cannot be emptied")
        self.uncertain = False
        return counts

    def read(self, ask: Callable[[sqlite3.Connection], Answer]) -> Answer:
        """A short read, from any thread; raises SpoolError."""
        with self._reading:
            if not self._open:
                raise SpoolError("the spool is closed")
            try:
                if self._reader is None:
                    self._reader = connect(self.path)
                return ask(self._reader)
            except sqlite3.Error as problem:
                self.suspect = self.suspect or is_damage(problem)
                raise SpoolError(f"the spool's database cannot be read: {problem}") from problem
            except (ValueError, TypeError, struct.error) as problem:  # SQLite does not notice what is wrong in a value
                raise SpoolError(
                    f"the spool's database holds what no collector wrote ({problem}): have it made anew with: "
                    f"wayside-collector recover --anew {self.path.parent}"
                ) from problem

    def _connection(self) -> sqlite3.Connection:
        if self._writer is None:
            self._writer = connect(self.path)
        return self._writer

    def _disconnect(self) -> None:
        for connection in (self._writer, self._reader):
            if connection is not None:
                connection.close()
        self._writer = self._reader = None

    def close(self) -> None:
        """Safe twice and without open."""
        with self._reading:
            self._open = False
            self._disconnect()


def connect(path: Path) -> sqlite3.Connection:
    """A connection, set up as the spool needs it; raises sqlite3.DatabaseError."""
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5)
    try:
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=FULL")
        db.execute("PRAGMA secure_delete=OFF")  # Debian's default is on and costs half the speed
        db.execute("PRAGMA cache_size=-2048")
        db.execute("PRAGMA wal_autocheckpoint=1000")
        db.execute("PRAGMA journal_size_limit=8388608")
    except BaseException:
        db.close()
        raise
    return db


def _prepare(db: sqlite3.Connection) -> None:
    """Tables where there are none. Raises SpoolError for a newer format, sqlite3.DatabaseError for what is damaged."""
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if version > index.FORMAT:
        db.close()
        raise SpoolError(
            f"the spool was written by a newer collector (format {version}, this one knows {index.FORMAT}): "
            "start that one again, or give this one another spool.path"
        )
    if version == 0 and db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
        raise Unreadable("it belongs to something else")
    if version == 0:
        db.executescript(f"BEGIN; {index.TABLES} PRAGMA user_version={index.FORMAT}; COMMIT;")
    db.executescript(index.MEDIA)
    _check(db)


def _check(db: sqlite3.Connection) -> None:
    found = db.execute("PRAGMA quick_check(1)").fetchone()[0]
    if found != "ok":
        raise Unreadable(found)
    for statement in filter(str.strip, index.TABLES.split(";")):
        kind, name = statement.split()[1:3]
        if kind == "TABLE":
            db.execute(f"SELECT 1 FROM {name} LIMIT 1")


def is_damage(problem: BaseException) -> bool:
    """Whether a new database must be made: the file itself is wrong, not the disk below it."""
    if isinstance(problem, Unreadable):
        return True
    code = getattr(problem, "sqlite_errorcode", None)
    return isinstance(problem, sqlite3.Error) and (
        code in _DAMAGE_READING or (code is not None and code & 0xFF in _DAMAGE)
    )
