"""Sidecar, gateway, store, as real processes: nothing lost and nothing doubled, whoever is killed in the middle."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from e2e.gateways import Gateway, feeding, wait_balanced
from e2e.machine import Machine
from e2e.trainers import Trainer


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    made = Gateway(tmp_path / "gateway")
    yield made
    made.machine.close()


@pytest.mark.timeout(90)
def test_rows_arrive_once(machine: Machine, gateway: Gateway) -> None:
    """What a trainer logs beside a sidecar stands in the gateway's store and files, and the books of both agree."""
    there = gateway.start()
    sidecar = machine.collector(feeding(gateway.endpoint)).wait_ready()
    trainer = Trainer(machine, "r1", rows=500)
    trainer.end()
    status = wait_balanced(sidecar, there, ("store", "jsonl"))
    (feeder,) = status["feeders"]
    assert (
        feeder["points"] == status["sinks"]["store"]["delivered"] == sidecar.status()["sinks"]["gateway"]["delivered"]
    )
    trainer.check(gateway.machine)
    reader = gateway.reader()
    assert reader.run("r1").state == "finished"
    assert len(reader.curves("r1", "n", max_points=1000)[0].values) == 500
    reader.close()
    assert sidecar.stop() == there.stop() == 0
