"""A collector that is not there: for the whole run, at its beginning, or for a while in between."""

import re
import signal
from pathlib import Path

import pytest
from e2e.machine import Machine, until
from e2e.trainers import Trainer, wait_finishes

pytestmark = pytest.mark.timeout(120)

ROWS = 3000


def sync(machine: Machine, folder: Path) -> str:
    """`wayside-collector sync FOLDER` with only files as a sink; returns what it printed."""
    config = machine.folder / "sync.yaml"
    config.write_text("sinks: {jsonl: {}}\nsources: {}\n")
    done = machine.wayside_collector("sync", str(folder), "--config", str(config))
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("mode", ["offline", "online"])
def test_a_run_without_a_collector_is_delivered_by_sync(machine: Machine, transport: str, mode: str) -> None:
    """Whatever the mode, all of a run that no collector saw arrives by `sync`, once, also when it is said again; its
    journal is gone after it.
    """
    trainer = Trainer(machine, "r1", rows=ROWS, WAYSIDE_MODE=mode, WAYSIDE_TRANSPORT=transport)
    assert trainer.process.wait(60) == 0
    assert f"wayside-collector sync {machine.dir}" in trainer.log.read_text()
    first = sync(machine, machine.dir)
    assert re.search(r"jsonl +([1-9][0-9]+) +\1 +0 +0", first), first
    trainer.check(machine)
    sync(machine, machine.dir)
    trainer.check(machine)
    assert not list((machine.dir / "journals").iterdir())


def test_a_run_killed_without_a_collector_is_delivered_by_sync(machine: Machine) -> None:
    """SIGKILL of a trainer that no collector ever saw: what it logged right before is in memory, not in the folder that
    `sync` is given, and arrives all the same, with a finish that says so.
    """
    trainer = Trainer(machine, "r1", "--pause", "0.02", "--die", rows=ROWS)
    assert trainer.process.wait(60) == -signal.SIGKILL
    assert trainer.ledger.returned == ROWS
    sync(machine, machine.dir)
    trainer.check(machine)


def test_a_run_killed_at_once_without_a_collector(machine: Machine) -> None:
    """The same for a trainer that did not live long enough to keep anything in the folder."""
    trainer = Trainer(machine, "r1", "--die", rows=10)
    assert trainer.process.wait(60) == -signal.SIGKILL
    assert not machine.dir.exists(), "the folder is there: the test asks too little"
    sync(machine, machine.dir)
    trainer.check(machine)


def test_sync_of_a_folder_that_no_run_had(machine: Machine) -> None:
    """What is no folder and no run's WAYSIDE_DIR is refused, with the places that were looked in."""
    done = machine.wayside_collector("sync", str(machine.folder / "never"))
    assert done.returncode == 2
    assert str(machine.beside) in done.stderr
    assert "WAYSIDE_DIR" in done.stderr


def test_a_collector_that_comes_later(machine: Machine, transport: str) -> None:
    """A run that begins without a collector is kept in WAYSIDE_DIR, and read by the one that comes meanwhile."""
    go_on = machine.folder / "go on"
    trainer = Trainer(machine, "r1", "--until", str(go_on), WAYSIDE_TRANSPORT=transport)
    until(lambda: list((machine.dir / "journals").glob("*/*.seg")), "a journal in WAYSIDE_DIR")
    until(lambda: trainer.ledger.done, "the last call's return")
    collector = machine.collector().wait_ready()
    until(lambda: len(machine.rows("r1")) == trainer.rows, "all rows, while the trainer still runs")
    go_on.touch()
    trainer.end()
    wait_finishes(machine, [trainer], collector)
    collector.wait_delivered()
    trainer.check(machine)


def test_a_collector_that_comes_after_the_run(machine: Machine, transport: str) -> None:
    """A run that is over before any collector came is found by the next one of the same folder and socket."""
    trainer = Trainer(machine, "r1", rows=ROWS, WAYSIDE_TRANSPORT=transport)
    assert trainer.process.wait(60) == 0
    collector = machine.collector()
    wait_finishes(machine, [trainer], collector)
    collector.wait_delivered()
    trainer.check(machine)


def test_an_offline_run_waits_for_sync(machine: Machine) -> None:
    """A running collector leaves an offline run alone: its user said when to deliver."""
    trainer = Trainer(machine, "offline", rows=10, WAYSIDE_MODE="offline")
    assert trainer.process.wait(60) == 0
    collector = machine.collector().wait_ready()
    other = Trainer(machine, "online", rows=10)
    other.end()
    wait_finishes(machine, [other], collector)
    assert collector.stop() == 0
    assert machine.rows("offline") == []
    assert list((machine.dir / "journals").glob("*/*.seg"))


def test_a_collector_that_comes_back_at_another_port(machine: Machine, transport: str) -> None:
    """Restarted under a running trainer: rows go on to arrive, and the run's address is the new collector's."""
    first = machine.collector(WAYSIDE_LISTEN="127.0.0.1:0").wait_ready()
    go_on = machine.folder / "go on"
    trainer = Trainer(machine, "r1", "--pause", "0.005", "--until", str(go_on), WAYSIDE_TRANSPORT=transport)
    until(lambda: machine.rows("r1"), "the first rows")
    old = first.url
    assert first.stop() == 0
    second = machine.collector().wait_ready()
    assert second.url != old
    until(lambda: trainer.ledger.done and len(machine.rows("r1")) == trainer.rows, "all rows")
    go_on.touch()
    trainer.end()
    wait_finishes(machine, [trainer], second)
    second.wait_delivered()
    trainer.check(machine)
    assert trainer.log.read_text().splitlines()[-1] == f"{second.url}/runs/r1"
