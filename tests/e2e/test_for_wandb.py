"""Ordinary scripts for wandb, each run as it is with the real SDK offline, and once with `import wayside as wandb`:
they print the same, line by line.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from frameworks.environments import frameworks

SCRIPTS = Path(__file__).with_name("for_wandb")
CLIENT = Path(__file__).parents[2] / "client"

pytestmark = pytest.mark.timeout(600)  # the one with torch waits for its environment


def said(script: str, library: str, folder: Path, python: str) -> list[str]:
    """What the script prints when this library is what it calls wandb."""
    folder.mkdir()
    path = folder / "train.py"
    path.write_text((SCRIPTS / script).read_text().replace("\nimport wandb\n", f"\nimport {library} as wandb\n"))
    environ = {
        **{"PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONPATH": str(CLIENT), "OMP_NUM_THREADS": "1"},
        **{"WANDB_MODE": "offline", "WANDB_DIR": str(folder), "WANDB_SILENT": "true", "WANDB_DISABLE_GIT": "1"},
        **{"WAYSIDE_MODE": "offline", "WAYSIDE_DIR": str(folder / "kept"), "WAYSIDE_WANDB_HOOK": "off"},
    }
    done = subprocess.run(
        [python, str(path)], env=environ, cwd=folder, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    assert bool(list(folder.glob("kept/journals/*/*.seg"))) == (library == "wayside")
    return done.stdout.splitlines()


@pytest.mark.parametrize("script", sorted(path.name for path in SCRIPTS.glob("*.py")))
def test_a_script_says_the_same(script: str, tmp_path: Path) -> None:
    """Whatever it prints of names, steps, config, summary, returned objects and exceptions."""
    python = str(frameworks()) if "torch" in (SCRIPTS / script).read_text() else sys.executable
    theirs = said(script, "wandb", tmp_path / "wandb", python)
    ours = said(script, "wayside", tmp_path / "wayside", python)
    assert len(theirs) > 3
    assert ours == theirs
