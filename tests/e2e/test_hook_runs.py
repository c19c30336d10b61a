"""Runs as scripts of all kinds have them, hooked: several, ended in every way, in threads and other processes."""

from typing import Any

import pytest
from e2e.hooked import CLIENT, train
from e2e.machine import Machine, until

pytestmark = pytest.mark.timeout(120)

HOOKS = pytest.mark.parametrize(("hook", "mode"), [("mirror", "offline"), ("divert", "online")])

SEVERAL = """
import wandb
first = wandb.init(project="p", id="first")
beside = wandb.init(project="p", id="beside", reinit="create_new")
wandb.log({{"a": 1.0}})
beside.log({{"b": 2.0}})
assert wandb.run is first and wandb.run.id == "first"
again = wandb.init(project="p", id="ignored", reinit="return_previous")
again.log({{"b": 3.0}})
assert again is beside
next = wandb.init(project="p", id="next", reinit="finish_previous")
assert wandb.run is next and wandb.run.id == "next"
next.log({{"c": 4.0}})
next.finish(2)
assert wandb.run is None
with wandb.init(project="p", id="within", config={{"k": 1}}) as run:
    run.log({{"d": 5.0}})
try:
    with wandb.init(project="p", id="raised") as run:
        run.log({{"e": 6.0}})
        raise KeyError("theirs")
except KeyError as problem:
    print("raised", problem)
wandb.init(project="p", id="open")
wandb.log({{"f": 7.0}})
sys_exit = __import__("sys").exit
sys_exit(5)
"""


def told(machine: Machine) -> dict[str, tuple[list[dict[str, Any]], list[int]]]:
    """Run to its rows' metrics, and its exit codes."""
    runs = {line["run"] for line in machine.lines()}
    return {
        run: (
            [row["metrics"] for row in machine.rows(run)],
            [event["exit_code"] for event in machine.events("finish", run)],
        )
        for run in runs
    }


@HOOKS
def test_several_runs_of_one_process(machine: Machine, hook: str, mode: str):
    """Beside each other, one after the other, given back, as context managers, and left open: each has its own rows and
    its own end.
    """
    collector = machine.collector().wait_ready()
    said = train(machine, SEVERAL, WAYSIDE_WANDB_HOOK=hook, WANDB_MODE=mode)
    assert "raised 'theirs'" in said, said
    collector.wait_delivered()
    assert told(machine) == {
        "first": ([{"a": 1.0}], [0]),
        "beside": ([{"b": 2.0}, {"b": 3.0}], [0]),
        "next": ([{"c": 4.0}], [2]),
        "within": ([{"d": 5.0}], [0]),
        "raised": ([{"e": 6.0}], [1]),
        "open": ([{"f": 7.0}], [5]),
    }
    assert said.count("without console output and code files") == (hook == "divert")


RELOADED = """
import importlib, sys
import wandb
importlib.reload(wandb)
run = wandb.init(project="p", id="reloaded")
run.log({{"a": 1.0}})
wandb.log({{"a": 2.0}})
run.finish()
for name in [name for name in sys.modules if name.partition(".")[0] == "wandb"]:
    del sys.modules[name]
import wandb
run = wandb.init(project="p", id="forgotten")
wandb.log({{"b": 1.0}})
run.finish()
"""


@HOOKS
def test_a_wandb_that_is_imported_again(machine: Machine, hook: str, mode: str):
    """Reloaded, or forgotten and imported anew, as notebooks do: it is hooked again, and once."""
    collector = machine.collector().wait_ready()
    said = train(machine, RELOADED, WAYSIDE_WANDB_HOOK=hook, WANDB_MODE=mode)
    collector.wait_delivered()
    assert told(machine) == {"reloaded": ([{"a": 1.0}, {"a": 2.0}], [0]), "forgotten": ([{"b": 1.0}], [0])}, said


SPREAD = """
import multiprocessing, os, threading
import wandb

def spawned():
    run = wandb.init(project="p", id="spawned")
    run.log({{"s": 1.0}})
    run.finish()

if __name__ == "__main__":
    run = wandb.init(project="p", id="threads")
    threads = [threading.Thread(target=lambda: [run.log({{"t": 1.0}}) for _ in range(50)]) for _ in range(4)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    process = multiprocessing.get_context("spawn").Process(target=spawned)
    process.start()
    process.join()
    child = os.fork()
    if not child:
        try:
            run.log({{"forked": 1.0}})
        except Exception as problem:
            print("wandb says", type(problem).__name__)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    run.log({{"t": 2.0}})
    run.finish()
"""


@HOOKS
def test_threads_and_processes(machine: Machine, hook: str, mode: str):
    """Every row of four threads, of a spawned process's own run, of a forked worker, and of the parent after it."""
    collector = machine.collector().wait_ready()
    said = train(machine, SPREAD, WAYSIDE_WANDB_HOOK=hook, WANDB_MODE=mode)
    collector.wait_delivered()
    until(lambda: {"forked": 1.0} in told(machine)["threads"][0], "the row of a worker that ended without a word")
    rows, _ = told(machine)["threads"]
    assert [rows.count({name: value}) for name, value in (("t", 1.0), ("forked", 1.0), ("t", 2.0))] == [200, 1, 1], said
    assert told(machine)["spawned"] == ([{"s": 1.0}], [0])


ADAPTED = """
import wandb
theirs = wandb.init(project="p", id="hooked", config={{"k": 1}})
from wayside.hook import yield_to
run = yield_to("a framework")
assert run is not None and run.id == "hooked", run
assert yield_to("another") is None
run.log({{"native": 1.0}}, step=10)
wandb.log({{"through wandb": 1.0}})
theirs.summary["s"] = 1
wandb.finish()
wandb.init(project="p", id="second")
wandb.log({{"through wandb": 2.0}})
wandb.finish()
run.finish()
"""


@HOOKS
def test_a_native_adapter_beside_wandb(machine: Machine, hook: str, mode: str):
    """It logs into the run that the hook began, under W&B's id, and nothing is heard twice; wandb itself goes on."""
    collector = machine.collector().wait_ready()
    said = train(
        machine, ADAPTED, WAYSIDE_WANDB_HOOK=hook, WANDB_MODE=mode, PYTHONPATH=f"{CLIENT}:{CLIENT}/wayside/hook/site"
    )
    collector.wait_delivered()
    assert told(machine) == {"hooked": ([{"native": 1.0}], [0])}, said
    assert machine.events("summary", "hooked") == []
    assert "Error" not in said
    assert len(list(machine.folder.glob("wandb/offline-run-*"))) == (2 if mode == "offline" else 0)


def test_no_hook_no_trace(machine: Machine):
    """Switched off, the collector hears nothing, and wandb is as it was."""
    machine.collector().wait_ready()
    script = 'import wandb\nassert not hasattr(wandb, "_primus_lens_patched")\nwandb.init().finish()\nprint("as ever")'
    assert "as ever" in train(machine, script, WAYSIDE_WANDB_HOOK="off", WANDB_MODE="offline")
    assert machine.lines() == []
