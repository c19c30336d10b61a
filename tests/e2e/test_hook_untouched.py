"""What a script sees of wandb is the same with the hook and without: values, exceptions, signatures, its own data."""

import json

import pytest
from e2e.hooked import train
from e2e.machine import Machine

SEES = """
import inspect, json, re, sys
import wandb
seen = {{}}

def signature(called):
    return re.sub(" at 0x[0-9a-f]+", "", str(inspect.signature(called)))

def see(name, call, *args, **named):
    try:
        value = call(*args, **named)
        seen[name] = "returned " + type(value).__name__
    except BaseException as problem:
        seen[name] = "raised " + type(problem).__name__ + ": " + str(problem)[:200]

for name in ("init", "finish", "log", "define_metric", "alert", "save", "watch"):
    seen["signature of " + name] = signature(getattr(wandb, name))
for name in ("log", "_log", "define_metric", "alert", "finish"):
    method = getattr(wandb.sdk.wandb_run.Run, name)
    seen["method " + name] = [signature(method), method.__name__, method.__qualname__, method.__module__]
seen["init"] = [wandb.init.__name__, wandb.init.__module__, str(wandb.init.__doc__)[:60]]
see("log before init", lambda: wandb.log({{"a": 1}}))
see("a wrong argument", lambda: wandb.init(no_such_argument=1))
see("a wrong value", lambda: wandb.init(mode="no such mode"))
run = wandb.init(project="p", id="seen", config={{"lr": 1}})
seen["run"] = [type(run).__module__, type(run).__name__, isinstance(run, wandb.sdk.wandb_run.Run), wandb.run is run]
data = {{"a": 1.5, "nested": {{"b": [1, 2]}}, "text": "t"}}
before = json.dumps(data)
see("log", wandb.log, data)
see("log of a list", wandb.log, [1])
see("log of names that are none", run.log, {{1: 2.0}})
see("log with a broken step", run.log, {{"a": 1.0}}, step="x")
see("log with too much", run.log, {{"a": 1.0}}, 1, True, True)
see("log backwards", run.log, {{"a": 1.0}}, step=0)
seen["data"] = json.dumps(data) == before
see("define_metric", wandb.define_metric, "a", summary="min")
see("define_metric of nothing", wandb.define_metric, "")
see("alert", wandb.alert, "t")
see("alert without a title", run.alert)
see("config", run.config.update, {{"lr": 2}})
see("config, allowed", run.config.update, {{"lr": 2}}, allow_val_change=True)
see("config by name", lambda: run.config.none)
see("summary", run.summary.update, {{"s": 1}})
seen["summary"] = [run.summary["s"], run.summary.get("none"), dict(run.config)]
see("finish", run.finish)
see("log after finish", run.log, {{"a": 1.0}})
see("finish again", run.finish)
see("globals after finish", lambda: wandb.log({{"a": 1}}))
with open("seen.json", "w") as file:
    json.dump(seen, file)
"""


@pytest.mark.timeout(120)
def test_a_script_sees_no_difference(machine: Machine):
    """Mirrored, with a collector beside it, everything is as with the hook off."""
    machine.collector().wait_ready()
    told = {}
    for hook in ("off", "mirror"):
        said = train(machine, SEES, WAYSIDE_WANDB_HOOK=hook, WANDB_MODE="offline")
        path = machine.folder / "seen.json"
        assert path.exists(), said
        told[hook] = json.loads(path.read_text())
        path.unlink()
        assert "was not heard" not in said
    assert told["mirror"] == told["off"]
    assert told["off"]["data"] is True
    assert len(machine.rows("seen")) >= 1
