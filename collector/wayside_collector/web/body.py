"""Bodies of requests: read whole and decompressed before the handler is called, within the limits of its route.

A route with `max_body` finds its body at `request[BODY]`. The limit is of what comes out: decompressing stops there,
so that a small body cannot become a large one. It is done in a thread, and never for somebody who may not send.
"""

import asyncio
from collections.abc import Awaitable, Callable

from aiohttp import hdrs, web

from ..compression import DECOMPRESS, NotCompressed, TooLong
from .roles import Route

MAX_HELD = 64 << 20  #: bytes of bodies in memory at once, whoever sends them: many small ones, or four large ones
BODY_TIMEOUT = 60.0  #: seconds a body may take to come: a sender on a bad line, but no connection held for ever
AT_ONCE = 4  #: bodies decompressed at once: each takes a processor, and memory that is not counted yet

BODY: web.RequestKey[bytes] = web.RequestKey("body", bytes)  #: a request's body, decompressed

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class BadBody(Exception):
    """A body that is not taken. status: of the answer; the message is for the sender."""

    def __init__(self, status: int, message: str, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.headers: dict[str, str] = {} if retry_after is None else {hdrs.RETRY_AFTER: str(retry_after)}


class Bodies:
    """The bodies of one server. held: bytes of them in memory."""

    def __init__(self) -> None:
        self.held = 0
        self._turns = asyncio.Semaphore(AT_ONCE)

    def reading(self, route: Route) -> Handler:
        """The route's handler, which is called once the body is there."""
        limit = route.max_body
        if limit is None:
            return route.handler

        async def handle(request: web.Request) -> web.StreamResponse:
            hold = _Hold(self)
            try:
                request[BODY] = await _read(request, limit, hold, self._turns)
                return await route.handler(request)
            except BadBody as problem:
                return web.json_response({"error": str(problem)}, status=problem.status, headers=problem.headers)
            finally:
                hold.release()

        return handle


class _Hold:
    """What one request holds of the memory for all."""

    def __init__(self, bodies: Bodies) -> None:
        self._bodies = bodies
        self._bytes = 0

    def take(self, count: int) -> None:
        if self._bodies.held + count > MAX_HELD:
            raise BadBody(429, f"requests of {MAX_HELD} bytes are being read, the limit; send again later", 1)
        self._bodies.held += count
        self._bytes += count

    def release(self) -> None:
        self._bodies.held -= self._bytes
        self._bytes = 0


async def _read(request: web.Request, limit: int, hold: _Hold, turns: asyncio.Semaphore) -> bytes:
    encoding = request.headers.get(hdrs.CONTENT_ENCODING, "identity").strip().lower()
    decompress = DECOMPRESS.get(encoding)
    if decompress is None and encoding not in ("", "identity"):
        raise BadBody(415, f"Content-Encoding {encoding[:40]!r} is not known: send gzip, zstd, or no encoding")
    sent = await _receive(request, limit, hold)
    if decompress is None:
        return sent
    try:
        async with turns:
            found = await asyncio.to_thread(decompress, sent, limit)
    except NotCompressed as problem:
        raise BadBody(400, f"the body is no whole {encoding}: {problem}") from None
    except TooLong:
        raise _too_long(limit) from None
    hold.take(len(found))
    return found


async def _receive(request: web.Request, limit: int, hold: _Hold) -> bytes:
    """The body as it was sent; what is longer than the limit is not read to its end."""
    if (request.content_length or 0) > limit:
        raise _too_long(limit)
    sent = bytearray()
    try:
        async with asyncio.timeout(BODY_TIMEOUT):
            while chunk := await request.content.readany():
                hold.take(len(chunk))
                sent += chunk
                if len(sent) > limit:
                    raise _too_long(limit)
    except TimeoutError:
        raise BadBody(408, f"the body was not whole after {BODY_TIMEOUT:g} s") from None
    return bytes(sent)


def _too_long(limit: int) -> BadBody:
    return BadBody(413, f"the body is longer than {limit} bytes, the limit here: send it in parts")
