"""The MQTT sink: messages with quality of service 1, each acknowledged by the broker before its row is delivered.

At least once: a row whose acknowledgement was lost comes again, and (session, seq) in its payload says so. Order is
kept for each topic. The connection stands as long as it can; a send that finds it gone makes another, once.
"""

import asyncio
import socket
import ssl
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar, NamedTuple

import aiomqtt

from ...broker import IN_FLIGHT, BrokerTrouble, Connection, in_words
from ..base import Changes, Context, Parcel, Ref, Reject, Retry, Traits
from ..tls import tls_context
from .messages import Lot, Message, Messages, fill, level, lots
from .options import MqttOptions

SUSPECT = 64 << 10  #: bytes of a payload for which a broker may have hung up; no broker's limit is known to be less
MAX_REFUSED = 20_000  #: rows refused in sends that did not end; beyond it all are tried anew
PACKET_TOO_LARGE = 149  #: MQTT 5's reason for it
LAST_WORD = 2.0  #: seconds that a stop waits for the broker to take it
_REASONS = 3  # reasons that one text spells out


class Denied(NamedTuple):
    """A message that the broker does not take, and why."""

    run: str
    topic: str
    why: str


class MqttSink:
    """Publishes. Counters: `connections` made; `denied` messages whose topic the broker does not allow us; `too_long`
    ones whose topic is longer than the protocol has room for.
    """

    traits: ClassVar[Traits] = Traits(max_records=2000)

    def __init__(self, options: MqttOptions) -> None:
        self._options = options
        self._messages = Messages(options)
        self._context = Context("mqtt", Path("."))
        self._tls: ssl.SSLContext | None = None
        self._connection: Connection | None = None
        self._connecting: asyncio.Task[Connection] | None = None
        self._opening: Connection | None = None  # what that task is about
        self._refused: dict[Ref, str] = {}  # and why; until a send that ends can tell it
        self._suspected: tuple[Ref, str] | None = None
        self._status = fill(options.status_topic, {"host": level(socket.gethostname())})

    async def open(self, context: Context) -> None:
        """Read the files the options name; connects nowhere. Raises Retry."""
        await self.close()
        self._context = context
        self._tls = await asyncio.to_thread(tls_context, self._options)

    async def close(self) -> None:
        """Say that we go, and go."""
        connecting, self._connecting = self._connecting, None
        if connecting is not None and self._opening is not None:
            await self._opening.abandon(connecting)
        connection, self._connection = self._connection, None
        if connection is not None:
            await _end(connection, self._status)

    async def send(self, parcel: Parcel) -> Changes:
        made = lots(self._messages, parcel)
        delivered: set[Ref] = set()
        denied: dict[Ref, Denied] = {}
        try:
            while (lot := await asyncio.to_thread(next, made, None)) is not None:  # wide rows take a while
                if lot.too_long:
                    self._context.count("too_long", lot.too_long)
                await self._deliver(lot, denied)
                delivered.update(lot.ends)
        except BrokerTrouble as trouble:
            connection, self._connection = self._connection, None
            if connection is not None:
                await _end(connection, "")
            delivered -= denied.keys() | self._refused.keys()
            raise Retry(str(trouble), delivered=delivered, uncertain=connection is not None) from trouble
        return self._end(parcel, delivered, denied)

    def _end(self, parcel: Parcel, delivered: set[Ref], denied: Mapping[Ref, Denied]) -> Changes:
        if denied:
            self._context.count("denied", len({one.topic for one in denied.values()}))
            why = "; ".join(list(dict.fromkeys(one.why for one in denied.values()))[:_REASONS])
            raise Retry(
                f"{self._options.endpoint}: {why}: check what the broker allows",
                delivered=delivered - denied.keys() - self._refused.keys(),
                runs={one.run for one in denied.values()},
            )
        refused = {ref: self._refused.pop(ref) for ref in parcel.refs() & self._refused.keys()}
        if refused:
            raise Reject("; ".join(list(dict.fromkeys(refused.values()))[:_REASONS]), refused)
        return {}

    async def _deliver(self, lot: Lot, denied: dict[Ref, Denied]) -> None:
        """Those that the broker has room for; returns when it has answered for each. Raises BrokerTrouble."""
        messages = [message for message in lot.messages if message.ref not in self._refused]
        if not messages:
            return
        connection = await self._connected()
        fit = []
        for message in messages:
            if connection.largest is not None and message.packet(self._options.version) > connection.largest:
                self._refuse(message, f"takes packets of at most {connection.largest} bytes")
            else:
                fit.append(message)
        said = await self._publish(connection, fit)
        denied.update({m.ref: Denied(m.run, m.topic, f"{m.topic[:100]}: {why}") for m, why in said if why})

    async def _publish(self, connection: Connection, lot: Sequence[Message]) -> list[tuple[Message, str]]:
        """Returns when the broker has answered for each: why it does not take it, empty where it does."""
        with in_words(self._options):
            answers = [connection.put(m.topic, m.payload, retain=self._options.retain) for m in lot]
        for index, answer in enumerate(answers):  # the broker answers in their order
            if not answer.done():
                waits = (answer, connection.lost)
                timeout = self._options.timeout
                await asyncio.wait(waits, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
            if answer.done():
                continue
            if connection.lost.done():
                why = connection.lost.exception() or "the broker hung up"
                self._suspect(lot[index : index + IN_FLIGHT], why)
                raise BrokerTrouble(f"{self._options.endpoint}: the connection is gone: {why}")
            raise BrokerTrouble(f"{self._options.endpoint}: no acknowledgement (option timeout)")
        self._suspected = None
        return list(zip(lot, (answer.result() for answer in answers), strict=True))

    def _suspect(self, unanswered: Sequence[Message], why: object) -> None:
        """A broker that finds a message too large hangs up, and may not say why: the largest on its way was it, when
        the broker says so, or has hung up on it before.
        """
        largest = max(unanswered, key=lambda message: len(message.payload))
        code = getattr(why, "rc", None)
        if getattr(code, "value", code) == PACKET_TOO_LARGE:
            self._refuse(largest, f"hung up: {why}")
        elif len(largest.payload) >= SUSPECT:
            name = largest.ref, largest.topic
            if self._suspected == name:
                self._refuse(largest, f"hung up on it twice: {why}")
            self._suspected = name

    def _refuse(self, message: Message, why: str) -> None:
        size = message.packet(self._options.version)
        if len(self._refused) > MAX_REFUSED:
            self._refused.clear()
        self._refused[message.ref] = (
            f"{self._options.endpoint}: {message.topic[:100]}: a packet of {size} bytes: the broker {why}"
        )

    # --- the connection ----------------------------------------------------------------------------------------------

    async def _connected(self) -> Connection:
        """The one that stands, or a new one. Raises BrokerTrouble."""
        if self._connection is not None and not self._connection.lost.done():
            return self._connection
        if self._connecting is None:
            with in_words(self._options):
                self._opening = self._make()
            connect = self._connect(self._opening)
            self._connecting = asyncio.get_running_loop().create_task(connect, name="mqtt-connect")
        connecting = self._connecting
        await asyncio.wait({connecting})  # one that is cancelled here leaves it for the next send, or for `close`
        self._connecting = None
        self._connection = connecting.result()
        self._context.count("connections", 1)
        return self._connection

    def _make(self) -> Connection:
        options = self._options
        will = aiomqtt.Will(self._status, b"offline", qos=1, retain=True) if self._status else None
        name = options.client_id or f"wayside-{level(socket.gethostname())}-{self._context.name}"[:128]
        return Connection(options, name, self._tls, will)

    async def _connect(self, connection: Connection) -> Connection:
        with in_words(self._options):
            await connection.connect()
            if self._status:
                await connection.publish(self._status, b"online", qos=1, retain=True)
        return connection


async def _end(connection: Connection, status: str) -> None:
    """Leave, with a last word where there is somebody to hear it."""
    try:
        async with asyncio.timeout(LAST_WORD):
            if status and not connection.lost.done():
                await connection.publish(status, b"offline", qos=1, retain=True)
            await connection.leave()
    except (aiomqtt.MqttError, TimeoutError):
        connection.drop()
