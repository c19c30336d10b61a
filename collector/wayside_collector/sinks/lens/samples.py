"""Hardware samples under the names that Primus's own exporter gives them. Pure.

The exporter sends whole percents and MiB where the collector's samplers measure ratios and bytes. What Primus has no
name for is left out.
"""

import math
import re
from collections.abc import Mapping

CPU = "_primus_sys_cpu_percent"
MEMORY = "_primus_sys_memory_percent"
_GPU = re.compile(r"gpu/([0-9]{1,4})/(utilization_ratio|memory_used_bytes)")
_MEBIBYTE = 1 << 20


def primus_sample(metrics: Mapping[str, float]) -> tuple[dict[str, float], int]:
    """The values Primus has a name for, under it, and how many of the metrics have no part in them."""
    known = {name: value for name, value in metrics.items() if math.isfinite(value)}
    values: dict[str, float] = {}
    used: set[str] = set()
    if "host/cpu_utilization_ratio" in known:
        values[CPU] = 100 * known["host/cpu_utilization_ratio"]
        used.add("host/cpu_utilization_ratio")
    memory = _memory(known)
    if memory is not None:
        values[MEMORY], parts = memory
        used |= parts
    for name, value in known.items():
        match = _GPU.fullmatch(name)
        if match is None:
            continue
        used.add(name)
        if match[2] == "utilization_ratio":
            values[f"_primus_gpu_{match[1]}_util"] = 100 * value
        else:
            values[f"_primus_gpu_{match[1]}_mem_used_mb"] = value / _MEBIBYTE
    return values, len(metrics) - len(used)


def _memory(known: Mapping[str, float]) -> tuple[float, set[str]] | None:
    """Percent of the machine's memory that is not available, as psutil tells it, and the metrics it comes from."""
    total = known.get("host/memory_total_bytes", 0)
    if total <= 0:
        return None
    if "host/memory_available_bytes" in known:
        parts = {"host/memory_total_bytes", "host/memory_available_bytes"}
        return 100 * (1 - known["host/memory_available_bytes"] / total), parts
    if "host/memory_used_bytes" in known:
        return 100 * known["host/memory_used_bytes"] / total, {"host/memory_total_bytes", "host/memory_used_bytes"}
    return None
