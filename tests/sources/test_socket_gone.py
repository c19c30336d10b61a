"""A socket that somebody deletes the moment it appears: once he stops, the collector can be reached again."""

import asyncio
import contextlib
import threading
import time
from pathlib import Path

import pytest
from sources.place import opened_place

TIMES = 4  # that it is deleted as soon as it is seen: before the collector has looked which one is its own, too


def delete_whenever_seen(path: Path) -> None:
    until = time.monotonic() + 15
    for _ in range(TIMES):
        while time.monotonic() < until:
            with contextlib.suppress(FileNotFoundError):
                path.unlink()
                break


@pytest.mark.asyncio
async def test_a_socket_deleted_at_once_is_made_again() -> None:
    """However early it goes, the collector notices, and listens again."""
    async with opened_place() as place:
        deleting = threading.Thread(target=delete_whenever_seen, args=(place.socket.path,))
        deleting.start()
        running = asyncio.create_task(place.socket.run())
        try:
            await asyncio.to_thread(deleting.join)
            async with asyncio.timeout(10):
                while not await _can_connect(place.socket.path):  # noqa: ASYNC110 -- nobody tells of it
                    await asyncio.sleep(0.05)
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


async def _can_connect(path: Path) -> bool:
    try:
        _, writer = await asyncio.open_unix_connection(path)
    except OSError:
        return False
    writer.close()
    return True
