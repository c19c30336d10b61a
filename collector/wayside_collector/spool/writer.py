"""The spool's writer: the one thread that changes anything on disk. It takes what was handed in since the last time,
places the batches' bytes, syncs them, and makes one transaction of all of it.
"""

import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..media_folder import MediaFolder
from . import index, media_index, upkeep
from .batch import Batch, Extent, Stored
from .database import Database, is_damage
from .errors import SpoolError
from .files import Files
from .placing import Placer

MIN_INTERVAL = 0.010  #: seconds between two transactions: a hundred syncs a second are enough for anyone
LAZY_INTERVAL = 0.050  #: seconds a sink's commit may wait for rows to ride along with
MAX_QUEUE = 50_000  #: pieces of work that may wait: two for each session there may be, and all sinks' commits
FAILED_PAUSE = 0.1  #: seconds before the next attempt after a failed one
TIDY_INTERVAL = 2.0  #: seconds between looks for files that everyone has read
FORGET_INTERVAL = 60.0  #: seconds between looks for sessions to forget

Apply = Callable[[sqlite3.Connection, list[Stored]], Any]

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Work:
    """Something for the writer: batches to store first, then statements for the cycle's transaction. lazy: it may wait
    for companions. after: done once that is on disk; the transaction counts also when it raises OSError.
    """

    batches: Sequence[Batch]
    apply: Apply
    future: "Future[Any]"
    lazy: bool
    after: Callable[[], None]

    def settle(self, result: object) -> None:
        """It is on disk."""
        try:
            self.after()
        except OSError as problem:
            self.future.set_exception(SpoolError(f"the spool could not be tidied: {problem}"))
        else:
            self.future.set_result(result)


@dataclass(slots=True)
class Told:
    """Whom the writer tells, in its thread: each cycle's new batches, and keys of sessions that are forgotten.
    forget_before: sessions that ended before it are old (Unix time in seconds).
    """

    stored: Callable[[list[Stored]], None]
    forgotten: Callable[[list[int]], None]
    forget_before: Callable[[], float]


class Writer:
    """Runs from `start` to `close`. full: the last cycle that stored anything found the disk full. readers: sinks whose
    positions hold files back; None while they are not known.
    """

    def __init__(
        self, folder: Path, database: Database, files: Files, placer: Placer, media: MediaFolder, told: Told
    ) -> None:
        self.full = False
        self.readers: frozenset[str] | None = None
        self._write_error: str | None = None
        self._tidy_error: str | None = None
        self._folder = folder
        self._database = database
        self._files = files
        self._placer = placer
        self._media = media
        self._told = told
        self._queue: list[Work] = []
        self._wake = threading.Condition()
        self._closing = False
        self._last_cycle = self._last_tidy = self._last_forget = 0.0
        self._cycle_number = time.time_ns()  # grows from start to start, so that no earlier one's is met
        self._thread = threading.Thread(target=self._run, name="spool", daemon=True)
        self.start = self._thread.start

    @property
    def last_error(self) -> str | None:
        """What is wrong now, None while writing works."""
        return self._write_error or self._tidy_error

    def close(self) -> None:
        """Finish what was handed in."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        self._thread.join()

    def hand_in(
        self, batches: Sequence[Batch], apply: Apply, *, lazy: bool = False, after: Callable[[], None] = lambda: None
    ) -> "Future[Any]":
        """From any thread; resolved when it is on disk, or failed with SpoolError. What was handed in is done, whoever
        stops waiting for it.
        """
        future: Future[Any] = Future()
        future.set_running_or_notify_cancel()  # who waits no longer must not take the answer from under the thread
        with self._wake:
            if self._closing:
                future.set_exception(SpoolError(self.last_error or "the spool is closed"))
                return future
            if len(self._queue) >= MAX_QUEUE:
                future.set_exception(SpoolError(f"{MAX_QUEUE} pieces of work wait for the disk, the limit"))
                return future
            self._queue.append(Work(batches, apply, future, lazy, after))
            self._wake.notify()
        return future

    def forget(self, session: int) -> None:
        """In the thread, after a transaction: the session is over."""
        self._placer.forget(session)

    # --- the thread -------------------------------------------------------------------------------

    def _run(self) -> None:
        work: list[Work] = []
        try:
            while True:
                work = self._next_work()
                if work:
                    self._cycle(work)
                if self._closing and not work:
                    return
                self._tidy_sometimes()
        except BaseException as bug:
            self._stop(work, bug)
            raise

    def _stop(self, work: list[Work], bug: BaseException) -> None:
        """A bug: nobody may wait for ever for an answer that will not come."""
        with self._wake:
            self._closing = True
            message = f"the spool's writer has stopped, start the collector anew: {type(bug).__name__}: {bug}"
            self._write_error = message
            work, self._queue = work + self._queue, []
        for item in work:
            if not item.future.done():
                item.future.set_exception(SpoolError(message))

    def _next_work(self) -> list[Work]:
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

    def _cycle(self, work: list[Work]) -> None:
        stored: list[Stored] = []
        results: list[Any] = []
        try:
            self._write(work, stored, results)
        except (OSError, sqlite3.Error) as problem:
            counts = self._settle(problem) if self._database.uncertain else False
            if not counts:
                self._give_up(work, problem, known=counts is not None)
                return
        self._files.count()
        self._last_cycle = time.monotonic()
        if stored or not self.full:
            self.full, self._write_error = False, None
        if stored:
            self._told.stored(stored)  # first: whoever waits for the result finds the sinks told of it
        for item, result in zip(work, results, strict=True):
            item.settle(result)

    def _write(self, work: list[Work], stored: list[Stored], results: list[Any]) -> None:
        """One transaction, and what each piece of work came to. After OSError or sqlite3.Error nothing of it counts,
        unless the database is uncertain.
        """
        self._cycle_number += 1
        with self._database.transaction() as db:
            index.note_cycle(db, self._cycle_number)
            placed = [[self._placer.place(db, batch) for batch in item.batches] for item in work]
            self._files.sync()
            for item, places in zip(work, placed, strict=True):
                mine = [self._note(db, batch, *place) for batch, place in zip(item.batches, places, strict=True)]
                results.append(item.apply(db, mine))
                stored += mine
            for active in self._files.uncounted:
                if not active.committed:
                    db.execute("INSERT INTO files VALUES (?, ?, ?)", (active.number, active.chain, active.born))

    def _note(
        self, db: sqlite3.Connection, batch: Batch, id: int, rows: Extent | None, events: Extent | None
    ) -> Stored:
        if batch.media:
            media_index.add(db, id, batch.session, batch.media, self._placer.now)
        return index.add_batch(db, id, batch, rows, events)

    def _settle(self, problem: Exception) -> bool | None:
        """Whether a cycle counts whose commit failed; asked until the disk lets it be known, since rows that are let
        go or handed in again on a guess would be lost or doubled. None when it is still not known at the end.
        """
        while True:
            try:
                if upkeep.is_no_space(problem, self._folder):
                    upkeep.give_ballast(self._folder)
                return self._database.settle(self._cycle_number)
            except sqlite3.Error as again:
                if is_damage(again):
                    return False  # it will be made anew from what lies in the files
                self._write_error = f"the spool could not be written: {again}"
            with self._wake:
                if self._wake.wait_for(lambda: self._closing, FAILED_PAUSE):
                    return None

    def _give_up(self, work: list[Work], problem: Exception, *, known: bool = True) -> None:
        """Nothing of this cycle counts, and the files are begun anew: the kernel may have forgotten what it failed to
        sync. What needs no room but the database's is tried once more by itself, so that a disk full of rows holds up
        no sink's accounts. Not `known`: whether it counts is for the next start to find out.
        """
        (self._placer.abandon if known else self._placer.leave)()
        no_space = upkeep.is_no_space(problem, self._folder)
        if no_space:
            self.full = True
            upkeep.give_ballast(self._folder)
        elif isinstance(problem, sqlite3.Error):
            self._mend(problem)
        hint = f"; free space in {self._folder}" if no_space else ""
        self._write_error = f"the spool could not be written: {problem}{hint}"
        storing = [item for item in work if item.batches]
        for item in storing if known and storing else work:
            item.future.set_exception(SpoolError(self._write_error))
        self._last_cycle = time.monotonic() + FAILED_PAUSE
        if known and storing and len(storing) < len(work):
            self._cycle([item for item in work if not item.batches])

    def _mend(self, problem: sqlite3.Error) -> None:
        """The database failed, and not for lack of room: connect again; where it is damaged, make it anew."""
        try:
            self._database.renew()
            self._database.check()
        except sqlite3.Error as found:
            self._heal(found if is_damage(found) else problem)

    def _heal(self, problem: sqlite3.Error) -> None:
        if not is_damage(problem):
            return
        try:
            self._database.heal(problem)
            with self._database.transaction() as db:  # what is no event's yet may be that of one on its way
                media_index.settle(db, self._media, self._placer.now)
            self._tidy_error = None
        except (OSError, sqlite3.Error) as again:
            log.error("the spool's database could not be made anew, tried again: %s", again)

    # --- between transactions ---------------------------------------------------------------------

    def _tidy_sometimes(self) -> None:
        now = time.monotonic()
        if now - self._last_tidy < TIDY_INTERVAL and not self._database.suspect:
            return
        self._last_tidy = now
        try:
            if self._database.suspect:
                self._database.check()
            self._placer.close_old()
            if self.readers is not None:
                upkeep.remove_read(self._database, self._files, self._media, self.readers)
            if now - self._last_forget > FORGET_INTERVAL:
                self._last_forget = now
                self._forget()
            upkeep.fill_ballast(self._folder)
            self._tidy_error = None
        except (OSError, sqlite3.Error) as problem:
            self._tidy_error = f"the spool could not be tidied: {problem}"
            if isinstance(problem, sqlite3.Error) and is_damage(problem):
                self._heal(problem)

    def _forget(self) -> None:
        forgotten = upkeep.forget_sessions(self._database, self._told.forget_before())
        for key in forgotten:
            self.forget(key)
        if forgotten:
            self._told.forgotten(forgotten)
