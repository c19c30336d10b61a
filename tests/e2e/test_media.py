"""Media and artifacts of a job beside a real collector: whole at the other end, and nothing left behind at this one."""

import base64
import hashlib
import sys
from typing import Any

import pytest
from e2e.machine import QUIET, Machine, check_books, until

SCRIPT = """
import os
import numpy as np
import wayside as wandb

rng = np.random.default_rng(0)
with wandb.init(project="p", id="pictures") as run:
    for step in range(3):
        large = rng.integers(0, 256, (300, 300, 3), dtype=np.uint8)
        table = wandb.Table(columns=["n", "p"], data=[[step, wandb.Image(large[:4, :4])]])
        row = {"loss": 1.0, "small": wandb.Image(large[:8, :8]), "large": wandb.Image(large), "table": table}
        run.log(row, step=step)
        os.makedirs("ckpt", exist_ok=True)
        open(f"ckpt/{step}.pt", "w").write("weights" * 1000)
        artifact = wandb.Artifact("model", "model", metadata={"step": step})
        artifact.add_file(f"ckpt/{step}.pt")
        with artifact.new_file("note.txt", mode="w") as file:
            file.write(f"note {step}")
        run.log_artifact(artifact)
    run.log({"hist": wandb.Histogram(rng.random(1000))}, step=3)
"""


@pytest.mark.parametrize("environ", [{}, {"WAYSIDE_TRANSPORT": "socket"}], ids=["journal", "socket"])
def test_all_of_it_arrives(machine: Machine, environ: dict[str, str]) -> None:
    """Pictures inline and in files, tables with pictures, histograms, artifacts with their files: in the jsonl sink."""
    collector = machine.collector(QUIET).wait_ready()
    done = machine.run(sys.executable, "-c", SCRIPT, **environ)
    assert done.returncode == 0, done.stderr
    status = collector.wait_delivered()
    check_books(status["sinks"]["jsonl"])
    told = machine.events("media", "pictures")
    names = sorted(one["name"] for one in told)
    assert names == ["hist", *["large"] * 3, *["small"] * 3, *["table"] * 3]
    for one in told:
        data: dict[str, Any] = one
        assert "lost" not in data, data
        if data["name"] == "large":
            copy = machine.folder / "wayside" / "jsonl" / "media" / data["file"]
            assert hashlib.sha256(copy.read_bytes()).hexdigest() == data["sha256"]
        elif data["name"] == "small":
            assert hashlib.sha256(base64.b64decode(data["base64"])).hexdigest() == data["sha256"]
    artifacts = machine.events("artifact", "pictures")
    assert [[file["path"] for file in one["files"]] for one in artifacts] == [[f"{n}.pt", "note.txt"] for n in range(3)]
    assert sorted(row["step"] for row in machine.rows("pictures")) == [0, 1, 2]
    waiting = [path for root in (machine.beside, machine.memory) for path in root.rglob("media/*/*.png")]
    until(lambda: not any(path.exists() for path in waiting), "the job's own files are taken over")
