"""How sessions begin and end at the intake: once each, whoever asks for them, and over a restart."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
from wayside import row, wire
from wayside_collector.intake import Inlet, Intake, Stream
from wayside_collector.registry import Registry
from wayside_collector.spool import Spool, SpoolError, SpoolOptions

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


class SlowSpool:
    """Stands before an intake's spool: what it is handed fails while `fails`, and ends of sessions while `holds`."""

    def __init__(self, intake: Intake) -> None:
        self.fails = self.holds = False
        self._spool = intake.spool
        intake.spool = self  # type: ignore[assignment]

    def append(self, *given: Any) -> "Future[Any]":
        return _failed() if self.fails else self._spool.append(*given)

    def end_session(self, *given: Any) -> "Future[Any]":
        return _failed() if self.holds else self._spool.end_session(*given)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._spool, name)


def _failed() -> "Future[Any]":
    failed: Future[Any] = Future()
    failed.set_exception(SpoolError("no room"))
    return failed


def a_row(step: int) -> bytes:
    return wire.named_row_frame(1_767_225_601.0, step, {"loss": 0.5})


def rows_stored(intake: Intake) -> int:
    return sum(batch.amount.rows for batch in intake.spool.batches(0, 100))


@pytest.mark.asyncio
async def test_an_end_asked_for_twice_at_once_is_one(tmp_path: Path) -> None:
    """One finish is stored, and a session that comes again goes on after it without losing a row."""
    async with opened(tmp_path) as intake:
        inlet = await intake.begin(RECORD)
        inlet.take(Stream(), a_row(0))
        await intake.store([inlet])
        await asyncio.gather(intake.end(inlet), intake.end(inlet))
        assert len(finishes(intake)) == 1
        again = await intake.begin(RECORD)
        again.take(Stream(1, 1), a_row(1))
        await intake.store([again])
        assert (rows_stored(intake), intake.counters.doubles) == (2, 0)


@pytest.mark.asyncio
async def test_who_comes_while_it_is_ended_goes_on_after_the_end(tmp_path: Path) -> None:
    """The hello of a session that was taken for dead meets its end: its next row is not refused as a double."""
    async with opened(tmp_path) as intake:
        inlet = await intake.begin(RECORD)
        ending = asyncio.ensure_future(intake.end(inlet))
        await asyncio.sleep(0)  # the end is under way
        again = await intake.begin(RECORD)
        again.take(Stream(), a_row(0))
        await intake.store([again])
        await ending
        assert again is not inlet
        assert (rows_stored(intake), intake.counters.doubles, intake.counters.lost_rows) == (1, 0, 0)


@pytest.mark.asyncio
@pytest.mark.parametrize("restart", [False, True])
async def test_an_end_half_done_is_ended_before_the_session_goes_on(tmp_path: Path, restart: bool) -> None:
    """Our finish is stored and the end itself is not, for want of room or by a kill: the session that comes again
    loses no row to that finish's number.
    """
    async with opened(tmp_path) as intake:
        spool = SlowSpool(intake)
        spool.holds = True
        with pytest.raises(SpoolError):
            await intake.end(await intake.begin(RECORD))
        spool.holds = False
        if not restart:
            await _go_on(intake)
    if restart:
        async with opened(tmp_path) as intake:
            intake.resume()
            await _go_on(intake)


async def _go_on(intake: Intake) -> None:
    again = await intake.begin(RECORD)
    again.take(Stream(), a_row(0))
    await intake.store([again])
    assert (rows_stored(intake), len(finishes(intake)), intake.counters.doubles) == (1, 1, 0)


@pytest.mark.asyncio
async def test_an_end_that_failed_leaves_the_session_as_it_was(tmp_path: Path) -> None:
    """No room for the finish: the session goes on under its own name when it comes again."""
    async with opened(tmp_path) as intake:
        inlet = await intake.begin(RECORD)
        spool = SlowSpool(intake)
        spool.fails = True
        with pytest.raises(SpoolError):
            await intake.end(inlet)
        spool.fails = False
        assert await intake.begin(RECORD) is inlet
        inlet.take(Stream(), a_row(0))
        await intake.store([inlet])
        assert (rows_stored(intake), finishes(intake)) == (1, [])


@pytest.mark.asyncio
async def test_what_another_took_along_and_could_not_store_is_not_told_to_be(tmp_path: Path) -> None:
    """A journal is read while the same session's end is on its way to a full disk: the rows go with it, and whoever
    read them must not let the journal go.
    """
    async with opened(tmp_path) as intake:
        inlet = await intake.begin(RECORD)
        spool = SlowSpool(intake)
        spool.fails = True
        async with inlet.turn:
            ending = asyncio.ensure_future(intake.end(inlet))
            await asyncio.sleep(0)
            await asyncio.sleep(0)  # its hand-over is first in the queue
            inlet.take(inlet.stream(), a_row(0))
            storing = asyncio.ensure_future(intake.store([inlet]))
            await asyncio.sleep(0)
        outcomes = await asyncio.gather(ending, storing, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [SpoolError, SpoolError]
        assert (inlet.next_seq, inlet.stored_seq) == (0, 0)


@pytest.mark.asyncio
async def test_what_was_said_of_a_session_goes_with_it(tmp_path: Path) -> None:
    """That its malformed frames were told is remembered while it lives, and no longer."""
    async with opened(tmp_path) as intake:
        inlet = await intake.begin(RECORD)
        inlet.take(Stream(), wire.row_frame(7, 1e9, 0, [0.5]) + a_row(0))
        await intake.store([inlet])
        assert intake._said == {RECORD["session"]}
        await intake.end(inlet)
        assert not intake._said
