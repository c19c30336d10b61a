"""A training that ends while its collector is away, with a WAYSIDE_DIR of its own: nobody looks there by himself."""

import sys
from pathlib import Path
from typing import Any

import pytest
from e2e.machine import Machine, until
from e2e.trainers import Trainer
from wayside_collector.store import Reader

CONFIG: dict[str, Any] = {"sinks": {"jsonl": {}, "store": {}}, "sources": {}}
DOCTOR = (sys.executable, "-c", "from wayside.command import main; main()", "doctor")


def state_of(machine: Machine, run: str) -> str:
    reader = Reader(str(machine.dir / "store" / "store.db"))
    try:
        return reader.run(run).state
    finally:
        reader.close()


@pytest.mark.long
@pytest.mark.timeout(180)
def test_only_its_finish(machine: Machine, tmp_path: Path) -> None:
    """The same where nothing but the finish is left: it replaces the crash, whose place it would have had."""
    own, go_on = tmp_path / "own", tmp_path / "go-on"
    collector = machine.collector(CONFIG).wait_ready()
    trainer = Trainer(machine, "r1", "--until", str(go_on), rows=20, WAYSIDE_DIR=str(own))
    until(lambda: collector.status()["ingest"]["received_rows"] >= 20, "all rows")
    collector.kill()
    go_on.touch()
    trainer.end()
    collector = machine.collector(CONFIG).wait_ready()
    until(lambda: machine.events("finish", "r1"), "the crash noted", within=60)
    collector.wait_delivered(sinks=("jsonl", "store"))
    assert collector.stop() == 0
    synced = machine.wayside_collector("sync", str(own))
    assert synced.returncode == 0, synced.stderr
    assert [end["exit_code"] for end in machine.events("finish", "r1")] == [None, 0]
    assert len(machine.rows("r1")) == 20
    assert state_of(machine, "r1") == "finished"


@pytest.mark.long
@pytest.mark.timeout(180)
def test_its_last_rows_are_named_and_can_be_delivered(machine: Machine, tmp_path: Path) -> None:
    """The training says where its last rows lie and what delivers them, the doctor does not promise that the collector
    takes them, and once they are delivered they replace the crash that was noted in their place.
    """
    own = tmp_path / "own"
    collector = machine.collector(CONFIG).wait_ready()
    trainer = Trainer(machine, "r1", rows=40, allowed=20, WAYSIDE_DIR=str(own))
    until(lambda: collector.status()["ingest"]["received_rows"] >= 20, "the first half")
    collector.kill()
    trainer.ledger.allow(0)
    trainer.end()
    assert f"wayside-collector sync {own}" in trainer.log.read_text()
    collector = machine.collector(CONFIG).wait_ready()
    until(lambda: machine.events("finish", "r1"), "the crash noted", within=60)
    collector.wait_delivered(sinks=("jsonl", "store"))
    assert state_of(machine, "r1") == "crashed"
    told = machine.run(*DOCTOR, WAYSIDE_DIR=str(own)).stdout
    assert "about to take it" not in told
    assert f"does not look in {own}" in told
    assert collector.stop() == 0
    synced = machine.wayside_collector("sync", str(own))
    assert synced.returncode == 0, synced.stderr
    assert [row["metrics"]["n"] for row in machine.rows("r1")] == [float(number) for number in range(40)]
    assert [end["exit_code"] for end in machine.events("finish", "r1")] == [None, 0]
    assert state_of(machine, "r1") == "finished"
