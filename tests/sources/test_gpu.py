"""What a vendor's number must pass before it becomes a metric, and how GPUs keep their numbers: pure."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wayside_collector.sources.gpu import (
    BOTH,
    METRICS,
    MIG_METRICS,
    PROCESS_METRICS,
    RANGES,
    UNITS,
    Draft,
    Reading,
    judge,
    number_devices,
    say_unsupported,
)

SUFFIXES = {
    "ratio": "_ratio",
    "bytes": ("_bytes", "_bytes_total"),
    "bytes/s": "_bytes_per_second",
    "celsius": "_celsius",
    "watts": "_watts",
    "joules": "_joules_total",
    "hertz": "_hertz",
    "rpm": "_rpm",
}


def test_names_are_unique_and_end_in_their_units() -> None:
    """A name stands once in the table, and says its unit itself, so that no chart needs a legend for it."""
    names = [metric.name for metric in METRICS]
    assert len(names) == len(set(names))
    for metric in (*METRICS, *PROCESS_METRICS, *MIG_METRICS):
        assert metric.unit in RANGES
        assert set(metric.vendors) <= set(BOTH)
        if metric.unit in SUFFIXES:
            assert metric.name.endswith(SUFFIXES[metric.unit]), metric.name


def test_what_of_a_process_or_an_instance_is_told_has_the_unit_of_the_gpus_metric_of_that_name() -> None:
    """`memory_used_bytes` of a process passes the same judge as that of a GPU."""
    for metric in (*PROCESS_METRICS, *MIG_METRICS):
        assert UNITS[metric.name] == metric.unit


@pytest.mark.parametrize(
    "raw",
    [0xFFFFFFFF, 2**64 - 1, 0x7FFFFFF0, 0x7FFFFFFF, 9223372036854775794, 2.0**47, math.nan, 10**400, "N/A", None],
)
@pytest.mark.parametrize(
    "name", ["utilization_ratio", "memory_used_bytes", "temperature_celsius", "pcie_replays_total"]
)
def test_a_sign_for_no_value_is_no_value_of_any_metric(name: str, raw: object) -> None:
    """The blanks of NVML, DCGM and AMD, which peers have shown to people as percent and degrees."""
    value, problem = judge(Reading(name, raw))
    assert value is None
    assert problem is not None
    assert "no value" in problem


@pytest.mark.parametrize(
    ("name", "raw", "kept"),
    [
        ("utilization_ratio", 100, True),
        ("utilization_ratio", 101, False),
        ("utilization_ratio", -1, False),
        ("temperature_celsius", -50, True),
        ("temperature_celsius", -51, False),
        ("temperature_celsius", 300, True),
        ("temperature_celsius", 301, False),
        ("power_watts", 65535, False),
        ("performance_state", 15, True),
        ("performance_state", 32, False),
        ("memory_used_bytes", 192 << 30, True),
        ("lost", 1, True),
        ("lost", 2, False),
    ],
)
def test_a_number_no_such_hardware_can_have_is_left_out(name: str, raw: int, kept: bool) -> None:
    """The ends of each range belong to it."""
    value, problem = judge(Reading(name, raw, by=100 if UNITS[name] == "ratio" else 1))
    assert (value is not None) == kept
    assert (problem is None) == kept


@given(st.sampled_from(sorted(UNITS)), st.one_of(st.integers(), st.floats(), st.text(max_size=5), st.none()))
def test_whatever_a_vendor_gives_only_finite_numbers_in_range_come_out(name: str, raw: object) -> None:
    """No input escapes the judge: it gives a number within its unit's range, or a problem, and raises nothing."""
    value, problem = judge(Reading(name, raw))
    assert (value is None) != (problem is None)
    if value is not None:
        least, most = RANGES[UNITS[name]]
        assert least <= value <= most


def test_a_problem_reads_the_same_however_the_number_changes() -> None:
    """Problems are logged once each: one that held the number would be a new one at each sample."""
    assert judge(Reading("utilization_ratio", 101, by=100))[1] == judge(Reading("utilization_ratio", 250, by=100))[1]


def test_percent_become_exact_ratios() -> None:
    """57 percent are 0.57 and not 0.5700000000000001, as multiplying by 0.01 would make of it."""
    values = [judge(Reading("utilization_ratio", percent, by=100))[0] for percent in range(101)]
    assert [repr(value) for value in values] == [repr(percent / 100) for percent in range(101)]


def test_gpus_that_lack_the_same_share_a_line() -> None:
    """Eight alike GPUs make one line in the log and not eight; one that lacks nothing makes none."""
    lines = say_unsupported({"gpu/0": ["fan"], "gpu/1": ["fan"], "gpu/2": ["fan", "ECC"], "gpu/3": []})
    assert lines == ["gpu/0, gpu/1: not supported here: fan", "gpu/2: not supported here: ECC, fan"]


def test_a_device_keeps_its_number_and_a_new_one_takes_a_free_one() -> None:
    """Numbers are for names, and names must not wander from device to device."""
    first = number_devices({}, [("a", 0), ("b", 1), ("c", 2)])
    assert first == {"a": 0, "b": 1, "c": 2}
    assert number_devices(first, [("a", 0), ("c", 1)]) == first
    assert number_devices(first, [("a", 0), ("c", 1), ("d", 2)]) == {**first, "d": 3}


@given(st.lists(st.lists(st.sampled_from("abcdefgh"), unique=True)))
def test_numbers_are_never_shared_and_never_change(looks: list[list[str]]) -> None:
    """Whatever comes, goes and comes back, in whatever order the driver lists it."""
    numbers: dict[str, int] = {}
    for listed in looks:
        after = number_devices(numbers, [(identity, index) for index, identity in enumerate(listed)])
        assert len(set(after.values())) == len(after)
        assert all(after[identity] == number for identity, number in numbers.items())
        numbers = after


def test_processes_of_equal_memory_are_told_in_a_steady_order() -> None:
    """Which sixteen are told must not flicker between two samples."""
    draft = Draft(0.0)
    draft.add_processes("gpu/0", dict.fromkeys(range(100, 120), 4096), each=True)
    told = sorted(int(name.split("/")[3]) for name in draft.metrics if "/process/" in name)
    assert told == list(range(100, 116))
