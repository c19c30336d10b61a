"""A process that ends or forks while numbers are coming: what is in its journals afterwards."""

import subprocess
import sys
from pathlib import Path

from client.conftest import Place
from standins.journal_reading import read_journal

ROOT = Path(__file__).parents[2]

SCRIPT = f"""
import os, sys, threading
sys.path[:0] = [{str(ROOT / "client")!r}, {str(ROOT / "tests")!r}]
from standins.accelerators import Device, Tensor, torch_with
device = Device()
sys.modules["torch"] = torch_with(device)
import wayside, wayside.late
wayside.late.HOLD = wayside.late.PATIENCE = 30.0  # a busy machine is no device that hangs
run = wayside.init(id="r1")
run.log({{"loss": Tensor(device, 0.5), "lr": 0.1}}, step=1)
child = os.fork()
if child == 0:
    run.log({{"child": 1.0}}, step=1)
    wayside.finish()
    os._exit(0)
os.waitpid(child, 0)
run.log({{"lr": 0.2}}, step=2)
threading.Timer(0.2, device.run).start()
raise ValueError("the end")
"""


def test_a_fork_and_an_exception_while_numbers_are_coming(place: Place) -> None:
    """The child has its own rows and none of the parent's; the parent waits for its numbers at its end, and its order
    and exit code are right.
    """
    environ = {**place.environ, "WAYSIDE_QUIET": "1"}
    done = subprocess.run([sys.executable, "-c", SCRIPT], env=environ, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "the end" in done.stderr
    journals = [read_journal(path) for path in place.journals()]
    rows = [[(row.step, row.metrics) for row in journal.rows] for journal in journals]
    assert sorted(rows, key=len) == [[(1, {"child": 1.0})], [(1, {"loss": 0.5, "lr": 0.1}), (2, {"lr": 0.2})]]
    codes = [event.data["exit_code"] for journal in journals for event in journal.events if event.kind == "finish"]
    assert sorted(codes) == [0, 1]
