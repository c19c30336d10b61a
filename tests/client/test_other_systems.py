"""Where there is no Linux: the client imports, never raises, and says once that nothing is kept.

None of those systems runs here: what they lack is taken from a Python on Linux.
"""

import subprocess
import sys
from pathlib import Path

import pytest

CLIENT = Path(__file__).parents[2] / "client"

LACKS = """
import atexit, json, mmap, os, select, selectors, shutil, signal, socket, struct, subprocess, sys, tempfile, threading
import uuid
system = {system!r}
gone = {{
    "win32": (
        "fork register_at_fork posix_fallocate uname getsid geteuid getegid getgroups getuid fchmod statvfs"
        " sched_getaffinity O_CLOEXEC O_NOFOLLOW O_DIRECTORY killpg setsid mkfifo"
    ),
    "darwin": "posix_fallocate sched_getaffinity pipe2 preadv pwritev",
}}[system].split()
for name in gone:
    if hasattr(os, name):
        delattr(os, name)
if system == "win32":
    for name in ("fcntl", "resource", "pwd", "grp", "termios"):
        sys.modules[name] = None
    for module in (socket, sys.modules["_socket"]):
        del module.AF_UNIX
del socket.SOCK_CLOEXEC
real = open
def open(path, *arguments, **named):
    if str(path).startswith("/proc"):
        raise FileNotFoundError(path)
    return real(path, *arguments, **named)
__builtins__.open = open
sys.platform = system
sys.path.insert(0, {client!r})
"""

SCRIPT = """
import wayside
with wayside.init(project="p", name="n", config={"lr": 0.1}) as run:
    wayside.log({"loss": 1.0}, step=3)
    run.log({"loss": float("nan"), "text": "t", "nested": {"a": 1}})
    run.config["late"] = 1
    run.summary["best"] = 1
    wayside.alert("careful")
    wayside.define_metric("loss", summary="min")
    assert run.config["lr"] == 0.1 and run.id and run.name == "n"
assert wayside.install_wandb_hook()
import wandb
wandb.init(project="theirs")
assert wandb.run.data == []
wandb.log({"loss": 1.0})
assert wandb.run.data == [{"loss": 1.0}]
print("ran")
"""

FAKE = """
import sys, types
run = None
class Run:
    id = name = project = "r"
    config = {}
    def __init__(self):
        self.data = []
    def log(self, data):
        self._log(data)
    def _log(self, data, step=None, commit=None):
        self.data.append(data)
def init(project=None):
    global run, log
    run = Run()
    log = run.log
    return run
sdk = types.SimpleNamespace(wandb_run=types.SimpleNamespace(Run=Run))
"""


@pytest.mark.parametrize("system", ["darwin", "win32"])
def test_nothing_raises_there(system: str, tmp_path: Path):
    """A script that logs, and one that logs to wandb, run to their end, and hear once that nothing is kept."""
    (tmp_path / "wandb").mkdir()
    (tmp_path / "wandb" / "__init__.py").write_text(FAKE)
    program = LACKS.format(system=system, client=str(CLIENT)) + SCRIPT
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        cwd=tmp_path,
        env={"PATH": "", "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (0, "ran\n"), done.stderr
    assert (
        done.stderr == "wayside: this system is no Linux: nothing that is logged is kept, and the script runs as ever\n"
    )
    assert {path.name for path in tmp_path.iterdir()} == {"wandb"}
