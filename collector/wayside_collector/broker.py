"""A connection to an MQTT broker, for the sink and the source: options, one connection, and what went wrong in words.

aiomqtt keeps the protocol. It does not tell what an acknowledgement says, and a broker that denies a topic says it
there alone: so acknowledgements are taken here (`Connection.put`).
"""

import asyncio
import contextlib
import logging
import re
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, Protocol
from urllib.parse import urlsplit

import aiomqtt

from .sinks.base import Retry
from .sinks.tls import TlsFields, tls_context, tls_problems

KEEPALIVE = 30  #: seconds; a broker says that we are gone after one and a half of it
IN_FLIGHT = 20  #: messages on their way at once: what a broker takes by default
ABANDON = 1.0  #: seconds that a stop waits for a connect that is in its thread
MAX_PASSWORD = 16 << 10  #: bytes of a password's file

_LIBRARY = logging.getLogger("wayside_collector.broker.aiomqtt")
_LIBRARY.setLevel(logging.CRITICAL)  # what it says of a lost connection is told by its exceptions, too


class BrokerTrouble(Exception):
    """The broker cannot be reached, or does not let us go on; in words for an operator."""


class Broker(TlsFields, Protocol):
    """The options of both that are about the broker.

    endpoint: `mqtt://host:1883`, or `mqtts://host:8883` for TLS. version: of the protocol. client_id: as the broker
    knows us. username, password_file: the latter is read at each connection. timeout: seconds to connect, and without
    a word of the broker while one is due.
    """

    @property
    def endpoint(self) -> str: ...
    @property
    def version(self) -> Literal["5", "3.1.1"]: ...
    @property
    def client_id(self) -> str | None: ...
    @property
    def username(self) -> str | None: ...
    @property
    def password_file(self) -> str | None: ...
    @property
    def timeout(self) -> float: ...


def broker_problems(options: Broker) -> list[str]:
    """What is wrong with them, each text beginning with the option's name."""
    problems = []
    try:
        parts = urlsplit(options.endpoint)
        sound = parts.scheme in ("mqtt", "mqtts") and parts.hostname and parts.port != 0
    except ValueError:
        sound, parts = False, urlsplit("")
    if not sound or not options.endpoint.isprintable() or " " in options.endpoint:
        problems.append("endpoint: must be like mqtt://host:1883, or mqtts://host:8883")
    elif "@" in parts.netloc:
        problems.append("endpoint: a user or password does not belong here: use username and password_file")
    elif parts.path.strip("/") or parts.query or parts.fragment:
        problems.append("endpoint: must end with the port")
    if options.password_file is not None and options.username is None:
        problems.append("password_file: has no meaning without username")
    return [*problems, *tls_problems(options)]


def broker_tls(options: Broker) -> ssl.SSLContext:
    """What the options say of TLS. Blocks on the files; raises BrokerTrouble."""
    try:
        return tls_context(options)
    except Retry as trouble:
        raise BrokerTrouble(str(trouble)) from trouble


class _Closing(ssl.SSLSocket):
    """One that is closed when TLS cannot be agreed on: paho leaves it to the collector of garbage."""

    def do_handshake(self, block: bool = False) -> None:
        try:
            super().do_handshake(block)
        except OSError:
            self.close()
            raise


class Connection(aiomqtt.Client):
    """One connection, to be entered once. lost: done when it is gone. largest: bytes of a packet that the broker takes,
    where it has said so.
    """

    def __init__(
        self, options: Broker, client_id: str, tls: ssl.SSLContext | None, will: aiomqtt.Will | None, **more: Any
    ) -> None:
        """Blocks on the password's file. Raises BrokerTrouble."""
        parts = urlsplit(options.endpoint)
        if tls is not None:
            tls.sslsocket_class = _Closing
        version = aiomqtt.ProtocolVersion.V5 if options.version == "5" else aiomqtt.ProtocolVersion.V311
        super().__init__(
            parts.hostname or "",
            parts.port or (8883 if parts.scheme == "mqtts" else 1883),
            identifier=client_id,
            username=options.username,
            password=read_password(options),
            protocol=version,
            will=will,
            timeout=options.timeout,
            keepalive=KEEPALIVE,
            max_inflight_messages=IN_FLIGHT,
            tls_context=tls if parts.scheme == "mqtts" else None,
            logger=_LIBRARY,
            **more,
        )
        self.largest: int | None = None
        self._acks: dict[int, asyncio.Future[str]] = {}
        self._thread = threading.get_ident()

    @property
    def lost(self) -> "asyncio.Future[None]":
        return self._disconnected

    async def connect(self) -> None:
        """Raises aiomqtt.MqttError."""
        try:
            await self.__aenter__()
        except aiomqtt.MqttError:
            self.drop()
            raise

    async def abandon(self, connecting: "asyncio.Task[Any]") -> None:
        """Be done, soon, with a connect that may be under way: one that is still in its thread then ends alone."""
        if self._client.socket() is None:
            await asyncio.wait({connecting}, timeout=ABANDON)
        if self._client.socket() is None and not connecting.done():
            connecting.add_done_callback(self._let_go)
            return
        connecting.cancel()
        await asyncio.gather(connecting, return_exceptions=True)
        self.drop()

    def _let_go(self, connecting: "asyncio.Task[Any]") -> None:
        if not connecting.cancelled():
            connecting.exception()  # nobody asks any more
        self.drop()

    async def leave(self) -> None:
        """Say goodbye. Raises aiomqtt.MqttError."""
        try:
            await self.__aexit__(None, None, None)
        finally:
            self.drop()

    def drop(self) -> None:
        """Close the socket, without a word; safe to call twice."""
        self._client._sock_close()

    def put(self, topic: str, payload: bytes, *, retain: bool) -> "asyncio.Future[str]":
        """Hand a message over, in order; what comes of it is empty, or the broker's reason why it does not take it.
        Raises aiomqtt.MqttError.
        """
        info = self._client.publish(topic, payload, 1, retain)
        if info.rc != 0:
            raise aiomqtt.MqttCodeError(info.rc, "Could not publish message")
        answer = self._acks[info.mid] = asyncio.get_running_loop().create_future()
        return answer

    def _on_socket_register_write(self, client: Any, userdata: Any, sock: Any) -> None:
        """At once where that can be: by the loop's next turn the socket may be closed, and its number another's."""
        if threading.get_ident() != self._thread:
            super()._on_socket_register_write(client, userdata, sock)
            return

        def write() -> None:
            try:
                client.loop_write()
            except OSError as problem:
                if not self._disconnected.done():
                    self._disconnected.set_exception(problem)

        self._loop.add_writer(sock.fileno(), write)

    def _on_connect(self, client: Any, userdata: Any, flags: Any, reason_code: Any, properties: Any = None) -> None:
        self.largest = getattr(properties, "MaximumPacketSize", None)
        super()._on_connect(client, userdata, flags, reason_code, properties)

    def _on_publish(self, client: Any, userdata: Any, mid: int, reason_code: Any, properties: Any) -> None:
        super()._on_publish(client, userdata, mid, reason_code, properties)
        answer = self._acks.pop(mid, None)
        if answer is not None and not answer.done():
            answer.set_result(str(reason_code) if reason_code.is_failure else "")


@contextlib.contextmanager
def in_words(options: Broker) -> Iterator[None]:
    """aiomqtt's exceptions as BrokerTrouble."""
    try:
        yield
    except aiomqtt.MqttError as problem:
        why = re.sub(r"\[code:\d+\] ", "", str(problem))
        if isinstance(problem.__cause__, aiomqtt.MqttError):
            why = str(problem.__cause__)
        raise BrokerTrouble(f"{options.endpoint}: {_advice(why)}") from problem
    except (OSError, ValueError) as problem:
        raise BrokerTrouble(f"{options.endpoint}: {problem}") from problem


def _advice(why: str) -> str:
    lower = why.lower()
    if "user name" in lower or "not authori" in lower:
        return f"{why}: check username and password_file, and what the broker allows"
    if "timed out" in lower:
        return "no word of the broker (option timeout)"
    if "protocol version" in lower:
        return f"{why}: set version"
    return why


def read_password(options: Broker) -> str | None:
    """Raises BrokerTrouble."""
    if options.password_file is None:
        return None
    try:
        with Path(options.password_file).open("rb") as file:
            return file.read(MAX_PASSWORD).decode("utf-8", "replace").strip("\r\n")
    except OSError as problem:
        raise BrokerTrouble(f"password_file: {options.password_file}: {problem.strerror}") from problem
