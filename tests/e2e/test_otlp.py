"""From one collector by OTLP into rotel, a real collector of OpenTelemetry, and from that into another of ours."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from e2e.machine import Machine, check_books, until
from standins.rotel_server import Rotel

pytestmark = pytest.mark.timeout(120)

JOB = (
    "import wayside\n"
    "with wayside.init(id='r1', name='first', project='e2e'):\n"
    "    for step in range(300):\n"
    "        wayside.log({'train/loss': 1.0 / (1 + step), 'lr': 1e-3}, step=step)\n"
)


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Machine]:
    folder = tmp_path / "other"
    folder.mkdir()
    made = Machine(folder)
    yield made
    made.close()


@pytest.mark.parametrize("compression", ["gzip", "none"])
def test_rows_arrive_as_they_were_logged(machine: Machine, other: Machine, compression: str) -> None:
    """Run, rank, project, names, values, steps and times are at the far end what they were at the near one."""
    receiving = other.collector().wait_ready()
    rotel = Rotel(machine, receiving.url)
    sink = {"endpoint": rotel.endpoint, "compression": compression, "resource": {"cluster": "c1"}}
    sending = machine.collector({"sinks": {"otlp": sink, "jsonl": {}}, "sources": {}}).wait_ready()
    done = machine.run(sys.executable, "-c", JOB, RANK="3", WORLD_SIZE="4")
    assert done.returncode == 0, done.stdout + done.stderr
    check_books(sending.wait_delivered(sinks=("otlp", "jsonl"))["sinks"]["otlp"])
    until(lambda: len(other.rows("r1")) >= 300, f"all rows; rotel's log:\n{rotel.log.read_text()[-2000:]}")
    near, far = (sorted(one.rows("r1"), key=lambda row: row["step"]) for one in (machine, other))
    assert [(row["step"], row["rank"], row["metrics"]) for row in far] == [
        (row["step"], 3, row["metrics"]) for row in near
    ]
    assert all(abs(one["time"] - two["time"]) < 1e-6 for one, two in zip(near, far, strict=True))
    (config,) = other.events("config", "r1")
    assert config["set"]["resource"]["cluster"] == "c1"
    (session,) = receiving.status()["sessions"]
    assert (session["project"], session["run"]) == ("e2e", "r1")
