"""From one collector to a broker, mosquitto, and from there into another collector; the broker is killed in between."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from e2e.machine import Machine, check_books, until
from standins.mosquitto import Mosquitto

pytestmark = pytest.mark.timeout(120)

JOB = (
    "import sys, time, wayside\n"
    "with wayside.init(id='r1', project='e2e'):\n"
    "    for step in range(300):\n"
    "        wayside.log({'train/loss': 1.0 / (1 + step)}, step=step)\n"
    "        time.sleep(0.005)\n"
)


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Machine]:
    folder = tmp_path / "other"
    folder.mkdir()
    made = Machine(folder)
    yield made
    made.close()


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    folder = tmp_path / "broker"
    folder.mkdir()
    made = Mosquitto(folder, ("max_queued_messages 0",), memory=False)
    yield made
    made.stop()


def test_every_row_goes_through(machine: Machine, other: Machine, broker: Mosquitto) -> None:
    """Stopped while rows flow and started again: each row is at the far end, by its step, with what it said."""
    source = {"endpoint": broker.endpoint, "topics": ["wayside/{project}/{run}/{rank}/{metric}"]}
    receiving = other.collector({"sinks": {"jsonl": {}}, "sources": {"mqtt": source}}).wait_ready()
    until(lambda: receiving.status()["subscriptions"]["mqtt"]["connected"], "a subscription")
    sink = {"endpoint": broker.endpoint}
    sending = machine.collector({"sinks": {"mqtt": sink, "jsonl": {}}, "sources": {}}).wait_ready()
    job, log = machine.start([sys.executable, "-c", JOB], RANK="0", WORLD_SIZE="1")
    until(lambda: len(other.rows("r1")) > 20, "the first rows")
    broker.stop()  # in order: one that is killed may lose what it had acknowledged, whatever we do
    until(lambda: job.poll() is not None, "the job's end")
    assert job.returncode == 0, log.read_text()
    broker.start()
    check_books(sending.wait_delivered(sinks=("mqtt", "jsonl"))["sinks"]["mqtt"])
    until(lambda: {row["step"] for row in other.rows("r1")} == set(range(300)), "every step", within=60)
    wanted = {row["step"]: (row["metrics"], row["time"]) for row in machine.rows("r1")}
    assert {row["step"]: (row["metrics"], row["time"]) for row in other.rows("r1")} == wanted
    told = receiving.metrics()
    assert 'wayside_source_connected{source="mqtt"} 1.0' in told
    assert f'wayside_source_received_total{{source="mqtt"}} {len(other.rows("r1"))}.0' in told
    assert "source mqtt: " in other.wayside_collector("status", "--url", receiving.url).stdout
    assert other.wayside_collector("check", str(other.folder / "wayside.yaml")).returncode == 0
