"""What NVML's codes ask for, and how its answers read: pure, without a library."""

from types import SimpleNamespace

import pytest
from wayside_collector.sources.nvml import say_xid, verdict, why_unavailable
from wayside_collector.sources.nvml_devices import wanted
from wayside_collector.sources.nvml_fields import FIELDS, SAMPLED_PCIE, THROTTLES, parse_processes, parse_throttles


@pytest.mark.parametrize(
    ("code", "asks"),
    [
        (3, "unsupported"),
        (13, "unsupported"),
        (26, "unsupported"),
        (15, "lost"),
        (16, "lost"),
        (18, "gone"),
        (1, "gone"),
    ],
)
def test_each_kind_of_error_asks_for_its_own_answer(code: int, asks: str) -> None:
    """A missing field, a lost GPU and a gone driver are three things, and each is treated as itself."""
    assert verdict(code) == asks


@pytest.mark.parametrize("code", [10, 17, 27, 999, 12345])
def test_an_error_not_known_passes(code: int) -> None:
    """A code that a later driver invents costs one value of one sample, and never the sampler."""
    assert verdict(code) == "passing"


def test_each_throttle_bit_is_a_flag_of_its_own() -> None:
    """Every known bit sets its own flag and no other; unknown bits set none."""
    for bit, name in THROTTLES:
        assert [reading.name for reading in parse_throttles(bit) if reading.raw] == [name]
    assert not any(reading.raw for reading in parse_throttles(1 << 40))
    assert len(list(parse_throttles(0))) == len(THROTTLES)


def test_processes_without_memory_stay_processes() -> None:
    """None is "not told": it neither becomes zero nor hides what another entry of the same process tells."""
    listed = [(1, 100), (2, None), (1, None), (3, None), (3, 7)]
    raw = [SimpleNamespace(pid=pid, usedGpuMemory=used) for pid, used in listed]
    assert parse_processes(raw) == {1: 100, 2: None, 3: 7}


def test_no_two_fields_share_a_name() -> None:
    """What is not supported is remembered by the field's name."""
    names = [field.name for field in (*FIELDS, *SAMPLED_PCIE)]
    assert len(names) == len(set(names))


def test_codes_are_explained_and_unknown_ones_told_as_they_are() -> None:
    """A person gets words where there are words, and never an exception instead."""
    assert say_xid(79) == "XID 79: the GPU has fallen off the bus"
    assert say_xid(4711) == "XID 4711"
    assert why_unavailable(4711, "Odd") == "NVML does not start: Odd (code 4711)"
    assert "nvidiactl" in why_unavailable(4, "Insufficient Permissions")


def test_a_device_is_wanted_by_index_or_by_how_its_uuid_begins() -> None:
    """No list wants all; an empty UUID, of a GPU that cannot be asked for it, is only found by its index."""
    assert wanted((), 3, "GPU-ab")
    assert wanted((3,), 3, "")
    assert not wanted((2, "GPU-cd"), 3, "GPU-ab")
    assert wanted(("gpu-AB",), 3, "GPU-abcd")
    assert not wanted(("GPU-ab",), 3, "")
