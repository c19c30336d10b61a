"""What sinks that speak HTTP share: the meaning of an answer, and one bounded request.

`outcome` is the one mapping from status, headers and body to what a pump should do; it and its parts are functions of
their arguments. `HttpPeer` is the thin I/O: it sends a request once and returns an Answer, or raises Retry in words
that say what happened, where, and what to do. It follows no redirect, keeps no cookie, reads bodies up to a limit,
and quotes a server only with our secrets hidden. The options stand in `http_options.py`.

Must not live here: what one service means by its bodies, and any second try: the pump tries again.
"""

import asyncio
import gzip
import os
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from types import MappingProxyType
from typing import Literal, NamedTuple, NoReturn

import aiohttp

from .base import Ref, Reject, Retry
from .http_options import HttpOptions, read_headers, secrets_of, shown
from .tls import reason, tls_context

__all__ = ["Answer", "Compression", "HttpOptions", "HttpPeer", "Outcome", "compress", "outcome", "retry_after", "shown"]

MAX_ANSWER = 64 << 10  #: bytes read of an answer's body: an answer to a push is a few hundred bytes; the rest is cut
MAX_RETRY_AFTER = 3600.0  #: seconds; a server may slow us down, not silence us for a year
CONNECT_TIMEOUT = 10.0  #: seconds to connect, TLS included: a peer that is there answers in one
MAX_CONNECTIONS = 4  #: a sink sends one request at a time; a few for those it makes beside its parcels
_QUOTED = 200  # characters of an answer's body that an error text repeats

#: Statuses that say something of our configuration, not of the rows: the rows would be taken once it is set right, so
#: they wait in the spool instead of going to the dead letters.
MISCONFIGURED: Mapping[int, str] = MappingProxyType(
    {
        401: "it does not accept the credentials: check the options of headers and credentials",
        403: "it does not let these credentials in: check the options of headers and credentials",
        404: "there is nothing at this path: check endpoint",
        405: "it takes no such request at this path: check endpoint",
        407: "the proxy does not accept the credentials: check proxy",
    }
)
_AGAIN = frozenset({408, 425, 429})
_PERHAPS_TAKEN = frozenset({500, 502, 504})  # the server, or a gateway's server, stopped in the middle

Compression = Literal["none", "gzip"]


class Answer(NamedTuple):
    """An HTTP answer: status, headers, at most MAX_ANSWER bytes of the body, whether there was more of it, and what
    of our own must not be shown should the server repeat it.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    cut: bool = False
    secrets: frozenset[str] = frozenset()

    def quote(self, text: str | None = None) -> str:
        """The beginning of `text`, or of the body, for an error text: on one line, after ": ", secrets hidden; empty
        when there is nothing to quote.
        """
        said = self.body.decode("utf-8", "replace") if text is None else text
        for secret in sorted(self.secrets, key=len, reverse=True):
            said = said.replace(secret, "***")
        line = " ".join("".join(c if c.isprintable() else " " for c in said[: 8 * _QUOTED]).split())
        return f": {line[:_QUOTED]}{'…' if len(line) > _QUOTED else ''}" if line else ""


class Outcome(NamedTuple):
    """What an answer means: "accepted", "retry" (not_before and uncertain as in Retry), or "refused" for good."""

    verdict: Literal["accepted", "retry", "refused"]
    message: str = ""
    not_before: float | None = None
    uncertain: bool = False

    def settle(self, rows: Iterable[Ref]) -> None:
        """Return when accepted, else raise Retry, or Reject for these rows: for sinks whose answers mean no more."""
        if self.verdict == "retry":
            raise Retry(self.message, not_before=self.not_before, uncertain=self.uncertain)
        if self.verdict == "refused":
            raise Reject(self.message, rows)


def outcome(answer: Answer, url: str, now: float) -> Outcome:
    """What the pump should do about this answer of `url`; `now` is Unix time in seconds.

    Statuses are those of RFC 9110 and 6585. 2xx is accepted. 408, 425, 429 and 5xx are tried again, not before the
    time a Retry-After names; 500, 502 and 504 may have been taken all the same. Redirects and MISCONFIGURED are tried
    again: a person is needed, not other rows. Every other 4xx is refused.
    """
    status = answer.status
    place = f"{shown(url)} answered {status}"
    if 200 <= status < 300:
        return Outcome("accepted")
    if 300 <= status < 400:
        target = answer.quote(shown(answer.headers.get("Location", "nowhere"))).removeprefix(": ")
        return Outcome("retry", f"{place}: it redirects to {target}, and redirects are not followed: check endpoint")
    if status in MISCONFIGURED:
        return Outcome("retry", f"{place}: {MISCONFIGURED[status]}{answer.quote()}")
    if status in _AGAIN or status >= 500:
        not_before = retry_after(answer.headers.get("Retry-After"), now)
        return Outcome("retry", place + answer.quote(), not_before, status in _PERHAPS_TAKEN)
    return Outcome("refused", place + answer.quote())


def retry_after(value: str | None, now: float) -> float | None:
    """The Unix time a Retry-After header names, as seconds or as an HTTP date (RFC 9110, 10.2.3): never before `now`,
    never more than MAX_RETRY_AFTER after it; None when there is none that can be read.
    """
    if value is None:
        return None
    text = value.strip()
    if re.fullmatch(r"[0-9]+(\.[0-9]+)?", text):
        return now + min(float(text), MAX_RETRY_AFTER)
    try:
        date = parsedate_to_datetime(text)
        at = (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None
    return min(max(at, now), now + MAX_RETRY_AFTER)


def compress(body: bytes, how: Compression) -> tuple[bytes, dict[str, str]]:
    """The body as `how` says, and the headers that tell so. For services known to unpack it: many do not."""
    if how == "none":
        return body, {}
    return gzip.compress(body, compresslevel=1, mtime=0), {"Content-Encoding": "gzip"}


class HttpPeer:
    """The other side of an HTTP sink. `open` before `post`; `close` may be called without `open`, and twice."""

    def __init__(
        self,
        options: HttpOptions,
        environ: Mapping[str, str] = os.environ,
        show: Callable[[str], str] = shown,  # an address as an error text may have it
    ) -> None:
        self._show = show
        self._options = options
        self._environ = environ
        self._session: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        """Read the files the options name and make ready; connects nowhere. Raises Retry."""
        await self.close()
        context = await asyncio.to_thread(tls_context, self._options)
        await self._headers()
        total = self._options.timeout
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=context, limit=MAX_CONNECTIONS),
            timeout=aiohttp.ClientTimeout(total=total, connect=min(CONNECT_TIMEOUT, total)),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
        )

    async def close(self) -> None:
        """Let the connections go."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], *, timeout: float | None = None) -> Answer:
        """Send once and read the answer. timeout: in the place of the option. Raises Retry, uncertain where the request
        may have been taken.
        """
        if self._session is None:
            raise Retry(f"{self._show(url)}: the sink is not open")
        every = await self._headers()
        secrets = secrets_of(every, self._options.proxy)
        every.update(headers)
        proxy = self._options.proxy
        total = timeout or self._options.timeout
        patience = aiohttp.ClientTimeout(total=total, connect=min(CONNECT_TIMEOUT, total))
        asked = self._session.post(url, data=body, headers=every, proxy=proxy, allow_redirects=False, timeout=patience)
        try:
            async with asked as reply:
                text, cut = await _read(reply)
                return Answer(reply.status, reply.headers, text, cut, secrets)
        except (aiohttp.ClientError, OSError) as problem:
            _translate(problem, self._show(url), self._options)

    async def _headers(self) -> dict[str, str]:
        if self._options.reads_files:
            return await asyncio.to_thread(read_headers, self._options, self._environ)
        return read_headers(self._options, self._environ)


async def _read(reply: aiohttp.ClientResponse) -> tuple[bytes, bool]:
    body = bytearray()
    async for piece in reply.content.iter_any():
        body += piece
        if len(body) > MAX_ANSWER:
            break  # leaving an unread rest, aiohttp closes the connection
    return bytes(body[:MAX_ANSWER]), len(body) > MAX_ANSWER


def _translate(problem: aiohttp.ClientError | OSError, place: str, options: HttpOptions) -> NoReturn:
    """Raise the Retry that a failed request means. Before a connection stands, nothing can have been taken."""
    if isinstance(problem, TimeoutError) and not isinstance(problem, aiohttp.ConnectionTimeoutError):
        text = f"{place}: no answer within {options.timeout:g} s (option timeout)"
        raise Retry(text, uncertain=True) from problem
    missing = _not_connected(problem, options)
    if missing is not None:
        raise Retry(f"{place}: {missing}") from problem
    why = f": {reason(problem)}" if isinstance(problem, OSError) else ""
    raise Retry(f"{place}: the connection broke off before the answer{why}", uncertain=True) from problem


def _not_connected(problem: aiohttp.ClientError | OSError, options: HttpOptions) -> str | None:
    """What kept the connection from standing; None when it stood."""
    match problem:
        case aiohttp.ClientConnectorCertificateError():
            why = getattr(problem.certificate_error, "verify_message", "") or "it cannot be checked"
            return f"its certificate is not trusted: {why}: if it is right, set ca_file to its authority's PEM file"
        case aiohttp.ClientConnectorSSLError():
            return f"no TLS: {reason(problem.os_error)}: check that endpoint speaks https, and cert_file"
        case aiohttp.ClientConnectorDNSError():
            return "its host name is not known: check endpoint, and the cluster's DNS"
        case aiohttp.ClientProxyConnectionError():
            return f"no connection to the proxy {shown(options.proxy or '')}: {reason(problem.os_error)}"
        case aiohttp.ClientConnectorError():
            return f"no connection: {reason(problem.os_error)}"
        case aiohttp.ConnectionTimeoutError():
            return f"no connection within {min(CONNECT_TIMEOUT, options.timeout):g} s"
        case aiohttp.ClientHttpProxyError():
            return f"the proxy answered {problem.status}: check proxy"
        case aiohttp.InvalidURL() | aiohttp.NonHttpUrlClientError():
            return "it is no http address: check endpoint"
    return None
