"""How psutil's answers read: pure."""

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wayside_collector.sources.machine import (
    MAX_DEVICES,
    CpuTimes,
    busiest,
    excluded,
    fetch_disks,
    parse_cpus,
    parse_filesystem,
    parse_memory,
    read_cpus,
)


class Times(tuple[float, ...]):
    """psutil's processor times: a tuple of numbers with names."""

    @property
    def idle(self) -> float:
        return self[3]

    @property
    def iowait(self) -> float:
        return self[4]

    @property
    def guest(self) -> float:
        return self[5]


def test_waiting_for_a_disk_is_idle_and_guests_count_once() -> None:
    """The kernel adds guest time to user time as well, and iowait is time in which the processor could have worked."""
    user, nice, system, idle, iowait, guest = 10.0, 1.0, 5.0, 80.0, 4.0, 3.0
    (cpu,) = read_cpus([Times((user, nice, system, idle, iowait, guest))])
    assert cpu == CpuTimes(busy=16.0, total=100.0)


def test_utilisation_is_worked_out_between_two_looks() -> None:
    """Two processors, one all busy and one idle: half of the machine, and all of the busiest one."""
    before = [CpuTimes(10, 100), CpuTimes(20, 100)]
    assert parse_cpus(before, [CpuTimes(15, 105), CpuTimes(20, 105)]) == {
        "host/cpu_cores": 2,
        "host/cpu_utilization_ratio": 0.5,
        "host/cpu_busiest_core_utilization_ratio": 1.0,
    }


@pytest.mark.parametrize("before", [[], [CpuTimes(10, 100)], [CpuTimes(15, 105), CpuTimes(20, 105)]])
def test_the_first_look_and_a_changed_number_of_processors_have_no_utilisation(before: list[CpuTimes]) -> None:
    """Rather no value than one of no time, or of two different machines."""
    assert parse_cpus(before, [CpuTimes(15, 105), CpuTimes(20, 105)]) == {"host/cpu_cores": 2}


@given(st.lists(st.tuples(*[st.floats(0, 1e9)] * 4), min_size=1, max_size=8))
def test_utilisation_is_a_ratio_whatever_the_kernel_counts(times: list[tuple[float, float, float, float]]) -> None:
    """Counters may step back by a tick; a ratio stays between 0 and 1."""
    found = parse_cpus([CpuTimes(a, b) for a, b, _, _ in times], [CpuTimes(c, d) for _, _, c, d in times])
    assert all(0 <= value <= 1 for name, value in found.items() if name.endswith("_ratio"))


def test_memory_in_use_is_what_programs_could_not_have() -> None:
    """Page cache that can be had back is not in use."""
    found = parse_memory(SimpleNamespace(total=1000, available=600, used=123))
    assert found["host/memory_used_bytes"] == 400
    assert found["host/memory_utilization_ratio"] == 0.4


def test_a_file_system_is_counted_as_df_counts() -> None:
    """What is kept for root is neither used nor available."""
    stat = SimpleNamespace(f_frsize=4096, f_blocks=100, f_bfree=40, f_bavail=30, f_files=10, f_ffree=4)
    assert parse_filesystem(stat) == {
        "total_bytes": 409600,
        "used_bytes": 60 * 4096,
        "available_bytes": 30 * 4096,
        "utilization_ratio": 60 / 90,
        "inodes_limit": 10,
        "inodes_used": 6,
    }


def test_a_file_system_without_a_number_of_inodes_tells_none() -> None:
    """btrfs says 0 of 0; an empty one has no utilisation either."""
    stat = SimpleNamespace(f_frsize=4096, f_blocks=0, f_bfree=0, f_bavail=0, f_files=0, f_ffree=0)
    assert parse_filesystem(stat) == {"total_bytes": 0, "used_bytes": 0, "available_bytes": 0}


def test_only_the_busiest_devices_are_told_in_a_steady_order() -> None:
    """A node with a thousand interfaces costs thirty-two, and the number of the others is known."""
    devices = {f"d{i:03}": {"in": float(i % 50), "out": 1.0} for i in range(100)}
    told, left_out = busiest(devices, "in", "out")
    assert len(told) == MAX_DEVICES
    assert left_out == 100 - MAX_DEVICES
    assert list(told) == sorted(told)
    assert min(values["in"] for values in told.values()) == 34


def test_patterns_are_those_of_a_shell() -> None:
    """`*` and `?`, of the whole name, and letters' case counts."""
    assert excluded("veth12", ("lo", "veth*"))
    assert not excluded("eth0", ("lo", "veth*", "eth", "ETH0"))


def test_partitions_are_not_counted_beside_their_disk(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A partition has no folder of its own in /sys/block; a name with a slash has one with an exclamation mark."""
    for name in ("sda", "cciss!c0d0"):
        (tmp_path / "block" / name).mkdir(parents=True)
    counters = dict.fromkeys(("sda", "sda1", "cciss/c0d0", "cciss/c0d0p1"), "counters")
    monkeypatch.setattr("psutil.disk_io_counters", lambda **_: counters)
    assert list(fetch_disks(tmp_path)) == ["sda", "cciss/c0d0"]
    assert list(fetch_disks(tmp_path / "no-sysfs")) == list(counters)
