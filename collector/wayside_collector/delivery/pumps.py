"""All pumps of one collector: loaded, started, told what happens, and exchanged while the others go on.

A pump that is new takes what is stored beyond its cursor, wherever that stands: a new sink's at the oldest row or at
"now", a changed one's where its predecessor stopped, which was between two sends, so that nothing is sent twice. A
sink that is removed gets what waits for it until the time is over; its cursor, books and dead letters stay in the
spool, and should it come back it goes on from there. Until then it holds no file back.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from ..registry import Known
from ..spool import Spool, SpoolError, Stored
from .commit import SPOOL_PAUSE
from .pump import Pump, PumpStatus

COUNTED_FIRST = 50_000  #: batches that are counted before the collector is ready: half a second of a sink's
LOOK = 0.05  #: seconds between looks whether everything is delivered
HOLD_LIMIT = 10.0  #: seconds a send may go on when its sink is exchanged; what is cut off may arrive twice

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Slot:
    """One sink's. leaving: it is told of no new rows, and ends with the old ones. loaded: its books are known."""

    pump: Pump
    make: Callable[[], Pump]
    task: asyncio.Task[None] | None = None
    leaving: bool = False
    loaded: bool = False

    @property
    def idle(self) -> bool:
        """Whether all that is stored is known to be delivered."""
        return self.loaded and self.pump.idle


class Pumps:
    """By name, in the order of the configuration."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self.others: frozenset[str] = frozenset()  # sinks that are not here, and for which files are kept all the same
        self._slots: dict[str, _Slot] = {}
        self._group: asyncio.TaskGroup | None = None

    def __iter__(self) -> Iterator[Pump]:
        """Those whose books are known, the leaving ones included."""
        return iter([slot.pump for slot in self._slots.values() if slot.loaded])

    def get(self, name: str) -> Pump | None:
        return next((pump for pump in self if pump.name == name), None)

    def statuses(self) -> list[tuple[str, PumpStatus]]:
        return [(pump.name, pump.status()) for pump in self]

    # --- life -------------------------------------------------------------------------------------

    async def load(self, makers: Mapping[str, Callable[[], Pump]]) -> None:
        """Take these, before anything runs. Where a great deal waits they are told of what comes in at once, and count
        what waits when they run. Raises SpoolError.
        """
        self._slots = {name: _Slot(make(), make) for name, make in makers.items()}
        self._tell_readers()
        if await asyncio.to_thread(self._spool.count_batches) <= COUNTED_FIRST:
            for slot in self._slots.values():
                await slot.pump.load()
                slot.loaded = True

    def start(self, group: asyncio.TaskGroup) -> None:
        """Run them, and whichever come later, in this group."""
        self._group = group
        for slot in self._slots.values():
            self._run(slot)

    def _run(self, slot: _Slot) -> None:
        if self._group is not None:
            slot.task = self._group.create_task(self._live(slot), name=f"pump-{slot.pump.name}")

    async def _live(self, slot: _Slot) -> None:
        await self._load(slot)
        await slot.pump.run()

    async def _load(self, slot: _Slot) -> None:
        """Until it is done: what the spool cannot tell now it may tell in a moment."""
        while not slot.loaded:
            try:
                await slot.pump.load()
                slot.loaded = True
            except SpoolError as problem:
                log.error("sink %s cannot begin, tried again: %s", slot.pump.name, problem)
                await asyncio.sleep(SPOOL_PAUSE)
                slot.pump = slot.make()  # one that was half loaded would count twice

    async def stop(self) -> None:
        """Stop them all. What is in flight counts as not delivered."""
        await asyncio.gather(*(self._end(slot) for slot in self._slots.values()))

    async def _end(self, slot: _Slot) -> None:
        if slot.task is not None:
            slot.task.cancel()
            await asyncio.wait([slot.task])
            if not slot.loaded:
                await slot.pump.close()

    @property
    def counting(self) -> list[str]:
        """Those that still count what waits for them: until then nobody knows what they would lose by a file."""
        return [name for name, slot in self._slots.items() if not slot.loaded]

    # --- exchange -----------------------------------------------------------------------------------------------------

    async def put(self, name: str, make: Callable[[], Pump]) -> None:
        """A new sink, or another one in the place of that name. What `make` raises leaves the old one as it is."""
        pump = make()
        old = self._slots.get(name)
        if old is not None:
            await old.pump.hold(HOLD_LIMIT)
            await self._end(old)
        slot = self._slots[name] = _Slot(pump, make)  # from now on it is told of what is stored
        self._tell_readers()
        await self._load(slot)
        self._run(slot)

    async def remove(self, name: str, within: float) -> None:
        """Let a sink have what waits for it, for some seconds, and end it."""
        slot = self._slots[name]
        slot.leaving = True
        complete = await _until_idle([slot], within)
        await slot.pump.hold(HOLD_LIMIT if complete else 0.0)
        await self._end(slot)
        del self._slots[name]
        self._tell_readers()
        if not complete:
            waiting = slot.pump.books.waiting
            log.warning("sink %s is removed, and had %d rows waiting; should it come back, it goes on there as far as "
                        "they are still stored", name, waiting.rows)  # fmt: skip

    def sort(self, names: Iterable[str]) -> None:
        """In this order from now on."""
        order = {name: place for place, name in enumerate(names)}
        self._slots = dict(sorted(self._slots.items(), key=lambda item: order.get(item[0], len(order))))

    def _tell_readers(self) -> None:
        self._spool.readers = self.others.union(self._slots)

    # --- what they are told ------------------------------------------------------------------------

    def stored(self, batches: list[Stored]) -> None:
        """New batches are on disk; the election has seen them."""
        for slot in self._slots.values():
            if not slot.leaving:
                slot.pump.stored(batches)

    def decided(self) -> None:
        """The election decided something, or a session ended."""
        for slot in self._slots.values():
            slot.pump.decided()

    def forget(self, sessions: list[Known]) -> None:
        """These sessions are known no longer."""
        for slot in self._slots.values():
            slot.pump.forget(sessions)

    @property
    def idle(self) -> bool:
        """Whether every sink has all there is for it. What was just stored may not be told to them yet."""
        return all(slot.idle for slot in self._slots.values())

    async def delivered(self, within: float) -> bool:
        """Wait until no sink has anything waiting, for some seconds; whether it came to that."""
        return await _until_idle(list(self._slots.values()), within)


async def _until_idle(slots: list[_Slot], within: float) -> bool:
    until = time.monotonic() + within
    while not all(slot.idle for slot in slots):
        if time.monotonic() > until:
            return False
        await asyncio.sleep(LOOK)
    return True
