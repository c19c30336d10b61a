"""The books of one sink, through late decisions, options, limits and restarts."""

import asyncio
import threading
from typing import Any

import pytest
from delivery.virtual import now, run
from delivery.world import ToldSink, World, amount, answering, hanging, refs
from wayside_collector.delivery.books import Books, from_text, to_text
from wayside_collector.delivery.election import SETTLE
from wayside_collector.delivery.retention import drop_one
from wayside_collector.sinks.base import Reject, Retry, SinkOptions, Traits
from wayside_collector.spool import Amount, Extent


def balanced(books: Books) -> bool:
    total = books.delivered.plus(books.waiting)
    for dropped in books.dropped.values():
        total = total.plus(dropped)
    return total == books.received and min(books.waiting) >= 0


def test_what_is_kept_is_what_is_over() -> None:
    """What waits is counted again from what is stored."""
    books = Books()
    books.receive(Amount(10, 5, 1), Amount(3, 1, 0))
    books.deliver(Amount(4, 2, 0), Amount(2, 1, 0))
    books.drop("rejected", Amount(1, 1, 0))
    books.drop("spool_size", Amount())
    assert books.waiting == Amount(5, 2, 1)
    again, written_off = from_text(to_text(books, Amount(1, 1, 0), [(7, "rows", "spool_size")]))
    assert written_off == [(7, "rows", "spool_size")]
    assert again.received == Amount(5, 3, 0)
    assert (again.waiting, again.filtered, again.redelivered) == (Amount(), Amount(2, 0, 0), Amount(2, 1, 0))
    assert again.dropped == {"rejected": Amount(1, 1, 0)}


def test_a_copy_shows_one_moment() -> None:
    """However fast the books change meanwhile in another thread."""
    books = Books()
    stop = threading.Event()

    def change() -> None:
        while not stop.is_set():
            books.receive(amount(1), amount(0))
            books.deliver(amount(1), amount(0))

    thread = threading.Thread(target=change)
    thread.start()
    try:
        assert all(books.copy().waiting in (amount(0), amount(1)) for _ in range(3000))
    finally:
        stop.set()
        thread.join()


def test_what_options_leave_out_was_never_received() -> None:
    """It is `filtered`, beside the equation, and stays so over a restart, counted once."""

    async def story() -> None:
        world = World(options=SinkOptions(exclude=("gpu",)))
        known = world.session()
        points: list[Any] = [(0, {"loss": 1.0, "gpu": 2.0}), (1, {"gpu": 2.0}), (2, {"loss": 1.0})]
        async with world.running():
            world.store(known, points)
            await world.delivered()
            assert world.pump.books.received == amount(2) == world.pump.books.delivered
            assert world.pump.books.filtered == amount(2, 1)
            world.sink.answers = [hanging]
            world.store(known, points)
            await asyncio.sleep(1)
            assert world.pump.books.received == amount(4)
            await world.die()
        await world.restart()
        assert world.pump.books.received == amount(4)
        assert world.pump.books.filtered == amount(4, 2)
        await world.delivered()
        assert world.pump.books.filtered == amount(4, 2)
        assert world.pump.books.delivered == amount(4)
        await world.stop()

    run(story)


def test_rows_count_as_received_once_somebody_speaks_for_the_run() -> None:
    """While it is undecided they are neither received nor filtered; then they are one of both, all of them."""

    async def story() -> None:
        world = World(sink=ToldSink(Traits(ranks="primary", max_records=4)))
        async with world.running():
            one = world.session(rank=1)
            world.store(one, [0, 1, "config"])
            await asyncio.sleep(1)
            assert world.pump.books.received == amount(0)
            assert not world.pump.idle
            assert world.sink.sent == []
            zero = world.session(rank=0)
            world.store(zero, [0])
            world.pump.decided()
            await world.delivered()
            assert sorted(world.sink.refs) == refs(one, [2]) + refs(zero, [0])
            assert world.pump.books.received == amount(1, 1, 1) == world.pump.books.delivered
            assert world.pump.books.filtered == amount(2)

    run(story)


def test_an_undecided_session_holds_no_other_and_is_read_when_it_is_decided() -> None:
    """Its rows, and those that came meanwhile, in their order; over a restart, too."""

    async def story() -> None:
        world = World(sink=ToldSink(Traits(ranks="primary", max_records=4)))
        await world.start()
        held, other = world.session("a", rank=3), world.session("b", rank=0)
        for step in range(3):
            world.store(held, [step])
            world.store(other, [step])
            await asyncio.sleep(0.1)
        assert world.sink.refs == refs(other, range(3))
        await world.die()
        await world.restart()
        assert world.pump.books.received == amount(3)
        await asyncio.sleep(SETTLE)
        assert world.election.tick(now())
        world.pump.decided()
        await world.delivered()
        assert world.sink.refs == refs(held, range(3))
        assert world.pump.books.received == amount(6) == world.pump.books.delivered
        await world.stop()

    run(story)


@pytest.mark.parametrize("every", ["3 steps", None])
@pytest.mark.parametrize("crash", ["before", "at the commit", "after"])
def test_the_books_are_exact_over_a_crash(every: str | None, crash: str) -> None:
    """Whatever was not committed comes again, and is counted as it was."""

    async def story() -> None:
        world = World(options=SinkOptions(every=every))
        known = world.session()
        await world.start()
        world.store(known, [0, 1, 2])
        await world.delivered()
        world.sink.answers = [hanging] if crash == "before" else []
        world.spool.die_at_commit = crash == "at the commit"
        world.store(known, [3, 4, 5, "alert", 6])
        world.store(known, [7, 8, 9, 10])
        await asyncio.sleep(2)
        await world.die()
        await world.restart()
        kept = 4 if every else 11
        assert world.pump.books.received == amount(kept, kept, 1)
        assert balanced(world.pump.books)
        await world.delivered()
        assert world.pump.books.received == world.pump.books.delivered == amount(kept, kept, 1)
        assert world.pump.books.filtered == amount(11 - kept)
        position, _ = world.shelf.sinks["told"]
        assert position == world.shelf.last
        await world.stop()

    run(story)


def test_damaged_rows_are_lost_and_booked() -> None:
    """The rows of one batch; its events, and every other batch, arrive."""

    async def story() -> None:
        world = World()
        known = world.session()
        bad = world.store(known, [0, 1, "alert"])
        gone = world.store(known, [2])
        world.shelf.damaged.add(bad.rows or Extent(0, 0, 0))
        world.shelf.data.pop(gone.rows or Extent(0, 0, 0))
        world.pump = world._make_pump()
        async with world.running():
            world.store(known, [3])
            await world.delivered()
            assert world.sink.refs == refs(known, [2, 4])
            assert world.pump.books.dropped == {"damaged": amount(2), "missing": amount(1)}
            assert world.pump.books.delivered == amount(1, 1, 1)

    run(story)


def drop(world: World, file: int, chain: str = "scalars") -> Any:
    world.spool.over_limit = lambda: (file, chain, "size")  # type: ignore[attr-defined]
    return drop_one(world.spool, [world.pump])  # type: ignore[arg-type]


def test_what_a_limit_takes_is_booked_wherever_it_was() -> None:
    """Delivered rows are not lost; those in flight, read ahead and not yet read are, each once; events stay."""

    async def story() -> None:
        world = World()
        known = world.session()
        async with world.running():
            world.store(known, [0, 1])
            await world.delivered()
            world.sink.answers = [answering(Retry("away"))] * 50
            world.store(known, [2, 3, "alert"])
            world.store(known, [4] * 20)
            world.store(known, [5] * 5, file=2)
            await asyncio.sleep(3)
            assert await drop(world, 1)
            books = world.pump.books
            assert books.dropped == {"spool_size": amount(22)}
            assert (books.received, books.waiting) == (amount(29, 29, 1), amount(5, 5, 1))
            world.sink.answers = []
            await world.delivered()
            assert books.delivered == amount(7, 7, 1)
        await world.restart()
        assert world.pump.books.dropped == {"spool_size": amount(22)}
        assert world.pump.books.received == amount(29, 29, 1)
        await world.stop()

    run(story)


def test_a_crash_between_the_booking_and_the_unlinking_books_once() -> None:
    """The file is still there at the next start: it is dropped again, and lost no second time."""

    async def story() -> None:
        world = World()
        known = world.session()
        await world.start()
        world.sink.answers = [hanging]
        world.store(known, [0, 1, 2])
        await asyncio.sleep(0.1)
        batches = world.spool.batches_of_file(1)
        await world.pump.write_off(batches, "rows", "spool_size")
        await world.die()
        await world.restart()
        assert world.pump.books.received == amount(3)
        assert world.pump.books.dropped == {"spool_size": amount(3)}
        assert world.pump.books.waiting == amount(0)
        assert await drop(world, 1)
        assert world.pump.books.dropped == {"spool_size": amount(3)}
        assert world.sink.sent == []
        await world.stop()

    run(story)


def test_a_send_that_hangs_does_not_keep_a_file_for_long() -> None:
    """The disk does not wait for a sink: what is in flight is cut off within seconds, and booked."""

    async def story() -> None:
        world = World()
        async with world.running():
            world.sink.answers = [hanging]
            world.store(world.session(), [0, 1])
            await asyncio.sleep(0.1)
            began = now()
            await drop(world, 1)
            assert now() - began <= 11
            assert world.pump.books.dropped == {"spool_size": amount(2)}
            assert world.pump.books.waiting == amount(0)

    run(story)


def test_a_file_may_go_while_an_answer_is_being_committed() -> None:
    """The send is over, and what it came to is not on disk yet: there is nothing to cut off, and the file waits."""

    async def story() -> None:
        world = World()
        async with world.running():
            known = world.session()
            world.sink.answers = [answering(Retry("half", delivered=refs(known, [0])))] * 5
            world.spool.failing = 3
            world.store(known, [0, 1, 2])
            await asyncio.sleep(0.1)
            assert world.pump.status().last_error == "the disk is gone"
            await drop(world, 1)
            assert world.pump.books.dropped == {"spool_size": amount(2)}
            assert world.pump.books.delivered == amount(1)
            assert world.pump.books.waiting == amount(0)

    run(story)


def test_a_file_that_is_delivered_asks_nobody() -> None:
    """A sink that has all of it goes on sending meanwhile."""

    async def story() -> None:
        world = World()
        async with world.running():
            known = world.session()
            world.store(known, [0, 1])
            await world.delivered()
            world.sink.answers = [hanging]
            world.store(known, [2], file=2)
            await asyncio.sleep(0.1)
            began = now()
            await drop(world, 1)
            assert now() == began
            assert world.pump.books.dropped == {}

    run(story)


def test_a_limit_meets_rows_nobody_has_decided_on() -> None:
    """Dropped before it was known whose they are: booked as lost if they were this sink's, and not if not."""

    async def story() -> None:
        for rank, lost in ((0, {}), (2, {"spool_size": amount(2)})):
            world = World(sink=ToldSink(Traits(ranks="primary", max_records=4)))
            async with world.running():
                one = world.session(rank=1)
                world.store(one, [0, 1])
                await asyncio.sleep(0.1)
                await drop(world, 1)
                assert world.pump.books.dropped == {}
                world.store(world.session(rank=rank), [0], file=2)
                await asyncio.sleep(SETTLE)
                world.election.tick(now())
                world.pump.decided()
                await world.delivered()
                assert world.pump.books.dropped == lost
                assert balanced(world.pump.books)

    run(story)


def test_a_refused_step_counts_all_its_rows() -> None:
    """A merged step is refused whole, by any of its rows."""

    async def story() -> None:
        world = World(sink=ToldSink(Traits(unit="step", max_records=4)))
        async with world.running():
            known = world.session()
            world.sink.answers = [answering(Reject("too wide", refs(known, [1])))]
            world.store(known, [0, 0, 0, 1, "finish"])
            await world.delivered()
            assert world.pump.books.dropped == {"rejected": amount(3)}
            assert world.pump.books.delivered == amount(1, 1, 1)

    run(story)
