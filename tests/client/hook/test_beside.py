"""What a script says to a wandb that is diverted or mirrored, besides numbers: with the real SDK, in a process each."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from client.conftest import Place
from client.media.heard import media, of_kind, refused
from standins.journal_reading import Frames, read_journal

SCRIPT = """
import sys
import numpy as np
import wandb

run = wandb.init(project="p")
table = wandb.Table(columns=["a"], data=[[1]])
wandb.log({"loss": 0.5, "img": wandb.Image(np.zeros((4, 4, 3), dtype=np.uint8)), "deep": {"t": table, "x": 1}})
artifact = wandb.Artifact("m", "model", metadata={"k": 1})
artifact.add_file(sys.argv[1], name="f")
wandb.log_artifact(artifact, aliases=["best"])
run.log_artifact(sys.argv[1], name="two", type="t")
wandb.save(sys.argv[1])
wandb.finish()
"""


def heard(place: Place, tmp_path: Path, **environ: str) -> Frames:
    """The journal of the script's run."""
    script = tmp_path / "train.py"
    script.write_text(f"import wayside; wayside.install_wandb_hook()\n{SCRIPT}")
    (tmp_path / "model.pt").write_text("weights")
    found = {**place.environ, "HOME": str(tmp_path), "WANDB_DIR": str(tmp_path), "WANDB_SILENT": "true", **environ}
    command = [sys.executable, str(script), str(tmp_path / "model.pt")]
    done = subprocess.run(command, env=found, cwd=tmp_path, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    return read_journal(*place.journals())


@pytest.mark.timeout(120)
def test_diverted(place: Place, tmp_path: Path) -> None:
    """Media become events of ours, artifacts and saved files, too; the numbers go as ever."""
    found = heard(place, tmp_path, WAYSIDE_WANDB_HOOK="divert", WANDB_MODE="online")
    assert [row.metrics for row in found.rows] == [{"loss": 0.5, "deep/x": 1.0}]
    assert [(one["name"], one["type"]) for one in media(found)] == [("img", "image"), ("deep/t", "table")]
    first, second = of_kind(found, "artifact")
    assert (first["name"], first["aliases"], first["metadata"]) == ("m", ["best"], {"k": 1})
    assert [(file["path"], file["size"]) for file in first["files"]] == [("f", 7)]
    assert (second["name"], second["files"][0]["source"]) == ("two", str(tmp_path / "model.pt"))
    (saved,) = of_kind(found, "save")
    assert [file["path"] for file in saved["files"]] == ["model.pt"]


@pytest.mark.timeout(120)
def test_mirrored(place: Place, tmp_path: Path) -> None:
    """wandb itself has them, and its own file says so; with us they are counted."""
    found = heard(place, tmp_path, WAYSIDE_WANDB_HOOK="mirror", WANDB_MODE="offline")
    assert [row.metrics for row in found.rows] == [{"loss": 0.5, "deep/x": 1.0}]
    kinds: list[Any] = [event.kind for event in found.events]
    assert not {"media", "artifact", "save"} & set(kinds)
    assert refused(found) == {"media: wandb itself uploads them": 2}
    (summary,) = tmp_path.glob("wandb/offline-run-*/files/media/images/*.png")
    assert summary.stat().st_size
    assert json.dumps(found.records[0]).count('"origin": "wandb"') == 1
