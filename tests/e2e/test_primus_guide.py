"""The guide of Primus Lens on a real collector: its job, its curl lines as they stand there, and what they promise."""

import json
import subprocess
import sys
from typing import Any

import pytest
from e2e.machine import Collector, Machine, until

JOB = """
import math, time, wayside as wandb
run = wandb.init(
    project="my-awesome-project",
    name="experiment-001",
    config={"learning_rate": 0.001, "batch_size": 32, "epochs": 100},
)
for step in range(200):
    wandb.log({"loss": math.nan if step == 50 else 1 / (1 + step), "accuracy": step / 200, "learning_rate": 0.001})
wandb.finish()
"""

#: As they stand in the guide. https://github.com/AMD-AGI/Primus-SaFE
AVAILABLE = """
# Get available metrics list
curl "http://lens-api:8080/api/v1/workloads/my-training-workload-12345/metrics/available?data_source=wandb"
"""
DATA = """
# Get metrics data
curl "http://lens-api:8080/api/v1/workloads/my-training-workload-12345/metrics/data?data_source=wandb&metrics=loss,accuracy"
"""
RANGE = """
curl "http://lens-api:8080/api/v1/workloads/my-workload/metrics/data?\\
data_source=wandb&\\
metrics=loss,accuracy&\\
start=1704067200000&\\
end=1704153600000"
"""
SOURCES = """
# Check data source
curl "http://lens-api:8080/api/v1/workloads/my-workload/metrics/sources"
"""
HEALTH = """
# Test from training Pod
curl http://primus-lens-telemetry-processor:8080/health
"""
DOCS = 'curl "http://lens-api:8080/api/docs"'


def public_port(collector: Collector) -> int:
    url = str(collector.status()["listen_public"])
    return int(url.rstrip("/").rpartition(":")[2])


def curl(lines: str, port: int) -> str:
    """What these lines say in a shell where the guide's hosts lead to this port."""
    hosts = ("lens-api", "primus-lens-telemetry-processor")
    there = " ".join(f"--connect-to {host}:8080:127.0.0.1:{port}" for host in hosts)
    shell = f'curl() {{ command curl --silent --show-error --fail-with-body {there} "$@"; }}\n{lines}'
    done = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done
    return done.stdout


@pytest.mark.timeout(120)
def test_the_guide_s_lines(machine: Machine) -> None:
    """A job as the guide has it is found by its UID, with its metrics, points and sources; health and docs answer."""
    config: dict[str, Any] = {
        "sinks": {"store": {}},
        "sources": {},
        "listen_public": "127.0.0.1:0",
        "public": {"anonymous": "reader"},
    }
    collector = machine.collector(config).wait_ready()
    port = public_port(collector)
    assert json.loads(curl(HEALTH, port)) == {"status": "ok"}
    nothing = json.loads(curl(SOURCES, port))
    assert nothing == {"workload_uid": "my-workload", "data_sources": [], "total_count": 0}
    for uid in ("my-training-workload-12345", "my-workload"):
        done = machine.run(sys.executable, "-c", JOB, WORKLOAD_UID=uid, POD_NAME="training-pod-0")
        assert done.returncode == 0, done
    collector.wait_delivered(sinks=("store",))
    available = json.loads(curl(AVAILABLE, port))
    assert [one["name"] for one in available["metrics"]] == ["accuracy", "learning_rate", "loss"]
    assert [one["count"] for one in available["metrics"]] == [200, 200, 200]
    data = json.loads(curl(DATA, port))
    assert data["total_count"] == len(data["data"]) == 399  # one loss is no number
    assert {one["metric_name"] for one in data["data"]} == {"loss", "accuracy"}
    assert [one["value"] for one in data["data"] if one["metric_name"] == "accuracy"] == [n / 200 for n in range(200)]
    assert json.loads(curl(SOURCES, port))["data_sources"] == [{"name": "wandb", "count": 200}]
    assert json.loads(curl(RANGE, port))["data"] == []  # two years before
    assert "/runs/{id}/data" in curl(DOCS, port)
    wide = RANGE.replace("1704067200000", "1").replace("1704153600000", "9999999999999")
    assert json.loads(curl(wide, port))["total_count"] == 399


@pytest.mark.timeout(120)
def test_a_run_is_watched_live(machine: Machine) -> None:
    """Who listens to a run of a real collector sees its points while it goes on, and its end."""
    collector = machine.collector({"sinks": {"store": {}}, "sources": {}}).wait_ready()
    script = (
        "import sys, wayside\n"
        "run = wayside.init(project='p', id='watched')\n"
        "for step, _ in enumerate(sys.stdin):\n"
        "    wayside.log({'loss': 1 / (1 + step)}, step=step)\n"
        "run.finish()\n"
    )
    job = subprocess.Popen([sys.executable, "-c", script], env=machine.environ(), stdin=subprocess.PIPE, text=True)
    assert job.stdin is not None
    try:
        job.stdin.write("\n")
        job.stdin.flush()
        told = machine.folder / "told"
        until(lambda: "watched" in curl(f'curl "{collector.url}/api/v1/runs"', 1), "the run is in the list")
        with told.open("wb") as out:
            listening = subprocess.Popen(["curl", "-sN", f"{collector.url}/v1/runs/watched/live"], stdout=out)
        try:
            until(lambda: b'"loss":[0,' in told.read_bytes(), "the first point")
            job.stdin.write("\n" * 9)
            job.stdin.flush()
            until(lambda: b'"loss":[9,' in told.read_bytes(), "a later point")
            job.stdin.close()
            assert job.wait(60) == 0
            assert listening.wait(60) == 0
        finally:
            listening.kill()
            listening.wait()
        assert told.read_bytes().endswith(b'event: end\ndata: {"state":"finished","exit_code":0}\n\n')
    finally:
        job.kill()
        job.wait()
