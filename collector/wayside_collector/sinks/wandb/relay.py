"""The loopback relay: the SDK speaks to it, it speaks to W&B, and so the sink sees what W&B has acknowledged.

It listens on 127.0.0.1 alone; each opening of a run has an address with a secret of its own (`feed.token`). The API
key is put in behind it and never enters the child. Requests pass on as they are, but for `file_stream`: one 400, 401,
403, 404, 409 or 413 would make the SDK give the run's upload up for good and in silence, so whatever W&B does not
take is held back, and the SDK told to come again (429 with Retry-After, which it follows to the second). A line that
W&B refuses for its content is found by cutting the request into pieces, and leaves a blank line in its place; that
the blank one passes is the proof that it was the content. The end of a run passes only when the sink means it.

Bodies of `file_stream` and GraphQL are held in memory, up to MAX_BODY each; everything else is streamed.
"""

import asyncio
import contextlib
import logging
import math
import time
from collections.abc import Mapping
from functools import partial

from aiohttp import web

from . import graphql
from .feed import Feed, Problem
from .file_stream import read
from .flight import RunKey
from .limits import Limits
from .posting import Delivery, Held, OnRefused
from .upstream import Answer, Unreachable, Upstream

log = logging.getLogger(__name__)

MAX_BODY = 64 << 20  #: bytes; the SDK cuts its requests at about 10 MiB, and a run's config may be as large
MAX_PAUSE = 60.0  #: seconds between two tries of a request that W&B does not take; the SDK's own most
_PASSING = frozenset({401, 403, 407, 408, 425, 429})  # what is refused now, and may be taken later
_NOT_BACK = frozenset(
    {"connection", "keep-alive", "transfer-encoding", "content-length", "content-encoding", "date", "server"}
)


class Relay:
    """`start` before `admit`; `stop` is safe without, and twice. `changed` is set whenever a feed has changed.

    pause: seconds after which the SDK is to come again, at least. entity: the API key's own, once a run that names none
    was opened.
    """

    def __init__(self, upstream: Upstream, limits: Limits, pause: float, on_refused: OnRefused) -> None:
        self.changed = asyncio.Event()
        self.entity: str | None = None
        self._upstream = upstream
        self._limits = limits
        self._pause = pause
        self._on_refused = on_refused
        self._feeds: dict[str, Feed] = {}
        self._runner: web.AppRunner | None = None
        self._port = 0

    async def start(self) -> None:
        await self.stop()
        app = web.Application(client_max_size=MAX_BODY)
        app.router.add_route("*", "/{token}/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=self._limits.drain)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self._port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        self._feeds.clear()
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    def admit(self, key: RunKey) -> Feed:
        """A feed for a run that is about to be opened."""
        feed = Feed(key, self.changed.set)
        self._feeds[feed.token] = feed
        return feed

    def url(self, feed: Feed) -> str:
        """What the SDK is given as its base_url."""
        return f"http://127.0.0.1:{self._port}/{feed.token}"

    async def dismiss(self, feed: Feed) -> None:
        """Nothing more is taken for this feed. Returns when its requests are through, or after `limits.drain`: what
        is still under way then may reach W&B late, and harms nothing, since its lines have numbers.
        """
        self._feeds.pop(feed.token, None)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._limits.drain):
                await feed.idle.wait()

    # --- requests ----------------------------------------------------------------------------------------------------

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        feed = self._feeds.get(request.match_info["token"])
        if feed is None:
            return web.json_response({"error": "gone"}, status=410)
        path = request.raw_path.split("/", 2)[2]  # as it came: an escaped slash must stay one
        feed.begin()
        try:
            if request.method == "POST" and request.path.endswith("/file_stream"):
                return await self._file_stream(feed, path, request)
            if request.method == "POST" and request.path.endswith("/graphql"):
                return await self._graphql(feed, path, request)
            if request.method == "PUT" and path in feed.places:
                return await self._upload(feed, feed.places[path], request)
            return await self._pass(path, request)
        except Unreachable as unreachable:
            feed.held(unreachable.problem)
            return web.json_response({"error": unreachable.problem.text}, status=502)
        except (ConnectionError, web.RequestPayloadError):
            return web.Response(status=400)  # the SDK is gone, and hears nothing of it
        finally:
            feed.end()

    async def _pass(self, path: str, request: web.Request) -> web.StreamResponse:
        async with self._upstream.stream(request.method, path, request.headers, request.content) as answer:
            kept = {name: value for name, value in answer.headers.items() if name.lower() not in _NOT_BACK}
            kept |= {n: answer.headers[n] for n in ("Content-Encoding", "Content-Length") if n in answer.headers}
            response = web.StreamResponse(status=answer.status, headers=kept)
            await response.prepare(request)
            async for piece in answer.content.iter_any():
                await response.write(piece)
            await response.write_eof()
            return response

    async def _upload(self, feed: Feed, place: graphql.Place, request: web.Request) -> web.StreamResponse:
        """A file, to where W&B wants it: an address that is signed, and needs no key."""
        async with self._upstream.put(place.url, request.headers, request.content) as answer:
            if answer.status < 300:
                feed.arrived(place if request.path.rpartition("/")[0].endswith("/run") else place._replace(name=None))
            kept = {name: answer.headers[name] for name in ("ETag", "Content-Type") if name in answer.headers}
            return web.Response(status=answer.status, body=await answer.read(), headers=kept)

    async def _graphql(self, feed: Feed, path: str, request: web.Request) -> web.Response:
        body = await request.read()
        asked = graphql.read_request(body)
        answer = await self._upstream.send("POST", path, request.headers, body)
        said = graphql.errors(answer.body) if answer.status < 300 else None
        problem = None
        if answer.status >= 300 or said is not None:
            problem = self._upstream.problem(path, answer, said)
        back = self._hear(feed, asked, answer, problem)
        return web.Response(status=answer.status, body=back, headers=_back(answer.headers))

    def _hear(self, feed: Feed, asked: graphql.Request, answer: Answer, problem: Problem | None) -> bytes:
        """What an answer means for the feed; the body that the SDK is to get."""
        text = problem.text if problem is not None else None
        match asked.operation:
            case graphql.ALERT if problem is None or answer.status < 500:
                feed.alerted(text)
            case graphql.CREATE_ARTIFACT | graphql.COMMIT_ARTIFACT if problem is None or _is_final(answer.status):
                feed.artifact(asked, answer.body, text)
            case graphql.RESUME | graphql.UPSERT if problem is not None:
                feed.held(problem)
            case graphql.RESUME:
                feed.stands(graphql.standing(answer.body))
                return graphql.lower_summary(answer.body)
            case graphql.UPSERT:
                feed.upserted(asked.variables)
                if feed.key.entity is None:
                    self.entity = graphql.entity_of(answer.body) or self.entity
            case _ if problem is None:
                folder = "run" if asked.operation == graphql.CREATE_FILES else "artifact"
                return graphql.divert(answer.body, partial(self._divert, feed, folder))
        return answer.body

    def _divert(self, feed: Feed, folder: str, place: graphql.Place) -> str:
        """An address of ours for a file's."""
        path = f"uploads/{folder}/{len(feed.places)}"
        feed.places[path] = place
        return f"{self.url(feed)}/{path}"

    async def _file_stream(self, feed: Feed, path: str, request: web.Request) -> web.Response:
        feed.posts += 1
        body = await request.read()
        try:
            post = read(body)
        except ValueError as problem:
            return web.json_response({"error": str(problem)}, status=400)
        if feed.goes_on and post.completes:
            post = post.without_end()
            body = post.encode()
        for name, lines in feed.blanks.items():
            if post.blank_out(name, lines):
                body = post.encode()
        try:
            answer = await Delivery(self._upstream, feed, path, request.headers, self._on_refused).send(
                post, body, self._limits.requests
            )
        except (Held, Unreachable) as held:
            feed.held(held.problem)
            log.debug("W&B sink: held back: %s", held.problem.text)
            wait = str(self._wait(feed, held.problem))
            return web.json_response({"error": "held back"}, status=429, headers={"Retry-After": wait})
        return web.json_response(answer)

    def _wait(self, feed: Feed, problem: Problem) -> int:
        """Whole seconds until the SDK may come again: longer each time, and not before W&B wants it."""
        wait = min(self._pause * 2.0 ** min(feed.holds, 10), max(self._pause, MAX_PAUSE))
        feed.holds += 1
        if problem.not_before is not None:
            wait = max(wait, problem.not_before - time.time())
        return max(1, math.ceil(wait))


def _is_final(status: int) -> bool:
    """Whether what is refused with it will not be taken later: an answer's own words, or a request that is wrong."""
    return status < 300 or (400 <= status < 500 and status not in _PASSING)


def _back(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.lower() not in _NOT_BACK}
