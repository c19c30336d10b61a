"""A call with a number on a GPU that is left half-way, at any line of it: what a signal handler raises at random
instants is done here at every single line.
"""

import ast
import inspect
import sys
import threading
from typing import Any

import pytest
from client.test_interrupted import At, Interrupt, Run, lines_of
from standins.accelerators import Device, Tensor, torch_with
from standins.journal_reading import read_journal
from wayside import late
from wayside.roots import Root

from client import test_interrupted

LATE = inspect.getfile(late)
LINES = 400  #: more than a call has


@pytest.fixture(autouse=True)
def traced(monkeypatch: pytest.MonkeyPatch) -> None:
    """The lines of the module, too; and no thread of it, whose work the test does."""
    monkeypatch.setitem(test_interrupted.FILES, LATE, lines_of(LATE, ast.With))
    monkeypatch.setitem(test_interrupted.EMPTY, LATE, lines_of(LATE, ast.Try))
    monkeypatch.setattr(late, "HOLD", 1e9)
    monkeypatch.setattr(late.LateRows, "_start", lambda rows: setattr(rows, "_thread", threading.current_thread()))


def left_at(line: int, memory: Any, device: Device) -> tuple[int, bool]:
    """Three calls with numbers of the device and a plain one between them, the second left at this line; how many lines
    it had, and whether it returned.
    """
    folder = memory / str(line)
    folder.mkdir()
    run = Run(Root(str(folder), True))

    def interrupt() -> None:
        raise Interrupt

    at = At({line: interrupt})
    try:
        run.recorder.log({"x": Tensor(device, 1.0)})
        returned = at.run(lambda: run.recorder.log({"x": Tensor(device, 2.0), "note": "text"}))
        run.recorder.log({"x": 3.0})
        run.recorder.log({"x": Tensor(device, 4.0)})
        device.run()
        assert run.recorder._late is not None
        run.recorder._late._look()
        found = [row.metrics["x"] for row in read_journal(run.folder).rows if row.metrics]
        assert found in ([1.0, 2.0, 3.0, 4.0], [1.0, 3.0, 4.0]), f"left at line {line}"
        assert 2.0 in found or not returned, f"left at line {line}"
        run.recorder.log({"x": 5.0})
        assert run.recorder._direct is run.journal
        return at.lines, returned
    finally:
        run.journal.close()
        run._others.shutdown()


@pytest.mark.timeout(120)
def test_left_at_every_line(memory: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every row whose `log()` returned arrives once and in its place; rows go straight to the journal afterwards."""
    device = Device()
    monkeypatch.setitem(sys.modules, "torch", torch_with(device))
    for line in range(1, LINES):
        device.queue.clear()
        lines, returned = left_at(line, memory, device)
        if returned and lines < line:
            break
    else:
        pytest.fail(f"the call has more than {LINES} lines")
    assert line > 30
