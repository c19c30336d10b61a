"""Ctrl-C in `make run`: no traceback, nothing left running, and the exit code that the example promises."""

import signal
import sys
from pathlib import Path

import psutil
import pytest
from e2e.machine import HERE, Machine, free_port, until

pytestmark = pytest.mark.timeout(120)

EXAMPLE = HERE.parents[1] / "examples" / "main_job.py"


def processes_of(machine: Machine) -> list[psutil.Process]:
    """Whatever runs with this machine's socket in its environment."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("WAYSIDE_SOCKET") == str(machine.socket) and process.status() != "zombie":
                found.append(process)
        except psutil.Error:
            continue
    return found


@pytest.mark.parametrize(
    ("after", "code"), [("training: ", 128 + signal.SIGINT), ("serving until Ctrl-C", 0)], ids=["training", "serving"]
)
def test_ctrl_c_ends_it_cleanly(machine: Machine, after: str, code: int) -> None:
    """While it trains 130, while it serves 0; the collector and all ranks are gone, and nobody sees a traceback."""
    command = [sys.executable, str(EXAMPLE), "--steps", "150" if code == 0 else "100000"]
    process, log = machine.start(command, WAYSIDE_LISTEN=f"127.0.0.1:{free_port()}", PYTHONWARNINGS="")
    until(lambda: after in log.read_text() or process.poll() is not None, f"{after} in:\n{_read(log)}", within=90)
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == code, log.read_text()
    assert "Traceback" not in log.read_text()
    until(lambda: not processes_of(machine), "every process to be gone")


def _read(log: Path) -> str:
    return log.read_text(errors="replace")
