"""Trainings whose containers are set up for other trackers, beside a real collector and a W&B of the test's own."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from e2e.machine import Collector, Machine, until
from sinks.wandb.test_offline import records
from standins.wandb_backend import WandbBackend

pytestmark = pytest.mark.timeout(120)

JOB = """
import sys, wayside
with wayside.init(project="demo", id=sys.argv[1], config={"lr": 0.1, "hub_token": "hf_" + "a1B2" * 8}) as run:
    for step in range(int(sys.argv[2])):
        run.log({"loss": step / 4, "stage": "a"} if step == 0 else {"loss": step / 4}, step=step)
"""
KEY = "deadbeef" * 5
ROWS = 40_000  #: eight segments of a journal


def job(machine: Machine, id: str, rows: int = 20, **environ: str) -> str:
    """A training to its end; what it said."""
    done = machine.run(sys.executable, "-c", JOB, id, str(rows), HOME=str(machine.folder), **environ)
    assert done.returncode == 0, done.stderr
    return done.stderr


def with_wandb(machine: Machine, backend: WandbBackend, key: str, **sinks: Any) -> Collector:
    wandb = {"base_url": backend.url, "upload_interval": 1, "dirs": [str(machine.folder)]}
    config = {"sinks": {"jsonl": {}, "wandb": wandb, **sinks}, "sources": {}}
    return machine.collector(config, **({"WANDB_API_KEY": key} if key else {})).wait_ready()


def test_modes_of_wandb_and_of_ours(machine: Machine) -> None:
    """Each run ends where its modes say, as the table in docs/environment.md has it: at W&B, in a folder where its user
    wanted one, nowhere at W&B; and rows that were kept come with `sync`.
    """
    with WandbBackend() as backend:
        collector = with_wandb(machine, backend, backend.key)
        job(machine, "online")
        job(machine, "offline", WANDB_MODE="offline", WANDB_DIR=str(machine.folder / "mine"))
        job(machine, "disabled", WANDB_MODE="disabled")
        job(machine, "kept", WAYSIDE_MODE="offline", WAYSIDE_DIR=str(machine.folder / "kept"))
        assert "run" not in job(machine, "silent", WAYSIDE_MODE="disabled")
        status = collector.wait_delivered(sinks=("jsonl", "wandb"))
        assert {run.id for run in backend.runs} == {"online"}
        assert [row["loss"] for row in backend.run("online").rows] == [step / 4 for step in range(20)]
        (folder,) = (machine.folder / "mine/wandb").glob("offline-run-*-offline")
        assert [values["loss"] for kind, values in records(folder) if kind == "history"] == [n / 4 for n in range(20)]
        assert status["sinks"]["wandb"]["left_out"] == {"wandb_disabled": 1}
        told = 'wayside_sink_sessions_left_out{reason="wandb_disabled",sink="wandb"} 1.0'
        assert told in collector.metrics()
        assert {row["run"] for row in machine.rows()} == {"online", "offline", "disabled"}
        collector.stop()
        done = machine.wayside_collector(
            *("sync", str(machine.folder / "kept"), "--config", str(machine.folder / "wayside.yaml")),
            WANDB_API_KEY=backend.key,
        )
        assert done.returncode == 0, done.stderr
        assert {run.id for run in backend.runs} == {"online", "kept"}


def test_a_key_where_it_is_of_no_use(machine: Machine) -> None:
    """One line says where to put it, once; the key itself is nowhere but in the training's environment, and a trainer
    without one hears nothing.
    """
    with WandbBackend() as backend:
        collector = with_wandb(machine, backend, "")
        said = job(machine, "r1", WANDB_API_KEY=KEY)
        assert said.count("set WANDB_API_KEY in the collector's environment") == 1
        assert "WANDB_API_KEY" not in job(machine, "r2")
        assert "WANDB_API_KEY" not in job(machine, "r3", WANDB_API_KEY=KEY, WANDB_MODE="offline")
        (machine.folder / ".netrc").write_text(f"machine api.wandb.ai login user password {KEY}\n")
        assert f"({machine.folder}/.netrc)" in job(machine, "r4")
        until(lambda: "no W&B API key" in json.dumps(collector.status()["sinks"]["wandb"]), "rows wait for a key")
        collector.stop()
        kept = [path for path in machine.dir.rglob("*") if path.is_file()]
        assert all(KEY.encode() not in path.read_bytes() for path in kept)
        assert KEY not in collector.read_log()


WATCHED = """
import signal, wayside
wayside.init(project="demo", id="r1").log({"loss": 1.0})
signal.pause()
"""


def test_addresses_that_are_not_followed(machine: Machine) -> None:
    """In the log once, under `warnings` while the run goes on, and gone with it."""
    with WandbBackend() as backend:
        collector = with_wandb(machine, backend, backend.key)
        said = {"PRIMUS_LENS_API_BASE_URL": "http://me:hunter2@elsewhere:1/v1", "WANDB_BASE_URL": "https://else.where"}
        process, _ = machine.start([sys.executable, "-c", WATCHED], **said)
        warnings = until(lambda: collector.status()["warnings"], "told")
        assert len(warnings) == 2
        assert "http://elsewhere:1/v1, and this collector has no such sink" in warnings[0]
        assert "WANDB_BASE_URL is https://else.where, which is not followed" in warnings[1]
        assert all(collector.read_log().count(text) == 1 for text in warnings)
        assert "hunter2" not in collector.read_log() + json.dumps(collector.status())
        process.kill()
        until(lambda: not collector.status()["warnings"], "gone")


PLANTED = ("jax", "deepspeed", "megatron", "lightning", "primus", "trl", "ray", "tensorflow")
FRAMEWORK = """
import sys, transformers.trainer, wayside
with wayside.init(project="demo", id="r1", config={"hub_token": "hf_" + "a1B2" * 8}) as run:
    for step in range(3):
        run.log({"loss": 1.0, "stage": "a"}, step=step)
"""


def test_a_training_as_primus_sets_it_up(machine: Machine) -> None:
    """Its framework is found by what it loaded and shown, packages that merely lie there are not imported for it, the
    guide's lines are said, no secret is in the report, and its metrics are files where it wanted them.
    """
    packages = machine.folder / "packages"
    for name in PLANTED:
        (packages / name).mkdir(parents=True)
        (packages / name / "__init__.py").write_text(f"open({str(machine.folder / 'touched')!r}, 'a').write({name!r})")
    (packages / "transformers").mkdir()
    for module in ("__init__", "trainer", "training_args"):
        (packages / "transformers" / f"{module}.py").write_text("__version__ = '9.9'\n")
    root = machine.folder / "out"
    root.mkdir()
    sinks: dict[str, Any] = {"jsonl": {}, "store": {}}
    sinks["files"] = {"kind": "jsonl", "layout": "primus", "outputs": [str(root)]}
    collector = machine.collector({"sinks": sinks, "sources": {}}).wait_ready()
    environ = {"PYTHONPATH": str(packages), "PRIMUS_LENS_WANDB_DEBUG": "1", "GIT_SHA": "abc", "LOCAL_RANK": "2"}
    environ["PRIMUS_LENS_WANDB_OUTPUT_PATH"] = str(root / "run")
    done = machine.run(sys.executable, "-c", FRAMEWORK, **environ)
    assert done.returncode == 0, done.stderr
    for line in ("✓ Detection data queued for reporting", "✓ Metrics data queued for reporting"):
        assert sum(line in said and "Primus Lens" in said for said in done.stderr.splitlines()) == 1
    status = collector.wait_delivered(sinks=("jsonl", "store", "files"))
    (event,) = machine.events("detection")
    assert (event["framework"], event["confidence"]) == ("transformers_trainer", "high")
    assert event["evidence"]["wrapper_frameworks"]["transformers_trainer"]["detected"] is True
    assert event["evidence"]["build"] == {"git_commit": "abc"}
    assert "a1B2a1B2" not in json.dumps(event)
    assert not (machine.folder / "touched").exists()
    assert status["sinks"]["files"]["left_out"] == {}
    lines = _lines(root / "run/node_0/rank_2/wandb_metrics.jsonl")
    assert [(line["step"], line["data"]) for line in lines] == [(n, {"loss": 1.0, "stage": "a"}) for n in range(3)]
    shown = machine.run("curl", "-sf", f"{collector.url}/api/v1/runs/r1")
    assert json.loads(shown.stdout)["framework"] == "transformers_trainer"


def test_files_that_no_sink_may_write(machine: Machine) -> None:
    """The training process writes them itself, every call a line, while its rows reach the collector as ever."""
    root, elsewhere = machine.folder / "out", machine.folder / "elsewhere"
    files = {"kind": "jsonl", "layout": "primus", "outputs": [str(root)]}
    collector = machine.collector({"sinks": {"jsonl": {}, "files": files}, "sources": {}}).wait_ready()
    job(machine, "r1", ROWS, PRIMUS_LENS_WANDB_OUTPUT_PATH=str(elsewhere))
    status = collector.wait_delivered(sinks=("jsonl", "files"))
    assert status["sinks"]["files"]["left_out"] == {"no_output_path": 1}
    assert status["sinks"]["jsonl"]["rows"]["delivered"] == ROWS
    lines = _lines(elsewhere / "node_0/rank_-1/wandb_metrics.jsonl")
    assert [line["data"]["loss"] for line in lines] == [step / 4 for step in range(ROWS)]
    assert lines[0]["data"]["stage"] == "a"
    assert not root.exists()


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]
