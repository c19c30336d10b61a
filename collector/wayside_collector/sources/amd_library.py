"""What AMD's library tells of a GPU and sysfs does not: energy, throttling, and what an older driver has no file for.

The `amdsmi` module comes with ROCm and must fit its libamd_smi.so, so it is used when it can be imported and started,
and missed by nobody otherwise. Its calls cost milliseconds: `amd` makes them each `slow_interval`.

Throttling is read from the residency counters of MI300 and newer: what grew between two looks held the clocks back.
`throttle_status` is not used: it is always 0 on MI300, and bits of it stand set on idle cards.
"""

import importlib
from collections.abc import Iterator, Mapping
from typing import Any, Final

from .gpu import Reading

RESIDENCIES: Final = {
    "ppt_residency_acc": "throttled_sw_power_cap",
    "prochot_residency_acc": "throttled_prochot",
    "socket_thm_residency_acc": "throttled_hw_thermal",
    "vr_thm_residency_acc": "throttled_vr_thermal",
    "hbm_thm_residency_acc": "throttled_memory_thermal",
}
_UNSUPPORTED: Final = (2, 3)  # AMDSMI_STATUS_NOT_SUPPORTED, _NOT_YET_IMPLEMENTED
_PLAIN: Final = (
    ("temperature_edge", "temperature_celsius"),
    ("temperature_hotspot", "hotspot_temperature_celsius"),
    ("temperature_mem", "memory_temperature_celsius"),
)


class NoLibrary(Exception):
    """amdsmi cannot be used; the text says why."""


class LibraryError(Exception):
    """The library did not answer a question; the text says how it put that. unsupported: nor will it soon."""

    def __init__(self, text: str, *, unsupported: bool) -> None:
        super().__init__(text)
        self.unsupported = unsupported


class AmdLibrary:
    """amdsmi, started. Its questions raise LibraryError."""

    def __init__(self, module: Any) -> None:
        self._module = module

    @classmethod
    def open(cls) -> "AmdLibrary":
        """Raises NoLibrary."""
        try:
            module = importlib.import_module("amdsmi")
        except (ImportError, OSError, AttributeError, KeyError) as error:  # without its library it fails in many ways
            raise NoLibrary(f"amdsmi cannot be imported: {type(error).__name__}: {error}") from error
        library = cls(module)
        try:
            library._ask("amdsmi_init")
        except LibraryError as error:
            raise NoLibrary(f"amdsmi does not start: {error}") from error
        return library

    def find(self, address: str) -> Any:
        """The handle of the GPU with this PCI address."""
        return self._ask("amdsmi_get_processor_handle_from_bdf", address)

    def energy(self, handle: Any) -> list[Reading]:
        """The module counts in units of its own, and tells how many microjoules one is."""
        answer = self._ask("amdsmi_get_energy_count", handle)
        count = answer.get("energy_accumulator", answer.get("power"))  # named "power" before ROCm 6.1
        return [Reading("energy_joules_total", count, _entry(answer, "counter_resolution") * 1e-6)]

    def errors(self, handle: Any) -> list[Reading]:
        """The memory errors of all blocks together."""
        answer = self._ask("amdsmi_get_gpu_total_ecc_count", handle)
        return [
            Reading("ecc_corrected_errors_total", _entry(answer, "correctable_count")),
            Reading("ecc_uncorrected_errors_total", _entry(answer, "uncorrectable_count")),
        ]

    def gpu_metrics(self, handle: Any) -> dict[str, Any]:
        """The driver's table of metrics, name to number, with "N/A" for what this GPU does not have."""
        return dict(self._ask("amdsmi_get_gpu_metrics_info", handle))

    def close(self) -> None:
        self._ask("amdsmi_shut_down")

    def _ask(self, name: str, *arguments: object) -> Any:
        function = getattr(self._module, name, None)
        if function is None:
            raise LibraryError(f"this amdsmi has no {name}", unsupported=True)
        try:
            return function(*arguments)
        except self._module.AmdSmiException as error:
            text = " ".join(str(error).split())  # it spreads its messages over lines
            raise LibraryError(text, unsupported=getattr(error, "err_code", None) in _UNSUPPORTED) from error


def _entry(answer: Mapping[str, Any], name: str) -> Any:
    """The names of entries change from release to release. Raises LibraryError."""
    if name not in answer:
        raise LibraryError(f"this amdsmi's answer has no {name}", unsupported=True)
    return answer[name]


def parse_temperatures(metrics: Mapping[str, Any]) -> Iterator[Reading]:
    """Those the GPU has; "N/A" is how the library says that it has none."""
    for key, name in _PLAIN:
        if isinstance(metrics.get(key), int):
            yield Reading(name, metrics[key])


def residencies(metrics: Mapping[str, Any]) -> dict[str, int]:
    """The throttling counters there are, under the names of our metrics."""
    return {name: metrics[key] for key, name in RESIDENCIES.items() if isinstance(metrics.get(key), int)}


def parse_throttles(before: Mapping[str, int], after: Mapping[str, int]) -> Iterator[Reading]:
    """Whether each counter grew between two looks; nothing at the first, or after the counters began anew."""
    for name, count in after.items():
        if name in before and count >= before[name]:
            yield Reading(name, count > before[name])
