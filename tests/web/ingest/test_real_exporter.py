"""AMD's exporter itself, as it is on PyPI, beside W&B's SDK offline: it takes our answers for Lens's."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from e2e.machine import Machine, until

CONFIG: dict[str, Any] = {"sinks": {"jsonl": {}}, "sources": {}}
CALLS = 10  #: as many as it sends at its exit

SCRIPT = """
import math
import primus_lens_wandb_exporter.wandb_hook
import wandb

wandb.init(project="proj", name="real", id="r1", mode="offline", dir=".", config={"lr": 0.1}, tags=["t"])
for step in range(10):
    wandb.log({"loss": 1 / (step + 1), "bad": math.nan if step == 3 else 1.0, "text": "x"}, step=step)
wandb.finish()
"""


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    machine = Machine(tmp_path)
    yield machine
    machine.close()


@pytest.mark.long
@pytest.mark.timeout(180)
def test_the_exporter_itself_delivers_everything(machine: Machine, tmp_path: Path) -> None:
    """Its detection and each of its calls, the one with NaN included, are stored, and it counts no error."""
    collector = machine.collector(CONFIG).wait_ready()
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("WANDB", "WAYSIDE", "PRIMUS"))}
    environ |= {
        "PRIMUS_LENS_API_BASE_URL": f"{collector.url}/api/v1",
        "PRIMUS_LENS_WANDB_DEBUG": "true",
        "WORKLOAD_UID": "w1",
        "POD_NAME": "pod-1",
        "WANDB_SILENT": "true",
    }
    ran = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=120
    )
    assert ran.returncode == 0, ran.stderr
    (stats,) = re.findall(r"Stopped\. Stats: (\{.*\})", ran.stdout)
    assert stats == f"{{'detection_sent': 1, 'metrics_sent': {CALLS}, 'logs_sent': 0, 'errors': 0}}"
    until(lambda: len(machine.rows("r1")) == CALLS, "in the sink")
    assert [row["step"] for row in machine.rows("r1")] == list(range(CALLS))
    assert machine.rows("r1")[3]["metrics"] == {"loss": 0.25, "bad": "NaN"}
    assert machine.events("config") == [{"kind": "config", "set": {"lr": 0.1}, "remove": []}]
    (session,) = collector.status()["sessions"]
    assert (session["project"], session["name"], session["host"]) == ("proj", "real", "pod-1")
    assert collector.stop() == 0
