"""Primus Lens's guide, run: scripts that say `import wandb` and are changed in nothing, with the real SDK."""

import sys
from pathlib import Path
from typing import Any

import pytest
from e2e.machine import Machine
from guides.primus import DISTRIBUTED, PARALLEL, PRIMUS, TORCH, TREATMENTS, file_of
from guides.running import CONFIG, merged, put, run_python, run_shell
from guides.snippets import script

QUIET = {"WANDB_MODE": "disabled", "WANDB_SILENT": "true"}


def furnish(machine: Machine) -> None:
    put(machine, "torch/__init__.py", TORCH)
    put(machine, "torch/distributed.py", DISTRIBUTED)
    put(machine, "torch/nn/__init__.py", "")
    put(machine, "torch/nn/parallel.py", PARALLEL)
    put(machine, "primus.py", PRIMUS)
    put(machine, "train.py", file_of(160))
    put(machine, "train_ddp.py", file_of(192))


def named(status: dict[str, Any]) -> dict[str, str]:
    return {one["name"]: one["run"] for one in status["sessions"]}


@pytest.mark.timeout(180)
def test_the_python_of_the_guide(machine: Machine):
    """Every script is heard whole: its rows, its config and its texts, which the exporter leaves out."""
    collector = machine.collector(CONFIG).wait_ready()
    furnish(machine)
    code = "import wayside\nassert wayside.install_wandb_hook()\n" + script("primus", TREATMENTS, "python")
    said = run_python(machine, code, POD_NAME="training-pod-0", **QUIET)
    found = named(collector.wait_delivered())
    assert "True" in said  # wandb._primus_lens_patched
    runs = {name: machine.rows(run) for name, run in found.items()}
    assert len(runs["experiment-001"]) == 100
    assert runs["experiment-001"][99]["metrics"] == {"loss": 0.5, "accuracy": 0.9, "learning_rate": 0.001}
    assert [row["step"] for row in runs["single-gpu-run"]] == list(range(100))
    assert len(runs["ddp-training"]) == 100
    assert runs["nodes-0-gpus-1"][7]["metrics"] == {"loss": 0.5, "epoch": 7.0, "total_gpus": 1.0}
    assert [row["metrics"] for row in runs["primus-exp"]] == [{"primus_loss": 0.5}] * 3
    assert merged(machine, "config", found["primus-exp"]) == {"framework": "primus", "base_framework": "megatron"}
    (texts,) = machine.events("text", found["values"])
    assert texts["values"] == {"model_name": "bert-large", "status": "running"}
    assert "exp-7-8" in found


@pytest.mark.timeout(180)
def test_the_shell_of_the_guide(machine: Machine):
    """Each launch line works under the hook, with the guide's variables; what is switched off there is off here."""
    collector = machine.collector(CONFIG).wait_ready()
    furnish(machine)
    wayside = Path(sys.executable).with_name("wayside")
    launch = f'python() {{ {wayside} run -- {sys.executable} "$@"; }}\ntorchrun() {{ shift; python "$@"; }}\n'
    run_shell(machine, launch + script("primus", TREATMENTS, "bash"), **QUIET)
    status = collector.wait_delivered()
    names = [one["name"] for one in status["sessions"]]
    assert names.count("ddp-training") == 1
    assert names.count("single-gpu-run") == 3  # not the one with PRIMUS_LENS_WANDB_HOOK=false
