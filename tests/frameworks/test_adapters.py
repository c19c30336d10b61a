"""Real frameworks train a few steps with their adapters, beside a real collector: what arrives of it, under which names
and steps, in files and in the store.
"""

import pytest
from e2e.machine import Collector, Machine
from frameworks.arrived import arrived
from frameworks.conftest import Train

pytestmark = pytest.mark.timeout(600)  # the first test builds the environment, others wait for that


def test_accelerate(machine: Machine, collector: Collector, train: Train) -> None:
    """The tracker by its name: config, and tensors of the CPU as numbers."""
    train("with_accelerate.py")
    found = arrived(machine, collector)
    assert [step for step, _ in found.steps] == [0, 1, 2, 3, 4]
    losses = [loss for _, loss in found.curve("train/loss")]
    assert losses == sorted(losses, reverse=True)
    assert found.curve("lr") == [(step, 0.1) for step in range(5)]
    assert found.config["lr"] == 0.1
    assert found.exit_codes == [0]


def test_stable_baselines3(machine: Machine, collector: Collector, train: Train) -> None:
    """Its own logger's names by timesteps, which go on when the model learns again."""
    train("with_stable_baselines3.py")
    found = arrived(machine, collector)
    steps = [step for step, _ in found.curve("rollout/ep_rew_mean")]
    assert steps == sorted(set(steps))
    assert len(steps) == 20
    assert steps[-1] > 1500
    assert {"time/fps", "train/policy_loss", "train/learning_rate"} <= found.names()
    assert found.config["algorithm"] == "A2C"
    assert found.exit_codes == [0]


@pytest.mark.long
def test_transformers(machine: Machine, collector: Collector, train: Train) -> None:
    """`report_to="wayside"`: training and evaluation by global step, its arguments, and the figures of the end."""
    train("with_transformers.py")
    found = arrived(machine, collector)
    assert [step for step, _ in found.curve("train/loss")] == [1, 2, 3, 4]
    assert [step for step, _ in found.curve("eval/loss")] == [2, 4, 4]
    assert {"train/grad_norm", "train/learning_rate", "train/epoch", "eval/runtime"} <= found.names()
    assert {"train/train_loss", "train/train_runtime"} <= set(found.summary)
    assert (found.config["max_steps"], found.config["n_layer"]) == (4, 1)
    assert found.config["model/num_parameters"] > 1000
    assert found.exit_codes == [0]


@pytest.mark.long
def test_lightning(machine: Machine, collector: Collector, train: Train) -> None:
    """One logger over fit and test: metrics by Lightning's steps, and the hyperparameters."""
    train("with_lightning.py")
    found = arrived(machine, collector)
    assert [step for step, _ in found.curve("train/loss")] == list(range(8))
    assert [step for step, _ in found.curve("val/loss")] == [3, 7]
    assert len(found.curve("test/loss")) == 1
    assert "epoch" in found.names()
    assert found.config["width"] == 4
    assert found.exit_codes == [0]


@pytest.mark.long
def test_keras(machine: Machine, collector: Collector, train: Train) -> None:
    """Epochs and every second batch, by batches trained so far."""
    train("with_keras.py")
    found = arrived(machine, collector)
    assert found.curve("epoch/epoch") == [(4, 0.0), (8, 1.0)]
    assert [step for step, _ in found.curve("batch/loss")] == [2, 4, 6, 8]
    assert [step for step, _ in found.curve("epoch/val_loss")] == [4, 8]
    rates = [rate for _, rate in found.curve("epoch/learning_rate")]
    assert rates == pytest.approx([0.1, 0.1])
    assert found.config["optimizer"]["name"]
    assert found.exit_codes == [0]


@pytest.mark.long
@pytest.mark.parametrize("script", ["with_transformers.py", "with_lightning.py"])
def test_two_ranks(machine: Machine, collector: Collector, train: Train, script: str) -> None:
    """The framework reports from rank 0, and so does its adapter: every step once, and one session."""
    train(script, launcher=("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"))
    found = arrived(machine, collector)
    steps = [step for step, _ in found.curve("train/loss")]
    assert steps == sorted(set(steps))
    assert len(steps) in (4, 8)
    assert {line.get("rank") for line in machine.lines("r1")} == {0}
