"""A stand-in for whatever takes a webhook: a chat, a pager. It keeps what it was sent, and answers as it is told."""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from aiohttp import web

WAY = "/services/T00000000/B11111111/abcdefSECRETabcdefSECRET"  #: as Slack's: whoever knows it may write


class Reply(NamedTuple):
    """A scripted answer; the message counts as not taken."""

    status: int
    body: str = ""
    headers: Mapping[str, str] = {}


class WebhookServer:
    """`async with WebhookServer() as server:`. messages: bodies taken, in order. script: the next answers."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []
        self.headers: list[Mapping[str, str]] = []
        self.script: list[Reply | None] = []
        self.port = 0
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}{WAY}"

    async def __aenter__(self) -> "WebhookServer":
        app = web.Application()
        app.router.add_post("/{way:.*}", self._take)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.port = int(self._runner.addresses[0][1])
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._runner is not None
        await self._runner.cleanup()

    async def _take(self, request: web.Request) -> web.Response:
        body = await request.json(loads=json.loads)
        reply = self.script.pop(0) if self.script else None
        if reply is not None:
            return web.Response(status=reply.status, text=reply.body, headers=reply.headers)
        self.messages.append(body)
        self.headers.append(dict(request.headers))
        return web.Response(text="ok")
