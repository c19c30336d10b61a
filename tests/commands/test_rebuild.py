"""`rebuild`: the store is lost, and the collector's other files give all of it back, on both engines."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from e2e.machine import Collector, Machine, free_port, until
from e2e.trainers import Trainer
from standins.postgres_server import create_database, postgres
from store.plain import everything
from wayside_collector.store import Reader

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    made = Machine(tmp_path)
    yield made
    made.close()


def answers(place: str) -> dict[str, Any]:
    """All that can be asked of a store."""
    reader = Reader(place)
    found = everything(reader)
    reader.close()
    return found


def away() -> dict[str, Any]:
    """A sink that never gets anything through, so that the spool keeps all of it."""
    return {"endpoint": f"http://127.0.0.1:{free_port()}/v1", "workload_uid": "w"}


def same(place: str, before: dict[str, Any]) -> None:
    """The store answers everything as it did."""
    found = answers(place)
    assert found.keys() == before.keys()
    for run, told in before.items():
        for what, answer in told.items():
            assert found[run][what] == answer, (run, what)


def fill(machine: Machine, sinks: dict[str, Any]) -> str:
    """Two runs have been, one of them killed; returns where the store is."""
    collector = machine.collector({"sinks": sinks, "sources": {}, "grace": "1s"}).wait_ready()
    for run, options in (("r1", ("--pause", "0.001")), ("r2", ("--pause", "0.01"))):
        trainer = Trainer(machine, run, *options, rows=700)
        if run == "r2":
            until(lambda: trainer.ledger.returned > 50, "some rows of r2")  # noqa: B023 - it is asked here
            trainer.process.kill()
        trainer.end()
    until(lambda: _ended(collector) == {"r1", "r2"}, "the end of both, noticed", within=60)
    status = collector.wait_delivered(sinks=[name for name in sinks if name != "lens"])
    assert status["sinks"]["store"]["rows"]["delivered"] > 750
    assert collector.stop() == 0
    return str(machine.dir / "store" / "store.db")


def _ended(collector: Collector) -> set[str]:
    return {session["run"] for session in collector.status()["sessions"] if session["state"] == "ended"}


def rebuild(machine: Machine, *arguments: str) -> str:
    done = machine.wayside_collector("rebuild", "--config", str(machine.folder / "wayside.yaml"), *arguments)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("Traceback") == 0
    return done.stdout


def test_from_the_json_lines(machine: Machine) -> None:
    """Somebody overwrote the store, and everything was delivered: built from the lines, every answer is as it was; the
    collector goes on with it, and what was there is kept.
    """
    place = fill(machine, {"jsonl": {}, "store": {}})
    before = answers(place)
    assert {"r1", "r2"} == before.keys()
    for path in Path(place).parent.iterdir():
        path.write_bytes(b"something else" * 1000)
    assert ".before-" in rebuild(machine)
    same(place, before)
    assert len(list(Path(place).parent.glob("store.db.before-*"))) == 1
    collector = machine.collector({"sinks": {"jsonl": {}, "store": {}}, "sources": {}}).wait_ready()
    Trainer(machine, "r3", rows=20).end()
    collector.wait_delivered(sinks=("jsonl", "store"))
    assert collector.stop() == 0
    after = answers(place)
    assert len(after.pop("r3")["sessions"]) == 1  # type: ignore[arg-type]
    assert after == before


def test_from_the_spool(machine: Machine) -> None:
    """No other sink has kept it, and the spool still has all of it: built from that, into either engine, every answer
    is as it was; a store that is built over what is there has nothing twice.
    """
    place = fill(machine, {"store": {}, "lens": away()})
    before = answers(place)
    Path(place).unlink()
    rebuild(machine)
    same(place, before)
    assert "were there already" in rebuild(machine, "--to", place)
    same(place, before)
    with postgres() as server:
        other = create_database(server, "rebuilt")
        assert other not in rebuild(machine, "--to", other)  # a password may stand in it
        same(other, before)


def test_what_would_be_less_is_not_taken(machine: Machine) -> None:
    """A store that holds more than could be put together again stays as it is, and that is said; --anew has it so."""
    place = fill(machine, {"store": {}})
    before = answers(place)
    shutil.rmtree(machine.dir / "spool")
    done = machine.wayside_collector("rebuild", "--config", str(machine.folder / "wayside.yaml"))
    assert done.returncode == 1
    assert "--anew" in done.stderr
    same(place, before)
    assert [path.name for path in Path(place).parent.iterdir() if path.name.startswith("store.db.")] == []
    rebuild(machine, "--anew")
    assert answers(place) == {}


def test_not_beside_a_running_collector(machine: Machine) -> None:
    """The spool belongs to the collector that runs: exit code 3, who it is, and nothing is touched."""
    config = {"sinks": {"jsonl": {}, "store": {}}, "sources": {}}
    collector = machine.collector(config).wait_ready()
    Trainer(machine, "r1", rows=20).end()
    collector.wait_delivered(sinks=("jsonl", "store"))
    done = machine.wayside_collector("rebuild", "--config", str(machine.folder / "wayside.yaml"))
    assert (done.returncode, f"pid {collector.process.pid}" in done.stderr) == (3, True)
    assert collector.stop() == 0
    assert answers(str(machine.dir / "store" / "store.db")).keys() == {"r1"}
    assert json.loads(machine.wayside_collector("runs", "--json").stdout)["total"] == 1
