"""Beside `run`: delivers what collectors left behind that are gone, one folder after the other.

Each is opened by a collector of its own, which only delivers: with the cursors and books that its spool has, so that
what was delivered is not sent again, and with those of our sinks that `adopt.sinks` names. Rows that wait for another
sink that delivered elsewhere stay where they are, and keep their folder; so do journals that were kept offline on
purpose, and what could not be read.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import msgspec

from ..assembly import Scope
from ..configuration.adoption import AdoptSection
from ..configuration.changes import Loaded
from ..configuration.config import Config
from ..daemon import Collector
from ..sources.abandoned import Abandoned, undelivered_in
from ..spool import SpoolError, SpoolHeld
from .life import first_of, until_delivered

LOOK = 5.0  #: seconds between two looks for folders
TURN = 20.0  #: seconds one folder may take: then the next has its turn


class Adopter:
    """ours: the collector whose sinks deliver; its configuration is asked for anew each time. clock: seconds that only
    grow. turn: seconds one folder may take.
    """

    def __init__(self, ours: Collector, clock: Callable[[], float] = time.monotonic, turn: float = TURN) -> None:
        self._ours = ours
        self.turn = turn
        section = ours.parts.config.top.adopt
        self._abandoned = Abandoned(map(Path, section.below), clock)
        ours.parts.adopted = self._abandoned.adopted

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop` is set."""
        while not stop.is_set():
            await self.look(stop)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK):
                    await stop.wait()

    async def look(self, stop: asyncio.Event) -> None:
        """Give each folder that is due its turn."""
        for folder in await asyncio.to_thread(self._abandoned.look):
            if not stop.is_set():
                await self._take(folder, stop)

    async def _take(self, folder: Path, stop: asyncio.Event) -> None:
        why: str | None = None
        held = False
        try:
            why = await self._deliver(folder, stop)
        except* SpoolHeld:
            held = True  # its owner is back
        except* (SpoolError, OSError) as failed:
            why = first_of(failed)
        if why is not None:
            self._abandoned.left(folder, why)
        elif not held:
            self._abandoned.emptied(folder)

    async def _deliver(self, folder: Path, stop: asyncio.Event) -> str | None:
        """What is left in it, in words; None when nothing is."""
        scope = Scope(listens=False, adopts=_is_wanted, takes_over=True)
        loaded = Loaded(_config_for(self._ours.parts.config, folder), None, {})
        collector = Collector(loaded, environ=_environment_for(folder), scope=scope)
        async with collector.opened():
            parts, ended = collector.parts, asyncio.Event()
            running = asyncio.create_task(collector.run(ended), name=f"adopted-{folder.name}")
            complete = await until_delivered(parts, running, time.monotonic() + self.turn, stop)
            ended.set()
            await running
            waiting = [name for name in sorted(parts.pumps.others) if _waits(collector, name)]
            letters = sum(parts.spool.dead_letters(sink.name) for sink in parts.config.sinks)
        if waiting:
            return f"rows wait for {', '.join(waiting)}, which adopt.sinks does not name"
        if letters:
            return f"{letters} dead letters: `wayside-collector dead-letters` with WAYSIDE_DIR={folder}"
        return await asyncio.to_thread(undelivered_in, folder) if complete else _trouble(collector)


def _waits(collector: Collector, sink: str) -> bool:
    """Whether anything is stored that this sink has not had."""
    found = collector.parts.spool.sink(sink)
    return bool(collector.parts.spool.batches(0 if found is None else found[0], 1))


def _trouble(collector: Collector) -> str:
    errors = [status.last_error for _, status in collector.parts.pumps.statuses() if status.last_error]
    return errors[0] if errors else "there was more than one turn's time"


def _is_wanted(record: Mapping[str, object]) -> bool:
    """Whether a journal is for us: what was kept offline on purpose waits for `sync`."""
    return record.get("mode") != "offline"


def _config_for(ours: Config, folder: Path) -> Config:
    """Ours, for a folder of somebody else's: it listens to nobody, and its spool is the one that lies there."""
    top = msgspec.structs.replace(
        ours.top,
        dir=str(folder),
        socket=str(folder / "wayside.sock"),
        listen="127.0.0.1:0",
        listen_public=None,
        adopt=AdoptSection(),
        exit_when_alone=None,
        grace=1.0,
        spool=msgspec.structs.replace(ours.top.spool, path=None),
    )
    return replace(ours, top=top, sinks=tuple(sink for sink in ours.sinks if sink.name in ours.top.adopt.sinks))


def _environment_for(folder: Path) -> dict[str, str]:
    """Nothing of ours: all journals that are looked for lie in the folder."""
    return {"WAYSIDE_SHARED_MEMORY": str(folder)}
