"""The collector's own session: samples become rows of it, and what cannot be stored is bounded and counted."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
from sources.place import RECORD, FailingSpool, Place, opened_place, until
from wayside.row import FINISH, Event
from wayside_collector.intake import sessions as intakes
from wayside_collector.sources import system as systems
from wayside_collector.sources.base import Sample
from wayside_collector.sources.system import SystemSession

ENVIRON = {"POD_NAME": "p", "POD_UID": "u", "POD_NAMESPACE": "n", "NODE_NAME": "d", "WORKLOAD_UID": "w"}


@contextlib.asynccontextmanager
async def running(place: Place) -> AsyncIterator[SystemSession]:
    session = SystemSession(place.intake, ENVIRON)
    task = asyncio.ensure_future(session.run())
    try:
        yield session
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@pytest.mark.asyncio
async def test_samples_are_rows_of_a_session_of_the_pod() -> None:
    """Each with its time, without a step; the session says whose pod it is, and ends in order."""
    async with opened_place() as place:
        async with running(place) as session:
            session.emit(Sample({"host/load1": 0.5}), 1e9)
            session.emit(Sample({"host/load1": 0.7}), 1e9 + 5)
            await until(lambda: len(place.rows("system")) == 2, "both")
        rows = place.rows("system")
        assert [(row.time, row.step, row.metrics) for row in rows] == [
            (1e9, None, {"host/load1": 0.5}),
            (1e9 + 5, None, {"host/load1": 0.7}),
        ]
        (known,) = place.registry.all()
        assert (known.session.kind, known.session.workload) == ("system", "w")
        assert known.session.pod.uid == "u"
        assert known.session.pod.node == "d"
        assert known.ended is not None
        assert place.registry.alive() == []
        (end,) = [record for record in place.records("system") if isinstance(record, Event)]
        assert (end.kind, end.data["reason"]) == (FINISH, "stopped")


@pytest.mark.asyncio
async def test_a_device_is_described_when_it_is_new_or_changed() -> None:
    """Not with every sample."""
    async with opened_place() as place, running(place) as session:
        for driver in ("1", "1", "2"):
            session.emit(Sample({"gpu/0/power_watts": 9.0}, {"gpu/0": {"driver": driver}}), 1e9)
        await until(lambda: len(place.rows("system")) == 3, "all")
        events = [record for record in place.records("system") if isinstance(record, Event)]
        assert [event.data["gpu/0"] for event in events] == [{"driver": "1"}, {"driver": "2"}]


@pytest.mark.asyncio
async def test_too_many_waiting_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    """While the session cannot begin, a bounded number waits; the oldest go, and are counted."""
    monkeypatch.setattr(systems, "MAX_WAITING", 3)
    async with opened_place() as place:
        session = SystemSession(place.intake, {})
        for number in range(5):
            session.emit(Sample({"a/b": float(number)}), 1e9)
        assert session.dropped == 2
        task = asyncio.ensure_future(session.run())
        await until(lambda: len(place.rows("system")) == 3, "the three")
        assert [row.values for row in place.rows("system")] == [(2.0,), (3.0,), (4.0,)]
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.mark.asyncio
async def test_samples_that_the_spool_cannot_take_are_counted_and_the_next_ones_come() -> None:
    """They have no second try; the session goes on with its next number and announces its names again."""
    async with opened_place() as place:
        spool = FailingSpool(place)
        async with running(place) as session:
            session.emit(Sample({"a/b": 1.0}), 1e9)
            await until(lambda: len(place.rows("system")) == 1, "the first")
            spool.fails = True
            session.emit(Sample({"a/b": 2.0, "c/d": 2.0}), 1e9)
            await until(lambda: session.dropped == 1, "counted")
            spool.fails = False
            session.emit(Sample({"a/b": 3.0, "c/d": 3.0}), 1e9)
            await until(lambda: len(place.rows("system")) == 2, "the third")
        assert [row.values for row in place.rows("system")] == [(1.0,), (3.0, 3.0)]
        assert place.intake.counters.malformed == 0


@pytest.mark.asyncio
async def test_a_sample_that_is_no_row_hides_no_other() -> None:
    """A name that cannot be one is left out with its sample; a sample without metrics is none."""
    async with opened_place() as place, running(place) as session:
        session.emit(Sample({"x" * 5000: 1.0}), 1e9)
        session.emit(Sample({}), 1e9)
        session.emit(Sample({"a/b": 1.0}), 1e9)
        await until(lambda: len(place.rows("system")) == 1, "the good one")
        assert session.dropped == 1


@pytest.mark.asyncio
async def test_a_device_whose_description_could_not_be_stored_is_described_again() -> None:
    """The first sample meets a full disk: which GPU it is comes with the next one."""
    async with opened_place() as place:
        spool = FailingSpool(place)
        spool.fails = True
        async with running(place) as session:
            sample = Sample({"gpu/0/power_watts": 9.0}, {"gpu/0": {"uuid": "u"}})
            session.emit(sample, 1e9)
            await until(lambda: session.dropped == 1, "counted")
            spool.fails = False
            session.emit(sample, 1e9)
            await until(lambda: len(place.rows("system")) == 1, "the second")
        events = [record for record in place.records("system") if isinstance(record, Event)]
        assert events[0].data == {"gpu/0": {"uuid": "u"}}


@pytest.mark.asyncio
async def test_samplers_wait_for_room_among_the_sessions(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many sessions are open as may be: nothing is stopped by it, and samples are stored when one has ended."""
    monkeypatch.setattr(intakes, "MAX_SESSIONS", 1)
    monkeypatch.setattr(systems, "BEGIN_AGAIN", 0.01)
    async with opened_place() as place:
        other = await place.intake.begin(RECORD)
        async with running(place) as session:
            session.emit(Sample({"a/b": 1.0}), 1e9)
            await asyncio.sleep(0)
            await place.intake.end(other)
            await until(lambda: len(place.rows("system")) == 1, "the sample")
