"""The store on SQLite: one file, written by one connection, read by others meanwhile (WAL).

`synchronous=FULL`: the spool forgets what the store has taken, so what it has taken must be on disk. Pages of
16 KiB: four columns of the worst kind fill one, where one of 4 or 8 KiB would be left half empty.
"""

import contextlib
import os
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from .database import StoreDamaged, StoreError, StoreMissing, Value
from .migrations import scripts

CACHE = 4096  #: KiB of pages a connection keeps
BUSY = 10.0  #: seconds to wait for another writer: only a rebuild or a person with a shell could be one
VACUUM = 16  #: free pages that are kept for what comes next; more are given back


class SqliteDatabase:
    """See `Database`. path: the file."""

    def __init__(self, path: Path, *, reading: bool = False) -> None:
        self.path = path
        self._reading = reading
        self._connection: sqlite3.Connection | None = None
        self._thread = threading.RLock()  # a write that was given up may still go on when the next one comes
        self._file: tuple[int, int] | None = None
        self._given_up = False

    def _connected(self) -> sqlite3.Connection:
        if self._connection is None:
            if self._reading and not self.path.exists():
                raise StoreMissing(f"there is no store yet at {self.path}")
            with _translated(self.path):
                self._connection = self._opened()
                self._file = _identity(self.path)
        return self._connection

    def _opened(self) -> sqlite3.Connection:
        if not self._reading:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(FileExistsError):  # made here, so that nobody else may read it for a moment
                os.close(os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o640))
        connection = sqlite3.connect(self.path, timeout=BUSY, isolation_level=None, check_same_thread=False)
        try:
            connection.execute(f"PRAGMA cache_size = -{CACHE}")
            if self._reading:
                connection.execute("PRAGMA query_only = ON")
                if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'runs'").fetchall():
                    raise StoreMissing(f"the store at {self.path} is being made")
            else:
                connection.execute("PRAGMA page_size = 16384")
                connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
                _begin_wal(connection)
                connection.execute("PRAGMA synchronous = FULL")
                connection.execute("PRAGMA secure_delete = OFF")
                connection.execute("PRAGMA journal_size_limit = 67108864")
        except BaseException:
            connection.close()
            raise
        return connection

    def migrate(self) -> None:
        with self.transaction():
            self.run("CREATE TABLE IF NOT EXISTS migrations (number INTEGER PRIMARY KEY, name TEXT NOT NULL)")
            known = self.query("SELECT max(number) FROM migrations")[0][0] or 0
            for number, name, script in scripts("sqlite", known, str(self.path)):
                for statement in script.split(";\n\n"):
                    self.run(statement)
                self.run("INSERT INTO migrations VALUES (?, ?)", number, name)

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        with self._thread, _translated(self.path):
            connection = self._connected()
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[None]:
        with self._thread, _translated(self.path):
            if self._connection is not None and self._file != _identity(self.path):
                self.close()  # a damaged store was moved away: this would be the old one for ever
            connection = self._connected()
            self._refuse_if_given_up()
            connection.execute("BEGIN")
            try:
                yield
            finally:
                connection.execute("ROLLBACK")

    def query(self, sql: str, *values: Value) -> list[tuple[Any, ...]]:
        with self._thread, _translated(self.path):
            self._refuse_if_given_up()
            return self._connected().execute(sql, values).fetchall()

    def run(self, sql: str, *values: Value) -> None:
        with self._thread, _translated(self.path):
            self._connected().execute(sql, values)

    def run_many(self, sql: str, rows: Iterable[Sequence[Value]]) -> None:
        with self._thread, _translated(self.path):
            self._connected().executemany(sql, rows)

    def put(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[Value]]) -> None:
        marks = ", ".join("?" * len(columns))
        self.run_many(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})", rows)

    def make_room_for(self, period: int) -> None:
        return None

    def drop_blocks_before(self, period: int) -> int:
        before = self._connected().total_changes
        self.run("DELETE FROM blocks WHERE period < ?", period)
        return self._connected().total_changes - before

    def drop_oldest_blocks(self) -> int | None:
        return None

    def size(self) -> int:
        pages, free, page = (
            self.query(f"PRAGMA {name}")[0][0] for name in ("page_count", "freelist_count", "page_size")
        )
        return int((pages - free) * page)

    def shrink(self) -> None:
        while self.query("PRAGMA freelist_count")[0][0] > VACUUM:
            self.query(f"PRAGMA incremental_vacuum({VACUUM})")

    def lost(self) -> bool:
        with self._thread, _translated(self.path):
            return self._connection is not None and self._file != _identity(self.path)

    def _refuse_if_given_up(self) -> None:
        if self._given_up:
            raise StoreError(f"the store {self.path}: the question was given up")

    def give_up(self) -> None:
        self._given_up = True
        if (connection := self._connection) is not None:
            with contextlib.suppress(sqlite3.ProgrammingError):  # it was closed in this moment
                connection.interrupt()

    def close(self) -> None:
        with self._thread:
            connection, self._connection = self._connection, None
            if connection is not None:
                with contextlib.suppress(sqlite3.Error):  # nothing is open: a transaction ends where it began
                    connection.close()


class EmptyDatabase(SqliteDatabase):
    """A store in which there is nothing, for who asks before anything was written."""

    def __init__(self) -> None:
        super().__init__(Path(":memory:"))

    def _opened(self) -> sqlite3.Connection:
        connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        for _, _, script in scripts("sqlite", 0, "in memory"):
            connection.executescript(script)
        return connection


def _begin_wal(connection: sqlite3.Connection) -> None:
    """SQLite waits for others in all it does but this, which two that make one file at once both do."""
    until = time.monotonic() + BUSY
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as problem:
            if problem.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
            time.sleep(0.02)
        else:
            return


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


@contextlib.contextmanager
def _translated(path: Path) -> Iterator[None]:
    """SQLite's errors, and the file system's, as the store's."""
    try:
        yield
    except sqlite3.DatabaseError as problem:
        code = getattr(problem, "sqlite_errorcode", 0) & 0xFF
        kind = StoreDamaged if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB) else StoreError
        raise kind(f"the store {path}: {problem}") from problem
    except (sqlite3.Error, OSError) as problem:
        raise StoreError(f"the store {path}: {problem}") from problem
