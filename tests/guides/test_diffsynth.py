"""DiffSynth-Studio's guide, run: its flags, what it logs and when, and what it saves."""

import argparse
import json
import re

import pytest
from e2e.machine import Machine
from guides.diffsynth import TRAIN, TREATMENTS
from guides.running import CONFIG, merged, put, run_shell, runs
from guides.snippets import TEXTS, script
from wayside.compat import add_arguments, init_from_args

TEXT = (TEXTS / "diffsynth.txt").read_text()
PATH = "examples/wanvideo/model_training/train.py"


@pytest.mark.timeout(120)
def test_the_guide(machine: Machine):
    """Each command trains: with the flag a run of the named project has the loss of every step and the listed
    hyperparameters, without it there is none, and models and checkpoints are saved either way.
    """
    collector = machine.collector(CONFIG).wait_ready()
    put(machine, PATH, TRAIN)
    run_shell(machine, script("diffsynth", TREATMENTS, "bash"))
    collector.wait_delivered()
    found = runs(collector)
    assert {(one["name"], one["project"]) for one in found.values()} >= {
        ("experiment-001", "my-project"),
        ("wan21-t2v-lora32-exp01", "video-generation-research"),
    }
    ((basic, session),) = [item for item in found.items() if item[1]["project"] == "diffsynth-wanvideo"]
    assert basic == session["run"]  # the guide's default: a name that is made up
    assert len(found) == 3
    rows = machine.rows(session["run"])
    assert [(row["step"], row["metrics"]) for row in rows] == [
        *[(step, {"train/loss": 1 / step}) for step in (1, 2, 3, 4)],
        (4, {"val/loss": 0.25}),
    ]
    listed = re.findall(r"^- `(\w+)`: ", TEXT.partition("### Configuration (logged at start)")[2], re.MULTILINE)
    config = merged(machine, "config", session["run"])
    assert set(config) == set(listed)
    assert (config["batch_size"], config["num_epochs"], config["height"]) == (1, 5, 480)
    output = machine.folder / "models" / "output"
    saved = sorted(path.name for path in output.iterdir())
    assert saved == ["checkpoint-3", "epoch-0.safetensors", "step-3.safetensors", "step-4.safetensors"]
    told = json.loads((output / "checkpoint-3" / "training_metadata.json").read_text())
    assert told == {"epoch": 0, "global_step": 3, "dataloader_seed": None}


@pytest.mark.timeout(60)
def test_only_the_main_process_logs(machine: Machine):
    """Of several ranks one begins a run; the others train, and say nothing."""
    collector = machine.collector(CONFIG).wait_ready()
    put(machine, PATH, TRAIN)
    for rank in ("1", "0"):
        run_shell(machine, f"python {PATH} --use_wandb --output_path out-{rank}", RANK=rank, WORLD_SIZE="2")
    collector.wait_delivered()
    (session,) = collector.status()["sessions"]
    assert session["rank"] == 0


def test_the_flags_are_the_guides():
    """Names and defaults as the guide has them; without the flag nothing is tracked."""
    parser = add_arguments(argparse.ArgumentParser(), like="diffsynth")
    made = vars(parser.parse_args([]))
    assert set(made) == set(re.findall(r"^  - `--(\w+)`", TEXT, re.MULTILINE))
    assert made == {"use_wandb": False, "wandb_project": "diffsynth-wanvideo", "wandb_run_name": None}
    run = init_from_args(parser.parse_args([]))
    run.log({"loss": 1.0})
    run.finish()


@pytest.mark.parametrize("like", ["peft_studio", "model_foundry", "nobody"])
def test_a_guide_without_flags_says_so(like: str):
    """And arguments that hold no guide's flags are told which call is missing."""
    with pytest.raises(ValueError, match=r"'bitnet' or 'diffsynth'"):
        add_arguments(argparse.ArgumentParser(), like=like)
    with pytest.raises(ValueError, match=r"none of --disable_wandb, --use_wandb: call wayside.compat.add_arguments"):
        init_from_args(argparse.Namespace(lr=1))
