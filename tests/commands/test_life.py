"""What the commands that run a collector share."""

import asyncio

import pytest
from wayside_collector.commands.life import until_ready


async def _fail() -> None:
    raise OSError("no room")


@pytest.mark.asyncio
async def test_a_collector_that_ends_before_it_is_ready_is_not_waited_for() -> None:
    """Nor one that takes longer than the command may."""
    ready = asyncio.Event()
    ended = asyncio.create_task(_fail())
    assert not await until_ready(ready, ended)
    with pytest.raises(OSError, match="no room"):
        await ended
    runs = asyncio.create_task(asyncio.Event().wait())
    assert not await until_ready(ready, runs, 0.01)  # type: ignore[arg-type]
    ready.set()
    assert await until_ready(ready, runs)  # type: ignore[arg-type]
    runs.cancel()
