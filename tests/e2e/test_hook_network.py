"""Who talks to W&B of a hooked run: in mirror wandb itself, as without us; in divert nobody in the training process."""

import pytest
from e2e.hooked import train
from e2e.machine import Machine
from standins.wandb_backend import WandbBackend

pytestmark = pytest.mark.timeout(120)

DIVERTED = """
import glob, sys
import wandb
wandb.init(project="p", id="alone")
print("requests loaded", "requests" in sys.modules)
wandb.log({{"a": 1.0}})
children = [open(path).read() for path in glob.glob("/proc/self/task/*/children")]
print("children", "".join(children).split())
try:
    wandb.init(project="p", id="wrong", reinit="create_new", settings={{"no_such_setting": 1}})
except Exception as problem:
    print("wandb says", type(problem).__name__)
wandb.finish()
"""


def test_divert_talks_to_nobody(machine: Machine):
    """No process of wandb's own, and not one request: neither rows, nor its reports of how it is used, nor of what goes
    wrong, which is the script's own mistake as ever.
    """
    collector = machine.collector().wait_ready()
    with WandbBackend() as backend:
        access = {"WANDB_BASE_URL": backend.url, "WANDB_API_KEY": backend.key}
        said = train(machine, DIVERTED, WAYSIDE_WANDB_HOOK="divert", **access)
        assert "children []" in said, said
        assert "wandb says ValidationError" in said
        assert backend.requests == []
    collector.wait_delivered()
    assert [row["metrics"] for row in machine.rows("alone")] == [{"a": 1.0}]
    assert "requests loaded False" in said  # it is most of what wandb's init costs


RESUMED = """
import sys, wandb
wandb.init(project="p", id="kept", resume="allow")
for loss in {end}:
    wandb.log({{"loss": loss}})
wandb.finish()
"""


def test_a_run_that_wandb_resumes(machine: Machine):
    """Mirrored, the rows of the second process go on where W&B says that the first one ended; both have all of them."""
    collector = machine.collector().wait_ready()
    with WandbBackend() as backend:
        access = {"WANDB_BASE_URL": backend.url, "WANDB_API_KEY": backend.key}
        for losses in ("[3.0, 2.0]", "[1.0]"):
            said = train(machine, RESUMED, end=losses, **access)
        uploaded = [(row["_step"], row["loss"]) for row in backend.run("kept").rows]
    collector.wait_delivered()
    assert uploaded == [(0, 3.0), (1, 2.0), (2, 1.0)], said
    assert [(row["step"], row["metrics"]["loss"]) for row in machine.rows("kept")] == uploaded


SWEPT = """
import wandb
wandb.init(project="p", id="swept")
wandb.log({{"a": 1.0}})
wandb.finish()
"""


@pytest.mark.parametrize(
    ("environ", "why"),
    [
        ({"WANDB_SWEEP_ID": "s1"}, "a sweep needs wandb itself"),
        ({"WANDB_MODE": "offline"}, "WANDB_MODE=offline wants wandb's own files"),
    ],
)
def test_what_cannot_be_diverted(machine: Machine, environ: dict[str, str], why: str):
    """Falls back to mirror and says so: wandb itself has the run, and so has the collector, and does not upload it."""
    collector = machine.collector().wait_ready()
    with WandbBackend() as backend:
        access = {"WANDB_BASE_URL": backend.url, "WANDB_API_KEY": backend.key}
        said = train(machine, SWEPT, WAYSIDE_WANDB_HOOK="divert", **access, **environ)
        uploaded = [row["a"] for run in backend.runs for row in run.rows]
    assert why in said
    assert uploaded == ([] if "WANDB_MODE" in environ else [1.0]), said
    assert bool(list(machine.folder.glob("wandb/offline-run-*-swept"))) == ("WANDB_MODE" in environ)
    collector.wait_delivered()
    assert [row["metrics"] for row in machine.rows()] == [{"a": 1.0}]  # a sweep calls its runs as it likes


BROKEN = """
from wayside.hook import patches
def broken(*arguments):
    raise RuntimeError("ours")
patches.begin = broken
import wandb
wandb.init(project="p", id="broken")
wandb.log({{"a": 1.0}})
wandb.finish()
"""


def test_a_run_that_cannot_be_diverted_for_our_own_fault(machine: Machine):
    """Whatever fails of ours, the run is W&B's as it would be without us, and that is said once."""
    with WandbBackend() as backend:
        access = {"WANDB_BASE_URL": backend.url, "WANDB_API_KEY": backend.key}
        said = train(machine, BROKEN, WAYSIDE_WANDB_HOOK="divert", **access)
        assert [row["a"] for row in backend.run("broken").rows] == [1.0], said
    assert said.count("was not heard: RuntimeError('ours')") == 1


ASKS = """
import wandb
run = wandb.init(project="p", id="asks", name="n")
run.name, run.tags = "another", ("t",)
print("name", run.name, "tags", run.tags)
try:
    wandb.use_artifact("model:v1", type="model").download()
except Exception as problem:
    print("wandb says", type(problem).__module__.partition(".")[0], type(problem).__name__)
wandb.log({{"a": 1.0}})
run.finish()
"""


def test_what_only_w_and_b_can_answer(machine: Machine):
    """In divert an artifact that a script uses is asked for at W&B, with wandb's own errors; a name given later is not
    carried. Both are said.
    """
    collector = machine.collector().wait_ready()
    with WandbBackend() as backend:
        access = {"WANDB_BASE_URL": backend.url, "WANDB_API_KEY": backend.key}
        said = train(machine, ASKS, WAYSIDE_WANDB_HOOK="divert", **access)
        assert backend.requests
    assert "name n tags ()" in said
    assert "wandb says wandb " in said
    assert "use_artifact() asks W&B itself" in said
    assert "run.name = … is not carried to W&B" in said
    collector.wait_delivered()
    assert [row["metrics"] for row in machine.rows("asks")] == [{"a": 1.0}]
