"""A start on a full disk: the collector runs, says that it is not ready to take rows, and makes good for it later."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
from spool.making import T0, WITHIN, opened
from wayside import wire
from wayside_collector.assembly import Scope
from wayside_collector.configuration.changes import read
from wayside_collector.daemon import Collector
from wayside_collector.spool import Spool, SpoolError

RECORD = {"session": "5" * 32, "run": {"id": "system"}, "kind": "system", "started": T0}


class FullSpool:
    """Stands before a collector's spool, and refuses to write while `full`. kept: states; asked: how often
    one was to be.
    """

    def __init__(self, spool: Spool) -> None:
        self.full = True
        self.asked = 0
        self.kept: list[str] = []
        self._spool = spool

    def append(self, *given: Any) -> "Future[Any]":
        return _refused() if self.full else self._spool.append(*given)

    def keep_state(self, owner: str, changes: Any) -> "Future[None]":
        self.asked += 1
        if self.full:
            return _refused()
        self.kept.append(owner)
        return self._spool.keep_state(owner, changes)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._spool, name)


def _refused() -> "Future[Any]":
    future: Future[Any] = Future()
    future.set_exception(SpoolError("no room"))
    return future


@contextlib.asynccontextmanager
async def started(folder: Path) -> AsyncIterator[tuple[Collector, FullSpool]]:
    """A collector that runs on a disk that is full from the start."""
    environ = {"WAYSIDE_DIR": str(folder), "WAYSIDE_LISTEN": "127.0.0.1:0", "WAYSIDE_SOURCES": "{}"}
    collector = Collector(read(None, environ), environ=environ, scope=Scope(listens=False))
    stop = asyncio.Event()
    async with collector.opened():
        spool = FullSpool(collector.parts.spool)
        collector.parts.spool = collector.parts.intake.spool = spool  # type: ignore[assignment]
        running = asyncio.create_task(collector.run(stop))
        ready = asyncio.create_task(collector.parts.ready.wait())
        await asyncio.wait({running, ready}, return_when=asyncio.FIRST_COMPLETED)
        try:
            yield collector, spool
        finally:
            ready.cancel()
            stop.set()
            await running


async def until(ask: Callable[[], object]) -> None:
    deadline = time.monotonic() + WITHIN
    while not ask():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


@pytest.mark.asyncio
async def test_a_session_that_a_killed_collector_left_is_ended_when_there_is_room(tmp_path: Path) -> None:
    """Its samplers' session is open after every kill: no start fails for want of room for its end."""
    (tmp_path / "spool").mkdir()
    with opened(tmp_path / "spool") as spool:
        spool.begin_session(RECORD["session"], wire.json_frame(wire.HELLO, RECORD), T0).result(WITHIN)  # type: ignore[arg-type]
    async with started(tmp_path) as (collector, full):
        assert collector.parts.ready.is_set()
        (known,) = collector.parts.registry.all()
        assert known.ended is None
        full.full = False
        await until(lambda: known.ended is not None)


@pytest.mark.asyncio
async def test_a_decision_that_could_not_be_kept_is_kept_later(tmp_path: Path) -> None:
    """After a crash the same batches would be judged anew, and perhaps otherwise than they were counted."""
    async with started(tmp_path) as (collector, full):
        election = collector.parts.election
        election.changed = True
        await until(lambda: full.asked >= 2)
        full.full = False
        await until(lambda: "election" in full.kept)
