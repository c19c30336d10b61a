"""What cannot be stopped half-way is waited for, and whoever was cancelled meanwhile ends."""

import asyncio
from concurrent.futures import Future
from typing import Any

import pytest
from delivery.virtual import run
from delivery.world import World, amount
from wayside_collector.delivery.waiting import outcome
from wayside_collector.spool import SpoolError


async def cancelled_while_it_waits(future: "asyncio.Future[int]", end: Any) -> "asyncio.Task[Any]":
    """Someone who waits for it is cancelled, and only then it ends."""
    task = asyncio.ensure_future(outcome(future))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.sleep(0)
    assert not task.done()
    end()
    await asyncio.wait([task])
    return task


@pytest.mark.asyncio
async def test_what_it_came_to_is_known_to_who_was_cancelled() -> None:
    """With the cancellation, to be raised once things are put right."""
    future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    task = await cancelled_while_it_waits(future, lambda: future.set_result(7))
    result, cancelled = task.result()
    assert (result, type(cancelled)) == (7, asyncio.CancelledError)


@pytest.mark.asyncio
async def test_a_failure_is_no_reason_to_go_on_for_who_was_cancelled() -> None:
    """Whoever tries again after a failure would never end."""
    future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    task = await cancelled_while_it_waits(future, lambda: future.set_exception(SpoolError("the disk is gone")))
    assert task.cancelled()


@pytest.mark.parametrize("fails", [False, True])
def test_a_pump_that_is_stopped_while_it_commits_ends(fails: bool) -> None:
    """Also when that commit fails; then the last one, when it closes, has all that the failed one had."""

    async def story() -> None:
        world = World()
        await world.start()
        commit, pending = world.spool.commit, Future[int]()

        def slowly(what: Any, *, lazy: bool = False) -> "Future[int]":
            world.spool.commit = commit  # type: ignore[method-assign]
            if not fails:
                commit(what)
            return pending

        known = world.session()
        world.spool.commit = slowly  # type: ignore[method-assign]
        world.store(known, [0, 1, 2])
        await asyncio.sleep(5)
        assert len(world.sink.refs) == 3
        assert world.task is not None
        world.task.cancel()
        await asyncio.sleep(5)
        assert not world.task.done()
        if fails:
            pending.set_exception(SpoolError("the disk is gone"))
        else:
            pending.set_result(0)
        await asyncio.sleep(5)
        assert world.task.done()
        await world.restart()
        await asyncio.sleep(5)
        assert world.sink.refs == []
        assert world.pump.books.delivered == world.pump.books.received == amount(3)
        await world.stop()

    run(story)
