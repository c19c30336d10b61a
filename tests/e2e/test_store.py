"""The store of a real collector: every row that a trainer logged can be asked for, once, also over kills."""

import random
import time

import pytest
from e2e.machine import Machine
from e2e.trainers import Trainer, wait_finishes
from wayside_collector.store import Reader

CONFIG = {"sinks": {"jsonl": {}, "store": {}}, "sources": {}}


def ask(machine: Machine) -> Reader:
    return Reader(str(machine.dir / "store" / "store.db"))


@pytest.mark.timeout(90)
def test_what_was_logged_can_be_asked_once(machine: Machine) -> None:
    """The collector is killed while rows come; in the end the store holds each row exactly once, as the lines do."""
    collector = machine.collector(CONFIG).wait_ready()
    trainer = Trainer(machine, "r1", "--pause", "0.002")
    trainer.wait_first_row()
    for _ in range(4):
        time.sleep(random.uniform(0.1, 0.6))
        collector.kill()
        collector = machine.collector(CONFIG).wait_ready()
    trainer.end()
    wait_finishes(machine, [trainer], collector)
    collector.wait_delivered(sinks=("jsonl", "store"))
    assert collector.stop() == 0
    trainer.check(machine)
    reader = ask(machine)
    rows = machine.rows("r1")
    (curve,) = reader.curves("r1", "n", max_points=20_000)
    assert len(rows) < 20_000
    assert (curve.kind, curve.values) == ("points", [row["metrics"]["n"] for row in rows])
    assert curve.steps == [row["step"] for row in rows]
    assert curve.times == [row["time"] for row in rows]
    counts = {one.name: one.count for one in reader.series("r1")}
    wanted: dict[str, int] = {}
    for row in rows:
        for name in row["metrics"]:
            wanted[name] = wanted.get(name, 0) + 1
    assert counts == wanted
    assert reader.run("r1").state == "finished"
    assert len(reader.performance(reader.run("r1").workload).rows) == len({row["step"] for row in rows})
    reader.close()


@pytest.mark.timeout(60)
def test_a_store_that_is_lost_harms_nothing_else(machine: Machine) -> None:
    """Somebody overwrites the file between two starts: it is moved away, a new one is begun, all other sinks go on."""
    collector = machine.collector(CONFIG).wait_ready()
    first = Trainer(machine, "r1", rows=50)
    first.process.wait(30)
    collector.wait_delivered(sinks=("jsonl", "store"))
    assert collector.stop() == 0
    folder = machine.dir / "store"
    for path in folder.iterdir():
        path.write_bytes(b"something else" * 1000)
    collector = machine.collector(CONFIG).wait_ready()
    second = Trainer(machine, "r2", rows=50)
    second.process.wait(30)
    status = collector.wait_delivered(sinks=("jsonl", "store"))
    assert status["sinks"]["store"]["counters"]["damaged_files"] == 1
    assert collector.stop() == 0
    assert len(machine.rows("r1")) == len(machine.rows("r2")) == 50
    reader = ask(machine)
    assert [run.id for run in reader.runs().runs] == ["r2"]
    assert len(reader.curves("r2", "n")[0].values) == 50
    reader.close()
    assert [path.name for path in folder.glob("*.damaged-*[0-9]")]
