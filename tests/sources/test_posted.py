"""Sessions whose rows come in requests: one at a time, gone on with after a start, and never answered as stored when
they are not.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from concurrent.futures import Future
from typing import Any

import pytest
import pytest_asyncio
from sources.place import FailingSpool, Place, opened_place, until
from wayside.row import Event
from wayside_collector.sources.posted import PostedSessions
from wayside_collector.spool import SpoolError

MARK = ("form", "r1", "sender")
RECORD: dict[str, Any] = {"run": {"id": "r1"}, "started": 1e9}


@pytest_asyncio.fixture
async def place() -> AsyncIterator[Place]:
    async with opened_place() as found:
        yield found


class Gate(FailingSpool):
    """Hand-overs wait in `waiting` until the test says what becomes of them."""

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self.waiting: list[Future[Any]] = []
        self.closed = True

    def append(self, *given: Any) -> "Future[Any]":
        if not self.closed:
            return super().append(*given)
        waits: Future[Any] = Future()
        self.waiting.append(waits)
        return waits


class Failing(FailingSpool):
    """One of its methods fails while `fails`."""

    def __init__(self, place: Place, what: str) -> None:
        super().__init__(place)
        self._what = what

    def append(self, *given: Any) -> "Future[Any]":
        return self._do("append", *given)

    def begin_session(self, *given: Any) -> "Future[Any]":
        return self._do("begin_session", *given)

    def end_session(self, *given: Any) -> "Future[Any]":
        return self._do("end_session", *given)

    def _do(self, what: str, *given: Any) -> "Future[Any]":
        if self.fails and what == self._what:
            failed: Future[Any] = Future()
            failed.set_exception(SpoolError("no room"))
            return failed
        found: Future[Any] = getattr(self._spool, what)(*given)
        return found


async def write(posted: PostedSessions, step: int, **metrics: float) -> bool:
    """One request with one row; whether it is answered as stored."""
    try:
        async with posted.writing(MARK, RECORD) as scribe:
            scribe.row(1e9, step, metrics)
            await scribe.store()
    except SpoolError:
        return False
    return True


@pytest.mark.asyncio
async def test_what_fails_fails_for_its_own_request_alone(place: Place) -> None:
    """Of two requests at once, the one whose hand-over fails is told so, and the other is stored: neither is answered
    as stored with its row dropped beside the other's.
    """
    gate = Gate(place)
    posted = PostedSessions(place.intake)
    first = asyncio.create_task(write(posted, 1, loss=1.0))
    await until(lambda: gate.waiting, "the first is handed over")
    second = asyncio.create_task(write(posted, 2, loss=2.0))
    await asyncio.sleep(0)
    gate.closed = False
    gate.waiting[0].set_exception(SpoolError("no room"))
    assert (await first, await second) == (False, True)
    assert [(row.seq, row.step) for row in place.rows("r1")] == [(0, 2)]


@pytest.mark.asyncio
async def test_a_request_that_is_given_up_leaves_nothing_in_doubt(place: Place) -> None:
    """Its rows are stored or not; the next request begins where the session is."""
    gate = Gate(place)
    posted = PostedSessions(place.intake)
    first = asyncio.create_task(write(posted, 1, loss=1.0))
    await until(lambda: gate.waiting, "handed over")
    first.cancel()
    await asyncio.wait([first])
    second = asyncio.create_task(write(posted, 2, loss=2.0))
    await asyncio.sleep(0)
    gate.closed = False
    gate.waiting[0].set_exception(SpoolError("no room"))
    assert await second
    assert await write(posted, 3, loss=3.0)
    assert [(row.seq, row.step) for row in place.rows("r1")] == [(0, 2), (1, 3)]
    assert (place.intake.counters.malformed, place.intake.counters.lost_rows) == (0, 0)


@pytest.mark.asyncio
async def test_a_session_goes_on_after_a_start(place: Place) -> None:
    """Under the same mark, in the same session, whatever names its rows had before."""
    before = PostedSessions(place.intake)
    assert await write(before, 1, loss=1.0, lr=0.1)
    (inlet,) = place.intake.alive()
    after = PostedSessions(place.intake)
    after.resume(inlet)
    assert await write(after, 2, other=1.0)
    assert await write(after, 3, loss=1.0, lr=0.1)
    assert [(row.seq, row.names) for row in place.rows("r1")] == [
        (0, ("loss", "lr")),
        (1, ("other",)),
        (2, ("loss", "lr")),
    ]
    assert place.intake.counters.malformed == 0
    assert len(place.intake.alive()) == 1


@pytest.mark.asyncio
async def test_one_that_cannot_be_begun_is_begun_the_next_time(place: Place) -> None:
    """What was wrong with the record costs that request alone, and all that waited behind it begin anew."""
    posted = PostedSessions(place.intake)

    async def begin(run: str) -> str:
        try:
            async with posted.writing(MARK, {**RECORD, "run": {"id": run}}) as scribe:
                return scribe.inlet.known.session.run.id
        except Exception as problem:  # noqa: BLE001 - whichever it is
            return type(problem).__name__

    assert await asyncio.gather(begin(""), begin("r1"), begin("r1")) == ["Refused", "r1", "r1"]
    assert len(place.intake.alive()) == 1


@pytest.mark.asyncio
@pytest.mark.parametrize("what", ["append", "end_session"])
async def test_a_finish_that_cannot_be_written_is_tried_again(place: Place, what: str) -> None:
    """Until it is, the session is open; then it is over once, and rows that follow begin another."""
    spool = Failing(place, what)
    posted = PostedSessions(place.intake)
    assert await write(posted, 1, loss=1.0)
    spool.fails = True
    with pytest.raises(SpoolError):
        await posted.finish(MARK, 0)
    assert len(place.registry.alive()) == 1
    spool.fails = False
    with contextlib.suppress(LookupError):  # its word is on disk: it has ended by the time it is looked at
        await posted.finish(MARK, 0)
    assert place.registry.alive() == []
    with pytest.raises(LookupError):
        await posted.finish(MARK, 0)
    assert await write(posted, 2, loss=1.0)
    assert len(list(place.registry.all())) == 2
    ends = [record for record in place.records("r1") if isinstance(record, Event)]
    assert [end.data for end in ends] == [{"exit_code": 0}]


@pytest.mark.asyncio
async def test_a_session_that_the_spool_cannot_keep_is_begun_the_next_time(place: Place) -> None:
    """The request is told; nothing is left of it."""
    spool = Failing(place, "begin_session")
    posted = PostedSessions(place.intake)
    spool.fails = True
    assert not await write(posted, 1, loss=1.0)
    assert (posted.marks(), place.intake.alive()) == ([], [])
    spool.fails = False
    assert await write(posted, 2, loss=2.0)
    assert [row.step for row in place.rows("r1")] == [2]


@pytest.mark.asyncio
async def test_silence_is_looked_at_again_when_its_end_cannot_be_written(place: Place) -> None:
    """The session stays until it can, and takes rows meanwhile."""
    now = 1000.0
    spool = Failing(place, "end_session")
    posted = PostedSessions(place.intake, clock=lambda: now)
    assert await write(posted, 1, loss=1.0)
    now += 10_000
    spool.fails = True
    await posted.end_silent()
    assert len(place.registry.alive()) == 1
    spool.fails = False
    await posted.end_silent()
    assert place.registry.alive() == []
    assert await write(posted, 2, loss=2.0)
    assert {row.step for row in place.rows("r1")} == {1, 2}
