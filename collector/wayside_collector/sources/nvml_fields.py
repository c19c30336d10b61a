"""What is asked of NVML: one table, each field with its call, how the answer reads, and how often it is asked.

Calls go through the `pynvml` module (distribution nvidia-ml-py), handed in, so that importing this needs no driver.
Each field is a call of its own, so that one that is not supported hides no other. When to ask is `nvidia`'s business.

What shaped the table: `PcieThroughput` waits 20 ms for each direction (nvml.h), the byte counters of newer drivers do
not, but others have measured 0.2 to 0.4 ms for each, so they are asked slowly. `MemoryInfo` counts what the driver
reserves as used; its version 2 tells the two apart. `PowerUsage` is an average over a second on Ampere (but not
GA100) and newer.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, NamedTuple

from .gpu import Reading
from .nvml import FUNCTION_NOT_FOUND, SUCCESS

Read = Callable[[Any, Any], Any]  #: (the pynvml module, a GPU's handle) -> the answer; raises NVMLError
Parse = Callable[[Any], Iterable[Reading]]


class Field(NamedTuple):
    """One question to NVML. slow: asked each `slow_interval`, since it seldom changes or costs much."""

    name: str
    read: Read
    parse: Parse
    slow: bool = False


def _call(name: str, *arguments: object, **named: object) -> Read:
    def read(nvml: Any, gpu: Any) -> Any:
        function = getattr(nvml, name, None)
        if function is None:  # the module is older than the function
            raise nvml.NVMLError(FUNCTION_NOT_FOUND)
        return function(gpu, *arguments, **named)

    return read


def _newest(*calls: Read) -> Read:
    """The answer of the first call that this driver knows."""

    def read(nvml: Any, gpu: Any) -> Any:
        for call in calls[:-1]:
            try:
                return call(nvml, gpu)
            except nvml.NVMLError as error:
                if error.value != FUNCTION_NOT_FOUND:
                    raise
        return calls[-1](nvml, gpu)

    return read


_MEMBERS: Final = ("dVal", "uiVal", "ulVal", "ullVal", "sllVal", "siVal", "usVal")  # by nvmlValueType_t


def _numbered(field: int) -> Read:
    """Asks for a field by its number (NVML_FI_DEV_…); its own return code is the answer's."""

    def read(nvml: Any, gpu: Any) -> Any:
        answer = nvml.nvmlDeviceGetFieldValues(gpu, [field])[0]
        if answer.nvmlReturn != SUCCESS:
            raise nvml.NVMLError(answer.nvmlReturn)
        return getattr(answer.value, _MEMBERS[answer.valueType])

    return read


def _one(name: str, times: float = 1.0, by: float = 1.0) -> Parse:
    return lambda raw: (Reading(name, raw, times, by),)


def _each(*names: str) -> Parse:
    return lambda raw: map(Reading, names, raw)


def parse_utilization(raw: Any) -> Iterable[Reading]:
    return Reading("utilization_ratio", raw.gpu, by=100), Reading("memory_utilization_ratio", raw.memory, by=100)


def parse_memory(raw: Any) -> Iterator[Reading]:
    yield Reading("memory_total_bytes", raw.total)
    yield Reading("memory_used_bytes", raw.used)
    reserved = getattr(raw, "reserved", None)  # absent in version 1, where it counts as used
    if reserved is not None:
        yield Reading("memory_reserved_bytes", reserved)


THROTTLES: Final = (
    (0x1, "throttled_idle"),
    (0x2, "throttled_application_clocks"),
    (0x4, "throttled_sw_power_cap"),
    (0x8, "throttled_hw_slowdown"),
    (0x10, "throttled_sync_boost"),
    (0x20, "throttled_sw_thermal"),
    (0x40, "throttled_hw_thermal"),
    (0x80, "throttled_hw_power_brake"),
    (0x100, "throttled_display_clock"),
    (0x200, "throttled_board_limit"),
    (0x400, "throttled_reliability"),
)


def parse_throttles(bits: int) -> Iterator[Reading]:
    """One flag for each reason known; other bits are passed over. All bits set is no answer."""
    blank = bits in (0xFFFFFFFF, 0xFFFFFFFFFFFFFFFF)
    for bit, name in THROTTLES:
        yield Reading(name, bits if blank else bool(bits & bit))


read_processes = _newest(
    _call("nvmlDeviceGetComputeRunningProcesses_v3"), _call("nvmlDeviceGetComputeRunningProcesses_v2")
)
READ_MIG: Final = _call("nvmlDeviceGetMemoryInfo")  #: of a MIG instance's handle; version 2 is not for those


def parse_processes(raw: Iterable[Any]) -> dict[int, int | None]:
    """Bytes of GPU memory by process id, as the driver numbers processes; None where it does not tell.

    A process on two MIG instances of one GPU stands twice in the driver's list.
    """
    found: dict[int, int | None] = {}
    for process in raw:
        before = found.get(process.pid)
        found[process.pid] = before if process.usedGpuMemory is None else process.usedGpuMemory + (before or 0)
    return found


FIELDS: Final = (
    Field("utilization", _call("nvmlDeviceGetUtilizationRates"), parse_utilization),
    Field(
        "memory",
        _newest(_call("nvmlDeviceGetMemoryInfo", version=0x02000028), _call("nvmlDeviceGetMemoryInfo")),
        parse_memory,
    ),
    Field(
        "temperature",
        _newest(_call("nvmlDeviceGetTemperature", 0), _call("nvmlDeviceGetTemperatureV", 0)),
        _one("temperature_celsius"),
    ),
    Field("memory temperature", _numbered(82), _one("memory_temperature_celsius")),
    Field("power", _call("nvmlDeviceGetPowerUsage"), _one("power_watts", by=1000)),
    Field("energy", _call("nvmlDeviceGetTotalEnergyConsumption"), _one("energy_joules_total", by=1000)),
    Field("graphics clock", _call("nvmlDeviceGetClockInfo", 0), _one("graphics_clock_hertz", 1e6)),
    Field("SM clock", _call("nvmlDeviceGetClockInfo", 1), _one("sm_clock_hertz", 1e6)),
    Field("memory clock", _call("nvmlDeviceGetClockInfo", 2), _one("memory_clock_hertz", 1e6)),
    Field(
        "throttle reasons",
        _newest(_call("nvmlDeviceGetCurrentClocksEventReasons"), _call("nvmlDeviceGetCurrentClocksThrottleReasons")),
        parse_throttles,
    ),
    Field("performance state", _call("nvmlDeviceGetPerformanceState"), _one("performance_state"), slow=True),
    Field("power limit", _call("nvmlDeviceGetEnforcedPowerLimit"), _one("power_limit_watts", by=1000), slow=True),
    Field("fan", _call("nvmlDeviceGetFanSpeed"), _one("fan_speed_ratio", by=100), slow=True),
    Field(
        "encoder",
        _call("nvmlDeviceGetEncoderUtilization"),
        lambda raw: (Reading("encoder_utilization_ratio", raw[0], by=100),),
        slow=True,
    ),
    Field(
        "decoder",
        _call("nvmlDeviceGetDecoderUtilization"),
        lambda raw: (Reading("decoder_utilization_ratio", raw[0], by=100),),
        slow=True,
    ),
    Field("ECC corrected", _call("nvmlDeviceGetTotalEccErrors", 0, 0), _one("ecc_corrected_errors_total"), slow=True),
    Field(
        "ECC uncorrected", _call("nvmlDeviceGetTotalEccErrors", 1, 0), _one("ecc_uncorrected_errors_total"), slow=True
    ),
    Field(
        "row remapping",
        _call("nvmlDeviceGetRemappedRows"),
        _each(
            "remapped_rows_corrected_total",
            "remapped_rows_uncorrected_total",
            "row_remap_pending",
            "row_remap_failed",
        ),
        slow=True,
    ),
    Field(
        "retired pages, single-bit",
        _call("nvmlDeviceGetRetiredPages", 0),
        lambda raw: (Reading("retired_pages_single_bit_total", len(raw)),),
        slow=True,
    ),
    Field(
        "retired pages, double-bit",
        _call("nvmlDeviceGetRetiredPages", 1),
        lambda raw: (Reading("retired_pages_double_bit_total", len(raw)),),
        slow=True,
    ),
    Field(
        "retired pages, pending",
        _call("nvmlDeviceGetRetiredPagesPendingStatus"),
        _one("retired_pages_pending"),
        slow=True,
    ),
    Field("PCIe replays", _call("nvmlDeviceGetPcieReplayCounter"), _one("pcie_replays_total"), slow=True),
    Field("PCIe bytes sent", _numbered(197), _one("pcie_transmit_bytes_total"), slow=True),
    Field("PCIe bytes received", _numbered(198), _one("pcie_receive_bytes_total"), slow=True),
    Field("PCIe generation", _call("nvmlDeviceGetCurrPcieLinkGeneration"), _one("pcie_link_generation"), slow=True),
    Field("PCIe width", _call("nvmlDeviceGetCurrPcieLinkWidth"), _one("pcie_link_width"), slow=True),
    Field("recovery action", _numbered(230), _one("recovery_action"), slow=True),
    Field("MIG mode", _call("nvmlDeviceGetMigMode"), lambda raw: (Reading("mig_enabled", raw[0]),), slow=True),
)

#: Asked only with the option `pcie: sampled`: 20 ms of waiting each. NVML gives KB a second.
SAMPLED_PCIE: Final = (
    Field(
        "PCIe sending", _call("nvmlDeviceGetPcieThroughput", 0), _one("pcie_transmit_bytes_per_second", 1000), slow=True
    ),
    Field(
        "PCIe receiving",
        _call("nvmlDeviceGetPcieThroughput", 1),
        _one("pcie_receive_bytes_per_second", 1000),
        slow=True,
    ),
)
