"""How sessions begin and end at the intake: once each, whoever asks for them, and over a restart."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from wayside import row, wire
from wayside_collector.intake import Inlet, Intake, Stream
from wayside_collector.registry import Registry
from wayside_collector.spool import Spool, SpoolOptions

RECORD: dict[str, Any] = {"session": "5" * 32, "run": {"id": "r1"}, "started": 1_767_225_600.0}
FINISH = wire.event_frame(1_767_225_601.0, None, row.FINISH, {"exit_code": 0})


@contextlib.asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[Intake]:
    """An intake on a spool in `folder`, with what it knows from before."""
    spool = Spool(SpoolOptions(folder))
    await asyncio.to_thread(spool.open)
    try:
        registry = Registry()
        registry.load(spool)
        yield Intake(spool, registry)
    finally:
        await asyncio.to_thread(spool.close)


def finishes(intake: Intake) -> list[dict[str, Any]]:
    """Every finish that is stored."""
    found = []
    for batch in intake.spool.batches(0, 100):
        data = intake.spool.read(batch.events) if batch.events is not None else b""
        for span in wire.scan(data).spans:
            if span.type == wire.EVENT:
                event = wire.read_event(data, span, 0)
                found += [dict(event.data)] if event.kind == row.FINISH else []
    return found


async def store_finish(intake: Intake, inlet: Inlet) -> None:
    inlet.take(Stream(), FINISH)
    await intake.store([inlet])


@pytest.mark.asyncio
async def test_a_session_asked_for_twice_at_once_is_one(tmp_path: Path) -> None:
    """A hello and the look for orphans may meet: both get the same inlet, and rows are numbered once."""
    async with opened(tmp_path) as intake:
        first, second = await asyncio.gather(intake.begin(RECORD), intake.begin(RECORD))
        assert first is second
        assert intake.alive() == [first]


@pytest.mark.asyncio
async def test_what_finished_is_not_finished_again(tmp_path: Path) -> None:
    """A session that said how it ended comes again, with the rest of its journal: nothing is added to its end."""
    async with opened(tmp_path) as intake:
        inlet = await intake.begin(RECORD)
        await store_finish(intake, inlet)
        await intake.end(inlet)
        again = await intake.begin(RECORD)
        assert again is not inlet
        again.take(Stream(), FINISH)
        await intake.end(again)
        assert finishes(intake) == [{"exit_code": 0}]


@pytest.mark.asyncio
async def test_a_finish_stored_before_a_kill_counts_after_it(tmp_path: Path) -> None:
    """Killed between the finish and the session's end: the next start ends the session, and adds no other finish."""
    async with opened(tmp_path) as intake:
        await store_finish(intake, await intake.begin(RECORD))
    async with opened(tmp_path) as intake:
        ((inlet, _),) = intake.resume()
        await intake.end(inlet)
        assert finishes(intake) == [{"exit_code": 0}]


@pytest.mark.asyncio
async def test_what_never_finished_is_told_as_crashed(tmp_path: Path) -> None:
    """The same for a session without a finish: it gets one of ours, once, that says so."""
    async with opened(tmp_path) as intake:
        inlet = await intake.begin(RECORD)
        inlet.take(Stream(), wire.event_frame(1.0, None, row.ALERT, {"title": "x"}))
        await intake.store([inlet])
    async with opened(tmp_path) as intake:
        ((inlet, _),) = intake.resume()
        await intake.end(inlet)
        await intake.end(inlet)
        assert [found["reason"] for found in finishes(intake)] == ["crashed"]
