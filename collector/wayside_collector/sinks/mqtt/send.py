"""The MQTT sink: messages with quality of service 1, each acknowledged by the broker before its row is delivered.

At least once: a row whose acknowledgement was lost comes again, and (session, seq) in its payload says so. Order is
kept for each topic. The connection stands as long as it can; a send that finds it gone makes another, once.
"""

import asyncio
import socket
import ssl
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import aiomqtt

from ...broker import BrokerTrouble, Connection, in_words
from ..base import Changes, Context, Parcel, Ref, Retry, Traits
from ..tls import tls_context
from .messages import MAX_TOPIC, Message, Messages, fill, level
from .options import MqttOptions

LOT = 500  #: messages handed over before their acknowledgements are awaited
LAST_WORD = 2.0  #: seconds that a stop waits for the broker to take it


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
        self._status = fill(options.status_topic, {"host": level(socket.gethostname())})

    async def open(self, context: Context) -> None:
        """Read the files the options name; connects nowhere. Raises Retry."""
        await self.close()
        self._context = context
        self._tls = await asyncio.to_thread(tls_context, self._options)

    async def close(self) -> None:
        """Say that we go, and go."""
        connecting, self._connecting = self._connecting, None
        if connecting is not None:  # it is in a thread, and would leave a socket behind
            await asyncio.gather(connecting, return_exceptions=True)
            if not connecting.cancelled() and connecting.exception() is None:
                self._connection = connecting.result()
        connection, self._connection = self._connection, None
        if connection is not None:
            await _end(connection, self._status)

    async def send(self, parcel: Parcel) -> Changes:
        messages: list[Message] = []
        for part in parcel.parts:
            for record in part.records:
                messages += self._messages.of(part.session, record)
            await asyncio.sleep(0)
        waiting = self._fit(messages)
        delivered = parcel.refs() - {message.ref for message in waiting}
        denied: dict[str, str] = {}
        done = 0
        try:
            connection = await self._connected() if waiting else None
            while connection is not None and done < len(waiting):
                denied |= await self._publish(connection, waiting[done : done + LOT])
                done += LOT
        except BrokerTrouble as trouble:
            connection, self._connection = self._connection, None
            if connection is not None:
                await _end(connection, "")
            uncertain = connection is not None
            delivered = _without(delivered, waiting, done, denied)
            raise Retry(str(trouble), delivered=delivered, uncertain=uncertain) from trouble
        if denied:
            self._context.count("denied", len(denied))
            why = "; ".join(list(dict.fromkeys(denied.values()))[:3])
            runs = {message.run for message in waiting if message.topic in denied}
            raise Retry(
                f"{self._options.endpoint}: {why}: check what the broker allows",
                delivered=_without(delivered, waiting, done, denied),
                runs=runs,
            )
        return {}

    def _fit(self, messages: Sequence[Message]) -> list[Message]:
        fit = [message for message in messages if len(message.topic.encode()) <= MAX_TOPIC]
        if len(fit) < len(messages):
            self._context.count("too_long", len(messages) - len(fit))
        return fit

    async def _publish(self, connection: Connection, lot: Sequence[Message]) -> dict[str, str]:
        """Returns when the broker has answered for each; topic to why, of those it does not take."""
        with in_words(self._options):
            answers = [connection.put(m.topic, m.payload, retain=self._options.retain) for m in lot]
        for answer in answers:  # the broker answers in their order
            if not answer.done():
                waits = (answer, connection.lost)
                timeout = self._options.timeout
                await asyncio.wait(waits, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
            if answer.done():
                continue
            if connection.lost.done():
                why = connection.lost.exception() or "the broker hung up"
                raise BrokerTrouble(f"{self._options.endpoint}: the connection is gone: {why}")
            raise BrokerTrouble(f"{self._options.endpoint}: no acknowledgement (option timeout)")
        said = zip(lot, (answer.result() for answer in answers), strict=True)
        return {message.topic: f"{message.topic[:100]}: {why}" for message, why in said if why}

    # --- the connection ----------------------------------------------------------------------------------------------

    async def _connected(self) -> Connection:
        """The one that stands, or a new one. Raises BrokerTrouble."""
        if self._connection is not None and not self._connection.lost.done():
            return self._connection
        if self._connecting is None:
            self._connecting = asyncio.get_running_loop().create_task(self._connect(), name="mqtt-connect")
        connecting = self._connecting
        try:
            self._connection = await asyncio.shield(connecting)
        finally:
            if connecting.done():
                self._connecting = None
        self._context.count("connections", 1)
        return self._connection

    async def _connect(self) -> Connection:
        options = self._options
        will = aiomqtt.Will(self._status, b"offline", qos=1, retain=True) if self._status else None
        name = options.client_id or f"wayside-{level(socket.gethostname())}-{self._context.name}"[:128]
        with in_words(options):
            connection = Connection(options, name, self._tls, will)
            await connection.connect()
            if self._status:
                await connection.publish(self._status, b"online", qos=1, retain=True)
        return connection


def _without(delivered: set[Ref], waiting: Sequence[Message], done: int, denied: dict[str, str]) -> set[Ref]:
    """What is delivered: all but rows of which a message waits, being none of the first `done`, or was denied."""
    held = {message.ref for message in waiting[done:]} | {m.ref for m in waiting if m.topic in denied}
    return delivered | {message.ref for message in waiting} - held


async def _end(connection: Connection, status: str) -> None:
    """Leave, with a last word where there is somebody to hear it."""
    try:
        async with asyncio.timeout(LAST_WORD):
            if status and not connection.lost.done():
                await connection.publish(status, b"offline", qos=1, retain=True)
            await connection.leave()
    except (aiomqtt.MqttError, TimeoutError):
        connection.drop()
