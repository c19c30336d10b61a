"""Hardware samples under the names that Primus's own exporter gives them. Pure.

The exporter sends whole percents and MiB where the collector's samplers measure ratios and bytes. What Primus has no
name for is left out.
"""

import math
import re
from collections.abc import Mapping

_HOST = {
    "host/cpu_utilization_ratio": "_primus_sys_cpu_percent",
    "host/memory_utilization_ratio": "_primus_sys_memory_percent",
}
_GPU = re.compile(r"gpu/(0|[1-9][0-9]{0,3})/(utilization_ratio|memory_used_bytes)")
_MEBIBYTE = 1 << 20


def primus_sample(metrics: Mapping[str, float]) -> tuple[dict[str, float], int]:
    """The values Primus has a name for, under it, and how many are left out."""
    values: dict[str, float] = {}
    for name, value in metrics.items():
        gpu = _GPU.fullmatch(name)
        if not math.isfinite(value):
            continue
        if name in _HOST:
            values[_HOST[name]] = 100 * value
        elif gpu is not None and gpu[2] == "utilization_ratio":
            values[f"_primus_gpu_{gpu[1]}_util"] = 100 * value
        elif gpu is not None:
            values[f"_primus_gpu_{gpu[1]}_mem_used_mb"] = value / _MEBIBYTE
    return values, len(metrics) - len(values)
