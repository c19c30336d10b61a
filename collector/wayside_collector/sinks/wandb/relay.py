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
import json
import logging
import math
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from aiohttp import web

from . import graphql
from .feed import Feed, Problem
from .file_stream import EVENTS, HISTORY, SUMMARY, Post, read, step_of
from .flight import RunKey
from .limits import Limits
from .upstream import Answer, Unreachable, Upstream

log = logging.getLogger(__name__)

MAX_BODY = 64 << 20  #: bytes; the SDK cuts its requests at about 10 MiB, and a run's config may be as large
MAX_PAUSE = 60.0  #: seconds between two tries of a request that W&B does not take; the SDK's own most
_ABOUT_CONTENT = frozenset({400, 413, 422})  # statuses that may be about one line of many
_NOT_BACK = frozenset(
    {"connection", "keep-alive", "transfer-encoding", "content-length", "content-encoding", "date", "server"}
)

#: Told before a line is replaced by a blank one: the feed, and the line's `_step` or its number among the samples.
OnRefused = Callable[[Feed, int | None, int | None], Awaitable[None]]


class _Held(Exception):
    """W&B did not take it now."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.text)
        self.problem = problem


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

    async def _graphql(self, feed: Feed, path: str, request: web.Request) -> web.Response:
        body = await request.read()
        asked = graphql.read_request(body)
        answer = await self._upstream.send("POST", path, request.headers, body)
        said = graphql.errors(answer.body) if answer.status < 300 else None
        back = answer.body
        problem = None
        if answer.status >= 300 or said is not None:
            problem = self._upstream.problem(path, answer, said)
        if asked.operation == graphql.ALERT:
            if problem is None or 400 <= answer.status < 500 or said is not None:
                feed.alerted(None if problem is None else problem.text)
        elif problem is not None:
            if asked.operation in (graphql.RESUME, graphql.UPSERT):
                feed.held(problem)
        elif asked.operation == graphql.RESUME:
            standing = graphql.standing(answer.body)
            if standing is not None:
                feed.stands(standing)
            back = graphql.lower_summary(answer.body)
        elif asked.operation == graphql.UPSERT:
            feed.upserted(asked.variables)
            if feed.key.entity is None:
                self.entity = graphql.entity_of(answer.body) or self.entity
        return web.Response(status=answer.status, body=back, headers=_back(answer.headers))

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
            answer = await _Delivery(self._upstream, feed, path, request.headers, self._on_refused).send(
                post, body, self._limits.requests
            )
        except (_Held, Unreachable) as held:
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


def _back(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.lower() not in _NOT_BACK}


class _Delivery:
    """One file_stream request of the SDK on its way to W&B, in one piece or many."""

    def __init__(
        self, upstream: Upstream, feed: Feed, path: str, headers: Mapping[str, str], on_refused: OnRefused
    ) -> None:
        self._upstream = upstream
        self._feed = feed
        self._path = path
        self._headers = headers
        self._on_refused = on_refused
        self._left = 0

    async def send(self, post: Post, body: bytes, requests: int) -> dict[str, Any]:
        """Until W&B has all of it; returns what the SDK is to be answered. Raises _Held or Unreachable."""
        self._left = requests
        found = await self._send(post, body) or {}
        if found.pop("stopped", False):
            # The SDK would give up the run; someone who pressed "Stop" meant the training, which is not ours to end.
            self._feed.stop_asked = True
        return found

    async def _send(self, post: Post, body: bytes) -> dict[str, Any] | None:
        """What W&B said when it went in one piece."""
        answer = await self._ask(body)
        if answer.status < 300:
            said = self._read(answer)
            self._feed.taken(post)
            return said
        if answer.status not in _ABOUT_CONTENT:
            raise _Held(self._upstream.problem(self._path, answer))
        pieces = post.pieces()
        if not pieces:
            await self._refused(post, answer)
        for piece in pieces:
            await self._send(piece, piece.encode())
        return None

    async def _ask(self, body: bytes) -> Answer:
        if self._left <= 0:
            raise _Held(Problem("W&B refuses so many lines of one request that they are being looked for in parts"))
        self._left -= 1
        return await self._upstream.send("POST", self._path, self._headers, body)

    def _read(self, answer: Answer) -> dict[str, Any]:
        """The JSON object that W&B says it took the lines with. Anything else with that status comes from someone
        between us, a proxy's page or half an answer: raises _Held, and the lines go again, to the same numbers.
        """
        try:
            value = json.loads(answer.body)
        except ValueError:
            value = None
        if not isinstance(value, dict):
            raise _Held(self._upstream.problem(self._path, answer, "a body that is not W&B's: check base_url"))
        return value

    async def _refused(self, post: Post, answer: Answer) -> None:
        problem = self._upstream.problem(self._path, answer)
        if post.chunk(SUMMARY) is not None:
            self._feed.summary_refused = problem.text
            self._feed.taken(post)
            return
        blank = post.blank()
        if blank is None:
            raise _Held(problem)
        history, events = post.chunk(HISTORY), post.chunk(EVENTS)
        step = step_of(history.content[0]) if history is not None else None
        try:
            await self._on_refused(self._feed, step, events.offset if events is not None else None)
        except OSError as failed:
            raise _Held(Problem(f"the W&B sink's ledger cannot be written: {failed.strerror}")) from failed
        again = await self._ask(blank.encode())
        if again.status >= 300:
            raise _Held(self._upstream.problem(self._path, again))
        self._read(again)
        self._feed.refuse(post, problem.text)
        self._feed.taken(blank)
