"""Sidecar, gateway, store, as real processes: nothing lost and nothing doubled, whoever is killed in the middle."""

import contextlib
import json
import random
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from e2e.gateways import Gateway, feeding, wait_balanced
from e2e.machine import Machine, until
from e2e.service import Service
from e2e.trainers import Trainer
from standins.postgres_server import create_database, postgres
from wayside_collector.store import Reader


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    made = Gateway(tmp_path / "gateway")
    yield made
    made.machine.close()


def stored(reader: Reader, run: str) -> list[float]:
    (curve,) = reader.curves(run, "n", max_points=20_000)
    return curve.values


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
    until(lambda: there.status()["sessions"][0]["state"] == "ended", "the session's end")
    trainer.check(gateway.machine)
    reader = gateway.reader()
    assert reader.run("r1").state == "finished"
    assert stored(reader, "r1") == list(range(500))
    reader.close()
    assert sidecar.stop() == there.stop() == 0


@pytest.mark.timeout(90)
def test_runs_look_as_if_they_were_the_gateways_own(machine: Machine, tmp_path: Path) -> None:
    """Its page of metrics has them, with the hardware of the node they are on, the store joins the two, and the status
    tells which collector feeds it.
    """
    gateway = Gateway(tmp_path / "gateway", prometheus={}, store={})
    try:
        there = gateway.start()
        config = {**feeding(gateway.endpoint), "sources": {"host": {"interval": 0.2}}}
        sidecar = machine.collector(config).wait_ready()
        trainer = Trainer(machine, "r1", rows=50, allowed=40)
        until(lambda: 'run="r1"' in there.metrics(), "its metrics")
        until(lambda: "wayside_host_memory_used_bytes{" in there.metrics(), "its host's")
        assert "wayside_feeders 1.0" in there.metrics()
        reader = gateway.reader()

        def series() -> set[str]:
            return {one.kind for one in reader.series("r1")} if reader.runs().total else set()

        until(lambda: series() == {"run", "system"}, "both in the store")
        told = gateway.machine.wayside_collector("status", "--url", there.url).stdout
        assert "fed by" in told
        trainer.ledger.allow(0)
        trainer.end()
        sidecar.wait_delivered(sinks=("gateway",))
        until(lambda: reader.run("r1").state == "finished", "its end in the store")
        reader.close()
        assert sidecar.stop() == 0
        until(lambda: there.status()["feeders"][0]["books"]["waiting"] == 0, "the last word")
        assert there.stop() == 0
    finally:
        gateway.machine.close()


@pytest.mark.timeout(120)
def test_two_teams_do_not_see_each_other(machine: Machine, tmp_path: Path) -> None:
    """Both have a run of the same name; each sidecar's token puts it into its team's namespace, where readers of the
    other find nothing, and a reader without a namespace finds both.
    """
    tokens = {team: (f"{team}-writer-{'w' * 16}", f"{team}-reader-{'r' * 16}") for team in ("red", "blue")}
    lines = [f"writer {w} namespace={team}\nreader {r} namespace={team}\n" for team, (w, r) in tokens.items()]
    everybody = "reader-of-all-" + "r" * 16
    file = tmp_path / "tokens"
    file.write_text("".join(lines) + f"reader {everybody}\n")
    gateway = Gateway(tmp_path / "gateway", store={})
    gateway.config |= {"listen_public": "127.0.0.1:0", "public": {"token_file": str(file)}}
    second = Machine(tmp_path / "second")
    second.folder.mkdir()
    try:
        there = gateway.start()
        public = str(there.status()["listen_public"]).rstrip("/")
        for one, team in ((machine, "red"), (second, "blue")):
            headers = {"Authorization": f"Bearer {tokens[team][0]}"}
            sidecar = one.collector(feeding(public, headers=headers)).wait_ready()
            Trainer(one, "r1", rows=20).end()
            sidecar.wait_delivered(sinks=("gateway",))
            assert sidecar.stop() == 0
        until(lambda: not there.status()["sinks"]["store"]["events"]["waiting"], "all in the store")

        def ask(path: str, token: str) -> tuple[int, Any]:
            request = urllib.request.Request(public + path, headers={"Authorization": f"Bearer {token}"})
            try:
                with urllib.request.urlopen(request, timeout=10) as answer:
                    return answer.status, json.load(answer)
            except urllib.error.HTTPError as problem:
                return problem.code, None

        def runs(token: str) -> list[str]:
            return sorted(run["id"] for run in ask("/api/v1/runs", token)[1]["runs"])

        until(lambda: runs(everybody) == ["blue.r1", "red.r1"], "both runs")
        for team, other in (("red", "blue"), ("blue", "red")):
            reader = tokens[team][1]
            assert runs(reader) == [f"{team}.r1"]
            assert ask(f"/api/v1/runs/{team}.r1/series", reader)[0] == 200
            assert ask(f"/api/v1/runs/{other}.r1/series", reader)[0] == 404
            assert ask("/status", reader)[0] == 403
            assert ask("/api/v1/runs", tokens[team][0])[0] == 403, "a writer reads nothing"
        assert there.stop() == 0
    finally:
        gateway.machine.close()
        second.close()


@pytest.mark.timeout(120)
def test_kills_of_either_lose_and_double_nothing(machine: Machine, gateway: Gateway) -> None:
    """Sidecar and gateway are killed in turn while two trainers log; in the end each row is there once, in the
    gateway's store and in its files, which know no keys.
    """
    there = gateway.start()
    sidecar = machine.collector(feeding(gateway.endpoint)).wait_ready()
    trainers = [Trainer(machine, f"r{number}", "--pause", "0.001") for number in (1, 2)]
    for trainer in trainers:
        trainer.wait_first_row()
    for turn in range(6):
        time.sleep(random.uniform(0.1, 0.6))  # kills at any instant are what is tested
        if turn % 2:
            there.kill()
            there = gateway.start()
        else:
            sidecar.kill()
            sidecar = machine.collector(feeding(gateway.endpoint)).wait_ready()
    for trainer in trainers:
        trainer.end()
    until(lambda: sidecar.status()["sinks"]["gateway"]["events"]["delivered"], "events delivered")
    wait_balanced(sidecar, there, ("store", "jsonl"))
    reader = gateway.reader()
    for trainer in trainers:
        trainer.check(gateway.machine)
        assert stored(reader, trainer.run) == list(range(trainer.rows))
        assert reader.run(trainer.run).state == "finished"
    reader.close()
    assert sidecar.stop() == there.stop() == 0


@pytest.mark.timeout(120)
def test_replicas_and_one_database(machine: Machine, tmp_path: Path) -> None:
    """Two gateways behind a Service that cuts connections off and hands each to the other replica, one of them killed
    in the middle, store into one PostgreSQL: each row is there once.
    """
    with contextlib.ExitStack() as stack:
        url = create_database(stack.enter_context(postgres()), "fleet")
        replicas = [Gateway(tmp_path / f"gateway-{number}", store={"url": url}) for number in (1, 2)]
        for replica in replicas:
            stack.callback(replica.machine.close)
            replica.start()
        service = stack.enter_context(Service([replica.port for replica in replicas]))
        sidecar = machine.collector(feeding(f"http://127.0.0.1:{service.port}")).wait_ready()
        trainer = Trainer(machine, "r1", "--pause", "0.0005")
        trainer.wait_first_row()
        time.sleep(random.uniform(0.2, 0.8))
        replicas[0].kill()
        time.sleep(random.uniform(0.2, 0.8))
        replicas[0].start()
        trainer.end()
        sidecar.wait_delivered(sinks=("gateway",))
        reader = Reader(url)
        stack.callback(reader.close)

        def is_stored() -> bool:
            statuses = [replica.collector.status() for replica in replicas if replica.collector]
            return not any(
                status["sinks"]["store"][unit]["waiting"] for status in statuses for unit in ("rows", "events")
            )

        until(is_stored, "everything in the store", within=60)
        assert sum(bool(replica.collector and replica.collector.status()["feeders"]) for replica in replicas) == 2
        assert stored(reader, "r1") == list(range(trainer.rows))
        assert reader.run("r1").state == "finished"
        assert sidecar.stop() == 0
