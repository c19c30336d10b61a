"""From declarations to routes: read what is asked, answer it in a thread, hand on the bytes."""

import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from aiohttp import hdrs, web

from ...store import Reader, StoreError
from ...store.reader import NotFound
from ..roles import Role, Route
from .asked import BadQuestion, read_asked
from .encoding import WORTH, compress, encode
from .endpoint import Endpoint
from .readers import Readers, Unavailable
from .runs import RUNS
from .series import SERIES

PREFIXES = ("/api/v1", "/v1")

log = logging.getLogger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class QueryApi:
    """The routes of the query API."""

    def __init__(self, readers: Readers) -> None:
        self._readers = readers

    def routes(self) -> list[Route]:
        return list(self._made([*RUNS, *SERIES]))

    def _made(self, endpoints: Iterable[Endpoint]) -> Iterable[Route]:
        for endpoint in endpoints:
            handler = _answering(self._asking(endpoint))
            for prefix in PREFIXES:
                yield Route("GET", prefix + endpoint.path, handler, Role.READER)

    def _asking(self, endpoint: Endpoint) -> Handler:
        async def answer(request: web.Request) -> web.StreamResponse:
            asked = read_asked(endpoint.asked, request.match_info, request.query, free=endpoint.free)
            zipped = accepts_gzip(request)

            def question(reader: Reader) -> tuple[bytes, bool]:
                body = encode(endpoint.answer(reader, asked))
                return (compress(body), True) if zipped and len(body) >= WORTH else (body, False)

            body, is_zipped = await self._readers.ask(question, heavy=endpoint.heavy)
            headers = {hdrs.VARY: hdrs.ACCEPT_ENCODING, hdrs.CACHE_CONTROL: "no-store"}
            if is_zipped:
                headers[hdrs.CONTENT_ENCODING] = "gzip"
            return web.Response(body=body, content_type="application/json", headers=headers)

        return answer


def accepts_gzip(request: web.Request) -> bool:
    """Whether the answer may come compressed."""
    for part in request.headers.get(hdrs.ACCEPT_ENCODING, "").lower().split(","):
        coding, _, weight = part.replace(" ", "").partition(";q=")
        if coding == "gzip":
            return weight.strip("0.") != "" or not weight
    return False


def told(value: Any, status: int = 200) -> web.Response:
    return web.Response(body=encode(value), status=status, content_type="application/json")


def _answering(handler: Handler) -> Handler:
    """What can go wrong, in words and with its status."""

    async def answer(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except BadQuestion as problem:
            return told({"error": str(problem)}, 400)
        except NotFound as problem:
            return told({"error": str(problem)}, 404)
        except (Unavailable, StoreError) as problem:
            return told({"error": str(problem)}, 503)

    return answer
