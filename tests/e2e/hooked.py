"""A script that logs to wandb in every way there is, hooked from outside, and what the collector must have of it."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from e2e.machine import PATIENCE, Machine

CLIENT = Path(__file__).parents[2] / "client"
SITE = CLIENT / "wayside" / "hook" / "site"  #: on PYTHONPATH, it hooks a Python that has nothing of ours installed

SCRIPT = """
import sys
import wandb
run = wandb.init(project="hooked", name="n", id="hooked-1", config={{"lr": 0.1}}, tags=["t"], group="g")
wandb.log({{"loss": 2.0, "nested": {{"a": 1}}}})
wandb.log({{"loss": 1.5}}, 5)
run.log({{"acc": 0.5}}, step=5, commit=True)
run.log({{"loss": float("nan")}})
wandb.log(data={{"loss": 1.0}}, commit=False)
wandb.run.log(data={{"acc": 0.25}})
run.config["batch"] = 8
wandb.config.update({{"opt": {{"name": "sgd"}}}})
wandb.config.update({{}})
wandb.config.update({{"lr": 0.05}}, allow_val_change=True)
wandb.config.setdefaults({{"lr": 0.2, "warmup": 3}})
run.summary["best"] = 0.5
wandb.summary.update({{"last": 4}})
wandb.define_metric("loss", summary="min")
wandb.define_metric("acc", step_metric="loss")
wandb.alert("careful", "it hurts", level=wandb.AlertLevel.WARN)
assert run.config["lr"] == 0.05 and wandb.config["batch"] == 8 and run.summary["best"] == 0.5
assert wandb.config.warmup == 3 and run.config.get("none") is None
try:
    wandb.log(5)
except (TypeError, ValueError) as problem:
    print(type(problem).__name__ + ":", problem)
print("url", run.url, "id", run.id, "name", run.name, "project", run.project)
{end}
"""

#: What the collector must have of it, the numbers of the rows' steps beside.
ROWS = [
    (0, {"loss": 2.0, "nested/a": 1.0}),
    (5, {"loss": 1.5}),
    (5, {"acc": 0.5}),
    (6, {"loss": "NaN"}),
    (7, {"loss": 1.0}),
    (7, {"acc": 0.25}),
]
CONFIG = {"lr": 0.05, "batch": 8, "opt": {"name": "sgd"}, "warmup": 3}
SUMMARY = {"best": 0.5, "last": 4}
DEFINED = [{"name": "loss", "summary": "min"}, {"name": "acc", "step_metric": "loss"}]


def train(
    machine: Machine, script: str = SCRIPT, *, python: Sequence[str] = (sys.executable,), end: str = "", **environ: str
) -> str:
    """Run a script to its end, in an environment that is told nothing but where the hook is; what it said."""
    path = machine.folder / "train.py"
    path.write_text(script.format(end=end or "wandb.finish(3)"))
    place = {"TMPDIR": str(machine.beside)}  # the SDK leaves folders behind
    told = {"PYTHONPATH": str(SITE), "WAYSIDE_WANDB_HOOK": "mirror", **place, **environ}
    process, log = machine.start([*python, str(path)], **told)
    process.wait(PATIENCE * 2)
    return log.read_text()


def heard(machine: Machine, run: str = "hooked-1") -> dict[str, Any]:
    """What the collector has of a run, without what differs each time."""
    merged: dict[str, dict[str, Any]] = {"config": {}, "summary": {}}
    for kind, values in merged.items():
        for event in machine.events(kind, run):
            values.update({name: value for name, value in event["set"].items() if name != "wayside"})
    return {
        **merged,
        "rows": [(row["step"], row["metrics"]) for row in machine.rows(run)],
        "alert": [(event["title"], event["level"]) for event in machine.events("alert", run)],
        "finish": [event["exit_code"] for event in machine.events("finish", run)],
        "defined": [_without_kind(event) for event in machine.events("define_metric", run)],
    }


def _without_kind(event: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in event.items() if name != "kind"}
