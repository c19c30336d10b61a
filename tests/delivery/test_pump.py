"""The pump: what it sends, when it sends it again, and what the books say meanwhile."""

import asyncio
import itertools
from typing import Any

import pytest
from delivery.virtual import now, run
from delivery.world import ToldSink, World, amount, answering, hanging, refs
from wayside_collector.delivery.sending import SEND_LIMIT
from wayside_collector.sinks.base import Reject, Retry, Traits


def test_everything_stored_arrives_in_order_and_is_delivered() -> None:
    """Rows and events of a session as they happened, at most `max_records` a parcel."""

    async def story() -> None:
        world = World()
        async with world.running():
            known = world.session()
            world.store(known, [0, 1, "alert", 2])
            world.store(known, [3, "finish"])
            await world.delivered()
            assert world.sink.refs == refs(known, range(6))
            assert max(len(sent) for sent in world.sink.sent) <= 4
            books = world.pump.books
            assert books.received == books.delivered == amount(4, 4, 2)
            assert world.pump.status().last_error is None

    run(story)


def test_a_retry_is_sent_again_after_a_growing_pause() -> None:
    """Half a second at most after the first failure, twice that after the next; the status says why."""

    async def story() -> None:
        world = World()
        world.sink.answers = [answering(Retry("no room"))] * 3
        async with world.running():
            world.store(world.session(), [0])
            await asyncio.sleep(0.1)
            assert world.pump.status().last_error == "no room"
            assert world.pump.books.waiting == amount(1)
            await world.delivered()
            times = world.sink.times
            assert [round(b - a, 3) for a, b in itertools.pairwise(times)] == [0.5, 1.0, 2.0]
            assert world.pump.status().failures == 0
            assert world.pump.books.redelivered == amount(0)

    run(story)


def test_a_time_the_other_side_names_is_never_undercut() -> None:
    """Retry-After: ninety seconds are ninety seconds, though the backoff would be half of one."""

    async def story() -> None:
        world = World()
        async with world.running():
            world.sink.answers = [answering(Retry("busy", not_before=now() + 90))]
            began = now()
            world.store(world.session(), [0])
            await world.delivered()
            assert world.sink.times[1] - began >= 90

    run(story)


def test_what_got_through_is_not_sent_again() -> None:
    """A Retry names what was delivered; the rest goes again, and only the rest."""

    async def story() -> None:
        world = World()
        async with world.running():
            known = world.session()
            world.sink.answers = [answering(Retry("half", delivered=refs(known, [0, 2])))]
            world.store(known, [0, 1, 2])
            await asyncio.sleep(0.1)
            assert world.pump.books.delivered == amount(2)
            assert world.pump.books.waiting == amount(1)
            await world.delivered()
            assert world.sink.sent == [refs(known, [0, 1, 2]), refs(known, [1])]

    run(story)


def test_what_may_have_arrived_is_redelivered_beside_the_books() -> None:
    """An answer was lost: what goes again is counted once it is delivered, and delivered only once."""

    async def story() -> None:
        world = World()
        async with world.running():
            known = world.session()
            world.sink.answers = [
                answering(Retry("cut off", delivered=refs(known, [0]), uncertain=True)),
                answering(Retry("cut off", uncertain=True)),
            ]
            world.store(known, [0, 1, 2])
            await world.delivered()
            assert world.pump.books.delivered == world.pump.books.received == amount(3)
            assert world.pump.books.redelivered == amount(2)

    run(story)


def test_what_is_refused_becomes_a_dead_letter_and_the_rest_is_delivered() -> None:
    """Its reason, its seq and its body are kept in the same transaction as the books."""

    async def story() -> None:
        world = World()
        async with world.running():
            known = world.session()
            world.sink.answers = [answering(Reject("no such step", refs(known, [1])))]
            world.store(known, [0, 1, 2])
            await world.delivered()
            books = world.pump.books
            assert (books.delivered, books.dropped) == (amount(2), {"rejected": amount(1)})
            (letter,) = world.shelf.letters["told"]
            assert (letter.session, letter.seq, letter.reason, letter.points) == (known.key, 1, "no such step", 1)
            assert b'"loss"' in letter.record or b"1.0" in letter.record
            assert world.pump.status().dead_letters == 1
            assert len(world.sink.sent) == 1

    run(story)


def test_a_bug_in_a_sink_is_a_reason_to_try_again(caplog: pytest.LogCaptureFixture) -> None:
    """Logged with its traceback, shown, and what it was given may have arrived."""

    async def story() -> None:
        world = World()
        world.sink.answers = [answering(ZeroDivisionError("oh"))]
        async with world.running():
            world.store(world.session(), [0])
            await asyncio.sleep(0.1)
            assert world.pump.status().last_error == "ZeroDivisionError: oh"
            await world.delivered()
            assert world.pump.books.redelivered == amount(1)

    run(story)
    assert "ZeroDivisionError" in caplog.text


def test_a_send_that_hangs_is_cut_off() -> None:
    """After far more than any sink's own timeouts; then it is tried again."""

    async def story() -> None:
        world = World()
        world.sink.answers = [hanging]
        async with world.running():
            began = now()
            world.store(world.session(), [0])
            await world.delivered()
            assert SEND_LIMIT <= now() - began < SEND_LIMIT + 2
            assert len(world.sink.sent) == 2

    run(story)


def test_an_opening_that_fails_is_tried_again() -> None:
    """A library that is missing is said, and rows wait."""

    async def story() -> None:
        class Closed(ToldSink):
            async def open(self, context: Any) -> None:
                await super().open(context)
                if self.opened < 3:
                    raise Retry("not installed")

        world = World(sink=Closed())
        async with world.running():
            world.store(world.session(), [0])
            await asyncio.sleep(0.1)
            assert world.pump.status().last_error == "not installed"
            await world.delivered()
            assert world.sink.opened == 3
            assert len(world.sink.sent) == 1

    run(story)


def test_a_commit_that_fails_is_made_again_and_nothing_is_sent_twice() -> None:
    """The pump pauses: what was sent stays sent, and is not delivered until it is committed."""

    async def story() -> None:
        world = World()
        async with world.running():
            known = world.session()
            world.store(known, [0])
            await world.delivered()
            world.spool.failing = 2
            world.store(known, [1])
            await asyncio.sleep(0.5)
            assert world.pump.books.waiting == amount(1)
            assert world.pump.status().last_error == "the disk is gone"
            await world.delivered()
            assert world.sink.refs == refs(known, [0, 1])
            assert world.pump.status().last_error is None

    run(story)


def test_a_spool_that_cannot_be_read_is_asked_again() -> None:
    """Its error is shown, and goes."""

    async def story() -> None:
        world = World()
        async with world.running():
            world.spool.unreadable = 2
            world.store(world.session(), [0])
            await asyncio.sleep(0.5)
            assert world.pump.status().last_error == "the database cannot be read"
            await world.delivered()

    run(story)


def test_state_comes_back_as_it_was_committed() -> None:
    """With the cursor, in one transaction: what a send returned and what a Retry brought."""

    async def story() -> None:
        world = World()
        world.sink.answers = [
            lambda sink, parcel: {"a": b"1", "b": b"2"},
            answering(Retry("later", changes={"a": b"3"})),
            lambda sink, parcel: {"b": None},
        ]
        async with world.running():
            known = world.session()
            world.store(known, [0])
            await world.delivered()
            world.store(known, [1])
            await asyncio.sleep(0.1)
            assert world.shelf.state["told"] == {"a": b"3", "b": b"2"}
            await world.delivered()
        await world.restart()
        world.store(known, [2])
        await world.delivered()
        assert world.sink.state == {"a": b"3"}
        await world.stop()

    run(story)


def test_a_sink_that_starts_now_gets_nothing_from_before() -> None:
    """A scrape target wants today's values; what was stored before its first start is none of its books' business."""

    async def story() -> None:
        world = World(sink=ToldSink(Traits(start="now")))
        known = world.session()
        world.store(known, [0, 1])
        world.pump = world._make_pump()
        async with world.running():
            world.store(known, [2])
            await world.delivered()
            assert world.sink.refs == refs(known, [2])
            assert world.pump.books.received == amount(1)
        await world.restart(ToldSink(Traits(start="now")))
        await world.stop()
        assert world.pump.books.received == amount(1)

    run(story)


def test_one_dead_sink_delays_nothing_else() -> None:
    """One hangs, one fails for ever, one is slow: the fourth has everything in less than a second."""

    async def story() -> None:
        fast = World()
        others = []
        for name, answer in (("hangs", hanging), ("fails", answering(Retry("no"))), ("slow", _slow)):
            other = World(shelf=fast.shelf, registry=fast.registry, name=name)
            other.sink.answers = [answer] * 1000
            others.append(other)
        for world in (fast, *others):
            await world.start()
        known = fast.session()
        began = now()
        for step in range(20):
            stored = fast.store(known, [step])
            for other in others:
                other.pump.stored([stored])
        await fast.delivered()
        assert now() - began < 1.0
        assert fast.pump.books.delivered == amount(20)
        for world in (fast, *others):
            assert world.pump.books.received == amount(20)
            assert world.pump.books.waiting == amount(0 if world is fast else 20)
            await world.stop()

    run(story)


async def _slow_answer() -> dict[str, bytes]:
    await asyncio.sleep(60)
    return {}


def _slow(sink: ToldSink, parcel: Any) -> Any:
    return _slow_answer()


def test_a_stop_in_the_middle_of_a_send_delivers_it_later() -> None:
    """A cancelled send counts as not delivered; what was delivered before is not sent again."""

    async def story() -> None:
        world = World()
        known = world.session()
        async with world.running():
            world.store(known, [0, 1])
            await world.delivered()
            world.sink.answers = [hanging]
            world.store(known, [2, 3])
            await asyncio.sleep(0.1)
        assert world.sink.closed == 1
        await world.restart()
        await world.delivered()
        assert world.sink.refs == refs(known, [2, 3])
        assert world.pump.books.delivered == world.pump.books.received == amount(4)
        await world.stop()

    run(story)
