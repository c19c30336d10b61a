"""Fixtures of the tests that run training frameworks for real."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from e2e.machine import Collector, Machine
from frameworks.environments import frameworks

CLIENT = Path(__file__).parents[2] / "client"
SCRIPTS = Path(__file__).parent / "scripts"
PATIENCE = 120  #: seconds a script may take: importing a framework takes ten on a busy machine
CONFIG: dict[str, Any] = {"sinks": {"jsonl": {}, "store": {}}, "sources": {}}

Train = Callable[..., str]


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    """A machine of the test's own; whatever still runs on it at the end is killed."""
    made = Machine(tmp_path)
    yield made
    made.close()


@pytest.fixture
def collector(machine: Machine) -> Collector:
    """With files and a store, and nothing that measures."""
    return machine.collector(CONFIG).wait_ready()


@pytest.fixture
def train(machine: Machine, collector: Collector) -> Train:
    """Run one of the scripts with the frameworks' Python beside the collector, to its end; returns what it said.
    launcher: what of Python's starts it, and how.
    """
    python = str(frameworks())

    def run(script: str, *arguments: str, launcher: tuple[str, ...] = (), **environ: str) -> str:
        quiet = {"WANDB_MODE": "disabled", "TOKENIZERS_PARALLELISM": "false", "CUDA_VISIBLE_DEVICES": ""}
        home = {"HOME": str(machine.folder), "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
        path = {**home, "PYTHONPATH": str(CLIENT), "WAYSIDE_RUN_ID": "r1"}
        command = [python, *launcher, str(SCRIPTS / script), *arguments]
        process, log = machine.start(command, **{**quiet, **path, **environ})
        assert process.wait(PATIENCE) == 0, log.read_text()
        return log.read_text()

    return run
