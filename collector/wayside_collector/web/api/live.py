"""Live updates as server-sent events: `/runs/{id}/live` and `/live`.

One loop looks at the store once a second while anybody listens, whoever wrote into it, and what is new is encoded once
for all who listen to the same. Nobody is waited for: who does not take what waits for him is cut off, and comes again
by himself, as browsers do.
"""

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial

from aiohttp import hdrs, web

from ...store import Reader, StoreError
from ..access import NAMESPACE
from .feeds import Feed, RunFeed, RunsFeed
from .readers import Readers, Unavailable

INTERVAL = 1.0  #: seconds between two looks
HEARTBEAT = 15.0  #: seconds without news after which a comment is sent, so that proxies keep the line
MAX_LISTENERS = 200  #: each takes a connection, of which other questions need some
MAX_WAITING = 16  #: updates that wait for one listener: seconds, in which a bad line can come back

log = logging.getLogger(__name__)


class _Listener:
    """One who listens. updates: what is to be sent; None for the end."""

    def __init__(self, request: web.Request) -> None:
        self.updates: asyncio.Queue[bytes | None] = asyncio.Queue(MAX_WAITING)
        self._request = request

    def tell(self, update: bytes | None) -> None:
        try:
            self.updates.put_nowait(update)
        except asyncio.QueueFull:
            if self._request.transport is not None:
                self._request.transport.abort()  # closing would wait until he has taken what is on the way


_Key = tuple[str | None, str | None]  # the namespace of those who listen, and the run; None for all


@dataclass(frozen=True, slots=True)
class _Channel:
    """What some listen to."""

    feed: Feed
    listeners: set[_Listener] = field(default_factory=set)

    def tell(self, update: bytes | None) -> None:
        for listener in self.listeners:
            listener.tell(update)


class Live:
    """The channels there are while anybody listens, by what they are of."""

    def __init__(self, readers: Readers, interval: float = INTERVAL, heartbeat: float = HEARTBEAT) -> None:
        self._readers = readers
        self._interval = interval
        self._heartbeat = heartbeat
        self._channels: dict[_Key, _Channel] = {}
        self._looking: asyncio.Task[None] | None = None
        self._woken = asyncio.Event()
        self._in_thread = threading.Lock()  # one look at a time, also when the last one was given up

    @property
    def listeners(self) -> int:
        return sum(len(channel.listeners) for channel in self._channels.values())

    async def run(self, request: web.Request) -> web.StreamResponse:
        """One run. Raises NotFound, Unavailable and StoreError, as `runs` does."""
        id, namespace = request.match_info["id"], request[NAMESPACE]
        await self._readers.ask(lambda reader: reader.within(namespace).run(id))
        return await self._stream(request, (namespace, id), lambda: RunFeed(id))

    async def runs(self, request: web.Request) -> web.StreamResponse:
        """The list of runs."""
        await self._readers.ask(lambda reader: reader.runs(limit=1))
        return await self._stream(request, (request[NAMESPACE], None), RunsFeed)

    async def _stream(self, request: web.Request, key: _Key, make: Callable[[], Feed]) -> web.StreamResponse:
        if self.listeners >= MAX_LISTENERS:
            raise Unavailable(f"{MAX_LISTENERS} listen already, the limit: ask again later")
        response = web.StreamResponse(headers={hdrs.CACHE_CONTROL: "no-store", "X-Accel-Buffering": "no"})
        response.content_type = "text/event-stream"
        if request.method == "HEAD":
            return response
        listener = _Listener(request)
        with self._joined(key, make, listener), contextlib.suppress(ConnectionError):
            await response.prepare(request)
            while (update := await self._next(listener)) is not None:
                await response.write(update)
        return response

    async def _next(self, listener: _Listener) -> bytes | None:
        try:
            async with asyncio.timeout(self._heartbeat):
                return await listener.updates.get()
        except TimeoutError:
            return b": still here\n\n"

    @contextlib.contextmanager
    def _joined(self, key: _Key, make: Callable[[], Feed], listener: _Listener) -> Iterator[None]:
        channel = self._channels.get(key)
        if channel is None:
            channel = self._channels[key] = _Channel(make())
            self._woken.set()
        elif snapshot := channel.feed.snapshot():
            listener.tell(snapshot)
        channel.listeners.add(listener)
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look(), name="live")
        try:
            yield
        finally:
            channel.listeners.discard(listener)
            if not channel.listeners and self._channels.get(key) is channel:
                del self._channels[key]

    async def _look(self) -> None:
        """Until nobody listens any more."""
        while self._channels:
            self._woken.clear()
            look = partial(self._look_at, dict(self._channels), asyncio.get_running_loop())
            try:
                await self._readers.ask(look)
            except (Unavailable, StoreError) as problem:
                log.debug("live updates wait: %s", problem)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._interval):
                    await self._woken.wait()

    def _look_at(self, channels: Mapping[_Key, _Channel], loop: asyncio.AbstractEventLoop, reader: Reader) -> None:
        """In a thread. What a feed says is told at once: it says nothing twice, and the next may raise StoreError."""
        if not self._in_thread.acquire(blocking=False):
            return
        try:
            for (namespace, run), channel in channels.items():
                update = channel.feed.look(reader.within(namespace))
                loop.call_soon_threadsafe(self._tell, (namespace, run), channel, update, channel.feed.over)
        finally:
            self._in_thread.release()

    def _tell(self, key: _Key, channel: _Channel, update: bytes, over: bool) -> None:
        if update:
            channel.tell(update)
        if over:
            channel.tell(None)
            if self._channels.get(key) is channel:
                del self._channels[key]
