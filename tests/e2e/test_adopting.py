"""What pods leave on their node: the node's collector delivers it to the gateway, once, with the pods' own books."""

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from e2e.gateways import Gateway, feeding
from e2e.machine import Collector, Machine, until
from e2e.trainers import Trainer
from wayside_collector.commands.adopting import TURN, Adopter
from wayside_collector.configuration.changes import read
from wayside_collector.daemon import Collector as InProcess
from wayside_collector.sources.abandoned import FORGOTTEN, QUIET


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    made = Gateway(tmp_path / "gateway")
    yield made
    made.machine.close()


class Pod(Machine):
    """One whose data lie in a folder of the node; its memory goes with it."""

    def __init__(self, pods: Path, uid: str) -> None:
        folder = pods.parent / f"pod-{uid}"
        folder.mkdir()
        super().__init__(folder)
        self.dir = pods / uid
        self.dir.mkdir(parents=True)

    def delete(self, *collectors: Collector) -> None:
        for collector in collectors:
            collector.kill()
        shutil.rmtree(self.memory)


class Node:
    """A node's collector, in this process, whose clock jumps: only what it adopts is of interest."""

    def __init__(self, folder: Path, pods: Path, endpoint: str, environ: dict[str, str]) -> None:
        config = folder / "node.yaml"
        config.write_text(
            f"sinks: {{gateway: {{endpoint: '{endpoint}', interval: 0.05}}}}\nsources: {{}}\n"
            f"adopt: {{below: ['{pods}'], sinks: [gateway]}}\n"
        )
        self._now = 0.0
        collector = InProcess(read(config, {**environ, "WAYSIDE_DIR": str(folder / "node")}), environ=environ)
        self._adopter = Adopter(collector, lambda: self._now)
        self.adopted = collector.parts.adopted

    def adopt(self, turn: float = TURN) -> None:
        """One look, long after the last."""
        asyncio.run(self._look(turn))

    def jump(self, seconds: float) -> None:
        self._now += seconds

    async def _look(self, turn: float) -> None:
        stop = asyncio.Event()
        self._adopter.turn = turn
        await self._adopter.look(stop)
        self._now += 10 * QUIET
        await self._adopter.look(stop)


def received(collector: Collector, rows: int) -> None:
    until(lambda: collector.status()["ingest"]["received_rows"] >= rows, f"{rows} rows; {collector.read_log()}")


@pytest.mark.timeout(120)
def test_a_deleted_pod_s_rows_arrive(tmp_path: Path, gateway: Gateway) -> None:
    """A pod is deleted with half of its rows delivered: the other half arrives from the node, none of the first half
    again, and the run's end is told.
    """
    pods = tmp_path / "pods"
    pod = Pod(pods, "one")
    try:
        there = gateway.start()
        sidecar = pod.collector(feeding(gateway.endpoint)).wait_ready()
        trainer = Trainer(pod, "r1", rows=400, allowed=200)
        until(lambda: sidecar.status()["sinks"]["gateway"]["rows"]["delivered"] >= 200, "the first half")
        gateway.kill()
        trainer.ledger.allow(0)
        trainer.end()
        received(sidecar, 400)
        pod.delete(sidecar)
        there = gateway.start()
        node = Node(tmp_path, pods, gateway.endpoint, pod.environ())
        node.adopt()
        assert (node.adopted.emptied, node.adopted.left) == (1, 0), node.adopted
        there.wait_delivered(sinks=("jsonl", "store"))
        trainer.check(gateway.machine)
        (feeder,) = there.status()["feeders"]
        assert feeder["doubles"] == 0
    finally:
        pod.close()


@pytest.mark.timeout(120)
def test_a_gateway_that_is_away_is_waited_for(tmp_path: Path, gateway: Gateway) -> None:
    """While the gateway is away nothing is lost and nothing is removed; what is left, and why, is told. The end of a
    training that was killed with its collector is told by the node.
    """
    pods = tmp_path / "pods"
    pod = Pod(pods, "one")
    try:
        sidecar = pod.collector(feeding(gateway.endpoint)).wait_ready()
        trainer = Trainer(pod, "r1", rows=200, allowed=100)
        received(sidecar, 100)
        sidecar.kill()
        trainer.process.kill()
        trainer.end()
        pod.delete()
        node = Node(tmp_path, pods, gateway.endpoint, pod.environ())
        node.adopt(turn=1)
        assert (node.adopted.emptied, node.adopted.left) == (0, 1)
        assert str(gateway.port) in str(node.adopted.last_error)
        there = gateway.start()
        node.adopt()
        assert (node.adopted.emptied, node.adopted.left, node.adopted.last_error) == (1, 0, None)
        there.wait_delivered(sinks=("jsonl", "store"))
        trainer.check(gateway.machine)
    finally:
        pod.close()


@pytest.mark.timeout(120)
def test_what_a_training_kept_without_a_collector(tmp_path: Path, gateway: Gateway) -> None:
    """A training without any collector keeps its rows in its folder on the node: they are adopted, too."""
    pods = tmp_path / "pods"
    pod = Pod(pods, "one")
    try:
        trainer = Trainer(pod, "r1", rows=100)
        trainer.end()
        # Without a collector all but the last rows are moved to the disk each second; the last ones at the end.
        kept = until(lambda: list((pod.dir / "journals").glob("*/*")), "a journal in the pod's folder")
        assert kept
        shutil.rmtree(pod.memory)
        there = gateway.start()
        node = Node(tmp_path, pods, gateway.endpoint, pod.environ())
        node.adopt()
        assert node.adopted.emptied == 1, node.adopted
        there.wait_delivered(sinks=("jsonl", "store"))
        trainer.check(gateway.machine)
    finally:
        pod.close()


@pytest.mark.timeout(120)
def test_rows_for_a_sink_that_is_not_here_stay(tmp_path: Path, gateway: Gateway) -> None:
    """What waits for another sink that delivers elsewhere stays in its folder, and is told: no row vanishes."""
    pods = tmp_path / "pods"
    pod = Pod(pods, "one")
    try:
        there = gateway.start()
        config: dict[str, Any] = feeding(gateway.endpoint)
        config["sinks"]["lens"] = {"endpoint": "http://127.0.0.1:9/v1", "workload_uid": "w"}
        sidecar = pod.collector(config).wait_ready()
        trainer = Trainer(pod, "r1", rows=100)
        trainer.end()
        sidecar.wait_delivered(sinks=("gateway",))
        pod.delete(sidecar)
        node = Node(tmp_path, pods, gateway.endpoint, pod.environ())
        node.adopt()
        assert (node.adopted.emptied, node.adopted.left) == (0, 1)
        assert node.adopted.last_error == "rows wait for lens, which adopt.sinks does not name"
        trainer.check(gateway.machine)
        again = pod.collector(config).wait_ready()
        assert again.status()["sinks"]["lens"]["rows"]["waiting"] == 100
        again.kill()
        there.stop()
    finally:
        pod.close()


@pytest.mark.timeout(120)
def test_what_was_kept_offline_stays(tmp_path: Path) -> None:
    """A journal that was kept offline on purpose is not delivered, keeps its folder however long, and is told."""
    pods = tmp_path / "pods"
    pod = Pod(pods, "one")
    try:
        script = "import wayside; run = wayside.init(mode='offline'); run.log({'loss': 1.0}); run.finish()"
        subprocess.run([sys.executable, "-c", script], env={**os.environ, **pod.environ()}, check=True)
        pod.delete()
        node = Node(tmp_path, pods, "http://127.0.0.1:9", pod.environ())
        for _ in range(2):
            node.adopt()
            node.jump(FORGOTTEN + 1)
        assert (node.adopted.emptied, node.adopted.left, node.adopted.removed) == (0, 1, 0)
        assert f"wayside-collector sync {pod.dir}" in str(node.adopted.last_error)
        assert list((pod.dir / "journals").glob("*/*.seg"))
    finally:
        pod.close()


@pytest.mark.long
@pytest.mark.timeout(240)
def test_within_a_minute(tmp_path: Path, machine: Machine, gateway: Gateway) -> None:
    """The whole of it as processes, with the real waiting: from the pod's deletion to the gateway's store."""
    pods = tmp_path / "pods"
    pod = Pod(pods, "one")
    try:
        sidecar = pod.collector(feeding(gateway.endpoint)).wait_ready()
        trainer = Trainer(pod, "r1", rows=400)
        trainer.end()
        received(sidecar, 400)
        there = gateway.start()
        adopt = {"below": [str(pods)], "sinks": ["gateway"]}
        node = machine.collector({**feeding(gateway.endpoint), "adopt": adopt}).wait_ready()
        gateway.kill()
        pod.delete(sidecar)
        there = gateway.start()
        until(lambda: node.status()["adopted"]["emptied"] == 1, f"adopted; {node.read_log()}", within=180)
        there.wait_delivered(sinks=("jsonl", "store"))
        trainer.check(gateway.machine)
        assert "wayside_adopted_total 1.0" in node.metrics()
        assert node.stop() == 0
    finally:
        pod.close()
