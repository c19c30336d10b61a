"""With the hook, wandb writes what it writes without it: the records of its own file are the same, byte for byte."""

from pathlib import Path

import pytest
from e2e.hooked import train
from e2e.machine import Machine
from e2e.wandb_records import kinds, records

#: The shape of nanoGPT's train.py: module-level `wandb.log` with the iteration in the row, the config whole, no finish.
NANOGPT = """
import math, wandb
learning_rate, max_iters, eval_interval, wandb_run_name = 6e-4, 60, 20, "gpt2"
config = {{name: value for name, value in list(globals().items()) if isinstance(value, (int, float, str))}}
wandb.init(project="owt", name=wandb_run_name, id="{end}", config=config)
running_mfu = -1.0
for iter_num in range(max_iters + 1):
    lr = learning_rate * 0.5 * (1 + math.cos(math.pi * iter_num / max_iters))
    losses = {{"train": 11 / (1 + iter_num), "val": 11.5 / (1 + iter_num)}}
    if iter_num % eval_interval == 0:
        wandb.log({{
            "iter": iter_num,
            "train/loss": losses["train"],
            "val/loss": losses["val"],
            "lr": lr,
            "mfu": running_mfu * 100,
            "bad": float("nan") if iter_num else float("-inf"),
            "text": "at " + str(iter_num),
        }})
wandb.summary["best"] = 1 / 3
wandb.config.update({{"late": [1, 2.5, None]}})
"""


def file_of(machine: Machine, run: str) -> Path:
    (path,) = machine.folder.glob(f"wandb/offline-run-*-{run}/run-{run}.wandb")
    return path


@pytest.mark.timeout(120)
def test_a_script_in_nanogpt_s_shape(machine: Machine):
    """The same records, whether the hook is there or not; and the collector has the rows."""
    collector = machine.collector().wait_ready()
    found = {}
    for hook in ("off", "mirror"):
        said = train(machine, NANOGPT, end="same", WAYSIDE_WANDB_HOOK=hook, WANDB_MODE="offline", WAYSIDE_QUIET="1")
        path = file_of(machine, "same")
        found[hook] = records(path)
        path.unlink()
        assert kinds(found[hook])["history"] == 4, said
    assert found["mirror"] == found["off"]
    collector.wait_delivered()
    assert [row["metrics"]["iter"] for row in machine.rows("same")] == [0, 20, 40, 60]
