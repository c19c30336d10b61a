"""The spool itself: one writer thread, one transaction a cycle."""

import contextlib
import errno
import fcntl
import json
import logging
import os
import sqlite3
import threading
import time
import zlib
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import index
from .batch import Batch, Extent, Loss, SessionRow, SinkCommit, Stored
from .errors import SpoolError, SpoolHeld
from .files import CHAINS, CONTEXT, EVENTS, ROLL_AGE, ROLL_SIZE, ROWS, Active, Block, Files
from .salvage import reindex, set_aside

MIN_INTERVAL = 0.010  #: seconds between two transactions: a hundred syncs a second are enough for anyone
LAZY_INTERVAL = 0.050  #: seconds a sink's commit may wait for rows to ride along with
BALLAST = 8 << 20  #: bytes set aside, given back to the database when the disk is full
TIDY_INTERVAL = 2.0  #: seconds between looks for files that everyone has read

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SpoolOptions:
    """Where the spool lies and how much it may hold: bytes and seconds."""

    path: Path
    max_size: int = 1 << 30
    max_age: float = 7 * 86400.0


@dataclass(slots=True)
class _Work:
    """Something for the writer: batches to store first, then statements for the cycle's transaction."""

    batches: Sequence[Batch]
    apply: Callable[[sqlite3.Connection, list[Stored]], Any]
    future: "Future[Any]"
    lazy: bool


class Spool:
    """Opened, used, closed. Methods that write return a future, resolved once what they write is on disk, or failed
    with SpoolError, in which case nothing of it counts.

    on_stored is called in the writer's thread with each cycle's new batches. readers: names of the sinks whose
    positions hold files back; None while they are not known yet.
    """

    def __init__(
        self,
        options: SpoolOptions,
        *,
        on_stored: Callable[[list[Stored]], None] = lambda stored: None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.options = options
        self.on_stored = on_stored
        self.readers: frozenset[str] | None = None
        self.full = False
        self.last_error: str | None = None
        self.salvaged: str | None = None
        self._clock = clock
        self._files = Files(options.path)
        self._contexts: dict[int, tuple[bytes, dict[int, bytes]]] = {}  # session key to (id, schemas by number)
        self._records: dict[int, bytes] = {}
        self._introduced: dict[int, set[tuple[int, int]]] = {}  # file to (session, schema) its context blocks hold
        self._queue: list[_Work] = []
        self._wake = threading.Condition()
        self._closing = False
        self._thread: threading.Thread | None = None
        self._lock_fd = -1
        self._reading = threading.Lock()
        self._next_file = 1
        self._bytes = 0
        self._last_cycle = 0.0
        self._last_tidy = 0.0

    # --- life -------------------------------------------------------------------------------------

    def open(self) -> None:
        """Take the folder and start the writer. Raises SpoolHeld when another collector has it, SpoolError when it
        cannot be used.
        """
        path = self.options.path
        try:
            path.mkdir(parents=True, exist_ok=True)
            self._take_lock(path / "lock")
            self._db = self._open_database(path / "spool.db")
        except OSError as problem:
            raise SpoolError(f"the spool folder {path} cannot be used: {problem}") from problem
        self._reader = index.connect(path / "spool.db")
        for row in index.sessions(self._db):
            self._records[row.key] = row.record
        self._next_file = 1 + max([0, *self._numbers_on_disk()])
        for number, chain in self._db.execute("SELECT number, chain FROM files"):
            self._files.know(number, chain)
        self._remove_strays()
        self._bytes = self._measure()
        self._fill_ballast()
        self._thread = threading.Thread(target=self._write, name="spool", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Finish what was handed in, and let go of the folder. Safe twice and without open."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
            self._files.close()
            self._db.close()
            self._reader.close()
        if self._lock_fd >= 0:
            os.close(self._lock_fd)
            self._lock_fd = -1

    def _take_lock(self, path: Path) -> None:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        try:
            fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as problem:
            holder = os.pread(fd, 200, 0).decode(errors="replace").strip() or "another process"
            os.close(fd)
            if problem.errno in (errno.EACCES, errno.EAGAIN):
                raise SpoolHeld(
                    f"the spool {path.parent} is held by {holder}: stop it, or give this one another spool.path"
                ) from None
            raise
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"wayside-collector, pid {os.getpid()} on {os.uname().nodename}\n".encode(), 0)
        self._lock_fd = fd

    def _open_database(self, path: Path) -> sqlite3.Connection:
        try:
            return index.connect(path, create=True)
        except sqlite3.DatabaseError as problem:
            if isinstance(problem, sqlite3.OperationalError) and "newer collector" in str(problem):
                raise SpoolError(str(problem)) from problem
            damaged = set_aside(path)
            log.error(
                "the spool's database could not be opened (%s); moved to %s, rebuilding from the files",
                problem,
                damaged,
            )
            db = index.connect(path, create=True)
            self.salvaged = reindex(db, damaged, self.options.path)
            log.warning("rebuilt the spool's database: %s", self.salvaged)
            return db

    # --- writing ----------------------------------------------------------------------------------

    def begin_session(
        self, id: str, record: bytes, started: float, journals: Iterable[str] = ()
    ) -> "Future[SessionRow]":
        """A session by its id, new or known; its totals say what is stored already."""
        paths = tuple(journals)

        def apply(db: sqlite3.Connection, stored: list[Stored]) -> SessionRow:
            row = index.add_session(db, id, record, started, paths)
            self._records[row.key] = record
            return row

        return self._hand_in((), apply)

    def end_session(self, key: int, time: float, finish: tuple[int, int] | None = None) -> "Future[None]":
        """The session is over: its process finished or is gone, and its journal is in the spool. finish: as in
        `SessionRow`.
        """
        text = json.dumps(finish) if finish is not None else None

        def apply(db: sqlite3.Connection, stored: list[Stored]) -> None:
            db.execute("UPDATE sessions SET ended = ?, finish = ?, journals = '[]' WHERE key = ?", (time, text, key))

        return self._hand_in((), apply)

    def append(self, batches: Sequence[Batch], losses: Sequence[Loss] = ()) -> "Future[list[Stored]]":
        """Store batches and note what is missing between them, all or none."""

        def apply(db: sqlite3.Connection, stored: list[Stored]) -> list[Stored]:
            db.executemany("INSERT OR REPLACE INTO lost VALUES (?, ?, ?, ?, ?, ?)", losses)
            return stored

        return self._hand_in(batches, apply)

    def commit(self, commit: SinkCommit, *, lazy: bool) -> "Future[None]":
        """A sink's cursor, books and state. lazy: it may wait a moment for rows to ride along with."""
        return self._hand_in((), lambda db, stored: index.commit_sink(db, commit), lazy=lazy)

    def execute(self, apply: Callable[[sqlite3.Connection], Any], *, lazy: bool = False) -> "Future[Any]":
        """Statements of another owner (dead letters, kept state) within the next transaction."""
        return self._hand_in((), lambda db, stored: apply(db), lazy=lazy)

    def drop(self, file: int, commits: Sequence[SinkCommit]) -> "Future[None]":
        """Unlink a file to keep a limit, with the accounts of every sink that lost by it."""

        def apply(db: sqlite3.Connection, stored: list[Stored]) -> None:
            for commit in commits:
                index.commit_sink(db, commit)
            index.drop_file(db, file)

        future = self._hand_in((), apply)
        future.add_done_callback(lambda done: None if done.exception() else self._unlink(file))
        return future

    def _hand_in(self, batches: Sequence[Batch], apply: Callable[..., Any], *, lazy: bool = False) -> "Future[Any]":
        future: Future[Any] = Future()
        with self._wake:
            if self._closing or self._thread is None:
                future.set_exception(SpoolError("the spool is closed"))
                return future
            self._queue.append(_Work(batches, apply, future, lazy))
            self._wake.notify()
        return future

    # --- the writer's thread ----------------------------------------------------------------------

    def _write(self) -> None:
        while True:
            work = self._next_work()
            if work:
                self._cycle(work)
            if self._closing and not work:
                return
            now = time.monotonic()
            if now - self._last_tidy > TIDY_INTERVAL:
                self._last_tidy = now
                self._tidy()

    def _next_work(self) -> list[_Work]:
        """What the next transaction shall hold: waits for work, for companions of lazy work, and for the pace."""
        with self._wake:
            if not self._queue and not self._closing:
                self._wake.wait(TIDY_INTERVAL)
            lazy_until = time.monotonic() + LAZY_INTERVAL
            while not self._closing and self._queue and all(work.lazy for work in self._queue):
                left = lazy_until - time.monotonic()
                if left <= 0 or not self._wake.wait(left):
                    break
            pause = self._last_cycle + MIN_INTERVAL - time.monotonic()
            if pause > 0 and self._queue and not self._closing:
                self._wake.wait_for(lambda: self._closing, pause)
            work, self._queue = self._queue, []
            return work

    def _cycle(self, work: list[_Work]) -> None:
        results: list[Any] = []
        everything: list[Stored] = []
        try:
            placed = [[self._place(batch) for batch in item.batches] for item in work]
            self._files.sync()
            self._db.execute("BEGIN IMMEDIATE")
            for item, places in zip(work, placed, strict=True):
                stored = [
                    index.add_batch(self._db, batch, *place) for batch, place in zip(item.batches, places, strict=True)
                ]
                results.append(item.apply(self._db, stored))
                everything += stored
            self._note_files()
            self._db.execute("COMMIT")
        except (OSError, sqlite3.Error) as problem:
            self._give_up(work, problem)
            return
        self.last_error = None
        self._last_cycle = time.monotonic()
        if everything:
            self.on_stored(everything)  # first: whoever waits for the result finds the sinks told of it
        for item, result in zip(work, results, strict=True):
            item.future.set_result(result)

    def _give_up(self, work: list[_Work], problem: Exception) -> None:
        """Nothing of this cycle counts: new files, since the kernel may have forgotten what failed to sync."""
        with contextlib.suppress(sqlite3.Error):
            self._db.execute("ROLLBACK")
        for chain in CHAINS:
            self._files.close_chain(chain)
        self._introduced.clear()
        no_space = getattr(problem, "errno", None) in (errno.ENOSPC, errno.EDQUOT) or "full" in str(problem)
        if no_space and not self.full:
            self.full = True
            with contextlib.suppress(OSError):
                os.unlink(self.options.path / "ballast")
        self.last_error = f"the spool could not be written: {problem}"
        error = SpoolError(
            f"{self.last_error}; free space in {self.options.path} or make spool.max_size smaller"
            if no_space
            else self.last_error
        )
        for item in work:
            item.future.set_exception(error)
        self._last_cycle = time.monotonic() + 0.1  # not again at once
        self._bytes = self._measure()

    def _place(self, batch: Batch) -> tuple[Extent | None, Extent | None]:
        """Write a batch's blocks; its rows go to its chain, its events to theirs."""
        known = self._contexts.get(batch.session)
        if known is None:
            known = self._contexts[batch.session] = (
                self._session_id(batch.session),
                index.schemas(self._db, batch.session),
            )
        known[1].update(batch.defines)
        rows = self._append(batch, batch.chain, ROWS, batch.rows) if batch.rows else None
        events = self._append(batch, "events", EVENTS, batch.events) if batch.events else None
        return rows, events

    def _append(self, batch: Batch, chain: str, kind: int, data: bytes) -> Extent:
        active = self._active(chain)
        id, schemas = self._contexts[batch.session]
        introduced = self._introduced.setdefault(active.number, set())
        used = {number for number, _ in batch.composition if number >= 0} if kind == ROWS else set()
        missing = [number for number in used if (batch.session, number) not in introduced]
        context = b"".join(schemas[number] for number in missing)
        if (batch.session, -1) not in introduced:
            context = self._records[batch.session] + context
        if context:
            block = _block(CONTEXT, id, batch, context)
            self._bytes += len(context) + 64
            self._files.append(active, block, context)
            introduced.update((batch.session, number) for number in (-1, *missing))
        self._bytes += len(data) + 64
        return self._files.append(active, _block(kind, id, batch, data), data)

    def _active(self, chain: str) -> Active:
        active = self._files.active.get(chain)
        now = self._clock()
        if active is not None and (active.size > ROLL_SIZE or now - active.born > ROLL_AGE):
            self._introduced.pop(active.number, None)
            self._files.close_chain(chain)
            active = None
        if active is None:
            number, self._next_file = self._next_file, self._next_file + 1
            active = self._files.begin(chain, number, now)
        return active

    def _note_files(self) -> None:
        for active in self._files.active.values():
            self._db.execute(
                "INSERT OR IGNORE INTO files (number, chain, born) VALUES (?, ?, ?)",
                (active.number, active.chain, active.born),
            )

    def _session_id(self, key: int) -> bytes:
        row = self._db.execute("SELECT id FROM sessions WHERE key = ?", (key,)).fetchone()
        return bytes.fromhex(row[0])

    # --- tidying ----------------------------------------------------------------------------------

    def _tidy(self) -> None:
        """Unlink what every sink has read; give the ballast its place again."""
        try:
            if self.readers is not None:
                self._remove_read(self.readers)
            self._fill_ballast()
        except (OSError, sqlite3.Error) as problem:
            self.last_error = f"the spool could not be tidied: {problem}"

    def _remove_read(self, readers: frozenset[str]) -> None:
        positions = dict(self._db.execute("SELECT name, position FROM sinks").fetchall())
        if any(name not in positions for name in readers):
            return
        done = min((positions[name] for name in readers), default=0)
        for number in self._closed_files():
            newest = self._db.execute(
                "SELECT max(id) FROM (SELECT max(id) AS id FROM batches WHERE rows_file = ?1 UNION ALL "
                "SELECT max(id) FROM batches WHERE events_file = ?1)",
                (number,),
            ).fetchone()[0]
            if newest is None or newest <= done:
                self._db.execute("BEGIN IMMEDIATE")
                index.drop_file(self._db, number)
                self._db.execute(
                    "DELETE FROM batches WHERE id <= ? AND rows_file IS NULL AND events_file IS NULL", (done,)
                )
                self._db.execute("COMMIT")
                self._unlink(number)

    def _closed_files(self) -> list[int]:
        active = {file.number for file in self._files.active.values()}
        return [
            number for (number,) in self._db.execute("SELECT number FROM files ORDER BY number") if number not in active
        ]

    def _unlink(self, number: int) -> None:
        self._bytes -= self._files.size(number)
        self._files.unlink(number)

    def _fill_ballast(self) -> None:
        path = self.options.path / "ballast"
        free = os.statvfs(self.options.path)
        if free.f_bavail * free.f_frsize < 4 * BALLAST:
            return
        self.full = False
        if not path.exists():
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o640)
            try:
                os.posix_fallocate(fd, 0, BALLAST)
            finally:
                os.close(fd)

    def _numbers_on_disk(self) -> list[int]:
        return [int(path.stem.rpartition("-")[2]) for path in self.options.path.glob("*-*.spool")]

    def _remove_strays(self) -> None:
        """Files a crash left before anything referred to them."""
        known = {number for (number,) in self._db.execute("SELECT number FROM files")}
        for path in self.options.path.glob("*-*.spool"):
            if int(path.stem.rpartition("-")[2]) not in known:
                path.unlink()

    def _measure(self) -> int:
        return sum(path.stat().st_size for path in self.options.path.glob("*.spool"))

    # --- reading, from any thread -----------------------------------------------------------------

    @property
    def size(self) -> int:
        """Bytes of all segment files."""
        return self._bytes

    def read(self, extent: Extent) -> bytes:
        """A part of a batch; raises Damaged, or OSError when it is gone."""
        return self._files.read(extent)

    def batches(self, after: int, limit: int, session: int | None = None) -> list[Stored]:
        with self._reading:
            return index.batches(self._reader, after, limit, session)

    def batches_of_file(self, file: int) -> list[Stored]:
        with self._reading:
            return list(index.batches_of_file(self._reader, file))

    def last_batch(self) -> int:
        with self._reading:
            return index.last_batch(self._reader)

    def sessions(self) -> list[SessionRow]:
        with self._reading:
            return index.sessions(self._reader)

    def lost_by_client(self, session: int) -> tuple[int, int]:
        """Rows and points of a session that are booked as lost at the client."""
        query = "SELECT coalesce(sum(next_seq - first_seq), 0), coalesce(sum(points), 0) FROM lost WHERE session = ?"
        rows, points = self.query(query, session)[0]
        return rows, points

    def schemas(self, session: int) -> dict[int, bytes]:
        """Schema frames of a session, by number."""
        with self._reading:
            return index.schemas(self._reader, session)

    def query(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """Rows of any of the spool's tables, in a short transaction."""
        with self._reading:
            return self._reader.execute(statement, values).fetchall()

    def sink(self, name: str) -> tuple[int, str] | None:
        """A sink's position and books, or None when it never committed."""
        rows = self.query("SELECT position, books FROM sinks WHERE name = ?", name)
        return (rows[0][0], rows[0][1]) if rows else None

    def cursors(self, sink: str) -> dict[int, str]:
        return dict(self.query("SELECT session, cursor FROM cursors WHERE sink = ?", sink))

    def state(self, owner: str) -> dict[str, bytes]:
        return dict(self.query("SELECT key, value FROM state WHERE owner = ?", owner))

    def over_limit(self) -> tuple[int, str, str] | None:
        """The next file to drop, its chain, and why: "age" or "size"; None while the limits are kept.

        System samples go before scalars, scalars before events, the oldest file first.
        """
        rows = self.query("SELECT number, chain, born FROM files ORDER BY number")
        active = {file.number for file in list(self._files.active.values())}
        closed = [(number, chain, born) for number, chain, born in rows if number not in active]
        for number, chain, born in closed:
            if self._clock() - born > self.options.max_age + ROLL_AGE:
                return number, chain, "age"
        if self._bytes <= self.options.max_size and not self.full:
            return None
        for wanted in ("system", "scalars", "events"):
            for number, chain, _ in closed:
                if chain == wanted:
                    return number, chain, "size"
        return None


def _block(kind: int, session: bytes, batch: Batch, data: bytes) -> Block:
    return Block(kind, session, batch.first_seq, batch.next_seq, batch.time, len(data), zlib.crc32(data))
