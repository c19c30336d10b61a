"""Numbers on an accelerator: never waited for, in their places and steps, and bounded where they do not come."""

import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import wayside
from client.conftest import Place
from standins.accelerators import Device, JaxArray, Tensor, torch_with
from standins.journal_reading import read_journal
from wayside import late, row, wire

PATIENCE = 15.0  #: seconds; a late number takes milliseconds
NEVER = 1e9


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> Device:
    device = Device()
    monkeypatch.setitem(sys.modules, "torch", torch_with(device))
    return device


@pytest.fixture
def run(place: Place, monkeypatch: pytest.MonkeyPatch) -> wayside.Run:
    """A run without a collector, which holds rows for as long as a test likes."""
    monkeypatch.setenv("WAYSIDE_QUIET", "1")
    monkeypatch.setattr(late, "HOLD", NEVER)
    monkeypatch.setattr(late, "PATIENCE", PATIENCE)  # a busy machine is no device that hangs
    return wayside.init()


def rows(run: wayside.Run) -> list[row.Row]:
    assert run._journal is not None
    return read_journal(Path(run._journal.shelf.folder.path)).rows


def told(run: wayside.Run) -> list[tuple[int | None, dict[str, float]]]:
    return [(one.step, one.metrics) for one in rows(run)]


def until(ask: Callable[[], Any]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not ask():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def until_asked(device: Device) -> None:
    """Until the device was asked twice from now on, to no avail: between the two, what was wrongly found is written."""
    asked = device.asked
    until(lambda: device.asked >= asked + 2)


def test_a_row_waits_for_its_numbers_and_the_rows_behind_it_wait_with_it(run: wayside.Run, device: Device) -> None:
    """Nothing waits for the device; what arrives has the order, the steps and the marks of commit of the calls."""
    run.log({"a": 1.0})
    run.log({"loss": Tensor(device, 0.5), "lr": 0.1}, step=7, commit=True)
    run.log({"a": 2.0})
    run.log({"note": "text"})
    run.log({"a": 3.0}, step=9)
    assert told(run) == [(0, {"a": 1.0})]
    device.run()
    until(lambda: len(rows(run)) == 4)
    assert told(run)[1:] == [(7, {"loss": 0.5, "lr": 0.1}), (8, {"a": 2.0}), (9, {"a": 3.0})]
    assert [one.commit for one in rows(run)] == [True, True, True, False]
    assert list(rows(run)[1].names) == ["loss", "lr"]
    assert device.waits == 0


def test_the_fast_way_is_taken_again_once_nothing_is_held(run: wayside.Run, device: Device) -> None:
    """Rows of plain floats go behind a held row, and straight to the journal after it."""
    run.log({"a": 1.0})
    run.log({"b": Tensor(device, 2.0)})
    assert run._direct is None
    device.run()
    until(lambda: run._direct is not None)
    run.log({"a": 3.0})
    assert told(run) == [(0, {"a": 1.0}), (1, {"b": 2.0}), (2, {"a": 3.0})]


def test_what_the_tensor_held_at_the_call_is_what_arrives(run: wayside.Run, device: Device) -> None:
    """The copy is queued behind the work before the call, and before what changes the tensor after it."""
    total = Tensor(device, 0.0)
    device.queue.append(lambda: setattr(total, "value", 1.0))
    run.log({"total": total})
    device.queue.append(lambda: setattr(total, "value", 2.0))
    run.log({"total": total})
    device.run()
    until(lambda: len(rows(run)) == 2)
    assert told(run) == [(0, {"total": 1.0}), (1, {"total": 2.0})]


def test_an_event_stands_behind_the_last_copy_of_a_row(run: wayside.Run, device: Device) -> None:
    """A row is complete when its last number is there; one event serves them all."""
    run.log({name: Tensor(device, 1.0) for name in "abc"})
    device.run(5)
    until_asked(device)
    assert rows(run) == []
    device.run()
    until(lambda: told(run) == [(0, {"a": 1.0, "b": 1.0, "c": 1.0})])


def test_a_row_that_is_held_for_too_long_is_parted(
    run: wayside.Run, device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is known is written without the mark of commit, and the rest follows as a row of the same step and time."""
    monkeypatch.setattr(late, "HOLD", 0.0)
    run.log({"lr": 0.1, "loss": Tensor(device, 0.5)}, step=3, commit=True)
    until(lambda: told(run) == [(3, {"lr": 0.1})])
    run.log({"lr": 0.2}, step=4)
    until(lambda: told(run)[-1:] == [(4, {"lr": 0.2})])
    device.run()
    until(lambda: len(rows(run)) == 3)
    first, _, rest = rows(run)
    assert (rest.step, rest.metrics, rest.commit, rest.time) == (3, {"loss": 0.5}, True, first.time)
    assert not first.commit


def test_the_end_of_a_run_waits_for_what_is_coming(place: Place, run: wayside.Run, device: Device) -> None:
    """`finish` comes back when the device has done its work, and the row stands before the end."""
    run.log({"loss": Tensor(device, 0.5)})
    waiter = threading.Thread(target=run.finish)
    waiter.start()
    until_asked(device)
    assert waiter.is_alive()
    device.run()
    waiter.join(PATIENCE)
    assert not waiter.is_alive()
    assert device.waits == 0
    (journal,) = place.journals()
    kept = read_journal(journal)
    assert [one.metrics for one in kept.rows] == [{"loss": 0.5}]
    assert kept.events[-1].kind == row.FINISH


def test_what_never_comes_costs_a_bounded_time_and_is_counted(
    run: wayside.Run, device: Device, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A device that hangs: the rows are kept without its numbers, which are counted and told."""
    monkeypatch.setattr(late, "PATIENCE", 0.1)
    run.log({"lr": 0.1, "loss": Tensor(device, 0.5)})
    assert run._late is not None
    run._late.finish()
    assert told(run) == [(0, {"lr": 0.1})]
    assert run.notices.refused == {"not there in time": 1}
    assert "had not been computed" in capsys.readouterr().err


def test_so_many_rows_are_held_and_so_many_are_late(
    run: wayside.Run, device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond that the oldest is parted, and the oldest late numbers are given up, counted."""
    monkeypatch.setattr(late, "MAX_HELD", 3)
    monkeypatch.setattr(late, "MAX_LATE", 2)
    for number in range(8):
        run.log({"lr": 0.1, "loss": Tensor(device, float(number))}, step=number)
    assert told(run) == [(number, {"lr": 0.1}) for number in range(5)]
    device.run()
    until(lambda: len(rows(run)) == 10)
    assert sorted(one.step or 0 for one in rows(run) if "loss" in one.metrics) == [3, 4, 5, 6, 7]
    until(lambda: run.notices.refused == {"not there in time": 3})


def test_a_device_that_is_lost_costs_its_numbers_only(run: wayside.Run, device: Device) -> None:
    """What the framework raises when it is asked, or while it copies, is the reason of a refusal; rows go on."""
    run.log({"lr": 0.1, "loss": Tensor(device, 0.5)})
    device.lost = True
    until(lambda: told(run) == [(0, {"lr": 0.1})])
    run.log({"lr": 0.2, "loss": Tensor(device, 0.5)})
    until(lambda: told(run)[-1:] == [(1, {"lr": 0.2})])
    assert run.notices.refused == {"CUDA error: device-side assert triggered": 2}


def test_a_graph_that_is_captured_is_left_alone(run: wayside.Run, device: Device) -> None:
    """Nothing is queued into it; the metric is refused with the reason, and its neighbour kept."""
    device.capturing = True
    run.log({"lr": 0.1, "loss": Tensor(device, 0.5)})
    assert device.queue == []
    assert told(run) == [(0, {"lr": 0.1})]
    (why,) = run.notices.refused
    assert "is being captured" in why


def test_a_tensor_of_several_elements_is_not_even_copied(run: wayside.Run, device: Device) -> None:
    """It is no number, wherever it lies."""
    run.log({"a": 1.0, "weights": Tensor(device, 0.0, count=1000)})
    assert device.queue == []
    assert run.notices.refused == {"Tensor with 1000 elements is not a single number": 1}


def test_devices_without_streams(run: wayside.Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Apple's, whose events know no stream."""
    device = Device("mps")
    monkeypatch.setitem(sys.modules, "torch", torch_with(device))
    run.log({"loss": Tensor(device, 0.5)})
    device.run()
    until(lambda: told(run) == [(0, {"loss": 0.5})])
    assert device.waits == 0


def test_two_devices_in_one_row(run: wayside.Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each has an event of its own, on its own stream."""
    one, other = Device(index=0), Device(index=1)
    monkeypatch.setitem(sys.modules, "torch", torch_with(one, other))
    run.log({"a": Tensor(one, 1.0), "b": Tensor(other, 2.0)})
    one.run()
    until_asked(other)
    assert rows(run) == []
    other.run()
    until(lambda: told(run) == [(0, {"a": 1.0, "b": 2.0})])


@pytest.mark.parametrize("platform", ["gpu", "tpu", "cpu"])
def test_an_array_of_jax_is_read_when_it_is_ready(run: wayside.Run, device: Device, platform: str) -> None:
    """jax computes later, on the CPU, too: reading one would wait for it."""
    array = JaxArray(device, 0.5, platform)
    run.log({"loss": array})
    assert rows(run) == []
    assert array.copies == 1
    device.run()
    until(lambda: told(run) == [(0, {"loss": 0.5})])
    assert device.waits == 0


def test_an_array_of_jax_that_is_there_is_taken_at_once(run: wayside.Run, device: Device) -> None:
    """On the CPU, where reading it costs nothing; nothing is held for it."""
    array = JaxArray(device, 0.5, "cpu")
    device.run()
    run.log({"loss": array})
    assert told(run) == [(0, {"loss": 0.5})]


def test_several_threads_log_numbers_of_the_device(run: wayside.Run, device: Device) -> None:
    """Every row arrives once, and each thread's in its order."""

    def log(name: str) -> None:
        for number in range(100):
            run.log({name: Tensor(device, float(number))}, step=number)

    threads = [threading.Thread(target=log, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        device.run()
        time.sleep(0.001)
    device.run()
    until(lambda: len(rows(run)) == 400)
    for name in "abcd":
        assert [one.metrics[name] for one in rows(run) if name in one.metrics] == [float(n) for n in range(100)]


def test_where_no_thread_can_be_started_rows_are_kept_without_the_numbers(
    run: wayside.Run, device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is held for ever."""

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    run.log({"lr": 0.1, "loss": Tensor(device, 0.5)})
    assert told(run) == [(0, {"lr": 0.1})]
    monkeypatch.undo()
    run.finish()
    assert run.notices.refused == {"not there in time": 1}


def test_filled_keeps_the_order_of_the_names() -> None:
    """What was found stands in its place, and what was not is left out."""
    frame = late.Frame(("a", "b", "c"), (1.0, 0.0, 0.0), 1.0, 2, wire.COMMIT, b"")
    coming: dict[str, Any] = {"b": None, "c": None}
    assert late.filled(frame, coming, {"c": 3.0}) == frame._replace(names=("a", "c"), values=(1.0, 3.0))
