"""The HTTP server: `/metrics`, `/livez`, `/readyz`, `/status`, and the page. It asks, and never waits for a sink.

Liveness says that the event loop turns; readiness that clients can connect and the spool can be written. Neither
fails because a sink is down. Which route needs which role stands in the table of routes, and is enforced on both
listeners by `access.py`.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Sequence
from typing import Any, Protocol

from aiohttp import web

from ..configuration.access import NOBODY, Outside, split_address
from ..intake.refusals import Refusals
from .access import COOKIE, Access, Guard
from .body import Bodies
from .listener import Certificate, Listener
from .page_files import page_routes
from .pages import landing_page, login_page, own_path
from .roles import Role, Route
from .tokens import COOKIE_LIFE, Tokens

MAX_SCRAPES = 4  #: pages rendered at once; more wait, since each takes a processor for its time
MAX_REQUEST = 64 << 10  #: bytes of a body where the route says nothing: a token, or a few words

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
    """Serves until cancelled. listeners: `listen`, and `listen_public` when there is one; they know where they are
    once `started` is set. routes: of other parts, beside its own.
    """

    def __init__(
        self,
        views: Views,
        host: str,
        port: int,
        outside: Outside = NOBODY,
        refusals: Refusals | None = None,
        routes: Sequence[Route] = (),
    ) -> None:
        public = outside.public
        self.started = asyncio.Event()
        self.refusals = refusals or Refusals()
        self.listeners = [Listener("listen", host, port, self.refusals)]
        if outside.listen is not None:
            tls = None if public.cert_file is None else Certificate(public.cert_file, public.key_file)
            self.listeners.append(Listener("listen_public", *split_address(outside.listen), self.refusals, tls))
            self.listeners[-1].max_connections = public.max_connections
        tokens = Tokens(public.token_path)
        self.access = Access(outside, tokens)
        self._views = views
        self._origins = frozenset(public.origins)
        self._secure = public.cert_file is not None
        self._scrapes = asyncio.Semaphore(MAX_SCRAPES)
        self._bodies = Bodies()
        self._routes = [*self._own_routes(), *routes]

    @property
    def url(self) -> str:
        """Where everything is, for this machine's own programs."""
        return self.listeners[0].url

    @property
    def public_url(self) -> str | None:
        return self.listeners[1].url if len(self.listeners) > 1 else None

    async def run(self) -> None:
        if self.public_url is not None:
            await asyncio.to_thread(self.access.tokens.look)
        async with contextlib.AsyncExitStack() as stack:
            for listener in self.listeners:
                await stack.enter_async_context(listener.serving(self._app(listener)))
            self.started.set()
            await asyncio.Event().wait()

    def _app(self, listener: Listener) -> web.Application:
        known: dict[web.AbstractRoute, Route] = {}
        origins = self._origins if listener.door == "listen_public" else frozenset()
        guard = Guard(listener.door, listener.host, self.access, known, origins, self.refusals)
        app = web.Application(client_max_size=MAX_REQUEST, middlewares=[guard.middleware()])
        app.on_response_prepare.append(guard.prepare)
        for route in self._routes:
            for method in ("GET", "HEAD") if route.method == "GET" else (route.method,):
                known[app.router.add_route(method, route.path, self._bodies.reading(route))] = route
        return app

    def _own_routes(self) -> list[Route]:
        return [
            *page_routes(self._landing),
            Route("GET", "/metrics", self._metrics, Role.NONE),
            Route("GET", "/livez", self._livez, Role.NONE),
            Route("GET", "/readyz", self._readyz, Role.NONE),
            Route("GET", "/status", self._status, Role.READER),
            Route("GET", "/login", self._ask_for_token, Role.NONE),
            Route("POST", "/login", self._login, Role.NONE),
            Route("POST", "/logout", self._logout, Role.NONE),
        ]

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

    # --- logging in ----------------------------------------------------------------------------------------------

    async def _ask_for_token(self, request: web.Request) -> web.Response:
        return web.Response(text=login_page("/", ""), content_type="text/html")

    async def _login(self, request: web.Request) -> web.Response:
        """A token in a form becomes a cookie: it never stands in an address, which would be kept and shown."""
        try:
            form = await request.post()
        except (ValueError, LookupError):  # bytes that are no text, or a charset or boundary that is none
            return web.json_response({"error": "a form with `token` is wanted, as text in UTF-8"}, status=400)
        token, goes_on = str(form.get("token", "")).strip(), own_path(str(form.get("next", "/")))
        if self.access.tokens.grant(token).role is Role.NONE:
            self.refusals.count("listen_public", "token")
            page = login_page(goes_on, "That is no token of this collector.")
            return web.Response(text=page, content_type="text/html", status=403)
        answer = web.Response(status=303, headers={"Location": goes_on})
        answer.set_cookie(
            COOKIE,
            self.access.tokens.cookie(token, time.time()),
            max_age=COOKIE_LIFE,
            httponly=True,
            samesite="Lax",
            secure=self._secure,
        )
        return answer

    async def _logout(self, request: web.Request) -> web.Response:
        answer = web.Response(status=303, headers={"Location": "/login"})
        answer.del_cookie(COOKIE, httponly=True, samesite="Lax", secure=self._secure)
        return answer
