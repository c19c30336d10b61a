"""Sinks to which rows are nothing and events not all alike: what they do not take is filtered, to the event."""

import random
from typing import Any

import pytest
from delivery.virtual import run
from delivery.world import ToldSink, World, amount, answering, refs
from wayside.row import Event
from wayside_collector.sinks.base import Reject, Retry, SinkOptions, Traits
from wayside_collector.spool import Amount, Extent


def alerts(event: Event, options: Any) -> bool:
    return event.kind == "alert"


TRAITS = Traits(max_records=3, rows=False, takes_event=alerts)


def test_what_is_not_taken_was_never_received() -> None:
    """Of rows nothing, of events what the traits take; the books say so at once and after a restart, and a batch of
    rows alone is not even read.
    """

    async def story() -> None:
        world = World(sink=ToldSink(TRAITS))
        known = world.session()
        read: list[Extent] = []
        reading = world.spool.read
        world.spool.read = lambda extent: (read.append(extent), reading(extent))[1]  # type: ignore[method-assign]
        async with world.running():
            world.store(known, [0, 1, 2])
            await world.delivered()
            assert read == []
            world.store(known, ["config", 3, "alert", "about", "alert"])
            await world.delivered()
            assert world.sink.refs == refs(known, [5, 7])
            assert len(read) == 2  # the events alone: once to be counted, once to be sent
            assert world.pump.books.received == Amount(0, 0, 2) == world.pump.books.delivered
            assert world.pump.books.filtered == Amount(4, 4, 2)
        await world.restart()
        world.store(known, ["alert", "config"])
        await world.delivered()
        assert (world.pump.books.received, world.pump.books.filtered) == (Amount(0, 0, 3), Amount(4, 4, 3))
        await world.stop()

    run(story)


@pytest.mark.parametrize("seed", range(20))
def test_books_balance_whatever_happens(seed: int) -> None:
    """Refusals, retries and kills at random instants: each alert is delivered, waiting or dropped, everything else is
    filtered, and nothing that was committed is sent again.
    """
    dice = random.Random(seed)

    def answer(sink: ToldSink, parcel: Any) -> Any:
        told = sorted(parcel.refs())
        chance = dice.random()
        if chance < 0.2:
            return answering(Retry("later", delivered=told[: dice.randrange(len(told) + 1)]))(sink, parcel)
        if chance < 0.4:
            return answering(Reject("never", told[:1]))(sink, parcel)
        return {}

    async def story() -> None:
        world = World(sink=ToldSink(TRAITS))
        known = [world.session(run) for run in ("a", "b")]
        world.sink.otherwise = answer
        await world.start()
        stored = Amount()
        taken = 0
        for _ in range(15):
            points = dice.choices(["alert", "config", 5], k=dice.randrange(1, 6))
            world.store(dice.choice(known), points)
            events = sum(isinstance(point, str) for point in points)
            taken += points.count("alert")
            stored = stored.plus(amount(len(points) - events, events=events))
            if dice.random() < 0.3:
                await (world.die() if dice.random() < 0.5 else world.stop())
                await world.restart()
                world.sink.otherwise = answer
            books = world.pump.books
            assert books.received.events == taken
            assert books.received.plus(books.filtered) == stored
        world.sink.otherwise = lambda sink, parcel: {}
        await world.delivered()
        books = world.pump.books
        assert books.received == books.delivered.plus(books.dropped.get("rejected", Amount())) == Amount(0, 0, taken)
        assert books.filtered == stored.minus(books.received)
        await world.stop()

    run(story)


def test_options_decide_with_the_traits() -> None:
    """What is asked of an event is asked with the sink's own options."""

    class Loud(SinkOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
        word: str = ""

    async def story() -> None:
        traits = Traits(rows=False, takes_event=lambda event, options: event.kind == options.word)
        world = World(sink=ToldSink(traits), options=Loud(word="shout"))
        known = world.session()
        async with world.running():
            world.store(known, ["alert", "shout", 1])
            await world.delivered()
            assert world.sink.refs == refs(known, [1])
            assert world.pump.books.filtered == Amount(1, 1, 1)

    run(story)
