"""Scripts that import nothing of Wayside, and frameworks with several trackers at once: what arrives, and that it
arrives once.
"""

import json

import pytest
from e2e.machine import Collector, Machine
from frameworks.arrived import arrived
from frameworks.conftest import CLIENT, Train

pytestmark = pytest.mark.timeout(600)  # the first test builds the environment, others wait for that

SITE = str(CLIENT / "wayside" / "hook" / "site")


@pytest.mark.parametrize("writer", ["tensorboardX", pytest.param("torch", marks=pytest.mark.long)])
def test_tensorboard(machine: Machine, collector: Collector, train: Train, writer: str) -> None:
    """Two writers, one run: scalars by tag and step, and the hyperparameters; TensorBoard's files are there as ever."""
    train("with_tensorboard.py", writer, PYTHONPATH=SITE)
    found = arrived(machine, collector)
    assert found.curve("loss") == [(0, 1.0), (1, 0.5), (2, pytest.approx(1 / 3))]
    assert found.curve("val/loss") == [(0, 0.5), (1, 0.5), (2, 0.5)]
    assert [value for _, value in found.curve("best")] == [0.25]
    assert found.config["lr"] == 0.1
    (session,) = {line["session"] for line in machine.lines("r1")}
    assert session
    assert len(list(machine.folder.glob("runs/tiny/*/events.out.tfevents.*"))) == 2


@pytest.mark.long
@pytest.mark.parametrize("framework", ["accelerate", "transformers"])
def test_a_tracker_by_its_name(machine: Machine, collector: Collector, train: Train, framework: str) -> None:
    """The hook has made the framework know it; no import is needed."""
    train("with_names.py", framework, "wayside", PYTHONPATH=SITE)
    found = arrived(machine, collector)
    assert len(found.curve("loss" if framework == "accelerate" else "train/loss")) == 3


@pytest.mark.long
@pytest.mark.parametrize("others", [["tensorboard"], ["wandb"], ["wandb", "tensorboard"]], ids="-".join)
@pytest.mark.parametrize("wayside", [True, False], ids=["and wayside", "alone"])
def test_trackers_at_once(
    machine: Machine, collector: Collector, train: Train, others: list[str], wayside: bool
) -> None:
    """However many of them report, and whichever of ours hears it, each number arrives once."""
    told = [*others, "wayside"] if wayside else others
    said = train("with_names.py", "transformers", *told, PYTHONPATH=SITE)
    found = arrived(machine, collector)
    names = [json.dumps(sorted(metrics)) for _, metrics in found.steps]
    assert [step for step, _ in found.curve("train/loss")] in ([1, 2, 3], [0, 1, 2]), names
    assert "not heard" not in said
