"""A web server in this process, on ports of its own, over views that are made up."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp
from wayside_collector.configuration.access import NOBODY, Outside
from wayside_collector.intake.refusals import Refusals
from wayside_collector.web.roles import Route
from wayside_collector.web.server import WebServer


class MadeUp:
    """Views of nothing."""

    def status(self) -> dict[str, Any]:
        session = {"run": "<b>r1</b>", "project": "p", "rank": 0, "host": "h", "state": "open"}
        sink = {"received": 1, "delivered": 1, "waiting": 0, "dropped": {}, "last_error": "<script>"}
        return {"sinks": {"jsonl": sink}, "sessions": [session]}

    def missing(self) -> list[str]:
        return []

    def metrics(self, accept: str | None) -> tuple[str, bytes]:
        return "text/plain", b"up 1\n"


@dataclass
class Served:
    """A running server, and somebody who asks it. local, public: addresses without a slash at the end."""

    server: WebServer
    asking: aiohttp.ClientSession
    refusals: Refusals

    @property
    def local(self) -> str:
        return self.server.url.rstrip("/")

    @property
    def public(self) -> str:
        assert self.server.public_url is not None
        return self.server.public_url.rstrip("/")

    async def status(self, url: str, method: str = "GET", **options: Any) -> int:
        async with self.asking.request(method, url, allow_redirects=False, **options) as answer:
            await answer.read()
            return answer.status


@contextlib.asynccontextmanager
async def served(outside: Outside = NOBODY, routes: Sequence[Route] = ()) -> AsyncIterator[Served]:
    refusals = Refusals()
    server = WebServer(MadeUp(), "127.0.0.1", 0, outside, refusals, routes)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(server.run())
        async with asyncio.timeout(10):
            await server.started.wait()
        async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as asking:
            yield Served(server, asking, refusals)
        running.cancel()
