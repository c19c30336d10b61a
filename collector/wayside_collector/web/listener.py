"""One address that is listened on: its socket, its limit of connections, its certificate."""

import asyncio
import contextlib
import logging
import os
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from ..intake.refusals import Door, Refusals

MAX_CONNECTIONS = 256  #: open at once on one listener: each takes a descriptor, of which spool and journals need some
IDLE_TIMEOUT = 75.0  #: seconds a connection may say nothing, or not come to the end of a request's head
HANDSHAKE_TIMEOUT = 10.0  #: seconds TLS may take to begin
CERTIFICATE_INTERVAL = 10.0  #: seconds between looks whether the certificate's files were replaced

log = logging.getLogger(__name__)


class _Refused(asyncio.Protocol):
    """One connection too many."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.close()


class _RequestLog(logging.LoggerAdapter[logging.Logger]):
    """What aiohttp tells of requests. What is no HTTP is answered with a 400 and counted: anybody can send it, and
    would fill the log with tracebacks.
    """

    def __init__(self, door: Door, refusals: Refusals) -> None:
        super().__init__(log)
        self._door: Door = door
        self._refusals = refusals

    def exception(self, msg: object, *args: object, exc_info: Any = True, **rest: Any) -> None:
        if isinstance(exc_info, HttpProcessingError):
            self._refusals.count(self._door, "malformed")
        elif isinstance(exc_info, ConnectionError):
            super().debug("somebody went away before the answer")
        else:
            super().exception(msg, *args, exc_info=exc_info, **rest)


class Listener:
    """Listens while `serving`. url: where, as it was found when a port was free to choose; of all interfaces, the one
    that faces outward.
    """

    def __init__(
        self, door: Door, host: str, port: int, refusals: Refusals, certificate: "Certificate | None" = None
    ) -> None:
        self.door = door
        self.host = host
        self.port = port
        self.max_connections = MAX_CONNECTIONS
        self._certificate = certificate
        self._refusals = refusals

    @property
    def url(self) -> str:
        host = openable(self.host)
        shown = f"[{host}]" if ":" in host else host
        return f"http{'s' if self._certificate else ''}://{shown}:{self.port}/"

    @contextlib.asynccontextmanager
    async def serving(self, app: web.Application) -> AsyncIterator[None]:
        """Answer with this application. Raises OSError in words that say what to do."""
        told = _RequestLog(self.door, self._refusals)
        # Bodies are decompressed by who wants them (`body.py`): not before it is known who sends them.
        runner = web.AppRunner(
            app,
            access_log=None,
            logger=told,
            shutdown_timeout=1.0,
            keepalive_timeout=IDLE_TIMEOUT,
            auto_decompress=False,
        )
        await runner.setup()
        server = None
        watching: asyncio.Task[None] | None = None
        try:
            context = None if self._certificate is None else await asyncio.to_thread(self._certificate.context)
            server = await self._listen(runner, context)
            self.port = server.sockets[0].getsockname()[1]
            log.info("serving %s", self.url)
            if self._certificate is not None and context is not None:
                watching = asyncio.create_task(self._certificate.watch(context), name="certificate")
            yield
        finally:
            if watching is not None:
                watching.cancel()
            if server is not None:
                server.close()
            await runner.cleanup()

    async def _listen(self, runner: web.AppRunner, context: ssl.SSLContext | None) -> asyncio.Server:
        handlers = runner.server
        assert handlers is not None

        def accept() -> asyncio.Protocol:
            if len(handlers.connections) < self.max_connections:
                return handlers()
            self._refusals.count(self.door, "connections")
            return _Refused()

        try:
            return await asyncio.get_running_loop().create_server(
                accept,
                self.host or None,
                self.port,
                ssl=context,
                ssl_handshake_timeout=HANDSHAKE_TIMEOUT if context else None,
            )
        except OSError as problem:
            why = os.strerror(problem.errno) if problem.errno and problem.errno > 0 else problem
            where = f"{self.host}:{self.port}"
            raise OSError(f"{where} cannot be listened on ({why}): set another `{self.door}`") from None


def openable(host: str) -> str:
    """The host under which others reach what listens on `host`: itself, and where that means all interfaces, the
    machine's or pod's address that faces outward.
    """
    if host not in ("", "0", "0.0.0.0", "::"):
        return host
    family, far, near = (
        (socket.AF_INET6, "2001:db8::1", "::1") if host == "::" else (socket.AF_INET, "192.0.2.1", "127.0.0.1")
    )
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as asked:
            asked.connect((far, 9))  # an address of nobody's, and nothing is sent: the kernel says how it would go
            return str(asked.getsockname()[0])
    except OSError:
        return near


class Certificate:
    """A server's certificate and key, as PEM files that may be replaced while it serves. options: what they are called
    where they were named.
    """

    def __init__(
        self, cert: str, key: str | None, options: tuple[str, str] = ("public.cert_file", "public.key_file")
    ) -> None:
        self._cert = cert
        self._key = key
        self._options = options

    def context(self) -> ssl.SSLContext:
        """Blocks on the files; raises OSError naming the options."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._load(context)
        return context

    def _load(self, context: ssl.SSLContext) -> None:
        try:
            context.load_cert_chain(self._cert, self._key, password=lambda: "")  # else OpenSSL asks at the terminal
        except OSError as problem:
            why = getattr(problem, "reason", None) or problem.strerror
            raise OSError(
                f"{self._options[0]}: {self._cert}, {self._options[1]}: {self._key}: {why}: they must be PEM files "
                "that belong together, without a password"
            ) from None

    async def watch(self, context: ssl.SSLContext) -> None:
        """Once the files are replaced, new connections get the new certificate; of a broken one is told."""
        files = [Path(path) for path in (self._cert, self._key) if path is not None]
        known = await asyncio.to_thread(_stamps, files)
        while True:
            await asyncio.sleep(CERTIFICATE_INTERVAL)
            found = await asyncio.to_thread(_stamps, files)
            if found == known:
                continue
            known = found
            try:
                await asyncio.to_thread(self._load, context)
                log.info("the certificate %s was replaced", self._cert)
            except OSError as problem:
                log.warning("%s; the old certificate goes on", problem)


def _stamps(files: list[Path]) -> list[tuple[int, int, int]]:
    found = []
    for path in files:
        try:
            stat = path.stat()
            found.append((stat.st_ino, stat.st_mtime_ns, stat.st_size))
        except OSError:
            found.append((0, 0, 0))
    return found
