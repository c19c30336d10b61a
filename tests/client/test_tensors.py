"""Which objects have a way to the host without waiting, and what the thread that asks for them may do."""

import ctypes
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from standins.accelerators import Device, Tensor, torch_with
from wayside import tensors
from wayside.values import take


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> Device:
    device = Device()
    monkeypatch.setitem(sys.modules, "torch", torch_with(device))
    return device


def test_what_lies_on_the_host_is_read_at_once(device: Device) -> None:
    """Python's and numpy's numbers, and torch's tensors on the CPU or on no device at all."""
    host = Tensor(device, 0.5).to("cpu", non_blocking=True)
    for value in (0.5, 1, None, "text", np.float32(0.5), np.array(0.5), host, Tensor(Device("meta"), 0.5)):
        assert tensors.begin(value, {}) is None


def test_a_device_that_torch_has_no_events_for(device: Device) -> None:
    """There is no way to it but waiting: refused, with what to do."""
    taken = take({"a": 1.0, "loss": Tensor(Device("xla"), 0.5)})
    assert taken.names == ("a",)
    ((name, why),) = taken.refused
    assert name == "loss"
    assert "`.item()`" in why
    assert device.waits == 0


def test_a_tensor_without_its_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """An object that only looks like torch's, in a process that has not imported torch."""
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    assert tensors.begin(Tensor(Device(), 0.5), {}) is None


def test_a_tensor_that_lies_on_several_ranks(device: Device) -> None:
    """Putting it together is work for all ranks, and would hang the one that logs."""

    class DTensor(Tensor):
        placements = ("partial",)

        def full_tensor(self) -> Any:
            device.waits += 1

    taken = take({"norm": DTensor(device, 0.5)})
    assert "full_tensor()" in taken.refused[0][1]
    assert (device.queue, device.waits) == ([], 0)


def test_a_name_that_comes_twice(device: Device) -> None:
    """The later value counts, whichever of them is at hand."""
    taken = take({"a/b": Tensor(device, 0.5), "a": {"b": 1.0}})
    assert (taken.names, taken.values, taken.coming) == (("a/b",), (1.0,), {})
    taken = take({"a/b": 1.0, "a": {"b": Tensor(device, 0.5)}})
    assert taken.names == ("a/b",)
    assert list(taken.coming) == ["a/b"]


def test_a_thread_stays_out_of_captures_where_the_driver_knows_how(monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that is loaded is asked, for the relaxed mode; what is not there, or knows nothing of it, is none."""
    asked: list[int] = []

    def exchange(mode: Any) -> None:
        asked.append(mode._obj.value)

    def load(name: str, mode: int) -> Any:
        if name == "libcuda.so.1":
            return types.SimpleNamespace(cuThreadExchangeStreamCaptureMode=exchange)
        if name == "libamdhip64.so":
            return types.SimpleNamespace()
        raise OSError(name)

    monkeypatch.setattr(ctypes, "CDLL", load)
    assert tensors.stay_out_of_captures() == ["libcuda.so.1"]
    assert asked == [2]


def test_a_driver_that_is_not_in_the_process_is_not_loaded() -> None:
    """Nothing of a GPU comes into a process by us."""
    before = set(Path("/proc/self/maps").read_text().split())
    assert tensors.stay_out_of_captures() == []
    after = set(Path("/proc/self/maps").read_text().split())
    assert not [path for path in after - before if "cuda" in path or "hip" in path]
