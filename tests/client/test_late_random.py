"""Numbers on a GPU in random rows, on a device that goes on at random."""

import random
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import pytest
import wayside
from client.conftest import Place
from standins.accelerators import Device, Tensor, torch_with
from standins.journal_reading import read_journal
from wayside import late

ROWS = 800


@pytest.mark.timeout(60)
@pytest.mark.parametrize("seed", range(3))
def test_random_rows_on_a_device_that_goes_on_at_random(
    place: Place, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """Held to their end or parted: nothing is lost, doubled or out of order, and each step is closed once."""
    chance = random.Random(seed)
    device = Device()
    monkeypatch.setitem(sys.modules, "torch", torch_with(device))
    monkeypatch.setenv("WAYSIDE_QUIET", "1")
    monkeypatch.setattr(late, "HOLD", 0.03)
    monkeypatch.setattr(late, "PATIENCE", 30.0)  # a busy machine is no device that hangs
    run = wayside.init()
    ending = threading.Event()

    def go_on() -> None:
        pauses = random.Random(seed)
        while not ending.is_set() or device.queue:
            device.run(pauses.randint(0, len(device.queue)))
            time.sleep(pauses.choice((0.0, 0.001, 0.02, 0.06)))

    thread = threading.Thread(target=go_on)
    thread.start()
    points = Counter[str]()
    for step in range(ROWS):
        row = {"plain": float(step)} if chance.random() < 0.9 else {}
        if chance.random() < 0.3:
            row["device"] = Tensor(device, float(step))  # type: ignore[assignment]
        points.update(row.keys())
        run.log(row, step=step, commit=True)
        if chance.random() < 0.05:
            time.sleep(0.01)
    ending.set()
    thread.join(30)
    assert run._journal is not None
    assert run._late is not None
    run._late.finish()
    rows = read_journal(Path(run._journal.shelf.folder.path)).rows
    assert Counter(name for row in rows for name in row.names) == points
    assert all(value == row.step for row in rows for value in row.values)
    steps = [row.step or 0 for row in rows if "plain" in row.names]
    assert steps == sorted(steps)
    assert Counter(row.step for row in rows if row.commit) == Counter(range(ROWS))
    assert run.notices.refused == {}
    assert device.waits == 0
