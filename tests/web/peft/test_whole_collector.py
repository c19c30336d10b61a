"""PEFT Studio's service in a real collector, with W&B's SDK and a stand-in for W&B: jobs arrive, the key is hidden."""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from e2e.machine import Collector, Machine, fetch, until
from standins.wandb_backend import WandbBackend

KEY = "7" * 10 + "secretkey" + "x" * 21
WRONG = "wrongwrongkey" + "y" * 27
JOB = {"model_name": "llama", "dataset_name": "data.json", "use_case": "chat"}


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    machine = Machine(tmp_path)
    yield machine
    machine.close()


def call(collector: Collector, path: str, value: Any = None) -> tuple[int, Any]:
    data = None if value is None else json.dumps(value).encode()
    request = urllib.request.Request(collector.url + path, data, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as problem:
        with problem:
            return problem.code, json.load(problem)


def arrived(backend: WandbBackend) -> dict[str, int]:
    return {run.id: len(run.rows) for run in backend.runs}


def train(collector: Collector, job: str, rate: float, rows: int = 5) -> None:
    assert call(collector, "/api/wandb/start-run", {**JOB, "job_id": job, "config": {"learning_rate": rate}})[0] == 200
    found = [{"metrics": {"train/loss": rate * (rows - step)}, "step": step} for step in range(rows)]
    assert call(collector, f"/api/v1/runs/{job}/log", found)[0] == 200
    assert call(collector, f"/api/wandb/finish-run/{job}?exit_code=0", {"final_loss": rate})[0] == 200


@pytest.mark.timeout(90)
def test_jobs_are_runs_where_there_is_no_wandb(machine: Machine) -> None:
    """All of the service but W&B: addresses are the collector's own, the store compares, the settings outlast it."""
    config = {"sinks": {"jsonl": {}, "store": {}}, "sources": {}}
    collector = machine.collector(config).wait_ready()
    told = call(collector, "/api/wandb/configure", {"api_key": KEY, "project_name": "mine"})[1]
    assert (told["success"], told["available"], told["project_name"]) == (True, False, "mine")
    train(collector, "job1", 0.1)
    train(collector, "job2", 0.2)
    told = until(lambda: _compared(collector), "both in the store")
    assert told["comparison_url"] == told["local_url"] == f"{collector.url}/compare?runs=job1,job2"
    assert [one["project"] for one in told["comparison"]["runs"]] == ["mine", "mine"]
    assert told["comparison"]["config"]["learning_rate"] == [0.1, 0.2]
    assert call(collector, "/api/wandb/run-url/job1")[1]["run_url"] == f"{collector.url}/runs/job1"
    assert {row["run"] for row in machine.rows()} == {"job1", "job2"}
    assert set(call(collector, "/api/wandb/status")[1]["sinks"]) == {"jsonl", "store"}
    assert collector.stop() == 0
    again = machine.collector(config).wait_ready()
    assert call(again, "/api/wandb/status")[1]["project_name"] == "mine"
    assert again.stop() == 0
    check_hidden(machine, KEY, [collector.read_log(), again.read_log()])


@pytest.mark.timeout(90)
def test_a_key_that_is_handed_over_is_hidden(machine: Machine) -> None:
    """The W&B sink goes on with it; it is in no file, no log and no answer, also where the log repeats everything."""
    config = {"sinks": {"jsonl": {}, "upload": {"kind": "wandb"}}, "sources": {}, "log": {"level": "debug"}}
    collector = machine.collector(config).wait_ready()
    shown = []
    for key in (WRONG, KEY, KEY):
        status, told = call(collector, "/api/wandb/configure", {"api_key": key, "entity": "team"})
        assert (status, told["available"]) == (200, True)
        shown.append(json.dumps(told))
    assert call(collector, "/api/wandb/configure", {"api_key": f"{KEY} {KEY}"})[0] == 422
    shown += [fetch(f"{collector.url}{path}") for path in ("/status", "/api/wandb/status", "/metrics")]
    assert collector.stop() == 0
    for key in (WRONG, KEY):
        check_hidden(machine, key, [*shown, collector.read_log()])


@pytest.mark.long
@pytest.mark.timeout(180)
def test_jobs_reach_wandb_once_the_key_is_there(machine: Machine) -> None:
    """Without a key rows wait; the key that is handed over, after a wrong one, brings them to W&B, under addresses that
    are real; it is in no file, no log and no answer, and does not outlast the collector.
    """
    with WandbBackend(key=KEY, entity="someone") as backend:
        options = {"kind": "wandb", "base_url": backend.url, "upload_interval": 1}
        config = {"sinks": {"jsonl": {}, "store": {}, "upload": options}, "sources": {}}
        collector = machine.collector(config).wait_ready()
        status = call(collector, "/api/wandb/status")[1]
        assert (status["enabled"], status["available"], status["active_runs"]) == (True, True, [])
        train(collector, "job1", 0.1)

        def trouble() -> str:
            return str(call(collector, "/api/wandb/status")[1]["sinks"]["upload"]["last_error"])

        until(lambda: "no W&B API key" in trouble(), "told that the key is missing")
        assert call(collector, "/api/wandb/configure", {"api_key": WRONG})[0] == 200
        until(lambda: "401" in trouble(), "told that the key is wrong")
        assert call(collector, "/api/wandb/configure", {"api_key": KEY})[0] == 200
        train(collector, "job2", 0.2)
        until(lambda: arrived(backend) == {"job1": 5, "job2": 5}, "at W&B", within=90)
        assert backend.run("job1").config["learning_rate"] == 0.1
        until(lambda: backend.run("job2").summary.get("final_loss") == 0.2, "the summary", within=60)
        url = call(collector, "/api/wandb/run-url/job1")[1]["run_url"]
        assert url == f"{backend.url}/someone/peft-studio/runs/job1"
        told = until(lambda: _compared(collector), "both in the store")
        assert told["comparison_url"] == f"{backend.url}/someone/peft-studio/table?runSets=job1,job2"
        assert told["comparison"]["config"]["learning_rate"] == [0.1, 0.2]
        (loss,) = [one for one in told["comparison"]["metrics"] if one["name"] == "train/loss"]
        assert loss["last"] == [pytest.approx(0.1), pytest.approx(0.2)]
        shown = [fetch(f"{collector.url}{path}") for path in ("/status", "/api/wandb/status", "/metrics")]
        shown.append(json.dumps(call(collector, "/api/wandb/configure", {"api_key": KEY})[1]))
        assert collector.stop() == 0
        shown.append(collector.read_log())
        for key in (KEY, WRONG):
            check_hidden(machine, key, shown)
        again = machine.collector(config).wait_ready()
        assert call(again, "/api/wandb/status")[1]["project_name"] == "peft-studio"
        train(again, "job3", 0.3)
        until(lambda: "no W&B API key" in json.dumps(call(again, "/api/wandb/status")[1]), "the key is gone")
        assert again.stop() == 0


def check_hidden(machine: Machine, key: str, shown: list[str]) -> None:
    """It stands in none of these texts, and in no file of the collector's."""
    assert [text for text in shown if key in text] == []
    assert [path for path in machine.folder.rglob("*") if path.is_file() and key.encode() in path.read_bytes()] == []


def _compared(collector: Collector) -> Any:
    told = call(collector, "/api/wandb/compare?job_ids=job1,job2")[1]
    return told if told.get("comparison") and told["comparison"]["metrics"] else None
