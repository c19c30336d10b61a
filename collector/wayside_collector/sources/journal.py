"""Journals: one loop that reads every session's segments and hands their frames to the intake.

A session comes in by its hello on the socket (`follow`), or as an orphan: a folder below a known root whose owner is
dead. What is stored is told to whoever listens (`on_stored`), so that a living owner lets its segments go; a dead
one's are unlinked here.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from wayside import wire
from wayside.segments import JOURNALS

from ..intake import Full, Inlet, Intake, Refused
from ..media_events import UNKNOWN, Sender
from ..spool import SpoolError
from .aside import Aside
from .burying import bury, set_aside
from .confined import elsewhere, owner_uid
from .following import HOLD, Followed
from .quarantine import Quarantine
from .segments import Owner, any_segment, journal_folders, owner_of, read_dropped

BUSY = 0.005  #: seconds between looks while rows flow: adds at most this to the time from log() to a sink
REST = 0.1  #: seconds between looks while nothing comes
READ_SIZE = 4 << 20  #: bytes of one session at a look: a quarter of what its journal may hold
LOOK_SIZE = 16 << 20  #: bytes of all sessions at a look: what the collector holds in memory at once
LIFE_INTERVAL = 1.0  #: seconds between two questions whether an owner lives
ORPHAN_INTERVAL = 2.0  #: seconds between two looks for journals without an owner
GONE_AFTER = 10.0  #: seconds a journal's folder may be gone, its owner silent, before the owner counts as dead
RETRY = 0.25  #: seconds before the next attempt after the spool could not take rows

log = logging.getLogger(__name__)


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
        self.last_error: str | None = None
        self.orphans = 0  # journals without an owner, taken since the start
        self.on_stored: Callable[[Inlet], None] = lambda inlet: None
        self.is_connected: Callable[[Inlet], bool] = lambda inlet: False
        self._adopts = adopts
        self._quarantine = Quarantine(damaged)
        self._clock = clock
        self._followed: dict[str, Followed] = {}
        self._ignored: set[Path] = set()
        self._unreadable: set[Path] = set()
        self._wake = asyncio.Event()
        self._aside = Aside(self._store, self._wake.set)
        self._stopping = False
        self._looking = asyncio.Lock()  # two looks at once would adopt a journal twice

    @property
    def set_aside(self) -> int:
        """Pieces that could not be read."""
        return self._quarantine.count

    def follow(self, inlet: Inlet, folders: Sequence[Path]) -> None:
        """Read this session's journal from now on; also after it moved."""
        id = inlet.client_id
        old = self._followed.get(id)
        if old is not None:
            old.close()
        self._followed[id] = Followed(inlet, list(folders), self._quarantine, self._clock)
        self._wake.set()

    def follows(self, inlet: Inlet) -> bool:
        return inlet.client_id in self._followed

    @property
    def aside(self) -> int:
        """Journals that are being stored with their files, and not read on meanwhile."""
        return len(self._aside)

    @property
    def idle(self) -> bool:
        """Whether nothing is left to read of any journal without an owner: what `sync` waits for."""
        return not any(followed.orphan for followed in self._followed.values())

    def stop(self) -> None:
        """End `run` after the look that is under way: a look cut short would not know what was stored."""
        self._stopping = True
        self._wake.set()

    async def run(self) -> None:
        try:
            await self._run()
            await self._aside.settle()
        finally:
            self._aside.cancel()

    async def _run(self) -> None:
        pause = BUSY
        next_orphans = 0.0
        while not self._stopping:
            if self._clock() >= next_orphans:
                await self.look_for_orphans()
                next_orphans = self._clock() + ORPHAN_INTERVAL
            try:
                busy = await self.look()
                if not self._aside:
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

    # --- one look --------------------------------------------------------------------------------

    async def look(self) -> bool:
        """Read what is new in every journal, store it, let it go; whether there was anything."""
        self._aside.raise_problem()
        budget = LOOK_SIZE
        touched: list[Followed] = []
        for id, followed in list(self._followed.items()):
            if id in self._aside:
                continue
            taken = followed.read(min(READ_SIZE, budget))
            budget -= taken
            if taken:
                self._followed[id] = self._followed.pop(id)  # next time the others come first: none is starved
            if taken or followed.has_done:
                touched.append(followed)
            if budget <= 0:
                break
        await self._store([followed for followed in touched if self._stopping or not self._aside.take(followed)])
        await self._bury()
        return bool(touched)

    async def _store(self, touched: Sequence[Followed]) -> None:
        """What was read of these is on disk when this returns; raises SpoolError, and then it is read again."""
        try:
            await self.intake.store([followed.inlet for followed in touched])
        except SpoolError:
            for followed in touched:
                followed.rewind()
            raise
        for followed in touched:
            followed.let_go()
            self.on_stored(followed.inlet)

    # --- the dead --------------------------------------------------------------------------------

    async def _bury(self) -> None:
        """Journals whose owner is gone and whose rows are all stored: remove them, and end their sessions."""
        now = self._clock()
        for id, followed in list(self._followed.items()):
            if not followed.orphan:
                if now >= followed.next_life:
                    followed.next_life = now + LIFE_INTERVAL
                    if self._is_dead(followed, now):
                        self.orphans += 1
                        followed.orphan = True  # from now on read to the end, sealed or not, wherever it may lie
                        others = [root / JOURNALS / id for root in self.roots]
                        followed.folders += [path for path in others if path not in followed.folders]
                continue
            if id not in self._aside and followed.at_end:
                await self._book_untold(followed)
                for folder in followed.folders:
                    bury(folder, self._quarantine, followed.read_to)
                await asyncio.to_thread(self.intake.claims.buried, followed.inlet)
                await self.intake.end(followed.inlet)  # before it is forgotten: where that fails, it is tried again
                if self._followed.get(id) is followed:
                    del self._followed[id]
                followed.close()

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
                try:
                    followed.inlet.book_loss(rows - known[0], max(0, points - known[1]))
                except wire.WireError as problem:
                    self._quarantine.count += 1
                    log.error("the account of drops in %s is damaged: %s", followed.folders[0], problem)
                await self.intake.store([followed.inlet])

    async def look_for_orphans(self) -> None:
        """Adopt journals below the roots whose owner is dead and whose record says they are ours."""
        async with self._looking:
            folders = [folder for root in self.roots for folder in journal_folders(root)]
            self._ignored.intersection_update(folders)
            self._unreadable.intersection_update(folders)
            for folder in folders:
                if folder.name in self._followed or folder in self._ignored or owner_of(folder) != Owner.DEAD:
                    continue
                await self._adopt(folder)

    async def _adopt(self, folder: Path) -> None:
        try:
            segment = any_segment(folder)
        except OSError as problem:
            self._put_off(folder, problem)
            return
        if segment is None:
            self._adopt_account(folder)
            return
        try:
            record = segment.record()
            if not self._adopts(record):
                self._ignored.add(folder)
                return
            if record.get("session") != folder.name:
                raise Refused("it says that it is another session's")
            inlet = await self.intake.begin(record)
        except (Full, SpoolError) as problem:
            self.last_error = str(problem)  # later: it waits where it is
            return
        except OSError as problem:
            self._put_off(folder, problem)
            return
        except (wire.WireError, Refused) as problem:
            taken = set_aside(folder, self._quarantine)
            place = f"set aside in {self._quarantine.folder}" if taken else "left where it is"
            log.error("the journal %s cannot be read (%s); %s", folder, problem, place)
            self._ignored.add(folder)
            return
        finally:
            segment.close()
        folders = [path for root in self.roots if (path := root / JOURNALS / folder.name).exists()]
        folders += [path for path in elsewhere(folder, record) if path not in folders]
        owner = owner_uid(folder)
        if inlet.sender == UNKNOWN and owner is not None:
            inlet.sender = Sender(owner, adopted=True)
        log.info("adopted the journal of session %s of run %s", inlet.known.session.id[:8], inlet.known.session.run.id)
        self._follow_orphan(folder.name, inlet, folders)

    def _put_off(self, folder: Path, problem: OSError) -> None:
        """The system cannot read it now: it waits where it is for the next look."""
        if folder not in self._unreadable:
            self._unreadable.add(folder)
            self._quarantine.count += 1
            log.error("the journal %s cannot be read, tried again: %s", folder, problem)

    def _adopt_account(self, folder: Path) -> None:
        """A folder of which every segment was let go: what its owner dropped may still have to be booked. Not before
        what the journal holds elsewhere was read: where the gap is, only the last segment tells.
        """
        inlet = self.intake.find(folder.name)
        folders = [path for root in self.roots if (path := root / JOURNALS / folder.name).exists()]
        if inlet is not None and not self.is_connected(inlet):
            self._follow_orphan(folder.name, inlet, folders)
        elif inlet is None and folders == [folder] and time.time() - _modified(folder) > HOLD:
            bury(folder, self._quarantine)

    def _follow_orphan(self, id: str, inlet: Inlet, folders: list[Path]) -> None:
        self.orphans += 1
        self._followed[id] = Followed(inlet, folders, self._quarantine, self._clock, orphan=True)


def _modified(folder: Path) -> float:
    try:
        return folder.stat().st_mtime
    except OSError:
        return time.time()
