"""The MQTT source: messages of a broker become rows of runs.

Accepted means on disk: a message is acknowledged when its row is stored. The session at the broker outlives us, so what
is published with quality of service 1 while the collector is away comes when it is back, as much and as long as the
broker keeps it. At least once: what was stored and not acknowledged comes again.
"""

import asyncio
import logging
import random
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import aiomqtt
import msgspec
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from wayside import wire

from ..broker import BrokerTrouble, Connection, broker_problems, broker_tls, in_words
from ..configuration.units import Seconds
from ..intake import Full, Refused
from ..spool import SpoolError
from . import posted
from .posted import Mark, PostedSessions
from .topics import BadMessage, Default, Reading, Template, read_message, read_template

KIND = "mqtt"  #: the first text of a mark of such sessions
MAX_UNREAD = 2000  #: messages that have come and are not stored; a broker sends no more of quality 1 than AT_ONCE
AT_ONCE = 500  #: messages that a broker may send before we have acknowledged the first
MAX_TOPICS = 100
MAX_TOLD = 20  #: reasons why a message was none that are told in the log
FIRST_PAUSE, LAST_PAUSE = 1.0, 30.0  #: seconds before it is tried again

_log = logging.getLogger(__name__)


class MqttSourceOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of the MQTT source.

    endpoint: `mqtt://host:1883`, or `mqtts://host:8883` for TLS. topics: what is subscribed to, with `{project}`,
    `{run}`, `{rank}` and `{metric}` as levels, or plain filters. run, project: of what neither topic nor payload says.
    retained: whether the values that a broker has kept from before are taken; they are no new measurements. keep: how
    long the broker keeps what comes while we are away. version, client_id, username, password_file, timeout,
    verify_tls, ca_file, cert_file, key_file: as of the MQTT sink.
    """

    endpoint: str
    topics: Annotated[tuple[str, ...], msgspec.Meta(min_length=1, max_length=MAX_TOPICS)]
    run: Annotated[str, msgspec.Meta(min_length=1, max_length=128)] = "mqtt"
    project: Annotated[str, msgspec.Meta(min_length=1, max_length=128)] = "mqtt"
    retained: bool = False
    keep: Seconds = 3600.0
    version: Literal["5", "3.1.1"] = "5"
    client_id: Annotated[str, msgspec.Meta(min_length=1, max_length=256)] | None = None
    username: str | None = None
    password_file: str | None = None
    timeout: Annotated[float, msgspec.Meta(gt=0, le=600, extra={"unit": "seconds"})] = 30.0
    verify_tls: bool = True
    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None

    def check(self) -> list[str]:
        """What is wrong with these options, each text beginning with the option's name; empty when nothing is."""
        problems = broker_problems(self)
        for topic in self.topics:
            try:
                read_template(topic)
            except ValueError as problem:
                problems.append(f"topics: {topic[:80]}: {problem}")
        return problems


@dataclass(slots=True)
class MqttHealth:
    """What is told of the source. received: messages whose rows are stored. refused: that are no rows. retained: passed
    over since the broker had them from before. overrun: that came faster than they could be stored, and are lost unless
    the broker sends them again.
    """

    connected: bool = False
    received: int = 0
    refused: int = 0
    retained: int = 0
    overrun: int = 0
    last_error: str | None = None


class _Subscriber(Connection):
    """A connection that acknowledges when it is told to."""

    def __init__(self, health: MqttHealth, *given: Any, **more: Any) -> None:
        super().__init__(*given, **more)
        self._client.manual_ack_set(True)
        self._health = health

    def _on_message(self, client: Any, userdata: Any, message: Any) -> None:
        if self._queue.full():
            self._health.overrun += 1
            if message.qos and not self._disconnected.done():
                # It is not acknowledged, and comes again on another connection alone. In version 5 it cannot happen.
                self._disconnected.set_exception(aiomqtt.MqttError("messages come faster than they can be stored"))
        super()._on_message(client, userdata, message)

    def done(self, message: aiomqtt.Message) -> None:
        self._client.ack(message.mid, message.qos)

    async def lot(self) -> list[aiomqtt.Message]:
        """The next messages, at least one. Raises aiomqtt.MqttError when the connection is gone."""
        found = [await anext(self.messages)]
        while len(found) < AT_ONCE and not self._queue.empty():
            found.append(self._queue.get_nowait())
        return found


class MqttSource:
    """Subscribes. name: in the configuration. chance: numbers from 0 to 1."""

    def __init__(
        self,
        name: str,
        options: MqttSourceOptions,
        posted: PostedSessions,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.health = MqttHealth()
        self._name = name
        self._options = options
        self._posted = posted
        self._chance = chance
        self._templates = [read_template(topic) for topic in options.topics]
        self._default = Default(options.run, options.project)
        self._told: set[str] = set()

    async def run(self) -> None:
        """Until cancelled: subscribe, and when that fails again after a while."""
        pause = FIRST_PAUSE
        while True:
            before = self.health.received
            try:
                await self._subscribe()
            except (BrokerTrouble, SpoolError, Full) as trouble:
                if str(trouble) != self.health.last_error:
                    _log.warning("source %s: %s; it is tried again", self._name, trouble)
                self.health.last_error = str(trouble)
            finally:
                self.health.connected = False
            pause = FIRST_PAUSE if self.health.received > before else min(LAST_PAUSE, 2 * pause)
            await asyncio.sleep(pause * (0.5 + self._chance() / 2))

    async def _subscribe(self) -> None:
        """Take messages until the connection is gone, or they cannot be stored. Raises BrokerTrouble and the like."""
        options = self._options
        tls = await asyncio.to_thread(broker_tls, options)
        with in_words(options):
            connection = self._make(tls)
            # In a task of its own: it is in a thread, and would leave a socket behind when it is cancelled.
            connecting = asyncio.get_running_loop().create_task(connection.connect(), name=f"{self._name}-connect")
            try:
                await asyncio.shield(connecting)
                for template in self._templates:
                    await self._ask_for(connection, template)
                self.health.connected, self.health.last_error = True, None
                _log.info("source %s: subscribed at %s", self._name, options.endpoint)
                while True:
                    await self._take(connection, await connection.lot())
            finally:
                await connection.abandon(connecting)

    def _make(self, tls: Any) -> _Subscriber:
        options = self._options
        name = options.client_id or f"wayside-{socket.gethostname()}-{self._name}-source"[:128]
        more: dict[str, Any] = {"clean_session": False}
        if options.version == "5":
            properties: Any = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
            properties.SessionExpiryInterval = int(min(options.keep, (1 << 32) - 2))
            properties.ReceiveMaximum = AT_ONCE
            more = {"clean_start": False, "properties": properties}
        more["max_queued_incoming_messages"] = MAX_UNREAD
        return _Subscriber(self.health, options, name, tls, None, **more)

    async def _ask_for(self, connection: Connection, template: Template) -> None:
        granted = await connection.subscribe(template.filter, qos=1)
        codes = [getattr(code, "value", code) for code in granted]
        if any(code >= 128 for code in codes):
            raise BrokerTrouble(
                f"{self._options.endpoint}: the broker denies {template.filter}: check what it allows, and topics"
            )

    # --- messages ----------------------------------------------------------------------------------------------------

    async def _take(self, connection: _Subscriber, messages: Sequence[aiomqtt.Message]) -> None:
        """Store their rows, then acknowledge. Raises SpoolError or Full: then they come again."""
        rows: dict[Mark, list[Reading]] = {}
        for message in messages:
            reading = self._read(message)
            if reading is not None:
                mark: Mark = KIND, self._name, reading.run, "" if reading.rank is None else str(reading.rank)
                rows.setdefault(mark, []).append(reading)
        now = time.time()
        for mark, readings in rows.items():
            try:
                await self._write(mark, readings, now)
            except Refused as problem:
                self._refuse(mark[2], str(problem), len(readings))
            except Full as problem:  # of too many runs at once: the others' messages must not wait until some end
                if len(self._posted.marks()) < posted.MAX_POSTED:
                    raise
                self._refuse(mark[2], str(problem), len(readings))
        for message in messages:
            connection.done(message)

    def _read(self, message: aiomqtt.Message) -> Reading | None:
        if message.retain and not self._options.retained:
            self.health.retained += 1
            return None
        topic = str(message.topic)
        template = next((one for one in self._templates if one.pattern.fullmatch(topic)), None)
        try:
            if template is None:
                raise BadMessage("its topic is of no template")
            payload = message.payload if isinstance(message.payload, bytes) else b""
            return read_message(template, topic, payload, self._default)
        except BadMessage as problem:
            self._refuse(topic, str(problem))
            return None

    def _refuse(self, topic: str, why: str, count: int = 1) -> None:
        self.health.refused += count
        self._posted.count(refused=count)
        if why not in self._told and len(self._told) < MAX_TOLD:
            self._told.add(why)
            _log.warning(
                "source %s: a message on %.200s is no row: %s; further ones are counted", self._name, topic, why
            )

    async def _write(self, mark: Mark, readings: Sequence[Reading], now: float) -> None:
        first = readings[0]
        record = {
            "run": {"id": first.run, "name": first.run, "project": first.project},
            "rank": first.rank if first.rank is not None and 0 <= first.rank < 1 << 31 else None,
            "host": socket.gethostname(),
            "started": now,
            "origin": "mqtt",
        }
        async with self._posted.writing(mark, record) as scribe:
            for one in readings:
                try:
                    scribe.row(now if one.time is None else one.time, one.step, one.metrics)
                except wire.WireError as problem:
                    self._refuse(one.run, str(problem))
            await scribe.store()
        self.health.received += len(readings)
