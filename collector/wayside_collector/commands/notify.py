"""What systemd is told, where it asks (`Type=notify`): that the collector is ready, lives, and stops.

The protocol is a datagram of words to the socket that NOTIFY_SOCKET names (sd_notify(3)). Nobody asks: nothing is said.
The watchdog's word comes from the event loop: a loop that hangs says nothing, and is started anew.
"""

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncIterator, Mapping

_log = logging.getLogger(__name__)


class Notifier:
    """environ: the process's environment."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        address = environ.get("NOTIFY_SOCKET", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address
        usec = environ.get("WATCHDOG_USEC", "")
        #: seconds between two words: half of what systemd allows
        self._interval = int(usec) / 2e6 if usec.isdecimal() and int(usec) > 0 else None

    def say(self, words: str) -> None:
        """Never waits, and never fails: nobody stops for a supervisor that does not listen."""
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as line:
                line.sendto(words.encode(), self._address)
        except OSError as problem:
            _log.warning("systemd was not told %s: %s", words, problem)

    @contextlib.asynccontextmanager
    async def telling(self, ready: asyncio.Event, stop: asyncio.Event) -> AsyncIterator[None]:
        """Tell of a collector that runs within; the watchdog hears of it to its very end."""
        tasks = [asyncio.create_task(one) for one in (self._live(ready), self._end(stop))] if self._address else []
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _live(self, ready: asyncio.Event) -> None:
        await ready.wait()
        self.say("READY=1")
        while self._interval is not None:
            self.say("WATCHDOG=1")
            await asyncio.sleep(self._interval)

    async def _end(self, stop: asyncio.Event) -> None:
        await stop.wait()
        self.say("STOPPING=1")
