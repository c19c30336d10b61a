"""The spool as everyone else knows it: opened, written through futures, and asked (`answers.py`)."""

import errno
import logging
import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ..media_folder import MediaFolder, remove_strays
from . import accounts, index, letters, limits, media_index, upkeep
from . import losses as lost
from .answers import Answers
from .batch import Batch, Loss, SessionRow, SinkCommit, Stored
from .errors import SpoolError, SpoolHeld
from .files import Files, segment_files
from .letters import Choice
from .limits import SpoolOptions
from .lock import Held, take_lock
from .placing import Placer
from .writer import Told, Writer

START_GAP = 1 << 20  #: batch numbers left out at a start: no number that a crash left in a file is used again

NOTHING: Mapping[str, Mapping[str, bytes]] = MappingProxyType({})

log = logging.getLogger(__name__)


class Spool(Answers):
    """Opened, used, closed. Methods that write return a future, resolved once what they write is on disk, or failed
    with SpoolError, in which case nothing of it counts. Those that read are the `Answers`.

    on_stored is called in the writer's thread with each cycle's new batches, on_forgotten with keys of sessions that
    are known no longer.
    """

    def __init__(
        self,
        options: SpoolOptions,
        *,
        on_stored: Callable[[list[Stored]], None] = lambda stored: None,
        on_forgotten: Callable[[list[int]], None] = lambda keys: None,
        clock: Callable[[], float] = time.time,
        make_files: Callable[[Path], Files] = Files,
    ) -> None:
        super().__init__(options.path, make_files(options.path))
        self.options = options
        self.media = MediaFolder(options.path / "media")
        self._told = Told(on_stored, on_forgotten, lambda: clock() - self.options.max_age)
        self._clock = clock
        self._writer: Writer | None = None
        self._readers: frozenset[str] | None = None
        self._lock_fd = -1

    # --- life -------------------------------------------------------------------------------------

    def open(self) -> None:
        """Take the folder and start the writer. Raises SpoolHeld when another collector has it, SpoolError when it
        cannot be used.
        """
        path = self.options.path
        try:
            path.mkdir(parents=True, exist_ok=True)
            self._take_lock(path / "lock")
            self._open_database()
            placer = self._open_files()
            upkeep.fill_ballast(path)
        except (OSError, sqlite3.Error) as problem:
            self.close()
            why = getattr(problem, "strerror", None) or problem
            raise SpoolError(f"the spool folder {path} cannot be used: {why}{_hint(problem, path)}") from problem
        except SpoolError:
            self.close()
            raise
        self._writer = Writer(path, self._database, self._files, placer, self.media, self._told)
        self._writer.readers = self._readers
        self._writer.start()

    def close(self) -> None:
        """Finish what was handed in, and let go of the folder. Safe twice and without open."""
        if self._writer is not None:
            self._writer.close()
        self._files.close()
        self._database.close()
        if self._lock_fd >= 0:
            os.close(self._lock_fd)
            self._lock_fd = -1

    def _take_lock(self, path: Path) -> None:
        try:
            self._lock_fd = take_lock(path)
        except Held as holder:
            raise SpoolHeld(
                f"the spool {path.parent} is held by {holder}: stop it, or give this one another spool.path"
            ) from None

    def _open_database(self) -> None:
        try:
            self._database.open()
        except (OSError, sqlite3.Error) as problem:
            if not upkeep.is_no_space(problem, self.options.path):
                raise
            upkeep.give_ballast(self.options.path)
            self._database.open()

    def _open_files(self) -> Placer:
        upkeep.remove_strays(self._database, self.options.path)
        for number, chain, _ in self._database.read(index.files):
            self._files.know(number, chain)
        with self._database.transaction() as db:
            strays = media_index.settle(db, self.media, self._clock())
        remove_strays(self.media, strays)
        highest = max((number for number, _, _ in segment_files(self.options.path)), default=0)
        next_batch = self._database.read(index.last_batch) + START_GAP
        return Placer(self._files, self._clock, highest + 1, next_batch)

    def set_limits(self, options: SpoolOptions) -> None:
        """Other limits from now on; the folder stays."""
        self.options = replace(options, path=self.options.path)

    # --- how it fares -----------------------------------------------------------------------------

    @property
    def last_error(self) -> str | None:
        """What is wrong now, None while writing works."""
        return self._writer.last_error if self._writer is not None else None

    @property
    def full(self) -> bool:
        """Whether the disk had no room for the last rows."""
        return self._writer is not None and self._writer.full

    @property
    def salvaged(self) -> str | None:
        """What was found, if the database had to be made anew."""
        return self._database.salvaged

    @property
    def size(self) -> int:
        """Bytes of all segment files."""
        return self._files.size

    @property
    def readers(self) -> frozenset[str] | None:
        """Names of the sinks whose positions hold files back; None while they are not known yet."""
        return self._readers

    @readers.setter
    def readers(self, names: frozenset[str] | None) -> None:
        self._readers = names
        if self._writer is not None:
            self._writer.readers = names

    # --- writing ----------------------------------------------------------------------------------

    def begin_session(
        self, id: str, record: bytes, started: float, journals: Iterable[str] = ()
    ) -> "Future[SessionRow]":
        """A session by its id, new or known; its totals say what is stored already."""
        paths = tuple(journals)
        return self._hand_in((), lambda db, stored: index.add_session(db, id, record, started, paths))

    def end_session(self, key: int, time: float, finish: tuple[int, int] | None = None) -> "Future[None]":
        """The session is over: its process finished or is gone, and its journal is in the spool. finish: as in
        `SessionRow`.
        """

        def forget() -> None:
            if self._writer is not None:
                self._writer.forget(key)

        return self._hand_in((), lambda db, stored: index.end_session(db, key, time, finish), after=forget)

    def append(
        self, batches: Sequence[Batch], losses: Sequence[Loss] = (), kept: Mapping[str, Mapping[str, bytes]] = NOTHING
    ) -> "Future[list[Stored]]":
        """Store batches, note what is missing between them, and keep state of owners that are no sinks: all or none."""

        def apply(db: sqlite3.Connection, stored: list[Stored]) -> list[Stored]:
            lost.add(db, losses)
            for owner, changes in kept.items():
                accounts.put_state(db, owner, changes.items())
            return stored

        return self._hand_in(batches, apply)

    def commit(self, commit: SinkCommit, *, lazy: bool = False) -> "Future[int]":
        """A sink's cursor, books and state; how many dead letters had to go for their limits. lazy: it may wait a
        moment for rows to ride along with.
        """
        return self._hand_in((), lambda db, stored: accounts.commit(db, commit), lazy=lazy)

    def keep_state(self, owner: str, changes: Iterable[tuple[str, bytes | None]]) -> "Future[None]":
        """Kept state of an owner that is no sink."""
        return self._hand_in((), lambda db, stored: accounts.put_state(db, owner, changes), lazy=True)

    def drop_letters(self, choice: Choice) -> "Future[int]":
        """Remove letters that are dead, the books staying as they are; how many."""
        return self._hand_in((), lambda db, stored: letters.drop(db, choice))

    def drop(self, file: int) -> "Future[None]":
        """Unlink a file to keep a limit; done once it is gone. What sinks lose by it they have booked and committed
        before.
        """
        names: list[str] = []

        def apply(db: sqlite3.Connection, stored: list[Stored]) -> None:
            names.extend(media_index.take_of_file(db, file))
            index.drop_file(db, file)

        def after() -> None:
            self._files.unlink(file)
            self.media.remove(names)

        return self._hand_in((), apply, after=after)

    def drop_media(self, batches: Sequence[int]) -> "Future[None]":
        """The same for the files of these batches and their events."""
        names: list[str] = []

        def apply(db: sqlite3.Connection, stored: list[Stored]) -> None:
            for batch in batches:
                names.extend(media_index.take_of_batch(db, batch))

        return self._hand_in((), apply, after=lambda: self.media.remove(names))

    def _hand_in(
        self,
        batches: Sequence[Batch],
        apply: Callable[[sqlite3.Connection, list[Stored]], Any],
        *,
        lazy: bool = False,
        after: Callable[[], None] = lambda: None,
    ) -> "Future[Any]":
        if self._writer is None:
            future: Future[Any] = Future()
            future.set_exception(SpoolError("the spool is not open"))
            return future
        return self._writer.hand_in(batches, apply, lazy=lazy, after=after)

    # --- what is kept, and for how long -----------------------------------------------------------

    def state(self, owner: str) -> dict[str, bytes]:
        """What is kept. What is damaged is counted, and kept no longer."""
        found, damaged = self._database.read(lambda db: accounts.state(db, owner))
        if damaged:
            log.error("of what %s keeps, %d values are damaged and left out: %.200s", owner, len(damaged), damaged)
            self.damaged += len(damaged)
            self.keep_state(owner, [(key, None) for key in damaged])
        return found

    def over_limit(self) -> tuple[int, str, str] | None:
        """The next file to drop, its chain, and why; see `limits.py`."""
        return limits.next_to_drop(self._database, self._files, self.options, self._clock(), full=self.full)

    def media_over_limit(self) -> tuple[list[Stored], str] | None:
        """The next batches to drop for the limits of media, and why."""
        bounds = media_index.Bounds(self.options.max_media, self.options.max_linked, self.options.max_age)
        found = self._database.read(lambda db: media_index.next_to_drop(db, bounds, self._clock(), full=self.full))
        return None if found is None else (self.batches_of_ids(found[0]), found[1])


def _hint(problem: Exception, path: Path) -> str:
    """What to do about a folder that cannot be used: there is nothing to recover where none could be made."""
    if upkeep.is_no_space(problem, path):
        return ""
    denied = isinstance(problem, OSError) and problem.errno in (errno.EACCES, errno.EPERM, errno.EROFS)
    if denied or not os.path.isdir(path):  # Path.is_dir raises where a folder above may not be entered
        return "; choose another with `dir` (WAYSIDE_DIR) or `spool.path`, or let this user write there"
    return f"; look at it with: wayside-collector recover {path}"
