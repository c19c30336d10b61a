"""The query API in a thread of its own, for programs that ask and wait."""

import asyncio
import contextlib
import threading
from collections.abc import Iterator

from web.api.asking import Asking, asking


@contextlib.contextmanager
def served_apart(url: str | None) -> Iterator[str]:
    """Where the server is, without a slash at the end. url: of the store; None for none."""
    ready = threading.Event()
    found: list[Asking] = []
    stop: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    async def serve() -> None:
        ended = asyncio.Event()
        stop.append((asyncio.get_running_loop(), ended))
        async with asking(url) as ask:
            found.append(ask)
            ready.set()
            await ended.wait()

    thread = threading.Thread(target=asyncio.run, args=(serve(),), name="server")
    thread.start()
    try:
        assert ready.wait(30), "the server did not start"
        yield found[0].served.local
    finally:
        loop, ended = stop[0]
        loop.call_soon_threadsafe(ended.set)
        thread.join(30)
        assert not thread.is_alive()
