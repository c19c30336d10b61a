"""Runs in trouble that is theirs alone: they wait, and no other run does."""

import asyncio
from typing import Any

import pytest
from delivery.virtual import now, run
from delivery.world import ToldSink, World, amount, refs
from wayside_collector.delivery import sending
from wayside_collector.delivery.aside import Aside
from wayside_collector.sinks.base import Parcel, Retry, SinkOptions, Step, Traits


def forbidding(runs: set[str], **more: Any) -> Any:
    """Takes everything but what belongs to these runs."""

    def answer(sink: ToldSink, parcel: Parcel) -> dict[str, bytes]:
        others = [part for part in parcel.parts if part.session.run.id not in runs]
        stuck = {part.session.run.id for part in parcel.parts} & runs
        if stuck:
            raise Retry("403 forbidden", delivered=Parcel(others).refs(), runs=stuck, **more)
        return {}

    return answer


def test_each_run_waits_for_itself() -> None:
    """Its own failures count, its own Retry-After holds; what was delivered of it ends its trouble."""
    aside = Aside()
    assert aside.put("a", "no", 5.0) == 1
    aside.wait("a", lambda: 1.0, None, 100.0)
    aside.put("b", "no", 7.0)
    aside.wait("b", lambda: 1.0, 190.0, 100.0)
    assert (aside.holds("a"), aside.holds("b"), aside.holds("c")) == (True, True, False)
    assert (aside.next_due, aside.oldest, aside.failures) == (100.5, 5.0, 1)
    aside.wake(100.5)
    assert (aside.holds("a"), aside.holds("b")) == (False, True)
    assert aside.put("a", "still no", 5.0) == 2
    aside.wait("a", lambda: 1.0, None, 101.0)
    assert aside.next_due == 102.0
    assert aside.error == "still no (and 1 more runs)"
    aside.wake(1000.0)
    aside.forgive(["a", "b", "never seen"])
    assert (aside.next_due, aside.error, aside.failures, aside.oldest) == (None, None, 0, None)


@pytest.mark.parametrize("runs", [["a"], ["a", "b"]])
def test_who_is_forgiven_while_he_waits_waits_no_longer(runs: list[str]) -> None:
    """A dead letter of a run set aside is replayed, and taken or refused: the run may be tried again at once."""
    aside = Aside()
    for run_id in ("a", "b"):
        aside.put(run_id, "no", 5.0)
        aside.wait(run_id, lambda: 1.0, 160.0, 100.0)
    aside.forgive(runs)
    assert [aside.holds(run_id) for run_id in ("a", "b")] == [False, "b" not in runs]
    assert aside.next_due == (160.0 if "b" not in runs else None)
    aside.wake(101.0)
    assert aside.put("a", "no", 5.0) == 1


def test_a_run_that_is_refused_for_ever_holds_no_other() -> None:
    """The others are delivered at once, whatever comes for the one; it waits, in the books and in the status, and is
    tried once a minute at least; when it is let in, all of it arrives in order.
    """

    async def story() -> None:
        world = World()
        world.sink.otherwise = forbidding({"bad"})
        async with world.running():
            bad, good = world.session("bad"), world.session("good")
            for step in range(20):
                world.store(bad, [2 * step, 2 * step + 1])
                world.store(good, [step])
                await asyncio.sleep(20)
            delivered = [ref for ref in world.sink.refs if ref[0] == good.session.id]
            assert delivered == refs(good, range(20))
            assert world.pump.books.delivered == amount(20)
            assert world.pump.books.waiting == amount(40)
            status = world.pump.status()
            assert status.last_error == "403 forbidden"
            assert status.failures > 5
            assert status.lag_seconds >= 390
            world.sink.otherwise = lambda sink, parcel: {}
            before = len(world.sink.sent)
            await asyncio.sleep(61)
            arrived = [ref for sent in world.sink.sent[before:] for ref in sent]
            assert arrived == refs(bad, range(40))
            assert world.pump.status().last_error is None
            assert world.pump.books.redelivered == amount(0)

    run(story)


def test_all_sessions_of_a_run_wait_and_keep_their_order() -> None:
    """A job that was started again goes on in a new session, which must not overtake the old one."""

    async def story() -> None:
        world = World()
        world.sink.otherwise = forbidding({"bad"})
        async with world.running():
            first = world.session("bad")
            world.store(first, [0, 1])
            await asyncio.sleep(5)
            second = world.session("bad")
            world.store(second, [2, 3])
            await asyncio.sleep(5)
            world.sink.otherwise = lambda sink, parcel: {}
            before = len(world.sink.sent)
            await world.delivered()
            arrived = [ref for sent in world.sink.sent[before:] for ref in sent]
            assert arrived == refs(first, range(2)) + refs(second, range(2))

    run(story)


def test_sessions_of_a_run_that_take_turns_keep_their_order() -> None:
    """What is put back stands as it stood."""

    async def story() -> None:
        world = World(sink=ToldSink(Traits(max_records=50)))
        world.sink.answers = [forbidding({"bad"})]
        first, second = world.session("bad"), world.session("bad")
        for step in range(3):
            world.store(first, [step])
            world.store(second, [step])
        world.pump = world._make_pump()
        async with world.running():
            await world.delivered()
            assert world.sink.sent[0] == world.sink.sent[1]
            assert [ref for ref in world.sink.sent[1] if ref[0] == first.session.id] == refs(first, range(3))

    run(story)


def test_no_more_of_a_run_set_aside_is_read() -> None:
    """What is in memory of it stays what it was, however much comes."""

    async def story() -> None:
        world = World()
        world.sink.otherwise = forbidding({"bad"})
        async with world.running():
            bad = world.session("bad")
            for step in range(50):
                world.store(bad, [step] * 3)
                await asyncio.sleep(10)
            assert world.pump._reading.buffer.held <= 3 * world.sink.traits.max_records
            world.sink.otherwise = lambda sink, parcel: {}
            await world.delivered()
            assert world.pump.books.delivered == amount(150)

    run(story)


def test_with_too_many_set_aside_the_whole_sink_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory is bounded; then trouble of one run is everybody's, as any other."""
    monkeypatch.setattr(sending, "MAX_ASIDE", 3)

    async def story() -> None:
        world = World()
        world.sink.otherwise = forbidding({"a", "b"})
        async with world.running():
            a, b, good = world.session("a"), world.session("b"), world.session("good")
            world.store(a, [0, 1])
            await asyncio.sleep(1)
            world.store(b, [0, 1])
            await asyncio.sleep(1)
            world.store(good, [0])
            await asyncio.sleep(100)
            assert not [ref for ref in world.sink.refs if ref[0] == good.session.id]
            world.sink.otherwise = lambda sink, parcel: {}
            await world.delivered()
            assert world.pump.books.delivered == amount(5)

    run(story)


def test_trouble_that_is_not_a_runs_alone_holds_everyone() -> None:
    """A Retry that leaves something of another run open is the sink's."""

    async def story() -> None:
        world = World()
        async with world.running():
            bad, good = world.session("bad"), world.session("good")
            world.sink.answers = [lambda sink, parcel: _raise(Retry("503", runs=["bad"]))] * 3
            world.store(bad, [0])
            world.store(good, [0])
            await world.delivered()
            assert [{ref[0] for ref in sent} for sent in world.sink.sent][1:3] == [
                {bad.session.id, good.session.id}
            ] * 2

    run(story)


def _raise(problem: Exception) -> Any:
    raise problem


def test_a_run_set_aside_survives_a_restart() -> None:
    """Nothing of it is lost, nothing of the others comes again."""

    async def story() -> None:
        world = World()
        world.sink.otherwise = forbidding({"bad"})
        bad, good = world.session("bad"), world.session("good")
        await world.start()
        for step in range(10):
            world.store(bad, [step])
            world.store(good, [step])
            await asyncio.sleep(1)
        await world.die()
        await world.restart()
        assert world.pump.books.delivered == amount(10)
        assert world.pump.books.waiting == amount(10)
        await world.delivered()
        assert world.sink.refs == refs(bad, range(10))
        await world.stop()

    run(story)


def test_what_may_have_arrived_of_it_is_redelivered_when_it_goes_again() -> None:
    """An answer lost to a run set aside counts like any other."""

    async def story() -> None:
        world = World()
        async with world.running():
            bad, good = world.session("bad"), world.session("good")
            world.sink.answers = [forbidding({"bad"}, uncertain=True)]
            world.store(bad, [0, 1])
            world.store(good, [0])
            await world.delivered()
            assert world.pump.books.redelivered == amount(2)

    run(story)


def test_trouble_ends_with_the_rows_it_was_about() -> None:
    """What a forbidden run had waiting is dropped for the spool's limit: there is no lag and no error any more."""

    async def story() -> None:
        world = World()
        world.sink.otherwise = forbidding({"bad"})
        async with world.running():
            stored = world.store(world.session("bad"), [0, 1])
            await asyncio.sleep(5)
            assert world.pump.status().lag_seconds > 0
            await world.pump.write_off([stored], "rows", "spool_size")
            world.pump.dropped([stored])
            await asyncio.sleep(100)
            status = world.pump.status()
            assert (status.lag_seconds, status.last_error, status.failures) == (0.0, None, 0)
            assert world.pump.books.waiting == amount(0)

    run(story)


def steps_of(sink: ToldSink) -> dict[int, tuple[int, ...]]:
    """The last that came of each step: the seqs of its rows."""
    records = [record for parcel in sink.parcels for part in parcel.parts for record in part.records]
    return {record.step: record.seqs for record in records if isinstance(record, Step)}


def test_an_open_step_waits_with_its_run() -> None:
    """Rows of it that wait in the spool have come: it is not handed over half, however long the run stands aside."""

    async def story() -> None:
        world = World(sink=ToldSink(Traits(unit="step", max_records=4, step_timeout=30.0)), options=SinkOptions())
        world.sink.otherwise = forbidding({"bad"})
        async with world.running():
            bad = world.session("bad")
            world.store(bad, [0, 1, 2])
            await asyncio.sleep(5)
            world.store(bad, [2, 2, 3])
            await asyncio.sleep(500)
            world.sink.otherwise = lambda sink, parcel: {}
            await world.delivered()
            found = steps_of(world.sink)
            assert found == {0: (0,), 1: (1,), 2: (2, 3, 4), 3: (5,)}
            assert world.pump.books.received == world.pump.books.delivered == amount(6)
            assert now() > 500

    run(story)


def test_an_open_step_waits_while_the_sink_is_away() -> None:
    """A sink that was away for longer than the step timeout gets whole steps when it is back."""

    async def story() -> None:
        world = World(sink=ToldSink(Traits(unit="step", max_records=2, step_timeout=30.0)))
        world.sink.answers = [lambda sink, parcel: _raise(Retry("away"))] * 10
        async with world.running():
            known = world.session()
            world.store(known, [0, 1, 2, 3, 4])
            await asyncio.sleep(1)
            world.store(known, [4, 4, 5])
            await world.delivered()
            found = steps_of(world.sink)
            assert found[4] == (4, 5, 6)

    run(story)
