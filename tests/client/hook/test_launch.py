"""A Python that has nothing of ours installed, hooked from outside."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from client.test_older_pythons import python
from wayside.command import main
from wayside.hook.launch import SITE, environment

SHOWS = """
import sys
print(sorted(name for name in sys.modules if name.startswith("wayside")), getattr(sys, "theirs", None))
try:
    import wayside_collector
except ImportError:
    print("nothing beside it")
"""
HOOKED = [*("wayside", "wayside._version", "wayside.hook", "wayside.hook.activate", "wayside.hook.finder")]


def test_the_environment_of_a_command():
    """Our folder goes before what was there; the hook is on, in the way that was asked for."""
    assert environment({}) == {"PYTHONPATH": SITE, "WAYSIDE_WANDB_HOOK": "mirror"}
    before = {"PYTHONPATH": "/theirs", "WAYSIDE_WANDB_HOOK": "divert"}
    assert environment(before) == {"PYTHONPATH": f"{SITE}{os.pathsep}/theirs", "WAYSIDE_WANDB_HOOK": "divert"}
    assert environment(before, "mirror")["WAYSIDE_WANDB_HOOK"] == "mirror"
    assert "WAYSIDE_WANDB_HOOK" not in environment({"PRIMUS_LENS_WANDB_HOOK": "false"})


@pytest.mark.parametrize("version", ["3.8", "3.13"])
def test_an_image_that_may_not_be_touched(version: str, tmp_path: Path):
    """The hook waits in it, its own sitecustomize has run, and of ours nothing but the client can be imported."""
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.theirs = 'ran'\n")
    environ = environment({"PATH": os.environ["PATH"], "PYTHONPATH": str(tmp_path)})
    done = subprocess.run([python(version), "-W", "error", "-c", SHOWS], env=environ, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == (f"{[*HOOKED, 'wayside.hook.switch']} ran\nnothing beside it\n", "")


def test_run_is_the_command_and_its_exit_code(tmp_path: Path):
    """What it says and how it ends are the command's own; one that is not there is told as a shell tells it."""
    run = [sys.executable, "-c", "from wayside.command import main; main()", "run"]
    command = ["--", sys.executable, "-c", "import os, sys; print(os.environ['WAYSIDE_WANDB_HOOK']); sys.exit(7)"]
    done = subprocess.run([*run, "--hook", "divert", *command], capture_output=True, text=True, cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (7, "divert\n", "")
    absent = subprocess.run([*run, "--", "/no/such"], capture_output=True, text=True, cwd=tmp_path)
    assert (absent.returncode, absent.stderr) == (
        127,
        "wayside run: /no/such cannot be started: No such file or directory\n",
    )


def test_run_without_a_command(capsys: pytest.CaptureFixture[str]):
    """It asks for one."""
    with pytest.raises(SystemExit, match="2"):
        main(["run"])
    assert "which command?" in capsys.readouterr().err
