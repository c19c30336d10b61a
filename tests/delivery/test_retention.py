"""Which file goes when a limit is passed, and that every sink has booked it before."""

import asyncio
from typing import Any

import pytest
from delivery.virtual import run
from delivery.world import World, amount, answering
from wayside_collector.delivery import retention
from wayside_collector.delivery.retention import drop_one, keep_limits
from wayside_collector.sinks.base import Retry


def over(world: World, *files: tuple[int, str, str]) -> list[tuple[int, str, str]]:
    """The spool says of these files, one after the other, that they must go."""
    left = list(files)
    world.spool.over_limit = lambda: left.pop(0) if left else None  # type: ignore[attr-defined]
    return left


def test_every_sink_books_its_loss_before_the_file_goes() -> None:
    """The one that has delivered it loses nothing; the other loses it all, committed before the file is unlinked."""

    async def story() -> None:
        fast = World()
        slow = World(shelf=fast.shelf, registry=fast.registry, name="slow")
        slow.sink.otherwise = answering(Retry("away"))
        async with fast.running(), slow.running():
            known = fast.session()
            slow.pump.stored([fast.store(known, [0, 1, 2])])
            await fast.delivered()
            over(fast, (1, "scalars", "age"))
            unlinked: list[Any] = []
            unlink = fast.spool.drop
            fast.spool.drop = lambda file: (unlinked.append(dict(fast.shelf.sinks)), unlink(file))[1]  # type: ignore[method-assign]
            assert await drop_one(fast.spool, [fast.pump, slow.pump])  # type: ignore[arg-type]
            assert '"spool_age": [3, 3, 0]' in unlinked[0]["slow"][1]
            assert fast.pump.books.dropped == {}
            assert slow.pump.books.dropped == {"spool_age": amount(3)}
            assert not await drop_one(fast.spool, [fast.pump])  # type: ignore[arg-type]

    run(story)


def test_with_a_full_disk_one_file_must_do() -> None:
    """Until the next write has been tried: perhaps that was enough."""

    async def story() -> None:
        world = World()
        async with world.running():
            world.store(world.session(), [0])
            over(world, (1, "scalars", "disk"))
            assert not await drop_one(world.spool, [world.pump])  # type: ignore[arg-type]
            assert world.shelf.files == {}

    run(story)


def test_limits_are_kept_after_a_failure(caplog: pytest.LogCaptureFixture) -> None:
    """A commit that fails drops nothing: the file stays until the loss is booked on disk."""

    async def story() -> None:
        world = World()
        world.sink.otherwise = answering(Retry("away"))
        async with world.running():
            world.store(world.session(), [0, 1])
            await asyncio.sleep(0.1)
            tries: list[int] = []

            def over_limit() -> tuple[int, str, str] | None:
                tries.append(1)
                return (1, "scalars", "size") if 1 in world.shelf.files else None

            world.spool.over_limit = over_limit  # type: ignore[attr-defined]
            world.spool.failing = 1
            keeping = asyncio.get_running_loop().create_task(keep_limits(world.spool, lambda: [world.pump]))  # type: ignore[arg-type]
            await asyncio.sleep(retention.INTERVAL / 2)
            assert 1 in world.shelf.files
            await asyncio.sleep(2 * retention.INTERVAL)
            assert 1 not in world.shelf.files
            assert world.pump.books.dropped == {"spool_size": amount(2)}
            assert len(tries) >= 3
            keeping.cancel()
            with pytest.raises(asyncio.CancelledError):
                await keeping

    run(story)
    assert "cannot be kept" in caplog.text
