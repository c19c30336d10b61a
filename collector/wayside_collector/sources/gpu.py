"""The names of GPU metrics, the same for every vendor, and what a vendor's number must pass before it becomes one.

A metric stands as `gpu/<number>/<name>`, of one process as `gpu/<number>/process/<pid>/<name>`, of one MIG instance as
`gpu/<number>/mig/<number>/<name>`. `docs/sources/nvidia.md` and `amd.md` list each name; a test compares. The vendors'
own modules (`nvidia`, `amd`) fetch; nothing here touches a driver.

Vendors say "no value" by numbers of their own, and peers have shown them to people as 4294967295 % and
9223372036854775794 °C. Here such a number, and one that no such hardware can have, is left out and said as a problem.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple

from .base import Sample

Unit = Literal[
    "ratio", "bytes", "bytes/s", "celsius", "watts", "joules", "hertz", "rpm", "flag", "count", "code", "state"
]

#: The least and the most that is believed of a unit. Ratios end at 1: a fan may be told 105 %, but a reader of a ratio
#: must never see more than 1. Watts, hertz and rpm end well above any board, and below 16-bit blanks (65535 W).
RANGES: Final[dict[Unit, tuple[float, float]]] = {
    "ratio": (0, 1),
    "bytes": (0, 2**53),  # the largest whole number of a float; no counter gets there
    "bytes/s": (0, 1e13),
    "celsius": (-50, 300),
    "watts": (0, 10_000),
    "joules": (0, 2**53),
    "hertz": (0, 2e10),
    "rpm": (0, 50_000),
    "flag": (0, 1),
    "count": (0, 2**53),
    "code": (0, 10_000),
    "state": (0, 15),  # NVML says 32 for "not known"
}

#: Signs for "no value": all bits set (NVML, AMD), and the blanks of DCGM, each with the fifteen kinds that follow it.
BLANK_WORDS: Final = (0xFFFFFFFF, 0xFFFFFFFFFFFFFFFF)
BLANK_SPANS: Final = ((0x7FFFFFF0, 0x7FFFFFFF), (0x7FFFFFFFFFFFFFF0, 0x7FFFFFFFFFFFFFFF), (2**47, 2**47 + 15))

MAX_PROCESSES: Final = 16  #: processes of one GPU told one by one: more are seldom wanted, and each is a series

NVIDIA, AMD = "nvidia", "amd"
BOTH = (NVIDIA, AMD)


class Metric(NamedTuple):
    """A name of a GPU metric, its unit, what it means, and whose GPUs can have it."""

    name: str
    unit: Unit
    meaning: str
    vendors: tuple[str, ...] = BOTH


_NV, _AMD = (NVIDIA,), (AMD,)

METRICS: Final = (
    Metric("utilization_ratio", "ratio", "time in which at least one kernel ran"),
    Metric("memory_utilization_ratio", "ratio", "time in which the memory was read or written; not how full it is"),
    Metric("memory_used_bytes", "bytes", "memory in use"),
    Metric("memory_total_bytes", "bytes", "memory there is"),
    Metric("memory_reserved_bytes", "bytes", "memory the driver keeps for itself", _NV),
    Metric("gtt_used_bytes", "bytes", "host memory in use by the GPU", _AMD),
    Metric("gtt_total_bytes", "bytes", "host memory the GPU may use", _AMD),
    Metric("temperature_celsius", "celsius", "the GPU (AMD: its edge, or the hotspot where there is no edge sensor)"),
    Metric("hotspot_temperature_celsius", "celsius", "the hottest point of the die, the junction", _AMD),
    Metric("memory_temperature_celsius", "celsius", "the memory"),
    Metric("power_watts", "watts", "power drawn by the board"),
    Metric("power_limit_watts", "watts", "the limit in force"),
    Metric("energy_joules_total", "joules", "energy used since the driver was loaded"),
    Metric("sm_clock_hertz", "hertz", "clock of the compute units"),
    Metric("graphics_clock_hertz", "hertz", "clock of the graphics engine", _NV),
    Metric("memory_clock_hertz", "hertz", "clock of the memory"),
    Metric("performance_state", "state", "P-state, 0 the fastest, 15 the slowest", _NV),
    Metric("fan_speed_ratio", "ratio", "fan, as a part of its full speed"),
    Metric("fan_speed_rpm", "rpm", "fan, turns a minute", _AMD),
    Metric("encoder_utilization_ratio", "ratio", "video encoder", _NV),
    Metric("decoder_utilization_ratio", "ratio", "video decoder", _NV),
    Metric("throttled_idle", "flag", "clocks are low since nothing runs", _NV),
    Metric("throttled_application_clocks", "flag", "clocks are held by a setting of the operator's", _NV),
    Metric("throttled_sw_power_cap", "flag", "clocks are held by the power limit; ordinary at full load"),
    Metric("throttled_hw_slowdown", "flag", "the hardware halves its clocks: heat or power", _NV),
    Metric("throttled_sync_boost", "flag", "clocks are held by the slowest GPU of a sync-boost group", _NV),
    Metric("throttled_sw_thermal", "flag", "the driver lowers clocks: too hot", _NV),
    Metric("throttled_hw_thermal", "flag", "the hardware lowers clocks: too hot"),
    Metric("throttled_hw_power_brake", "flag", "the hardware lowers clocks: the power supply says so", _NV),
    Metric("throttled_display_clock", "flag", "clocks are held by the display", _NV),
    Metric("throttled_board_limit", "flag", "clocks are held by a limit of the board", _NV),
    Metric("throttled_reliability", "flag", "clocks are held by the voltage that keeps it reliable", _NV),
    Metric("throttled_prochot", "flag", "clocks are lowered by the processor-hot signal", _AMD),
    Metric("throttled_vr_thermal", "flag", "clocks are lowered: a voltage regulator is too hot", _AMD),
    Metric("throttled_memory_thermal", "flag", "clocks are lowered: the memory is too hot", _AMD),
    Metric("ecc_corrected_errors_total", "count", "memory errors that were put right since the driver was loaded"),
    Metric("ecc_uncorrected_errors_total", "count", "memory errors that were not, since the driver was loaded"),
    Metric("ecc_deferred_errors_total", "count", "memory errors found but not yet used by anyone", _AMD),
    Metric("remapped_rows_corrected_total", "count", "memory rows replaced after corrected errors", _NV),
    Metric("remapped_rows_uncorrected_total", "count", "memory rows replaced after uncorrected errors", _NV),
    Metric("row_remap_pending", "flag", "a row waits to be replaced: the GPU needs a reset", _NV),
    Metric("row_remap_failed", "flag", "a row could not be replaced: the GPU needs replacing", _NV),
    Metric("retired_pages_single_bit_total", "count", "memory pages retired after repeated single-bit errors", _NV),
    Metric("retired_pages_double_bit_total", "count", "memory pages retired after a double-bit error", _NV),
    Metric("retired_pages_pending", "flag", "a page waits to be retired: the GPU needs a reset", _NV),
    Metric("pcie_replays_total", "count", "PCIe packets sent again"),
    Metric("pcie_transmit_bytes_total", "bytes", "bytes sent over PCIe; the driver's counter may wrap", _NV),
    Metric("pcie_receive_bytes_total", "bytes", "bytes received over PCIe; the driver's counter may wrap", _NV),
    Metric("pcie_transmit_bytes_per_second", "bytes/s", "sent over PCIe in 20 ms, when `pcie: sampled`", _NV),
    Metric("pcie_receive_bytes_per_second", "bytes/s", "received over PCIe in 20 ms, when `pcie: sampled`", _NV),
    Metric("pcie_link_generation", "code", "the PCIe link's generation now; an idle link may be slower"),
    Metric("pcie_link_width", "code", "the PCIe link's lanes now"),
    Metric("recovery_action", "code", "what the driver asks for: 0 nothing, 1 GPU reset, 2 reboot, 3 and 4 drain", _NV),
    Metric("mig_enabled", "flag", "the GPU is divided into MIG instances", _NV),
    Metric("xid_errors_total", "count", "XID errors since the collector opened the GPU", _NV),
    Metric("xid_last_code", "code", "the code of the last XID error, once there was one", _NV),
    Metric("lost", "flag", "the GPU does not answer: fallen off the bus, or in need of a reset"),
    Metric("processes", "count", "processes that use the GPU for computing"),
)

PROCESS_METRICS: Final = (Metric("memory_used_bytes", "bytes", "memory the process uses"),)
MIG_METRICS: Final = (
    Metric("memory_used_bytes", "bytes", "memory in use in the MIG instance", _NV),
    Metric("memory_total_bytes", "bytes", "memory of the MIG instance", _NV),
)

UNITS: Final[dict[str, Unit]] = {metric.name: metric.unit for metric in METRICS}


class Reading(NamedTuple):
    """One number as the vendor gave it (text when the vendor spells "N/A"); the metric is `raw * times / by`."""

    name: str
    raw: object
    times: float = 1.0
    by: float = 1.0  # percent by 100 are exact where percent times 0.01 are not


def is_blank(raw: object) -> bool:
    """Whether `raw` is a vendor's sign for "no value" and no number at all."""
    if not isinstance(raw, (int, float)):
        return True
    if raw != raw or abs(raw) > 2**64 or raw in BLANK_WORDS:  # no driver counts in more than 64 bits
        return True
    return any(first <= raw <= last for first, last in BLANK_SPANS)


def judge(reading: Reading) -> tuple[float | None, str | None]:
    """The value a reading stands for, or None and what is wrong with it.

    The text holds no number that changes, so that it is logged once and not at each sample.
    """
    if is_blank(reading.raw):
        return None, f"left out, {reading.raw!r:.40} is the driver's sign for no value"
    value = float(reading.raw) * reading.times / reading.by  # type: ignore[arg-type]
    unit = UNITS[reading.name]
    least, most = RANGES[unit]
    if not least <= value <= most:
        return None, f"left out, not between {least:g} and {most:g} {unit}"
    return value, None


@dataclass(slots=True)
class Draft:
    """A sample while it is being taken. now: steady time. unsupported: device to the fields it said it has not."""

    now: float
    metrics: dict[str, float] = field(default_factory=dict)
    devices: dict[str, dict[str, str]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    unsupported: dict[str, list[str]] = field(default_factory=dict)

    def add(self, device: str, readings: Iterable[Reading]) -> None:
        """Take what holds up, say what does not. `device` is `gpu/0`, `gpu/0/mig/1` or `gpu/0/process/1234`."""
        for reading in readings:
            value, problem = judge(reading)
            if value is not None:
                self.metrics[f"{device}/{reading.name}"] = value
            if problem is not None:
                self.problems.append(f"{device}: {reading.name}: {problem}")

    def add_processes(self, device: str, memory: dict[int, int | None], *, each: bool) -> None:
        """The number of processes and, for each, the memory of the largest of them; None is memory not told."""
        self.metrics[f"{device}/processes"] = float(len(memory))
        if not each:
            return
        told = sorted((-used, pid) for pid, used in memory.items() if used is not None)
        if len(told) > MAX_PROCESSES:
            self.problems.append(f"{device}: more than {MAX_PROCESSES} processes, only the largest are told one by one")
        for used, pid in told[:MAX_PROCESSES]:
            self.add(f"{device}/process/{pid}", [Reading("memory_used_bytes", -used)])

    def sample(self) -> Sample:
        return Sample(self.metrics, self.devices, (*self.problems, *say_unsupported(self.unsupported)))


def say_unsupported(missing: dict[str, list[str]]) -> list[str]:
    """One line for all GPUs that lack the same fields, from GPU to the fields it said it does not have."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for device, names in missing.items():
        if names:
            groups.setdefault(tuple(sorted(names)), []).append(device)
    return [f"{', '.join(devices)}: not supported here: {', '.join(names)}" for names, devices in groups.items()]


def number_devices(known: dict[str, int], found: list[tuple[str, int]]) -> dict[str, int]:
    """The number of each device found, by identity: as before for a known one, else its own index if that is free.

    When a GPU falls off the bus and the driver counts anew, those behind it move up by one; their names must not.
    `found` holds (identity, index).
    """
    numbers = dict(known)
    taken = set(numbers.values())
    for identity, index in found:
        if identity not in numbers:
            number = index
            while number in taken:
                number += 1
            numbers[identity] = number
            taken.add(number)
    return numbers
