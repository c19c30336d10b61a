"""Who may do what over HTTP: `Access.grant` from listener, peer and token, and the one middleware that asks it.

`listen`, which only this machine's programs reach, gives every role without a token. A browser on this machine is one
of them, and shows pages of strangers: so there a Host that is a name of somebody's domain is refused (DNS rebinding),
and on either listener a request that would change something is refused when a page of another origin makes it.
Scripts of other origins may read nothing unless `public.origins` names them (CORS).
"""

import ipaddress
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware

from ..configuration.access import Outside, is_loopback, origin_host
from ..intake.refusals import Door, Reason, Refusals
from .pages import login_page
from .roles import Role, Route
from .tokens import NOTHING, Grant, Tokens

COOKIE = "wayside"
ROLE: web.RequestKey[Role] = web.RequestKey("role", Role)  #: what the caller of a request may do
#: whose runs alone the caller may see and write; None for all
NAMESPACE: web.RequestKey[str | None] = web.RequestKey("namespace", object)  # type: ignore[arg-type]

_EVERYTHING = Role.READER | Role.WRITER | Role.OPERATOR
_READS = frozenset({"GET", "HEAD", "OPTIONS"})
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'self'",
}


class Access:
    """What callers may do."""

    def __init__(self, outside: Outside, tokens: Tokens) -> None:
        self.tokens = tokens
        self._trusted = [ipaddress.ip_network(text) for text in outside.ingest.trusted]
        self._anonymous = Role.READER if outside.public.anonymous == "reader" else Role.NONE

    def grant(self, door: Door, peer: str | None, shown: Sequence[Grant]) -> Grant:
        """What whoever comes to this listener from this address may do, with the token and the cookie shown. One of
        them that is for a namespace is for nothing else, whatever others may do without.
        """
        if door == "listen":
            return Grant(_EVERYTHING)
        good = [one for one in shown if one.role is not Role.NONE]
        bound = [one for one in good if one.namespace is not None]
        role = reduce(or_, (one.role for one in bound or good), Role.NONE)
        if bound:
            return Grant(role, bound[0].namespace) if len({one.namespace for one in bound}) == 1 else NOTHING
        return Grant(role | self._anonymous | (Role.WRITER if self._trusts(peer) else Role.NONE))

    def _trusts(self, peer: str | None) -> bool:
        if not self._trusted or peer is None:
            return False
        try:
            address = ipaddress.ip_address(peer)
        except ValueError:
            return False
        # On `[::]` a peer of IPv4 is told as ::ffff:10.0.0.1.
        address = getattr(address, "ipv4_mapped", None) or address
        return any(address in network for network in self._trusted)


@dataclass(frozen=True, slots=True)
class Guard:
    """The check before every handler of one listener. host: what it listens on. routes: what is known of each route;
    that something is no route is told only to readers.
    """

    door: Door
    host: str
    access: Access
    routes: Mapping[web.AbstractRoute, Route]
    origins: frozenset[str]
    refusals: Refusals

    def middleware(self) -> Middleware:
        @web.middleware
        async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
            return self._refusal(request) or await handler(request)

        return check

    async def prepare(self, request: web.Request, response: web.StreamResponse) -> None:
        """What every answer carries."""
        for name, value in _HEADERS.items():
            response.headers.setdefault(name, value)
        if self.origins:
            response.headers[hdrs.VARY] = ", ".join(filter(None, (response.headers.get(hdrs.VARY), "Origin")))
            if (origin := request.headers.get(hdrs.ORIGIN)) in self.origins:
                response.headers[hdrs.ACCESS_CONTROL_ALLOW_ORIGIN] = str(origin)

    def _refusal(self, request: web.Request) -> web.Response | None:
        """The answer to a request that is refused, or that the guard answers itself."""
        if self.door == "listen" and not is_own_host(request.headers.get(hdrs.HOST, ""), self.host):
            text = f"{self.door} is asked for by its address or as localhost, not by another name"
            return self._refuse("host", 421, text)
        origin = request.headers.get(hdrs.ORIGIN)
        if request.method == "OPTIONS" and origin in self.origins:
            return web.Response(status=204, headers=_PREFLIGHT)
        if request.method not in _READS and not self._may_change(request, origin):
            return self._refuse("origin", 403, "a page of another origin may change nothing here")
        role, namespace = self._grant(request)
        request[ROLE], request[NAMESPACE] = role, namespace
        route = self.routes.get(request.match_info.route)
        need = Role.READER if route is None else route.needs
        if need not in role:
            return self._deny(request, role, need)
        if namespace is not None and route is not None and need is not Role.NONE and not route.scoped:
            return self._refuse("role", 403, "this shows more than one namespace: it needs a token without one")
        return None

    def _may_change(self, request: web.Request, origin: str | None) -> bool:
        """Whether no browser sent it, or one that shows a page of ours, or one that is let in by name."""
        if origin is None:
            return request.headers.get("Sec-Fetch-Site", "none") in ("none", "same-origin")
        return origin in self.origins or origin_host(origin) == request.headers.get(hdrs.HOST, "").lower()

    def _grant(self, request: web.Request) -> Grant:
        kind, _, token = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
        shown = [self.access.tokens.grant(token.strip())] if kind.lower() == "bearer" else []
        cookie = request.cookies.get(COOKIE)
        if cookie is not None and self.door != "listen":
            shown.append(self.access.tokens.cookie_grant(cookie, time.time()))
        return self.access.grant(self.door, request.remote, shown)

    def _deny(self, request: web.Request, role: Role, need: Role) -> web.Response:
        if need is Role.OPERATOR:
            return self._refuse("role", 403, "this can be asked for only on the collector's own machine, at `listen`")
        if role is not Role.NONE and hdrs.AUTHORIZATION in request.headers:
            return self._refuse("role", 403, f"this needs a token with the role {str(need.name).lower()}")
        self.refusals.count(self.door, "token")
        if request.method == "GET" and "text/html" in request.headers.get(hdrs.ACCEPT, ""):
            page = login_page(request.path_qs, "")
            return web.Response(text=page, content_type="text/html", status=401, headers=_CHALLENGE)
        text = "this needs a token that is good here: send `Authorization: Bearer TOKEN`"
        return web.json_response({"error": text}, status=401, headers=_CHALLENGE)

    def _refuse(self, reason: Reason, status: int, text: str) -> web.Response:
        self.refusals.count(self.door, reason)
        return web.json_response({"error": text}, status=status)


_CHALLENGE = {"WWW-Authenticate": "Bearer"}
_PREFLIGHT = {
    "Access-Control-Allow-Methods": "GET, POST",
    "Access-Control-Allow-Headers": "Authorization, Content-Type, Content-Encoding, X-Lens-Envelope",
    "Access-Control-Max-Age": "600",
}


def is_own_host(host: str, listens: str) -> bool:
    """Whether a Host header names a loopback listener: by any address, as localhost, or not at all (HTTP/1.0). A name
    of a domain does not, wherever it leads to.
    """
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() and not host.endswith("]") else host
    name = name.strip("[]").lower().removesuffix(".")
    if name in ("", "localhost", listens.lower()) or name.endswith(".localhost") or is_loopback(name):
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
