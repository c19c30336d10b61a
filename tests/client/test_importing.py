"""A fork never meets an import of the client's own threads half-way."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from client.conftest import Place
from client.test_older_pythons import CLIENT, VERSIONS, python
from wayside.importing import importing

SLOW = """
import os, time
os.write({write}, b"x")
time.sleep(0.3)  # as an import from a slow disk takes
"""


def test_a_fork_waits_for_an_import(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A child can import what a thread of ours was importing when it was made."""
    read, write = os.pipe()
    (tmp_path / "slow_to_import.py").write_text(SLOW.format(write=write))
    monkeypatch.syspath_prepend(tmp_path)

    def import_it() -> None:
        with importing():
            import slow_to_import  # type: ignore[import-not-found]  # noqa: F401

    thread = threading.Thread(target=import_it)
    thread.start()
    assert os.read(read, 1) == b"x"
    child = os.fork()
    if child == 0:
        import_it()
        os._exit(7)
    thread.join()
    for descriptor in (read, write):
        os.close(descriptor)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


def test_a_fork_waits_no_longer_than_its_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """An import that waits for the forking thread itself does not hang it, and the child can import."""
    monkeypatch.setattr("wayside.importing.PATIENCE", 0.05)
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with importing():
            held.set()
            done.wait(15)

    thread = threading.Thread(target=hold)
    thread.start()
    assert held.wait(15)
    child = os.fork()
    if child == 0:
        with importing():
            os._exit(7)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    done.set()
    thread.join()
    with importing():
        pass


PROGRAM = """
import sys, threading
import wayside
from wayside import importing

seen = []
def hear(event, values):
    if event == "import" and threading.current_thread().name.startswith("wayside"):
        if not importing._lock._is_owned():
            seen.append((threading.current_thread().name, values[0]))
sys.addaudithook(hear)
with wayside.init() as run:
    wayside.log({"loss": 1.0})
    run._link._about.join()
    while run._link.handover._next_attempt == 0.0:
        pass
print(seen)
"""


@pytest.mark.parametrize("version", VERSIONS)
def test_threads_of_ours_import_with_the_lock_held(place: Place, tmp_path: Path, version: str) -> None:
    """Whatever is imported by the link, and by the thread that gathers what the run is, in a repository, too."""
    for command in ("init -q", "-c user.name=a -c user.email=a@b commit -q --allow-empty -m x"):
        subprocess.run(["git", *command.split()], cwd=tmp_path, check=True, capture_output=True)
    environ = {**place.environ, "PYTHONPATH": str(CLIENT), "WAYSIDE_QUIET": "1", "WAYSIDE_DISABLE_GIT": ""}
    done = subprocess.run([python(version), "-c", PROGRAM], env=environ, cwd=tmp_path, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_the_program_above_sees_imports(place: Place, tmp_path: Path) -> None:
    """It would see one without the lock."""
    program = PROGRAM.replace("if not importing._lock._is_owned():", "if True:")
    environ = {**place.environ, "PYTHONPATH": str(CLIENT), "WAYSIDE_QUIET": "1"}
    done = subprocess.run([sys.executable, "-c", program], env=environ, cwd=tmp_path, capture_output=True, text=True)
    assert "importlib.metadata" in done.stdout
    assert "'socket'" in done.stdout
