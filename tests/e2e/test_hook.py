"""A script that logs to wandb, unchanged, with the real SDK: what the collector has of it."""

import sys
from pathlib import Path
from typing import Any

import pytest
from e2e.machine import PATIENCE, QUIET, Machine

SCRIPT = """
import sys
sys.path.insert(0, {client!r})
from wayside.hook import install_wandb_hook
assert install_wandb_hook()
import wandb
run = wandb.init(project="hooked", name="n", id="hooked-1", config={{"lr": 0.1}}, tags=["t"], group="g")
wandb.log({{"loss": 2.0, "nested": {{"a": 1}}}})
wandb.log({{"loss": 1.5}}, 5)
run.log({{"acc": 0.5}}, step=5, commit=True)
run.log({{"loss": float("nan")}})
run.config["batch"] = 8
wandb.config.update({{"opt": {{"name": "sgd"}}}})
wandb.config.update({{}})
wandb.config.setdefaults({{"lr": 0.2}})
run.summary["best"] = 0.5
wandb.define_metric("loss", summary="min")
wandb.alert("careful", "it hurts", level=wandb.AlertLevel.WARN)
assert run.config["lr"] == 0.1 and wandb.config["batch"] == 8 and run.summary["best"] == 0.5
try:
    wandb.log(5)
except TypeError as problem:
    print("TypeError:", problem)
print("url", run.url, "id", run.id)
{end}
"""


def train(machine: Machine, end: str = "wandb.finish(3)", **environ: str) -> str:
    script = machine.folder / "train.py"
    client = Path(__file__).parents[2] / "client"
    script.write_text(SCRIPT.format(client=str(client), end=end))
    process, log = machine.start([sys.executable, str(script)], WANDB_SILENT="true", **environ)
    process.wait(PATIENCE * 2)
    return log.read_text()


def heard(machine: Machine) -> dict[str, Any]:
    """What the collector has of the run, without what differs each time."""
    return {
        "rows": [(row["step"], row["metrics"]) for row in machine.rows("hooked-1")],
        "config": [event["set"] for event in machine.events("config", "hooked-1") if "wayside" not in event["set"]],
        "summary": [event["set"] for event in machine.events("summary", "hooked-1")],
        "alert": [(event["title"], event["level"]) for event in machine.events("alert", "hooked-1")],
        "finish": [event["exit_code"] for event in machine.events("finish", "hooked-1")],
    }


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    ("hook", "wandb_mode", "uploads"),
    [("mirror", "offline", False), ("mirror", "disabled", False), ("divert", "online", True)],
)
def test_everything_a_script_says_is_heard(machine: Machine, hook: str, wandb_mode: str, uploads: bool):
    """Rows by every call form, config, summary, alert and exit code arrive, whatever wandb itself does with them; its
    exceptions are its own; and only what wandb itself does not upload is for the collector's W&B sink, here the real
    SDK writing files.
    """
    collector = machine.collector({**QUIET, "sinks": {**QUIET["sinks"], "wandb": {"mode": "offline"}}}).wait_ready()
    said = train(machine, WAYSIDE_WANDB_HOOK=hook, WANDB_MODE=wandb_mode)
    status = collector.wait_delivered(sinks=("jsonl", "wandb"))
    assert "TypeError: wandb.log must be passed a dictionary" in said
    found = heard(machine)
    assert found["rows"] == [
        (0, {"loss": 2.0, "nested/a": 1.0}),
        (5, {"loss": 1.5}),
        (5, {"acc": 0.5}),
        (6, {"loss": "NaN"}),
    ]
    merged: dict[str, Any] = {}
    for change in found["config"]:
        merged.update(change)
    assert merged == {"lr": 0.1, "batch": 8, "opt": {"name": "sgd"}}
    assert found["summary"] == [{"best": 0.5}]
    assert found["alert"] == [("careful", "WARN")]
    assert found["finish"] == [3]
    assert "wayside: run n (hooked-1) of project hooked" in said
    (session,) = status["sessions"]
    assert (session["run"], session["project"]) == ("hooked-1", "hooked")
    rows = status["sinks"]["wandb"]["rows"]
    assert (rows["delivered"], rows["filtered"]) == ((4, 0) if uploads else (0, 4))
    if hook == "divert":
        assert f"url {collector.url}" in said
        assert "id hooked-1" in said


@pytest.mark.timeout(120)
def test_a_script_that_ends_without_finish(machine: Machine):
    """Its exit code is the run's."""
    collector = machine.collector().wait_ready()
    train(machine, "sys.exit(4)", WAYSIDE_WANDB_HOOK="divert")
    collector.wait_delivered()
    assert heard(machine)["finish"] == [4]
