"""From declarations to routes: read what is asked, answer it in a thread, hand on the bytes."""

from collections.abc import Awaitable, Callable, Iterable, Iterator
from functools import lru_cache
from typing import Any

import msgspec
from aiohttp import hdrs, web

from ...store import Reader, StoreError
from ...store.reader import NotFound
from ..access import NAMESPACE
from ..body import BODY
from ..roles import Role, Route
from . import envelope
from .asked import BadQuestion, read_asked
from .docs import docs_page
from .encoding import WORTH, accepts_gzip, compress, encode
from .endpoint import Endpoint
from .grafana import GRAFANA, MAX_BODY, Answer
from .lens import LENS
from .lens_diag import LENS_DIAG
from .live import INTERVAL, Live
from .media import CONTENT, MEDIA, content_handler
from .openapi import document
from .readers import Readers, Unavailable
from .runs import RUNS
from .series import SERIES

PREFIXES = ("/api/v1", "/v1")
ENDPOINTS = (*RUNS, *SERIES, *MEDIA, *LENS, *LENS_DIAG)
STREAMS = {
    "/live": "Server-sent events: `runs` with those that have changed",
    "/runs/{id}/live": "Server-sent events: `update` with the last points, `alert`, and `end` when the run is over",
}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class QueryApi:
    """The routes of the query API. bodies: how Lens's endpoints answer when nobody says. interval: seconds between two
    looks for live updates.
    """

    def __init__(self, readers: Readers, bodies: envelope.Bodies = "bare", *, interval: float = INTERVAL) -> None:
        self.live = Live(readers, interval)
        self._readers = readers
        self._bodies: envelope.Bodies = bodies

    def routes(self) -> list[Route]:
        others = {"/live": self.live.runs, "/runs/{id}/live": self.live.run, CONTENT: content_handler(self._readers)}
        health = ("/health", *(f"{prefix}/health" for prefix in PREFIXES))
        return [
            *self._routes(ENDPOINTS),
            *(
                Route("GET", p + path, _in_words(handler), Role.READER, scoped=True)
                for p in PREFIXES
                for path, handler in others.items()
            ),
            *(Route("GET", path, _healthy, Role.NONE) for path in health),
            *(Route("GET", path, _healthy, Role.READER, scoped=True) for path in ("/grafana", "/grafana/")),
            *(
                Route("POST", f"/grafana{one.path}", self._grafana(one), Role.READER, max_body=MAX_BODY, scoped=True)
                for one in GRAFANA
            ),
            Route("GET", "/api/openapi.json", _show_document, Role.READER, scoped=True),
            Route("GET", "/api/docs", _show_docs, Role.READER, scoped=True),
        ]

    def _routes(self, endpoints: Iterable[Endpoint]) -> Iterator[Route]:
        for endpoint in endpoints:
            handler = self._lens(endpoint) if endpoint.lens else self._own(endpoint)
            for prefix in PREFIXES:
                yield Route("GET", prefix + endpoint.path, handler, Role.READER, scoped=True)

    def _own(self, endpoint: Endpoint) -> Handler:
        async def answer(request: web.Request) -> web.StreamResponse:
            asked = read_asked(endpoint.asked, request.match_info, request.query, free=endpoint.free)
            return await self._answer(request, lambda reader: encode(endpoint.answer(reader, asked)), endpoint.heavy)

        return _in_words(answer)

    def _grafana(self, one: Answer) -> Handler:
        async def answer(request: web.Request) -> web.StreamResponse:
            try:
                asked = msgspec.json.decode(request[BODY] or b"{}", type=one.asked)
            except (msgspec.DecodeError, RecursionError) as problem:
                raise BadQuestion(f"body: {problem}") from None
            return await self._answer(request, lambda reader: encode(one.answer(reader, asked)), True)

        return _in_words(answer)

    def _lens(self, endpoint: Endpoint) -> Handler:
        """Bare with a status, as Lens answered first; or in the envelope, where also errors have status 200."""
        usual = "envelope" if endpoint.lens == "envelope" else self._bodies

        async def answer(request: web.Request) -> web.StreamResponse:
            wraps = envelope.is_wanted(envelope.said(request.query), request.headers, usual)
            try:
                asked: Any = read_asked(endpoint.asked, request.match_info, request.query, strict=False)

                def question(reader: Reader) -> bytes:
                    if wraps and endpoint.lens == "configured" and not reader.workload_runs(asked.uid):
                        raise NotFound(f"workload {asked.uid} not found in any cluster")
                    body = msgspec.json.encode(endpoint.answer(reader, asked))  # all of it is finite
                    return envelope.wrap(body) if wraps else body

                return await self._answer(request, question, endpoint.heavy)
            except BadQuestion as problem:
                code, status, text = envelope.BAD, 400, str(problem)
            except NotFound as problem:
                code, status, text = envelope.UNKNOWN, 404, str(problem)
            except Unavailable as problem:
                code, status, text = envelope.UNAVAILABLE, 503, str(problem)
            except StoreError as problem:
                code, status, text = envelope.DATABASE, 500, str(problem)
            return _json(envelope.failure(code, text)) if wraps else _error(status, text)

        return answer

    async def _answer(
        self, request: web.Request, question: Callable[[Reader], bytes], heavy: bool
    ) -> web.StreamResponse:
        zips = accepts_gzip(request.headers.get(hdrs.ACCEPT_ENCODING, ""))
        namespace = request[NAMESPACE]

        def bytes_of(reader: Reader) -> tuple[bytes, bool]:
            body = question(reader.within(namespace))
            return (compress(body), True) if zips and len(body) >= WORTH else (body, False)

        body, is_zipped = await self._readers.ask(bytes_of, heavy=heavy)
        answer = _json(body)
        answer.headers[hdrs.VARY] = hdrs.ACCEPT_ENCODING
        if is_zipped:
            answer.headers[hdrs.CONTENT_ENCODING] = "gzip"
        return answer


def _in_words(handler: Handler) -> Handler:
    """What can go wrong, in words and with its status."""

    async def answer(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except BadQuestion as problem:
            return _error(400, problem)
        except NotFound as problem:
            return _error(404, problem)
        except (Unavailable, StoreError) as problem:
            return _error(503, problem)

    return answer


@lru_cache(maxsize=1)
def written() -> dict[str, Any]:
    """The OpenAPI document; made when first asked for, since no start needs it."""
    return document(ENDPOINTS, STREAMS)


async def _show_document(request: web.Request) -> web.Response:
    return _json(msgspec.json.encode(written()))


async def _show_docs(request: web.Request) -> web.Response:
    return web.Response(text=docs_page(written()), content_type="text/html")


async def _healthy(request: web.Request) -> web.Response:
    """The event loop turns: what AMD's guide asks for at `/health`."""
    return _json(b'{"status":"ok"}')


def _json(body: bytes, status: int = 200) -> web.Response:
    headers = {hdrs.CACHE_CONTROL: "no-store"}
    return web.Response(body=body, status=status, content_type="application/json", headers=headers)


def _error(status: int, problem: Any) -> web.Response:
    answer = _json(encode({"error": str(problem)}), status)
    if status == 503:
        answer.headers[hdrs.RETRY_AFTER] = "1"
    return answer
