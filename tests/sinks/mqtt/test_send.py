"""The MQTT sink against a real broker, mosquitto: killed, frozen, refusing."""

import asyncio
import contextlib
import json
import signal
import socket
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiomqtt
import pytest
from standins.certificates import make_certificate
from standins.mosquitto import Mosquitto, make_passwords
from waiting import until_async
from wayside.row import Row
from wayside_collector.sinks.base import Context, Reject, Retry
from wayside_collector.sinks.mqtt import MqttOptions, MqttSink
from wayside_collector.testing import make_parcel, make_rows, make_session

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(60)]
SESSION = make_session("r1", rank=0)
UNBOUNDED = ("max_queued_messages 0", "max_inflight_messages 0")


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    made = Mosquitto(tmp_path, UNBOUNDED)
    yield made
    made.stop()


class Listener:
    """What a subscriber hears."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, bytes, bool]] = []

    @property
    def seqs(self) -> list[int]:
        return [json.loads(text)["seq"] for topic, text, _ in self.heard if "collectors" not in topic]


@contextlib.asynccontextmanager
async def listening(broker: Mosquitto, topic: str = "#", **login: str) -> AsyncIterator[Listener]:
    found = Listener()
    async with aiomqtt.Client("127.0.0.1", broker.port, **login) as client:  # type: ignore[arg-type]
        await client.subscribe(topic, qos=1)

        async def read() -> None:
            async for message in client.messages:
                assert isinstance(message.payload, bytes)
                found.heard.append((str(message.topic), message.payload, message.retain))

        task = asyncio.create_task(read())
        try:
            yield found
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


@contextlib.asynccontextmanager
async def opened(broker: Mosquitto, **options: Any) -> AsyncIterator[tuple[MqttSink, Counter[str]]]:
    counted: Counter[str] = Counter()
    sink = MqttSink(MqttOptions(**{"endpoint": broker.endpoint, **options}))
    await sink.open(Context("mqtt", Path("."), count=lambda name, by: counted.update({name: by})))
    try:
        yield sink, counted
    finally:
        await sink.close()


def rows(count: int, first: int = 0) -> list[Row]:
    return make_rows(count, seq=first, step=first)


async def retry(sink: MqttSink, records: list[Row]) -> Retry:
    with pytest.raises(Retry) as caught:
        await sink.send(make_parcel(SESSION, records))
    return caught.value


async def deliver(sink: MqttSink, records: list[Row]) -> int:
    """As a pump would: again what is left, until all is delivered; returns how often."""
    tries = 0
    while records:
        tries += 1
        assert tries < 100
        try:
            await sink.send(make_parcel(SESSION, records))
            return tries
        except Retry as again:
            records = [row for row in records if (SESSION.id, row.seq) not in again.delivered]
            await asyncio.sleep(0.05)
    return tries


async def test_every_row_in_order(broker: Mosquitto) -> None:
    """Each metric of each row, once, in the order logged, acknowledged before it counts as delivered."""
    async with listening(broker) as heard, opened(broker) as (sink, _):
        await sink.send(make_parcel(SESSION, rows(1500)))
        await until_async(lambda: len(heard.seqs) >= 1500, "all of them")
        assert heard.seqs == list(range(1500))


@pytest.mark.parametrize("heeded", [True, False])
async def test_a_message_that_is_too_large_costs_nobody_else(tmp_path: Path, heeded: bool) -> None:
    """A row whose message the broker does not take for its size is a dead letter; the rows beside it arrive. Where it
    says the size it is not tried, else once.
    """
    broker = Mosquitto(tmp_path, (*UNBOUNDED, "max_packet_size 5000"))
    wide = make_rows(1, {f"layer/{number}": 0.5 for number in range(1000)}, seq=1, step=1)
    try:
        async with (
            listening(broker) as heard,
            opened(broker, topic="rows/{run}", status_topic="") as (sink, counted),
        ):
            if not heeded:
                await sink.send(make_parcel(SESSION, rows(1, 10)))
                assert sink._connection is not None
                sink._connection.largest = None  # as of a broker that does not say it
            records = [*rows(1), *wide, *rows(2, 2)]
            with pytest.raises(Reject if heeded else Retry) as caught:
                await sink.send(make_parcel(SESSION, records))
            if isinstance(caught.value, Retry):
                left = [row for row in records if (SESSION.id, row.seq) not in caught.value.delivered]
                with pytest.raises(Reject) as refused:
                    await sink.send(make_parcel(SESSION, left))
                assert refused.value.rows == {(SESSION.id, 1)}
            else:
                assert caught.value.rows == {(SESSION.id, 1)}
                assert "at most 5000 bytes" in str(caught.value)
                assert counted["connections"] == 1
            await until_async(lambda: set(heard.seqs) >= {0, 2, 3}, "the rows beside it")
            await sink.send(make_parcel(SESSION, rows(1, 4)))
    finally:
        broker.stop()


async def test_a_broker_that_hangs_up_without_a_word_is_believed_the_second_time() -> None:
    """In version 3.1.1 a broker closes the connection on what it finds too large: a large message that was on its way
    when that happened twice is a dead letter, one that is small never.
    """

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            await reader.read(1000)
            writer.write(b"\x20\x02\x00\x00")  # CONNACK
            await reader.readexactly(2)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    endpoint = f"mqtt://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    wide = make_rows(1, {f"layer/{number}": 0.5 for number in range(10_000)})
    sink = MqttSink(MqttOptions(endpoint=endpoint, version="3.1.1", topic="rows/{run}", status_topic=""))
    await sink.open(Context("mqtt", Path(".")))
    try:
        for _ in range(2):
            await retry(sink, wide)
        with pytest.raises(Reject, match="hung up on it twice"):
            await sink.send(make_parcel(SESSION, wide))
        for _ in range(4):
            await retry(sink, rows(1, 1))
    finally:
        await sink.close()
        server.close()


async def test_a_stop_does_not_wait_for_a_connect() -> None:
    """Something that accepts and says nothing holds up neither the sink's close nor the process."""
    gone = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()
        gone.set()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    endpoint = f"mqtt://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    sink = MqttSink(MqttOptions(endpoint=endpoint, timeout=600))
    await sink.open(Context("mqtt", Path(".")))
    sending = asyncio.create_task(sink.send(make_parcel(SESSION, rows(1))))
    await until_async(lambda: sink._opening is not None and sink._opening._client.socket() is not None, "a socket")
    sending.cancel()
    await asyncio.gather(sending, return_exceptions=True)
    async with asyncio.timeout(40):
        await sink.close()
        await gone.wait()
    server.close()


async def test_the_broker_is_killed_in_the_middle(broker: Mosquitto, tmp_path: Path) -> None:
    """What was not acknowledged comes again, and nothing is missing at a subscriber that was there all the time."""
    async with opened(broker) as (sink, counted):
        sending = asyncio.create_task(deliver(sink, rows(3000)))
        await until_async(lambda: b"PUBLISH" in broker.log.read_bytes(), "the first messages")
        await asyncio.to_thread(broker.kill)
        await asyncio.to_thread(broker.start)
        tries = await sending
        assert tries >= 1
        async with listening(broker) as heard:
            await sink.send(make_parcel(SESSION, rows(5, 3000)))
            await until_async(lambda: heard.seqs[-5:] == list(range(3000, 3005)), "rows after it")
        assert counted["connections"] >= 1


async def test_a_broker_that_does_not_answer(broker: Mosquitto) -> None:
    """Frozen: the send gives up after `timeout`, in words, and goes on when it thaws."""
    async with opened(broker, timeout=0.5) as (sink, _):
        await sink.send(make_parcel(SESSION, rows(1)))
        broker.send(signal.SIGSTOP)
        again = await retry(sink, rows(3, 1))
        assert again.uncertain
        assert "timeout" in str(again)
        await retry(sink, rows(3, 1))  # nor can it be connected to
        broker.send(signal.SIGCONT)
        async with listening(broker) as heard:
            await deliver(sink, rows(3, 1))
            await until_async(lambda: set(heard.seqs) >= {1, 2, 3}, "the rows")


async def test_nobody_there(broker: Mosquitto) -> None:
    """Refused connections are told with the address; nothing is uncertain, since nothing was sent."""
    broker.stop()
    async with opened(broker) as (sink, counted):
        again = await retry(sink, rows(3))
        assert not again.uncertain
        assert broker.endpoint in str(again)
        assert not counted["connections"]


async def test_the_collector_is_said_to_be_there_and_gone(broker: Mosquitto) -> None:
    """`online`, retained, while it is connected; `offline` by its own word at a stop, and by the broker's when it is
    cut off.
    """
    async with opened(broker, status_topic="s/{host}") as (sink, _):
        await sink.send(make_parcel(SESSION, rows(1)))
        async with listening(broker, "s/#") as heard:
            await until_async(lambda: heard.heard, "what is retained")
            assert heard.heard[0][1:] == (b"online", True)
            await sink.close()
            await until_async(lambda: len(heard.heard) > 1, "its last word")
            assert heard.heard[-1][1] == b"offline"
            await sink.send(make_parcel(SESSION, rows(1)))
            assert sink._connection is not None
            sink._connection._client.socket().shutdown(socket.SHUT_RDWR)  # cut off: no word of goodbye
            await until_async(lambda: heard.heard[-1][1] == b"offline" and len(heard.heard) > 3, "the broker's word")


async def test_last_values_are_kept_for_who_comes_later(broker: Mosquitto) -> None:
    """With `retain`, a later subscriber hears the last value of each topic."""
    async with opened(broker, retain=True, status_topic="") as (sink, _):
        await sink.send(make_parcel(SESSION, rows(10)))
        async with listening(broker) as heard:
            await until_async(lambda: heard.heard, "what is retained")
            assert heard.seqs == [9]


async def test_what_the_broker_denies_waits_alone(tmp_path: Path) -> None:
    """A topic that an access list denies is told by the broker's word; its rows wait as those of a run in trouble of
    its own, and others arrive. A wrong password is told, and the password never.
    """
    make_passwords(tmp_path / "passwords", "me", "pw-12345")
    (tmp_path / "access").write_text(
        "user me\ntopic readwrite wayside/demo/good/#\ntopic readwrite wayside/collectors/#\n"
    )
    (tmp_path / "mine").write_text("pw-12345\n")
    lines = (f"password_file {tmp_path}/passwords", f"acl_file {tmp_path}/access")
    broker = Mosquitto(tmp_path, lines)
    login = {"username": "me", "password_file": str(tmp_path / "mine")}
    try:
        async with (
            listening(broker, username="me", password="pw-12345") as heard,
            opened(broker, **login) as (sink, counted),
        ):
            with pytest.raises(Retry, match=r"(?i)not authorized.*check what the broker allows") as caught:
                await sink.send(make_parcel(make_session("bad"), rows(2)))
            assert caught.value.runs == {"bad"}
            assert not caught.value.delivered
            assert counted["denied"] == 1
            await sink.send(make_parcel(make_session("good"), rows(2)))
            await until_async(lambda: heard.seqs == [0, 1], "the good ones")
            (tmp_path / "mine").write_text("pw-wrong")
            await sink.close()
            again = await retry(sink, rows(1))
            assert "check username and password_file" in str(again)
            assert "pw-" not in str(again)
    finally:
        broker.stop()


async def test_tls_with_certificates_of_both(tmp_path: Path) -> None:
    """The broker's certificate is checked against `ca_file`, and it asks for ours."""
    server, client = make_certificate(tmp_path), make_certificate(tmp_path, "client")
    lines = (
        f"cafile {client.cert}",
        f"certfile {server.cert}",
        f"keyfile {server.key}",
        "require_certificate true",
    )
    broker = Mosquitto(tmp_path, lines)
    endpoint = broker.endpoint.replace("mqtt:", "mqtts:")
    trusted: dict[str, str] = {"endpoint": endpoint, "ca_file": str(server.cert)}
    ours = {"cert_file": str(client.cert), "key_file": str(client.key)}
    try:
        async with opened(broker, **trusted, **ours) as (sink, counted):
            await sink.send(make_parcel(SESSION, rows(3)))
            assert counted["connections"] == 1
        async with opened(broker, endpoint=endpoint, **ours) as (sink, _):
            assert "certificate" in str(await retry(sink, rows(1))).lower()
        async with opened(broker, **trusted, timeout=5.0) as (sink, _):
            await retry(sink, rows(1))
    finally:
        broker.stop()
