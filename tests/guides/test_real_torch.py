"""The guides' names in a training with the real torch, on the CPU: tensors go in as they are."""

import subprocess
from pathlib import Path

import pytest
from e2e.machine import Machine
from frameworks.environments import frameworks
from guides.running import CONFIG

CLIENT = Path(__file__).parents[2] / "client"

TRAINING = """
import torch
from wayside.compat.bitnet import get_system_metrics
from wayside.compat.diffsynth import ModelLogger
from wayside.compat.model_foundry import WandBLogger

torch.manual_seed(0)
model = torch.nn.Linear(4, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
logger = WandBLogger("torch", "foundry", {"lr": 0.1})
logger.watch_model(model, log_freq=1)
for step in range(1, 4):
    loss = model(torch.ones(8, 4)).pow(2).mean()
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
    logger.log_metrics(step, {"train/loss": loss, "train/lr": 0.1, "train/count": torch.tensor(step)})
logger.log_histogram("weights", model.weight.detach())
logger.log_image("noise", torch.rand(3, 8, 8), caption="of a tensor")
logger.log_system_metrics()
assert logger.summary() == {"train/lr": 0.1}, logger.summary()  # tensors are not held on to
logger.finish()
assert "torch_gpu_memory_allocated" not in get_system_metrics()  # there is no GPU, and none is looked for

diffsynth = ModelLogger("out", use_wandb=True, wandb_project="torch", wandb_run_name="diffsynth")
diffsynth.init_wandb()
for step in range(3):
    diffsynth.on_step_end(None, model, loss=model(torch.ones(8, 4)).pow(2).mean())
diffsynth.on_training_end(None, model)
"""


@pytest.mark.long
@pytest.mark.timeout(600)  # the environment may have to be built
def test_a_training_with_torch(machine: Machine):
    """Losses that are tensors in a graph, a watched model, weights as a histogram, a tensor as a picture."""
    python = frameworks()
    collector = machine.collector(CONFIG).wait_ready()
    script = machine.folder / "train.py"
    script.write_text(TRAINING)
    environ = machine.environ(PYTHONPATH=str(CLIENT), HOME=str(machine.folder))
    done = subprocess.run(
        [str(python), str(script)], cwd=machine.folder, env=environ, capture_output=True, text=True, timeout=180
    )
    assert done.returncode == 0, done.stderr
    collector.wait_delivered()
    runs = {one["name"]: one["run"] for one in collector.status()["sessions"]}
    rows = [row for row in machine.rows(runs["foundry"]) if "train/loss" in row["metrics"]]
    assert [row["step"] for row in rows] == [1, 2, 3]
    losses = [row["metrics"]["train/loss"] for row in rows]
    assert losses[0] > losses[2] > 0
    assert [row["metrics"]["train/count"] for row in rows] == [1.0, 2.0, 3.0]
    watched = {
        name for row in machine.rows(runs["foundry"]) for name in row["metrics"] if name.startswith("gradients/")
    }
    assert "gradients/weight/norm" in watched
    media = {event["name"]: event["type"] for event in machine.events("media", runs["foundry"])}
    assert {"weights": "histogram", "noise": "image"}.items() <= media.items()
    assert len([row for row in machine.rows(runs["diffsynth"]) if row["metrics"]["train/loss"] > 0]) == 3
