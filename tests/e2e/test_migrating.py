"""docs/migrating.md does what it says: every script of the side "after" runs, and what it logs arrives."""

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from e2e.machine import QUIET, Machine, fetch
from e2e.readme import blocks, to_run
from wayside_collector.configuration import config
from wayside_collector.configuration.yaml_text import load_yaml

PAGE = (Path(__file__).parents[2] / "docs/migrating.md").read_text()

#: Section to the project and name of its run, and the metrics of its last step.
EXPECTED: dict[str, tuple[str, str, set[str]]] = {
    "W&B": ("digits", "baseline", {"train/loss"}),
    "TensorBoard": ("digits", "runs/baseline", {"Loss/train"}),
    "MLflow": ("digits", "baseline", {"train/loss", "acc", "f1"}),
    "trackio": ("digits", "trackio-baseline", {"train/loss"}),
    "DiffSynth-Studio": ("diffsynth-wanvideo", "wan21-lora32", {"train/loss"}),
    "PEFT Studio": ("peft-studio-experiments", "llama_experime", {"train/loss", "train/learning_rate"}),
    "BitNet-QDyT-v2": ("my-bitnet-experiments", r"bitnet-qdyt-base-\d+_\d+", {"train/loss", "memory_percent"}),
    "Model Foundry": ("model-foundry-experiments", "exp0_baseline", {"train/loss", "train/lr"}),
}


def sections() -> dict[str, str]:
    parts = re.split(r"^## ", PAGE, flags=re.MULTILINE)[1:]
    return {part.partition("\n")[0]: part for part in parts}


def test_every_tracker_has_a_section_with_a_script():
    """Nine of them; where nothing changes in the script there is none to be run, and configurations are valid."""
    found = sections()
    assert set(found) == {*EXPECTED, "Primus Lens"}
    for title, text in found.items():
        scripts = [block for block in to_run(blocks(text)) if block.language == "python"]
        assert len(scripts) == (title != "Primus Lens"), title
        for block in blocks(text):
            if block.language == "yaml":
                assert config.build(load_yaml(block.code), {}).sinks
            assert block.language != "python" or block.not_run is None or "before" in block.not_run


@pytest.mark.parametrize("title", EXPECTED)
@pytest.mark.timeout(60)
def test_what_stands_there_works(machine: Machine, title: str):
    """A script is run as it stands: its run has the project and name it asks for, its rows, and a good end."""
    collector = machine.collector({**QUIET, "sinks": {"jsonl": {}, "store": {}}}).wait_ready()
    (block,) = [block for block in to_run(blocks(sections()[title])) if block.language == "python"]
    script = machine.folder / "script.py"
    script.write_text(block.code)
    done = machine.run(sys.executable, "-W", "error", str(script))
    assert done.returncode == 0, done.stderr
    collector.wait_delivered(sinks=("jsonl", "store"))
    (session,) = collector.status()["sessions"]
    project, name, metrics = EXPECTED[title]
    assert session["project"] == project
    assert re.fullmatch(f"{name}.*", session["name"])
    rows = machine.rows(session["run"])
    steps = sorted({row["step"] for row in rows})
    assert len(steps) >= 3
    merged: dict[str, Any] = {}
    for row in rows:
        merged.update(row["metrics"])
    assert set(merged) >= metrics
    assert machine.events("finish", session["run"]) == [{"kind": "finish", "exit_code": 0}]
    shown = json.loads(fetch(f"{collector.url}/api/v1/runs/{session['run']}"))
    assert shown["state"] == "finished"
    check_more(machine, title, session["run"])


def check_more(machine: Machine, title: str, run: str) -> None:
    """What a section promises beside rows."""
    media = {event["name"]: event["type"] for event in machine.events("media", run)}
    artifacts = [event["name"] for event in machine.events("artifact", run)]
    alerts = [event["level"] for event in machine.events("alert", run)]
    config = [event["set"] for event in machine.events("config", run)]
    assert media == {
        "TensorBoard": {"grads": "histogram"},
        "Model Foundry": {"predictions": "table", "weights": "histogram"},
    }.get(title, {})
    assert artifacts == {"MLflow": ["weights"], "PEFT Studio": ["checkpoint_step_1000"]}.get(title, [])
    assert alerts == {"W&B": ["INFO"], "trackio": ["WARN"], "Model Foundry": ["WARN"]}.get(title, [])
    assert config or title == "BitNet-QDyT-v2"
