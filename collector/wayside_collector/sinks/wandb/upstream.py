"""Requests to W&B itself, as the relay sends them on: with the API key, through the proxy, with the TLS that is set.

One try each; what failed comes back as a Problem, or raises it as Unreachable, in words an operator can act on and
without secrets. Bodies of answers are read up to MAX_ANSWER.
"""

import asyncio
import base64
import io
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import NamedTuple

import aiohttp
from aiohttp import StreamReader
from yarl import URL

from ..http import retry_after
from ..http_options import shown
from ..tls import reason, tls_context
from .feed import Problem
from .limits import Limits
from .options import WandbOptions, redact, secrets_of

MAX_ANSWER = 64 << 20  #: bytes; RunResumeStatus brings a run's whole config and summary back
QUOTED = 200  #: characters of an answer's body that an error text repeats
_LARGE = 1 << 20  # bytes
_CONNECTIONS = 40  # one for each open run and a few more
_OURS = frozenset(
    {"host", "connection", "keep-alive", "proxy-authorization", "proxy-connection", "te", "trailer", "expect"}
    | {"transfer-encoding", "upgrade", "content-length", "authorization"}
)
_EVERYBODYS = frozenset({401, 407, 408, 425, 429})  # answers that every run would get
_ADVICE: Mapping[int, str] = {
    401: "check the API key",
    403: "check that the API key may write to this entity and project",
    404: "check base_url, entity and project, and that the run was not deleted",
    407: "the proxy wants other credentials: check proxy",
    429: "too many requests: raise upload_interval",
}


class Answer(NamedTuple):
    status: int
    headers: Mapping[str, str]
    body: bytes


class Unreachable(Exception):
    """There was no answer; `problem` says why."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.text)
        self.problem = problem


class Upstream:
    """W&B, as the options say. `open` before anything else; `close` is safe without it, and twice."""

    def __init__(self, options: WandbOptions, limits: Limits) -> None:
        self._options = options
        self._limits = limits
        self._base = options.base_url.rstrip("/")
        self._key = ""
        self._session: aiohttp.ClientSession | None = None

    @property
    def secrets(self) -> frozenset[str]:
        return secrets_of(self._options, self._key)

    def use(self, key: str) -> None:
        """From now on, this API key."""
        self._key = key

    async def open(self) -> None:
        """Make ready; connects nowhere. Raises Retry when a file of the options cannot be read."""
        await self.close()
        # Besides the system's authorities, which vouch for the object stores that files go to.
        context = await asyncio.to_thread(tls_context, self._options, "besides")
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=context, limit=_CONNECTIONS),
            timeout=aiohttp.ClientTimeout(
                total=self._limits.upstream_timeout,
                connect=min(self._limits.connect_timeout, self._limits.upstream_timeout),
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=self._options.proxy is None,
        )

    async def close(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def send(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """One request and its whole answer. Raises Unreachable."""
        asked = {**headers, "Accept-Encoding": "identity"}
        # aiohttp would write a large body of bytes in one go, and hold the loop for it.
        data: bytes | io.BytesIO = body if len(body) < _LARGE else io.BytesIO(body)
        async with self.stream(method, path, asked, data) as answer:
            try:
                text = bytearray()
                async for piece in answer.content.iter_any():
                    text += piece
                    if len(text) > MAX_ANSWER:
                        raise Unreachable(Problem(f"{self._place(path)} answered with more than {MAX_ANSWER} bytes"))
            except (aiohttp.ClientError, OSError) as problem:
                raise Unreachable(self._broken(path, problem)) from problem
            return Answer(answer.status, answer.headers, bytes(text))

    @asynccontextmanager
    async def stream(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | io.BytesIO | StreamReader
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """One request, its answer not yet read. Raises Unreachable."""
        if self._session is None:
            raise Unreachable(Problem("the W&B sink is closed"))
        asked = {name: value for name, value in headers.items() if name.lower() not in _OURS}
        asked["Authorization"] = "Basic " + base64.b64encode(f"api:{self._key}".encode()).decode()
        request = self._session.request(
            method,
            URL(f"{self._base}/{path}", encoded=True),
            headers=asked,
            data=body,
            proxy=self._options.proxy,
            allow_redirects=False,
        )
        try:
            answer = await request
        except (aiohttp.ClientError, OSError, ValueError) as problem:
            raise Unreachable(self._broken(path, problem)) from problem
        try:
            yield answer
        finally:
            answer.release()

    @asynccontextmanager
    async def put(
        self, url: str, headers: Mapping[str, str], body: StreamReader
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Send a file to an address that W&B named; without the key, which is not for others. Raises Unreachable."""
        if self._session is None:
            raise Unreachable(Problem("the W&B sink is closed"))
        asked = {name: value for name, value in headers.items() if name.lower() not in _OURS - {"content-length"}}
        place = URL(url if "://" in url else f"{self._base}/{url.lstrip('/')}", encoded=True)
        timeout = aiohttp.ClientTimeout(sock_read=self._limits.upstream_timeout, connect=self._limits.connect_timeout)
        told = {"headers": asked, "data": body, "proxy": self._options.proxy, "timeout": timeout}
        try:
            async with self._session.put(place, **told, allow_redirects=False) as answer:  # type: ignore[arg-type]
                yield answer
        except (aiohttp.ClientError, OSError, ValueError) as problem:
            raise Unreachable(self._broken("(a file)", problem)) from problem

    def problem(self, path: str, answer: Answer, said: str | None = None) -> Problem:
        """What is wrong with an answer that did not take the request. said: instead of its body."""
        try:
            phrase = HTTPStatus(answer.status).phrase
        except ValueError:
            phrase = ""
        text = f"{self._place(path)} answered {answer.status} {phrase}".rstrip()
        advice = _ADVICE.get(answer.status)
        quoted = self._quote(answer.body.decode("utf-8", "replace") if said is None else said)
        text = text + (f": {advice}" if advice else "") + (f" ({quoted})" if quoted else "")
        alone = 400 <= answer.status < 500 and answer.status not in _EVERYBODYS
        return Problem(text, answer.status, retry_after(answer.headers.get("Retry-After"), time.time()), alone)

    def _place(self, path: str) -> str:
        return f"W&B ({shown(self._base)}/{path.partition('?')[0]})"

    def _quote(self, text: str) -> str:
        line = " ".join("".join(c if c.isprintable() else " " for c in text[: 4 * QUOTED]).split())
        return redact(line, self.secrets)[:QUOTED]

    def _broken(self, path: str, problem: Exception) -> Problem:
        place = self._place(path)
        match problem:
            case aiohttp.ClientConnectorCertificateError():
                return Problem(f"{place}: its certificate is not trusted: if it is right, set ca_file")
            case aiohttp.ClientProxyConnectionError():
                return Problem(f"{place}: no connection to the proxy {shown(self._options.proxy or '')}")
            case aiohttp.ClientHttpProxyError():
                return Problem(f"{place}: the proxy answered {problem.status}: check proxy")
            case aiohttp.ClientConnectorDNSError():
                return Problem(f"{place}: its host name is not known: check base_url, and DNS")
            case aiohttp.ClientConnectorError():
                return Problem(f"{place}: no connection: {reason(problem.os_error)}")
            case TimeoutError():
                return Problem(f"{place}: no answer within {self._limits.upstream_timeout:g} s")
        return Problem(f"{place}: the connection broke off before the answer ({type(problem).__name__})")
