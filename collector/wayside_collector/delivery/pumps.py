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
class _Place:
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
        self._places: dict[str, _Place] = {}
        self._group: asyncio.TaskGroup | None = None

    def __iter__(self) -> Iterator[Pump]:
        """Those whose books are known, the leaving ones included."""
        return iter([place.pump for place in self._places.values() if place.loaded])

    def get(self, name: str) -> Pump | None:
        return next((pump for pump in self if pump.name == name), None)

    def statuses(self) -> list[tuple[str, PumpStatus]]:
        return [(pump.name, pump.status()) for pump in self]

    # --- life -------------------------------------------------------------------------------------

    async def load(self, makers: Mapping[str, Callable[[], Pump]]) -> None:
        """Take these, before anything runs. Where a great deal waits they are told of what comes in at once, and count
        what waits when they run. Raises SpoolError.
        """
        self._places = {name: _Place(make(), make) for name, make in makers.items()}
        self._tell_readers()
        if await asyncio.to_thread(self._spool.count_batches) <= COUNTED_FIRST:
            for place in self._places.values():
                await place.pump.load()
                place.loaded = True

    def start(self, group: asyncio.TaskGroup) -> None:
        """Run them, and whichever come later, in this group."""
        self._group = group
        for place in self._places.values():
            self._run(place)

    def _run(self, place: _Place) -> None:
        if self._group is not None:
            place.task = self._group.create_task(self._live(place), name=f"pump-{place.pump.name}")

    async def _live(self, place: _Place) -> None:
        await self._load(place)
        await place.pump.run()

    async def _load(self, place: _Place) -> None:
        """Until it is done: what the spool cannot tell now it may tell in a moment."""
        while not place.loaded:
            try:
                await place.pump.load()
                place.loaded = True
            except SpoolError as problem:
                log.error("sink %s cannot begin, tried again: %s", place.pump.name, problem)
                await asyncio.sleep(SPOOL_PAUSE)
                place.pump = place.make()  # one that was half loaded would count twice

    async def stop(self) -> None:
        """Stop them all. What is in flight counts as not delivered."""
        await asyncio.gather(*(self._end(place) for place in self._places.values()))

    async def _end(self, place: _Place) -> None:
        if place.task is not None:
            place.task.cancel()
            await asyncio.wait([place.task])
            if not place.loaded:
                await place.pump.close()

    @property
    def counting(self) -> list[str]:
        """Those that still count what waits for them: until then nobody knows what they would lose by a file."""
        return [name for name, place in self._places.items() if not place.loaded]

    # --- exchange -----------------------------------------------------------------------------------------------------

    async def put(self, name: str, make: Callable[[], Pump]) -> None:
        """A new sink, or another one in the place of that name. What `make` raises leaves the old one as it is."""
        pump = make()
        old = self._places.get(name)
        if old is not None:
            await old.pump.hold(HOLD_LIMIT)
            await self._end(old)
        place = self._places[name] = _Place(pump, make)  # from now on it is told of what is stored
        self._tell_readers()
        await self._load(place)
        self._run(place)

    async def remove(self, name: str, within: float) -> None:
        """Let a sink have what waits for it, for some seconds, and end it."""
        place = self._places[name]
        place.leaving = True
        complete = await _until_idle([place], within)
        await place.pump.hold(HOLD_LIMIT if complete else 0.0)
        await self._end(place)
        del self._places[name]
        self._tell_readers()
        if not complete:
            waiting = place.pump.books.waiting
            log.warning("sink %s is removed, and had %d rows waiting; should it come back, it goes on there as far as "
                        "they are still stored", name, waiting.rows)  # fmt: skip

    def sort(self, names: Iterable[str]) -> None:
        """In this order from now on."""
        order = {name: place for place, name in enumerate(names)}
        self._places = dict(sorted(self._places.items(), key=lambda item: order.get(item[0], len(order))))

    def _tell_readers(self) -> None:
        self._spool.readers = frozenset(self._places)

    # --- what they are told ------------------------------------------------------------------------

    def stored(self, batches: list[Stored]) -> None:
        """New batches are on disk; the election has seen them."""
        for place in self._places.values():
            if not place.leaving:
                place.pump.stored(batches)

    def decided(self) -> None:
        """The election decided something, or a session ended."""
        for place in self._places.values():
            place.pump.decided()

    def forget(self, sessions: list[Known]) -> None:
        """These sessions are known no longer."""
        for place in self._places.values():
            place.pump.forget(sessions)

    @property
    def idle(self) -> bool:
        """Whether every sink has all there is for it. What was just stored may not be told to them yet."""
        return all(place.idle for place in self._places.values())

    async def delivered(self, within: float) -> bool:
        """Wait until no sink has anything waiting, for some seconds; whether it came to that."""
        return await _until_idle(list(self._places.values()), within)


async def _until_idle(places: list[_Place], within: float) -> bool:
    until = time.monotonic() + within
    while not all(place.idle for place in places):
        if time.monotonic() > until:
            return False
        await asyncio.sleep(LOOK)
    return True
