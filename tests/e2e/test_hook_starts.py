"""The ways in which a Python starts, and which of them hook wandb: the wheel's line, PYTHONPATH, and neither."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from e2e.hooked import CLIENT, SITE
from frameworks.environments import UV

SHOWS = """
import sys
sys.path.insert(0, {fake!r})
import wandb
marks = {{hasattr(wandb, name) for name in ("_wayside_patched", "_primus_lens_patched")}}
print({{True: "hooked", False: "as ever"}}[marks.pop()], getattr(sys, "theirs", ""), *marks)
"""

#: What the hook needs of wandb, so that nobody must install one.
FAKE = """
class Run:
    def _log(self, data, step=None, commit=None): ...
def init(): ...
class sdk:
    class wandb_run:
        Run = Run
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python with the client in its site-packages, as the wheel puts it there."""
    folder = tmp_path_factory.mktemp("installed")
    subprocess.run([str(UV), "venv", "--quiet", "--no-config", "--python", sys.executable, str(folder)], check=True)
    (site,) = folder.glob("lib/*/site-packages")
    shutil.copytree(CLIENT / "wayside", site / "wayside", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(CLIENT / "wayside.pth", site)
    return folder / "bin" / "python"


def shown(python: Path, tmp_path: Path, *options: str, **environ: str) -> str:
    """What a script sees of its wandb."""
    fake = tmp_path / "fake"
    (fake / "wandb").mkdir(parents=True, exist_ok=True)
    (fake / "wandb" / "__init__.py").write_text(FAKE)
    command = [str(python), *options, "-c", SHOWS.format(fake=str(fake))]
    done = subprocess.run(
        command, env={"PATH": os.environ["PATH"], **environ}, cwd=tmp_path, capture_output=True, text=True
    )
    assert done.stderr == "", done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("options", [(), ("-I",), ("-E",), ("-s",), ("-W", "error"), ("-X", "utf8", "-O")])
def test_the_wheel_s_line(installed: Path, tmp_path: Path, options: tuple[str, ...]):
    """It hooks isolated interpreters, too, and those that ignore Python's variables; off is off."""
    assert shown(installed, tmp_path, *options, WAYSIDE_WANDB_HOOK="mirror") == "hooked"
    assert shown(installed, tmp_path, *options, WAYSIDE_WANDB_HOOK="off") == "as ever"


def test_a_python_without_site(installed: Path, tmp_path: Path):
    """`-S` runs no line of anybody's: the script goes on without us."""
    assert shown(installed, tmp_path, "-S", WAYSIDE_WANDB_HOOK="mirror") == "as ever"


@pytest.mark.parametrize(
    ("options", "found"), [((), "hooked"), (("-s",), "hooked"), (("-I",), "as ever"), (("-E",), "as ever")]
)
def test_pythonpath(tmp_path: Path, options: tuple[str, ...], found: str):
    """Where nothing is installed: as long as Python listens to PYTHONPATH, and nothing fails where it does not."""
    environ = {"PYTHONPATH": str(SITE), "WAYSIDE_WANDB_HOOK": "mirror"}
    bare = Path(sys.executable).resolve()
    assert shown(bare, tmp_path, *options, **environ) == found


def test_both_at_once(installed: Path, tmp_path: Path):
    """The wheel and PYTHONPATH in one Python, beside the user's own sitecustomize and a .pth like conda's: all run."""
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "sitecustomize.py").write_text("import sys\nsys.theirs = getattr(sys, 'theirs', '') + 'customized'\n")
    line = next(installed.parent.parent.glob("lib/*/site-packages")) / "conda-like.pth"
    line.write_text("import sys; sys.theirs = 'conda '\n")
    try:
        environ = {"PYTHONPATH": f"{SITE}{os.pathsep}{theirs}", "WAYSIDE_WANDB_HOOK": "mirror"}
        assert shown(installed, tmp_path, **environ) == "hooked conda customized"
    finally:
        line.unlink()


@pytest.mark.parametrize("broken", ["raise ValueError('theirs')", "import no_such_module"])
def test_a_sitecustomize_that_fails(tmp_path: Path, broken: str):
    """The user's own failure is reported as without us, and the script runs."""
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "sitecustomize.py").write_text(broken)
    bare = Path(sys.executable).resolve()
    told = {}
    for path in (str(theirs), f"{SITE}{os.pathsep}{theirs}"):
        environ = {"PATH": os.environ["PATH"], "PYTHONPATH": path, "WAYSIDE_WANDB_HOOK": "mirror"}
        done = subprocess.run([bare, "-c", "print('ran')"], env=environ, capture_output=True, text=True)
        assert done.stdout == "ran\n"
        told[path] = done.stderr.splitlines()[-1]
    assert len({*told.values()}) == 1, told
