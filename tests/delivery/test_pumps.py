"""Pumps exchanged while rows come in: one at a time feeds a sink of a name, and what was under way is finished."""

import asyncio
from typing import Any

import pytest
from delivery.virtual import run
from delivery.world import ToldSink, World, amount
from wayside_collector.delivery.pump import Pump
from wayside_collector.delivery.pumps import COUNTED_FIRST, Pumps


class Stage:
    """A world whose pump is one of several, and is exchanged."""

    def __init__(self) -> None:
        self.world = World()
        self.first = self.world.pump
        self.pumps: Any = Pumps(self.world.spool)  # type: ignore[arg-type]
        self.world.pump = self.pumps  # who is told of what is stored

    def another(self) -> Pump:
        self.world.sink = ToldSink()
        return self.world._make_pump()


def test_an_exchanged_sink_is_closed_and_the_next_goes_on_where_it_stood() -> None:
    """Every row arrives once, at the one or at the other; the one before sends nothing any more."""

    async def story() -> None:
        stage = Stage()
        world = stage.world
        known = world.session()
        async with asyncio.TaskGroup() as group:
            first = world.sink
            await stage.pumps.load({"told": lambda: stage.first})
            stage.pumps.start(group)
            world.store(known, list(range(5)))
            await asyncio.sleep(10)
            await stage.pumps.put("told", stage.another)
            second = world.sink
            assert first.closed
            world.store(known, list(range(5)))
            await asyncio.sleep(10)
            arrived = [sink.refs for sink in (first, second)]
            assert [len(refs) for refs in arrived] == [5, 5]
            assert len({*arrived[0], *arrived[1]}) == 10
            await stage.pumps.stop()
            assert second.closed

    run(story)


def test_a_removed_sink_has_what_waits_first() -> None:
    """As long as its time is not over; then it is closed, and what comes later is not for it."""

    async def story() -> None:
        stage = Stage()
        world = stage.world
        known = world.session()
        async with asyncio.TaskGroup() as group:
            sink = world.sink
            await stage.pumps.load({"told": lambda: stage.first})
            world.store(known, list(range(9)))  # before it runs: all of it waits
            assert sink.sent == []
            stage.pumps.start(group)
            await stage.pumps.remove("told", 60.0)
            assert sum(len(sent) for sent in sink.sent) == 9
            assert sink.closed
            assert list(stage.pumps) == []
            assert stage.pumps.get("told") is None

    run(story)


def test_where_a_great_deal_waits_it_is_counted_while_rows_come_in() -> None:
    """What is stored meanwhile is counted once; who is stopped first is closed; and no file goes before it is known."""

    async def story() -> None:
        stage = Stage()
        world = stage.world
        known = world.session()
        world.store(known, list(range(5)))
        world.spool.counted = COUNTED_FIRST + 1
        async with asyncio.TaskGroup() as group:
            await stage.pumps.load({"told": stage.another})
            assert (list(stage.pumps), stage.pumps.counting, stage.pumps.idle) == ([], ["told"], False)
            world.store(known, list(range(3)))
            world.spool.unreadable = 1  # the first attempt fails
            stage.pumps.start(group)
            world.store(known, list(range(2)))
            await asyncio.sleep(10)
            (pump,) = stage.pumps
            assert (stage.pumps.counting, len(world.sink.refs)) == ([], 10)
            assert pump.books.received == pump.books.delivered == amount(10)
            await stage.pumps.stop()

    run(story)


def test_a_sink_that_is_stopped_while_it_counts_is_closed() -> None:
    """It was perhaps opened to show what it kept."""

    async def story() -> None:
        stage = Stage()
        stage.world.spool.counted = COUNTED_FIRST + 1
        async with asyncio.TaskGroup() as group:
            await stage.pumps.load({"told": stage.another})
            stage.pumps.start(group)
            await stage.pumps.stop()
            assert stage.world.sink.closed

    run(story)


def test_a_sink_that_cannot_be_made_leaves_the_old_one_in_place() -> None:
    """Its certificate is half written: what runs goes on."""

    async def story() -> None:
        stage = Stage()
        world = stage.world

        def fail() -> Pump:
            raise OSError("half a certificate")

        async with asyncio.TaskGroup() as group:
            await stage.pumps.load({"told": lambda: stage.first})
            stage.pumps.start(group)
            with pytest.raises(OSError, match="half"):
                await stage.pumps.put("told", fail)
            world.store(world.session(), list(range(5)))
            await asyncio.sleep(10)
            assert len(world.sink.refs) == 5
            await stage.pumps.stop()

    run(story)
