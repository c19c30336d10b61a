"""What frameworks say to wandb by their own loggers, they say with the hook as without it; and the collector has it."""

from typing import Any

import pytest
from e2e.hooked import SITE
from e2e.machine import Collector, Machine
from e2e.wandb_records import kinds, records
from frameworks.conftest import Train

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]


@pytest.mark.parametrize(
    ("framework", "rows"),
    [
        ("transformers", ["train/loss", "eval/loss", "train/global_step"]),
        ("lightning", ["train/loss", "val/loss", "trainer/global_step"]),
        ("accelerate", ["train/loss", "lr"]),
    ],
)
def test_the_logger_of(framework: str, rows: list[str], machine: Machine, collector: Collector, train: Train):
    """The records of wandb's own file are the same, byte for byte, and the collector heard every row of them; diverted,
    it hears the same, and there is no such file.
    """
    found: dict[str, list[dict[str, Any]]] = {}
    environ = {"PYTHONPATH": str(SITE), "WANDB_RUN_ID": "same", "WAYSIDE_RUN_ID": "", "WAYSIDE_QUIET": "1"}
    for hook in ("off", "mirror"):
        train(f"wandb_{framework}.py", WAYSIDE_WANDB_HOOK=hook, WANDB_MODE="offline", **environ)
        (path,) = machine.folder.rglob("run-same.wandb")
        found[hook] = records(path)
        path.unlink()
    assert found["mirror"] == found["off"]
    collector.wait_delivered()
    heard = machine.rows("same")
    assert len(heard) == kinds(found["mirror"])["history"] > 4
    assert {name for row in heard for name in row["metrics"]} >= set(rows)
    train(f"wandb_{framework}.py", WAYSIDE_WANDB_HOOK="divert", WANDB_MODE="online", **environ)
    assert list(machine.folder.rglob("run-same.wandb")) == []
    collector.wait_delivered()
    diverted = machine.rows("same")[len(heard) :]
    assert [_said(row) for row in diverted] == [_said(row) for row in heard]


@pytest.mark.parametrize("order", ["wandb,wayside", "wayside,wandb"])
@pytest.mark.parametrize(("hook", "mode"), [("mirror", "offline"), ("divert", "online")])
def test_the_trainer_reports_to_both(
    order: str, hook: str, mode: str, machine: Machine, collector: Collector, train: Train
):
    """Each row is heard once, by the native adapter, and the hook hears none of wandb's, whoever begins first."""
    environ = {"PYTHONPATH": str(SITE), "WANDB_RUN_ID": "same", "WAYSIDE_RUN_ID": "", "REPORT_TO": order}
    train("wandb_transformers.py", WAYSIDE_WANDB_HOOK=hook, WANDB_MODE=mode, **environ)
    collector.wait_delivered()
    rows = machine.rows()
    assert {row["run"] for row in rows} == {"same"}
    assert [row["step"] for row in rows if "train/loss" in row["metrics"]] == [1, 2, 3, 4]
    assert [row["step"] for row in rows if "eval/loss" in row["metrics"]] == [2, 4]


def _said(row: dict[str, Any]) -> tuple[int, dict[str, float]]:
    """A row without what was measured of time."""
    measured = ("runtime", "per_second")
    return row["step"], {name: value for name, value in row["metrics"].items() if not name.endswith(measured)}
