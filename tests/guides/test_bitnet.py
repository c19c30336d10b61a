"""BitNet-QDyT-v2's guide, run: its flags, modes, names of metrics."""

import argparse
import re
import sys
from functools import partial
from types import SimpleNamespace

import pytest
from e2e.machine import Machine
from guides.bitnet import TRAIN, TREATMENTS
from guides.running import CONFIG, merged, put, run_python, run_shell
from guides.snippets import TEXTS, script
from wayside.compat import add_arguments
from wayside.compat.bitnet import get_system_metrics

TEXT = (TEXTS / "bitnet.txt").read_text()


@pytest.mark.timeout(180)
def test_the_guide(machine: Machine):
    """Each command trains: projects, names, tags and notes are as they were asked for, what is disabled leaves no run,
    and every metric of the guide's list that a process can know by itself arrives under its name.
    """
    collector = machine.collector(CONFIG).wait_ready()
    put(machine, "train.py", TRAIN)
    run_shell(machine, script("bitnet", TREATMENTS, "bash"))
    run_python(machine, script("bitnet", TREATMENTS, "python"))
    collector.wait_delivered()
    sessions = [one for one in collector.status()["sessions"] if one["project"] != "bitnet"]
    named = {one["name"]: one["project"] for one in sessions if not one["name"].startswith("bitnet-qdyt-")}
    assert named == {
        "baseline-experiment": "my-bitnet-experiments",
        "rtx-3080-optimized": "bitnet-production",
        "lr-ablation-1e4": "bitnet-experiments",
    }
    made_up = [one["name"] for one in sessions if one["name"] not in named]
    assert len(made_up) == 5  # rtx offline, online, offline three times; not: disabled, twice, and the quick test
    assert all(re.fullmatch(r"bitnet-qdyt-(rtx|base)-\d{8}_\d{6}", name) for name in made_up)
    assert {one["project"] for one in sessions if one["name"] in made_up} == {"bitnet-qdyt-v2"}
    (production,) = [one["run"] for one in sessions if one["name"] == "rtx-3080-optimized"]
    config = merged(machine, "config", production)
    assert (config["batch_size"], config["gradient_accumulation_steps"], config["hidden_size"]) == (8, 3, 768)
    assert not any("wandb" in name for name in config)
    rows = machine.rows(production)
    texts = [event["values"] for event in machine.events("text", production)]
    logged = {name for row in rows for name in row["metrics"]} | {name for values in texts for name in values}
    listed = set(re.findall(r"^((?:train|val)/\w+|\w+_percent|torch_\w+)  ", TEXT, re.MULTILINE))
    assert listed > {"train/training_stage", "val/perplexity", "torch_gpu_memory_reserved"}
    assert listed - logged == {"gpu_memory_percent", "torch_gpu_memory_allocated", "torch_gpu_memory_reserved"}
    assert {row["step"] for row in rows} == {1, 2}
    assert merged(machine, "config", "hyperparameters")["total_training_steps"] == 1593090


def test_the_flags_are_the_guides():
    """Names and defaults of the guide's table."""
    parser = add_arguments(argparse.ArgumentParser(), like="bitnet")
    rows = re.findall(r"^\| `--(\w+)` \| ([^|]+) \|", TEXT, re.MULTILINE)
    made = vars(parser.parse_args([]))
    assert set(made) == {name for name, _ in rows}
    for name, default in rows:
        if default.startswith("`"):
            expected = default.strip("` ")
            assert repr(made[name]).replace("'", '"') == expected, name
    with pytest.raises(SystemExit):
        parser.parse_args(["--wandb_mode", "sometimes"])


def test_every_system_metric_of_the_guide_has_its_name(monkeypatch: pytest.MonkeyPatch):
    """Where torch uses a GPU and knows all of it."""
    told = {"utilization": 87, "temperature": 60, "memory_allocated": 1, "memory_reserved": 2, "is_initialized": True}
    cuda = SimpleNamespace(mem_get_info=lambda: (1, 2), **{name: partial(int, value) for name, value in told.items()})
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda))
    get_system_metrics()
    listed = re.findall(r"^(\w+) +#", TEXT.partition("### System Metrics")[2].partition("## ")[0], re.MULTILINE)
    assert len(listed) == 8
    # Of the processors the time since the last call is told; between two calls in a row there may be none.
    assert set(get_system_metrics()) | {"cpu_percent"} == {*listed, "gpu_memory_total"}
