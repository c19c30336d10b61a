"""Hardware samples under the names W&B's own agent gives them, so that its charts find them. Pure.

W&B counts in percent, MB and MHz where the samplers measure ratios, bytes and hertz. What it has no name for keeps its
own, `gpu/0/energy_joules_total` as `wayside.gpu.0.energy_joules_total`. W&B counts disk and network traffic from the
run's start; here it is the counter of the machine, from its start: the curve is the same.
"""

from collections.abc import Mapping

PREFIX = "wayside."
_MEBI = 1 / (1 << 20)
_GIBI = 1 / (1 << 30)

#: gpu/<number>/<metric>: name below gpu.<number>., and the factor.
_GPU: Mapping[str, tuple[str, float]] = {
    "utilization_ratio": ("gpu", 100.0),
    "memory_utilization_ratio": ("memory", 100.0),
    "memory_used_bytes": ("memoryAllocatedBytes", 1.0),
    "temperature_celsius": ("temp", 1.0),
    "power_watts": ("powerWatts", 1.0),
    "power_limit_watts": ("enforcedPowerLimitWatts", 1.0),
    "sm_clock_hertz": ("smClock", 1e-6),
    "graphics_clock_hertz": ("graphicsClock", 1e-6),
    "memory_clock_hertz": ("memoryClock", 1e-6),
    "encoder_utilization_ratio": ("encoderUtilization", 100.0),
    "fan_speed_ratio": ("fanSpeed", 100.0),
    "ecc_corrected_errors_total": ("correctedMemoryErrors", 1.0),
    "ecc_uncorrected_errors_total": ("uncorrectedMemoryErrors", 1.0),
    "pcie_link_generation": ("pcieLinkGen", 1.0),
    "pcie_link_width": ("pcieLinkWidth", 1.0),
}
_WHOLE: Mapping[str, tuple[str, float]] = {
    "host/cpu_utilization_ratio": ("cpu", 100.0),
    "host/memory_utilization_ratio": ("memory_percent", 100.0),
    "host/memory_available_bytes": ("proc.memory.availableMB", _MEBI),
    "filesystem/root/utilization_ratio": ("disk./.usagePercent", 100.0),
    "filesystem/root/used_bytes": ("disk./.usageGB", _GIBI),
}
_DISK: Mapping[str, tuple[str, float]] = {"read_bytes_total": ("in", _MEBI), "write_bytes_total": ("out", _MEBI)}
_NETWORK: Mapping[str, str] = {"transmit_bytes_total": "network.sent", "receive_bytes_total": "network.recv"}


def wandb_sample(metrics: Mapping[str, float], label: str | None = None) -> dict[str, float]:
    """The sample under W&B's names, without its `system.`. label: of the node, where a run has several; W&B draws
    `gpu.0.gpu/l:node-1` into the chart of `gpu.0.gpu`.
    """
    found: dict[str, float] = {}
    for name, value in metrics.items():
        family, _, rest = name.partition("/")
        device, _, metric = rest.rpartition("/")
        if name in _WHOLE:
            known, factor = _WHOLE[name]
            found[known] = value * factor
        elif family == "gpu" and device.isdecimal() and metric in _GPU:
            known, factor = _GPU[metric]
            found[f"gpu.{device}.{known}"] = value * factor
        elif family == "disk" and metric in _DISK:
            known, factor = _DISK[metric]
            found[f"disk.{device}.{known}"] = value * factor
        elif family == "network" and metric in _NETWORK:  # W&B has one number for all interfaces
            found[_NETWORK[metric]] = found.get(_NETWORK[metric], 0.0) + value
        else:
            found[PREFIX + name.replace("/", ".")] = value
    _add_percentages(metrics, found)
    return found if label is None else {f"{name}/l:{label}": value for name, value in found.items()}


def _add_percentages(metrics: Mapping[str, float], found: dict[str, float]) -> None:
    """W&B's memoryAllocated and powerPercent, each of two of our metrics."""
    pairs = (
        ("memory_used_bytes", "memory_total_bytes", "memoryAllocated"),
        ("power_watts", "power_limit_watts", "powerPercent"),
    )
    for name in [name for name in metrics if name.startswith("gpu/")]:
        device, _, metric = name.removeprefix("gpu/").rpartition("/")
        for part, whole, known in pairs:
            total = metrics.get(f"gpu/{device}/{whole}", 0.0)
            if metric == part and device.isdecimal() and total > 0:
                found[f"gpu.{device}.{known}"] = 100.0 * metrics[name] / total
