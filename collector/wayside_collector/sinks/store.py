"""The store: everything, kept on this machine's disk or in PostgreSQL for the page, the query API and the commands.

Exactly once: a parcel is one transaction of the store, synced before it is delivered, and what comes again is known by
(session, seq). See `wayside_collector.store` for what is written.

A file that is no database any more is moved away, and a new one begun.
"""

import asyncio
import contextlib
import logging
import sqlite3
import time
from pathlib import Path
from typing import Annotated, ClassVar

import msgspec
from wayside.row import Event

from ..configuration.units import Bytes, Seconds
from ..media_events import held_files
from ..store import StoreDamaged, StoreError, connect
from ..store.database import Database
from ..store.media import folder_of
from ..store.retention import Limits, Retention
from ..store.writer import MAX_SERIES, Writer, Written
from .base import Changes, Context, Parcel, Part, Reject, Retry, SinkOptions, Traits
from .kept_media import KeptMedia

FILE = "store.db"
PACE = 0.25  #: seconds from one write to the next while rows only trickle: each is synced, and rewrites some pages
LOOK = 60.0  #: seconds between two looks whether something must go

log = logging.getLogger(__name__)


class StoreOptions(SinkOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """url: `postgresql://user:password@host/database`; when not given, a file. path: that file, `store.db` in the
    sink's own folder when not given. max_age: points older than that go, and runs that were not heard for so long.
    max_size: bytes the store may have; beyond it the runs go that were not heard for the longest time. max_series:
    series of one run; rows that would begin more are refused. max_media: bytes of pictures and other files beside a
    store in a file; the oldest beyond it go, what is told of them stays.
    """

    url: (
        Annotated[str, msgspec.Meta(pattern=r"^postgres(ql)?://", description="like postgresql://host/database")] | None
    ) = None
    path: str | None = None
    max_age: Seconds = 90 * 86400.0
    max_size: Bytes = 10 << 30
    max_series: Annotated[int, msgspec.Meta(ge=1, le=10_000_000)] = MAX_SERIES
    max_media: Bytes = 2 << 30

    def check(self) -> list[str]:
        return ["url: give either this or path"] if self.url and self.path else []

    def location(self, folder: Path) -> str:
        """Where the store is, as `connect` takes it. folder: the sink's own."""
        return self.url or str(self.path or folder / FILE)


class StoreSink:
    """Writes parcels into the store, in a thread."""

    traits: ClassVar[Traits] = Traits(max_records=4000)

    def __init__(self, options: StoreOptions) -> None:
        self.options = options
        self._context = Context("store", Path("."))
        self._db: Database | None = None
        self._next_look = 0.0
        self._last_write = 0.0
        self._media: KeptMedia | None = None

    async def open(self, context: Context) -> None:
        self._context = context
        folder = folder_of(self.location)
        self._media = None if folder is None else KeptMedia(folder, self.options.max_media, context.count)
        try:
            await asyncio.to_thread(self._open)
        except StoreDamaged as problem:
            await asyncio.to_thread(self._set_aside, problem)
            raise Retry(str(problem)) from problem
        except StoreError as problem:
            raise Retry(self._advice(problem)) from problem

    async def send(self, parcel: Parcel) -> Changes:
        if sum(len(part.records) for part in parcel.parts) < self.traits.max_records:
            await asyncio.sleep(self._last_write + PACE - time.monotonic())
        self._last_write = time.monotonic()
        try:
            written = await asyncio.to_thread(self._write, parcel)
        except StoreDamaged as problem:
            await asyncio.to_thread(self._set_aside, problem)
            raise Retry(str(problem)) from problem
        except StoreError as problem:
            raise Retry(self._advice(problem), uncertain=True) from problem
        reasons = {
            f"a run has {self.options.max_series} series, the limit `max_series`": written.refused,
            "an event is nested too deep to be written as JSON": written.too_deep,
        }
        if written.refused or written.too_deep:
            text = "; ".join(reason for reason, rows in reasons.items() if rows)
            raise Reject(text, written.refused | written.too_deep)
        return {}

    async def close(self) -> None:
        db, self._db = self._db, None
        if db is not None:
            await asyncio.to_thread(db.close)

    # --- in a thread ------------------------------------------------------------------------------

    @property
    def location(self) -> str:
        """Where the store is, as `connect` takes it."""
        return self.options.location(self._context.folder)

    def _advice(self, problem: StoreError) -> str:
        """What went wrong, and, where it is the file that cannot be used, which option names another."""
        if isinstance(problem.__cause__, OSError | sqlite3.OperationalError) and not self.options.url:
            return f"{problem}; another place for it: `sinks.{self._context.name}.path`"
        return str(problem)

    def _open(self) -> Database:
        if self._db is not None and self._db.lost():
            log.error("%s is gone, with what was in it: someone removed it; a new store is begun", self.location)
            self._context.count("files_lost", 1)
            self._db.close()
            self._db = None
        if self._db is None:
            db = connect(self.location)
            try:
                db.migrate()
            except StoreError:
                db.close()
                raise
            self._db = db
        return self._db

    def _write(self, parcel: Parcel) -> Written:
        db = self._open()
        written = Writer(db, max_series=self.options.max_series).write(self._with_media(parcel))
        for name in ("doubles", "untimed"):
            if getattr(written, name):
                self._context.count(name, getattr(written, name))
        self._look(db)
        return written

    def _with_media(self, parcel: Parcel) -> list[Part]:
        """The parts, the files of their events kept beside the store. Raises Retry where that fails."""
        media = self._media
        events = [record for part in parcel.parts for record in part.records if isinstance(record, Event)]
        if media is None or not any(map(held_files, events)):
            return parcel.parts
        source = self._context.media
        try:
            return [
                part._replace(records=[media.keep(r, source) if isinstance(r, Event) else r for r in part.records])
                for part in parcel.parts
            ]
        except OSError as problem:
            raise Retry(
                f"{media.folder} cannot be written: {problem.strerror or problem}; make room there"
            ) from problem

    def _look(self, db: Database) -> None:
        """Let go of what is too old or too much, now and then; that it fails is no reason to send again."""
        if time.monotonic() < self._next_look:
            return
        self._next_look = time.monotonic() + LOOK
        try:
            gone = Retention(db, Limits(self.options.max_age, self.options.max_size)).run(time.time())
        except StoreError as problem:
            log.warning("the store could not let go of what is old: %s", problem)
            return
        if gone.runs_removed and self._media is not None:
            kept = {id for (id,) in db.query("SELECT id FROM sessions")}
            for session in set(self._media.sessions()) - kept:
                self._media.forget(session)
        for name, count in gone._asdict().items():
            if count:
                self._context.count(name, count)
                log.info("the store let go of %d %s", count, name.removesuffix("_removed").replace("_", " "))

    def _set_aside(self, problem: StoreDamaged) -> None:
        """Move a damaged file away, so that a new one is begun."""
        if self._db is not None:
            self._db.close()
            self._db = None
        path = Path(self.location)
        there = path.with_name(f"{path.name}.damaged-{int(time.time())}")
        try:
            for ending in ("", "-wal", "-shm"):
                with contextlib.suppress(FileNotFoundError):
                    path.with_name(path.name + ending).rename(there.with_name(there.name + ending))
        except OSError as refusal:
            raise Retry(f"{problem}; it could not be moved to {there}: {refusal.strerror}") from refusal
        self._context.count("damaged_files", 1)
        log.error("%s; it was moved to %s, and a new store is begun", problem, there)
