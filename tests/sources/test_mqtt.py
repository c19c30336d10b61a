"""The MQTT source against a real broker, mosquitto."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiomqtt
import pytest
from sources.place import FailingSpool, Place, opened_place
from standins.mosquitto import Mosquitto, make_passwords
from waiting import until_async
from wayside_collector.sources.mqtt import MqttSource, MqttSourceOptions
from wayside_collector.sources.posted import PostedSessions

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(60)]


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    folder = tmp_path / "broker"
    folder.mkdir()
    made = Mosquitto(folder, memory=False)
    yield made
    made.stop()


class Running:
    """A source at work."""

    def __init__(self, place: Place, source: MqttSource, task: "asyncio.Task[None]") -> None:
        self.place = place
        self.source = source
        self.task = task

    def values(self, run: str, metric: str) -> list[float]:
        return [row.metrics[metric] for row in self.place.rows(run) if metric in row.metrics]

    async def connected(self) -> None:
        await until_async(lambda: self.source.health.connected, "a connection", within=40)


@contextlib.asynccontextmanager
async def running(place: Place, broker: Mosquitto, **options: Any) -> AsyncIterator[Running]:
    given = {"endpoint": broker.endpoint, "topics": ("sensors/{run}/{metric}",), "client_id": "c", **options}
    source = MqttSource("mqtt", MqttSourceOptions(**given), PostedSessions(place.intake), chance=lambda: 0.0)
    task = asyncio.create_task(source.run())
    try:
        yield Running(place, source, task)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def publish(broker: Mosquitto, *messages: tuple[str, str], retain: bool = False, **login: str) -> None:
    async with aiomqtt.Client("127.0.0.1", broker.port, **login) as client:  # type: ignore[arg-type]
        for topic, payload in messages:
            await client.publish(topic, payload, qos=1, retain=retain)


async def test_messages_become_rows(broker: Mosquitto) -> None:
    """Each of its run, in the order published; what is no row is counted and harms nobody."""
    async with opened_place() as place, running(place, broker) as r:
        await r.connected()
        numbers = [("sensors/lab/temp", str(number)) for number in range(100)]
        await publish(broker, ("sensors/lab/temp", "on"), *numbers, ("sensors/attic/hum", '{"value": 40, "step": 7}'))
        await until_async(lambda: r.source.health.received >= 101, "all of them")
        assert r.values("lab", "temp") == [float(number) for number in range(100)]
        (row,) = place.rows("attic")
        assert (row.step, row.metrics) == (7, {"hum": 40.0})
        assert r.source.health.refused == 1


async def test_what_comes_while_it_is_away(broker: Mosquitto) -> None:
    """The broker keeps it, and it is there after the next start; a broker that is killed is connected to again."""
    async with opened_place() as place:
        async with running(place, broker) as r:
            await r.connected()
            await publish(broker, ("sensors/lab/temp", "1"))
            await until_async(lambda: r.source.health.received == 1, "the first")
        await publish(broker, *(("sensors/lab/temp", str(number)) for number in range(2, 7)))
        async with running(place, broker) as r:
            await until_async(lambda: r.source.health.received == 5, "what was kept")
            assert r.values("lab", "temp") == [1, 2, 3, 4, 5, 6]
            await asyncio.to_thread(broker.stop)
            await until_async(lambda: not r.source.health.connected, "the loss")
            assert broker.endpoint in str(r.source.health.last_error)
            await asyncio.to_thread(broker.start)
            await r.connected()
            await publish(broker, ("sensors/lab/temp", "7"))
            await until_async(lambda: r.values("lab", "temp")[-1:] == [7.0], "one more")


async def test_a_stop_does_not_wait_for_a_connect() -> None:
    """A broker that accepts and says nothing holds nobody up, whatever its timeout."""
    gone = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there.set()
        await reader.read()
        writer.close()
        gone.set()

    there = asyncio.Event()
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    endpoint = f"mqtt://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with opened_place() as place, asyncio.timeout(50):
        options = MqttSourceOptions(endpoint=endpoint, topics=("a",), timeout=600)
        task = asyncio.create_task(MqttSource("mqtt", options, PostedSessions(place.intake)).run())
        await there.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await gone.wait()
    server.close()


async def test_what_overruns_comes_again(broker: Mosquitto, monkeypatch: pytest.MonkeyPatch) -> None:
    """In version 3.1.1 a broker sends as much at once as it likes: what there is no room for is not acknowledged, and
    all of it is stored in the end.
    """
    monkeypatch.setattr("wayside_collector.sources.mqtt.MAX_UNREAD", 5)
    async with opened_place() as place, running(place, broker, version="3.1.1") as r:
        await r.connected()
        sent = 0
        while not r.source.health.overrun:
            assert sent < 5000
            await publish(broker, *(("sensors/lab/temp", str(number)) for number in range(sent, sent + 100)))
            sent += 100
        await until_async(lambda: set(r.values("lab", "temp")) == set(range(sent)), "all of them", within=40)


async def test_a_message_is_acknowledged_when_its_row_is_stored(broker: Mosquitto) -> None:
    """While the disk is full nothing is, and all of it comes again when there is room."""
    async with opened_place() as place, running(place, broker) as r:
        spool = FailingSpool(place)
        await r.connected()
        spool.fails = True
        await publish(broker, *(("sensors/lab/temp", str(number)) for number in range(5)))
        await until_async(lambda: r.source.health.last_error, "trouble")
        assert not place.rows("lab")
        spool.fails = False
        await until_async(lambda: r.source.health.received >= 5, "them again", within=30)
        assert sorted(set(r.values("lab", "temp"))) == [0, 1, 2, 3, 4]


async def test_too_many_runs_at_once(broker: Mosquitto, monkeypatch: pytest.MonkeyPatch) -> None:
    """What would begin one more is refused and told; the runs that there are go on."""
    monkeypatch.setattr("wayside_collector.sources.posted.MAX_POSTED", 2)
    async with opened_place() as place, running(place, broker) as r:
        await r.connected()
        await publish(broker, *((f"sensors/run{number}/x", "1") for number in range(5)), ("sensors/run0/x", "2"))
        await until_async(lambda: r.source.health.received + r.source.health.refused == 6, "all of them")
        assert r.values("run0", "x") == [1.0, 2.0]
        assert (r.source.health.received, r.source.health.refused) == (3, 3)
        assert r.source.health.connected


@pytest.mark.parametrize("retained", [False, True])
async def test_values_that_the_broker_kept(broker: Mosquitto, retained: bool) -> None:
    """Are no new measurements, unless they are wanted."""
    await publish(broker, ("sensors/lab/temp", "1"), retain=True)
    async with opened_place() as place, running(place, broker, retained=retained) as r:
        await r.connected()
        await publish(broker, ("sensors/lab/temp", "2"))
        await until_async(lambda: r.source.health.received == 1 + retained, "them")
        assert r.values("lab", "temp") == ([1.0, 2.0] if retained else [2.0])
        assert r.source.health.retained == 1 - retained


async def test_what_our_sink_sends_comes_back(broker: Mosquitto) -> None:
    """Runs, ranks, steps and times of another collector."""
    topics = ("wayside/{project}/{run}/{rank}/{metric}",)
    async with opened_place() as place, running(place, broker, topics=topics) as r:
        await r.connected()
        payload = {"value": 0.3, "step": 10, "time": 1767225600.5, "run": "r1", "rank": 3, "metric": "train/loss"}
        await publish(broker, ("wayside/llama/r1/3/train/loss", json.dumps(payload)))
        await until_async(lambda: r.source.health.received == 1, "it")
        (row,) = place.rows("r1")
        assert (row.time, row.step, row.metrics) == (1767225600.5, 10, {"train/loss": 0.3})
        (known,) = place.intake.registry.all()
        assert (known.session.rank, known.session.run.project, known.session.origin) == (3, "llama", "mqtt")


async def test_a_wrong_password_is_told(tmp_path: Path) -> None:
    """In words, without it, and tried again: the file may be set right."""
    make_passwords(tmp_path / "passwords", "me", "pw-12345")
    (tmp_path / "mine").write_text("pw-wrong")
    broker = Mosquitto(tmp_path, [f"password_file {tmp_path}/passwords"])
    try:
        login = {"username": "me", "password_file": str(tmp_path / "mine")}
        async with opened_place() as place, running(place, broker, **login) as r:
            await until_async(lambda: r.source.health.last_error, "trouble")
            assert "check username and password_file" in str(r.source.health.last_error)
            assert "pw-" not in str(r.source.health.last_error)
            (tmp_path / "mine").write_text("pw-12345")
            await r.connected()
            assert r.source.health.last_error is None
    finally:
        broker.stop()


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"endpoint": "http://b"}, "endpoint"),
        ({"topics": ("a/{x}",)}, "topics"),
        ({"topics": ("a/#/b",)}, "topics"),
        ({"password_file": "/x"}, "password_file"),
        ({"key_file": "/x"}, "key_file"),
    ],
)
async def test_options_are_checked(options: dict[str, Any], problem: str) -> None:
    """Each mistake by its option."""
    (said,) = MqttSourceOptions(**{"endpoint": "mqtt://b", "topics": ("a",), **options}).check()
    assert said.startswith(problem + ":")
