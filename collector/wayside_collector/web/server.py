"""The HTTP server: `/metrics`, `/livez`, `/readyz`, `/status`, and a landing page. It asks, and never waits for a sink.

Liveness says that the event loop turns; readiness that clients can connect and the spool can be written. Neither
fails because a sink is down.
"""

import asyncio
import contextlib
import html
import logging
import os
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from aiohttp import web

from .. import __version__

MAX_SCRAPES = 4  #: pages rendered at once; more wait, since each takes a processor for its time
MAX_REQUEST = 64 << 10  #: bytes of a request's body: nothing here takes any

log = logging.getLogger(__name__)


class Views(Protocol):
    """What the server shows."""

    def status(self) -> dict[str, Any]:
        """Everything, for `/status`."""
        ...

    def missing(self) -> list[str]:
        """What is missing until rows can be taken; empty when nothing is."""
        ...

    def metrics(self, accept: str | None) -> tuple[str, bytes]:
        """A scrape's Content-Type and page. Called in a thread."""
        ...


class WebServer:
    """Serves until cancelled. url: where it is, once `started` is set."""

    def __init__(self, views: Views, host: str, port: int) -> None:
        self.url = f"http://{f'[{host}]' if ':' in host else host}:{port}/"
        self.started = asyncio.Event()
        self._views = views
        self._host = host
        self._port = port
        self._scrapes = asyncio.Semaphore(MAX_SCRAPES)

    async def run(self) -> None:
        app = web.Application(client_max_size=MAX_REQUEST)
        routes: Sequence[tuple[str, Callable[[web.Request], Any]]] = (
            ("/", self._landing),
            ("/metrics", self._metrics),
            ("/livez", self._livez),
            ("/readyz", self._readyz),
            ("/status", self._status),
        )
        for path, handler in routes:
            app.router.add_get(path, handler)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        try:
            site = web.TCPSite(runner, self._host, self._port)
            try:
                await site.start()
            except OSError as problem:
                why = os.strerror(problem.errno) if problem.errno else problem
                raise OSError(
                    f"{self._host}:{self._port} cannot be listened on ({why}): set another `listen`"
                ) from None
            self._port = runner.addresses[0][1]
            self.url = f"http://{f'[{self._host}]' if ':' in self._host else self._host}:{self._port}/"
            self.started.set()
            log.info("serving %s", self.url)
            await asyncio.Event().wait()
        finally:
            with contextlib.suppress(asyncio.CancelledError):
                await runner.cleanup()

    async def _metrics(self, request: web.Request) -> web.Response:
        async with self._scrapes:
            content_type, page = await asyncio.to_thread(self._views.metrics, request.headers.get("Accept"))
        return web.Response(body=page, headers={"Content-Type": content_type})

    async def _livez(self, request: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def _readyz(self, request: web.Request) -> web.Response:
        missing = self._views.missing()
        return web.Response(text="\n".join(missing or ["ok"]) + "\n", status=503 if missing else 200)

    async def _status(self, request: web.Request) -> web.Response:
        return web.json_response(self._views.status())

    async def _landing(self, request: web.Request) -> web.Response:
        return web.Response(text=landing_page(self._views.status()), content_type="text/html")


def landing_page(status: dict[str, Any]) -> str:
    """A plain page: what runs, how the sinks fare, where to look on."""
    sinks = "".join(
        f"<tr><td>{html.escape(name)}<td>{sink['received']}<td>{sink['delivered']}<td>{sink['waiting']}"
        f"<td>{sum(sink['dropped'].values())}<td>{html.escape(sink['last_error'] or '')}"
        for name, sink in status["sinks"].items()
    )
    sessions = "".join(
        f"<tr><td>{html.escape(str(session['run']))}<td>{html.escape(str(session['project']))}"
        f"<td>{'' if session['rank'] is None else session['rank']}<td>{html.escape(str(session['host']))}"
        f"<td>{session['state']}"
        for session in status["sessions"]
    )
    return f"""<!doctype html><html lang="en"><meta charset="utf-8"><title>Wayside</title>
<meta name="viewport" content="width=device-width">
<style>body{{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}}
:root{{color-scheme:light dark}}
table{{border-collapse:collapse;margin:1rem 0}}td,th{{text-align:left;padding:.2rem 1rem .2rem 0}}</style>
<h1>Wayside {html.escape(__version__)}</h1>
<p><a href="/metrics">/metrics</a> for Prometheus · <a href="/status">/status</a> as JSON ·
<a href="/livez">/livez</a> · <a href="/readyz">/readyz</a></p>
<h2>Sinks</h2><table><tr><th>sink<th>received<th>delivered<th>waiting<th>dropped<th>last error{sinks}</table>
<h2>Sessions</h2><table><tr><th>run<th>project<th>rank<th>host<th>state{sessions}</table></html>"""
