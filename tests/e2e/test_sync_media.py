"""`sync` of a run that found no collector: its pictures lie where one was looked for, and arrive all the same."""

import hashlib
import sys

import pytest
import yaml
from e2e.machine import QUIET, Machine

pytestmark = pytest.mark.timeout(90)

SCRIPT = """
import numpy as np
import wayside

pixels = np.random.default_rng(0).integers(0, 256, (300, 300, 3), dtype=np.uint8)
with wayside.init(project="p", id="pictures") as run:
    run.log({"loss": 1.0, "large": wayside.Image(pixels)})
    artifact = wayside.Artifact("notes", "text")
    with artifact.new_file("note.txt", mode="w") as file:
        file.write("hello")
    run.log_artifact(artifact)
"""


def test_pictures_beside_a_socket_that_was_never_there(machine: Machine) -> None:
    """With another socket in the environment of `sync`, which knows the folder from the journal alone."""
    config = machine.folder / "wayside.yaml"
    config.write_text(yaml.safe_dump(QUIET))
    kept = machine.folder / "kept"
    done = machine.run(sys.executable, "-c", SCRIPT, WAYSIDE_DIR=str(kept))
    assert done.returncode == 0, done.stderr
    elsewhere = machine.memory / "o"
    elsewhere.mkdir()
    environ = {"WAYSIDE_SOCKET": str(elsewhere / "w.sock"), "WAYSIDE_SHARED_MEMORY": str(elsewhere)}
    told = machine.wayside_collector("sync", str(kept), "--config", str(config), **environ)
    assert told.returncode == 0, told.stderr
    (picture,) = machine.events("media", "pictures")
    assert "lost" not in picture, picture
    copy = machine.dir / "jsonl" / "media" / picture["file"]
    assert hashlib.sha256(copy.read_bytes()).hexdigest() == picture["sha256"]
    (artifact,) = machine.events("artifact", "pictures")
    assert "lost" not in artifact["files"][0], artifact
    assert [path for root in (kept, machine.memory) for path in root.rglob("media/*/*")] == []
