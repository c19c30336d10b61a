"""Journals: one loop that reads every session's segments and hands their frames to the intake.

A session comes in by its hello on the socket (`follow`), or as an orphan: a folder below a known root whose owner is
dead. What is stored is told to whoever listens (`on_stored`), so that a living owner lets its segments go; a dead
one's are unlinked here.
"""

import asyncio
import contextlib
import logging
import os
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wayside import wire
from wayside.segments import DROPPED, JOURNALS, boot_id

from ..intake import Inlet, Intake, Refused, Stream
from ..spool import SpoolError
from .segments import (
    OpenSegment,
    Owner,
    find_segment,
    journal_folders,
    open_segment,
    owner_of,
    read_dropped,
    written_pages,
)

BUSY = 0.005  #: seconds between looks while rows flow: adds at most this to the time from log() to a sink
REST = 0.1  #: seconds between looks while nothing comes
READ_SIZE = 4 << 20  #: bytes of one session at a look: a quarter of what its journal may hold
LOOK_SIZE = 16 << 20  #: bytes of all sessions at a look: what the collector holds in memory at once
LIFE_INTERVAL = 1.0  #: seconds between two questions whether an owner lives
ORPHAN_INTERVAL = 2.0  #: seconds between two looks for journals without an owner
GONE_AFTER = 10.0  #: seconds a journal's folder may be gone, its owner silent, before the owner counts as dead
HOLD = 5.0  #: seconds a walk may fail to reach the committed position before the rest is set aside
RETRY = 0.25  #: seconds before the next attempt after the spool could not take rows

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Followed:
    """A journal being read. orphan: its owner is dead, so what is stored is unlinked here."""

    inlet: Inlet
    folders: list[Path]
    orphan: bool = False
    segment: OpenSegment | None = None
    stream: Stream = field(default_factory=Stream)
    number: int = 0
    done: list[OpenSegment] = field(default_factory=list)  # read to the end, not yet known to be stored
    held_since: float = 0.0
    next_life: float = 0.0
    missing_since: float = 0.0
    silent_since: float = 0.0


class JournalSource:
    """Reads journals until cancelled.

    roots: where orphans are looked for. adopts: whether an orphan with this session record is ours. damaged: where
    what cannot be read is set aside. clock: seconds that only grow.
    """

    def __init__(
        self,
        intake: Intake,
        roots: Sequence[Path],
        adopts: Callable[[dict[str, Any]], bool],
        damaged: Path,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.intake = intake
        self.roots = list(roots)
        self.set_aside = 0
        self.last_error: str | None = None
        self.on_stored: Callable[[Inlet], None] = lambda inlet: None
        self.is_connected: Callable[[Inlet], bool] = lambda inlet: False
        self._adopts = adopts
        self._damaged = damaged
        self._clock = clock
        self._followed: dict[str, Followed] = {}
        self._ignored: set[Path] = set()
        self._boot = boot_id()
        self._wake = asyncio.Event()
        self._stopping = False
        self._looking = asyncio.Lock()  # two looks at once would adopt a journal twice

    def follow(self, inlet: Inlet, folders: Sequence[Path]) -> None:
        """Read this session's journal from now on; also after it moved."""
        id = inlet.client_id
        old = self._followed.get(id)
        if old is not None:
            self._close(old)
        self._followed[id] = Followed(inlet, list(folders))
        self._wake.set()

    def follows(self, inlet: Inlet) -> bool:
        return inlet.client_id in self._followed

    @property
    def idle(self) -> bool:
        """Whether nothing is left to read of any journal without an owner: what `sync` waits for."""
        return not any(followed.orphan for followed in self._followed.values())

    def stop(self) -> None:
        """End `run` after the look that is under way: a look cut short would not know what was stored."""
        self._stopping = True
        self._wake.set()

    async def run(self) -> None:
        pause = BUSY
        next_orphans = 0.0
        while not self._stopping:
            if self._clock() >= next_orphans:
                await self.look_for_orphans()
                next_orphans = self._clock() + ORPHAN_INTERVAL
            try:
                busy = await self.look()
                self.last_error = None
            except SpoolError as problem:
                if self.last_error is None:
                    log.error("%s; journals wait", problem)
                self.last_error = str(problem)
                await asyncio.sleep(RETRY)
                continue
            pause = BUSY if busy else min(REST, pause * 1.5)
            if not self._stopping:
                self._wake.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._wake.wait()

    # --- one look
    # --------------------------------------------------------------------------------------------------------

    async def look(self) -> bool:
        """Read what is new in every journal, store it, let it go; whether there was anything."""
        budget = LOOK_SIZE
        touched: list[Followed] = []
        for followed in list(self._followed.values()):
            taken = self._read(followed, min(READ_SIZE, budget))
            budget -= taken
            if taken or followed.done:
                touched.append(followed)
            if budget <= 0:
                break
        try:
            await self.intake.store([followed.inlet for followed in touched])
        except SpoolError:
            for followed in touched:
                self._rewind(followed)
            raise
        for followed in touched:
            self._let_go(followed)
        await self._bury()
        return bool(touched)

    def _read(self, followed: Followed, most: int) -> int:
        """Take frames of one journal, at most `most` bytes; returns how many bytes were taken."""
        taken = 0
        while taken < most:
            segment = followed.segment or self._next_segment(followed)
            if segment is None:
                break
            position, sealed = segment.committed()
            if position > segment.read:
                step = self._take(followed, segment, position, most - taken)
                taken += step
                if not step:
                    break
            if segment.read < position:
                continue
            if not sealed and not followed.orphan:
                break
            if not sealed and segment.committed()[0] > segment.read:
                continue
            followed.done.append(segment)
            followed.segment = None
            followed.number = segment.header.number + 1
        return taken

    def _take(self, followed: Followed, segment: OpenSegment, position: int, most: int) -> int:
        data = segment.bytes_to(position, most)
        end = written_pages(data, segment.read) if segment.header.boot != self._boot else len(data)
        try:
            step = followed.inlet.take(followed.stream, data, end - end % 8)
        except wire.WireError as problem:
            return self._hold(followed, segment, position, str(problem))
        segment.read += step
        if step == 0 and len(data) < most:
            return self._hold(followed, segment, position, "the committed bytes end within a frame")
        if step:
            followed.held_since = 0.0
        return step

    def _hold(self, followed: Followed, segment: OpenSegment, position: int, problem: str) -> int:
        """The walk did not reach the position: wait for it, then set the rest aside and go on after it."""
        now = self._clock()
        if not followed.held_since:
            followed.held_since = now
        if now - followed.held_since < HOLD and not followed.orphan:
            return 0
        rest = position - segment.read
        target = self._damaged / f"{followed.inlet.known.session.id}-{segment.header.number:08d}-{segment.read}.seg"
        with contextlib.suppress(OSError):
            self._damaged.mkdir(parents=True, exist_ok=True)
            target.write_bytes(os.pread(segment.fd, position, 0))
        self.set_aside += 1
        self.intake.counters.malformed += 1
        log.error("%d bytes of %s cannot be read (%s); set aside as %s", rest, segment.path, problem, target)
        segment.read = position
        followed.held_since = 0.0
        return rest

    def _next_segment(self, followed: Followed) -> OpenSegment | None:
        found = find_segment(followed.folders, followed.number)
        if found is None:
            return None
        if found.header.number > followed.number and followed.number and not followed.orphan:
            # A number is missing: perhaps on its way from one folder to the other. The gap is booked when it stays
            # away.
            now = self._clock()
            followed.missing_since = followed.missing_since or now
            if now - followed.missing_since < HOLD:
                found.close()
                return None
        followed.missing_since = 0.0
        followed.segment = found
        followed.number = found.header.number
        followed.stream = Stream(found.header.first_seq, found.header.first_point)
        return found

    def _rewind(self, followed: Followed) -> None:
        """What was read could not be stored: read it again from the oldest segment not yet let go."""
        self._close(followed)
        followed.number = 0

    def _let_go(self, followed: Followed) -> None:
        """All that was read is stored."""
        for segment in followed.done:
            if followed.orphan:
                with contextlib.suppress(OSError):
                    segment.path.unlink()
            segment.close()
        followed.done.clear()
        self.on_stored(followed.inlet)

    # --- the dead
    # ----------------------------------------------------------------------------------------------------------

    async def _bury(self) -> None:
        """Journals whose owner is gone and whose rows are all stored: remove them, and end their sessions."""
        now = self._clock()
        for id, followed in list(self._followed.items()):
            if not followed.orphan:
                if now >= followed.next_life:
                    followed.next_life = now + LIFE_INTERVAL
                    followed.orphan = self._is_dead(followed, now)  # from now on read to the end, sealed or not
                continue
            read = followed.segment is None and not followed.done
            if read and find_segment(followed.folders, followed.number) is None:
                await self._book_untold(followed)
                for folder in followed.folders:
                    _remove(folder, self._damaged)
                del self._followed[id]
                self._close(followed)
                await self.intake.end(followed.inlet)

    def _is_dead(self, followed: Followed, now: float) -> bool:
        """A free lock is proof. A folder that is gone is not: its owner, if it lives, begins another and says hello."""
        states = [owner_of(folder) for folder in followed.folders]
        if Owner.LIVES in states or (Owner.DEAD not in states and self.is_connected(followed.inlet)):
            followed.silent_since = 0.0
            return False
        if Owner.DEAD in states:
            return True
        followed.silent_since = followed.silent_since or now
        return now - followed.silent_since > GONE_AFTER

    async def _book_untold(self, followed: Followed) -> None:
        """What the owner dropped last, and never came to tell by the numbers of a next segment."""
        rows, points = map(max, zip(*(read_dropped(folder) for folder in followed.folders), strict=True))
        if rows:
            known = await asyncio.to_thread(self.intake.spool.lost_by_client, followed.inlet.key)
            if rows > known[0]:
                followed.inlet.book_loss(rows - known[0], max(0, points - known[1]))
                await self.intake.store([followed.inlet])

    async def look_for_orphans(self) -> None:
        """Adopt journals below the roots whose owner is dead and whose record says they are ours."""
        async with self._looking:
            for folder in [folder for root in self.roots for folder in journal_folders(root)]:
                if folder.name in self._followed or folder in self._ignored or owner_of(folder) != Owner.DEAD:
                    continue
                await self._adopt(folder)

    async def _adopt(self, folder: Path) -> None:
        segment = find_segment([folder], 0)
        if segment is None:
            self._adopt_account(folder)
            return
        try:
            data = os.pread(segment.fd, wire.MAX_FRAME, wire.HEADER_SIZE)
            record = wire.read_json(data, wire.scan(data).spans[0])
            if not isinstance(record, dict) or not self._adopts(record):
                self._ignored.add(folder)
                return
            inlet = await self.intake.begin(record)
        except (wire.WireError, IndexError, Refused) as problem:
            log.error("the journal %s cannot be read (%s); set aside in %s", folder, problem, self._damaged)
            self.set_aside += 1
            self._damaged.mkdir(parents=True, exist_ok=True)
            shutil.move(folder, self._damaged / folder.name)
            return
        except SpoolError as problem:
            self.last_error = str(problem)
            return
        finally:
            segment.close()
        # Beside the socket that was looked for, too: without a collector the journal's end lies there, in memory.
        beside = [Path(address).parent for address in record.get("addresses", ()) if isinstance(address, str)]
        folders = [root / JOURNALS / folder.name for root in dict.fromkeys([*self.roots, *map(_real, beside)])]
        log.info("adopted the journal of session %s of run %s", inlet.known.session.id[:8], inlet.known.session.run.id)
        self._followed[folder.name] = Followed(inlet, [path for path in folders if path.exists()], orphan=True)

    def _adopt_account(self, folder: Path) -> None:
        """A journal of which every segment was let go: what its owner dropped may still have to be booked."""
        inlet = self.intake.find(folder.name)
        if inlet is not None and not self.is_connected(inlet):
            self._followed[folder.name] = Followed(inlet, [folder], orphan=True)
        elif inlet is None and time.time() - _modified(folder) > HOLD:
            _remove(folder)

    def _close(self, followed: Followed) -> None:
        for segment in [*followed.done, *([followed.segment] if followed.segment else [])]:
            segment.close()
        followed.done, followed.segment = [], None


def _remove(folder: Path, damaged: Path | None = None) -> None:
    """A journal's folder with what was stored, or prepared and never used. A segment that cannot be read goes to
    `damaged`; anything else in the folder keeps it there.
    """
    with contextlib.suppress(OSError):
        for path in list(folder.iterdir()):
            if path.suffix == ".seg" and damaged is not None and not _readable(path):
                damaged.mkdir(parents=True, exist_ok=True)
                shutil.move(path, damaged / f"{folder.name}-{path.name}")
                log.error("%s is no journal segment; set aside in %s", path, damaged)
            elif path.suffix == ".seg" or path.name in ("lock", DROPPED):
                path.unlink()
        folder.rmdir()


def _readable(path: Path) -> bool:
    try:
        segment = open_segment(path)
    except wire.WireError:
        return False
    if segment is not None:
        segment.close()
    return True


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))


def _modified(folder: Path) -> float:
    try:
        return folder.stat().st_mtime
    except OSError:
        return time.time()
