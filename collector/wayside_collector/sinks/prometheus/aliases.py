"""The same values under the names that others' dashboards and rules look for: NVIDIA's dcgm-exporter (Grafana's
dashboard 12239) and Primus Lens's alert rules. Pure: made anew from a snapshot of the page at each scrape.
"""

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal, NamedTuple

from ..names import escape_help, plain_name
from ..run_info import RUN_INFO
from .page import RUN_LAST_ROW, Shot

Alias = Literal["dcgm", "lens"]

_PAIR = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


class _Of(NamedTuple):
    """What an alias is made of: our family, and what its values are multiplied by."""

    family: str
    factor: float = 1.0
    kind: Literal["gauge", "counter"] = "gauge"


_MIB = 1 / (1 << 20)

DCGM: dict[str, _Of] = {
    "DCGM_FI_DEV_GPU_UTIL": _Of("wayside_gpu_utilization_ratio", 100),
    "DCGM_FI_DEV_MEM_COPY_UTIL": _Of("wayside_gpu_memory_utilization_ratio", 100),
    "DCGM_FI_DEV_ENC_UTIL": _Of("wayside_gpu_encoder_utilization_ratio", 100),
    "DCGM_FI_DEV_DEC_UTIL": _Of("wayside_gpu_decoder_utilization_ratio", 100),
    "DCGM_FI_DEV_FB_USED": _Of("wayside_gpu_memory_used_bytes", _MIB),
    "DCGM_FI_DEV_FB_TOTAL": _Of("wayside_gpu_memory_total_bytes", _MIB),
    "DCGM_FI_DEV_FB_RESERVED": _Of("wayside_gpu_memory_reserved_bytes", _MIB),
    "DCGM_FI_DEV_GPU_TEMP": _Of("wayside_gpu_temperature_celsius"),
    "DCGM_FI_DEV_MEMORY_TEMP": _Of("wayside_gpu_memory_temperature_celsius"),
    "DCGM_FI_DEV_POWER_USAGE": _Of("wayside_gpu_power_watts"),
    "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION": _Of("wayside_gpu_energy_joules_total", 1000, "counter"),
    "DCGM_FI_DEV_SM_CLOCK": _Of("wayside_gpu_sm_clock_hertz", 1e-6),
    "DCGM_FI_DEV_MEM_CLOCK": _Of("wayside_gpu_memory_clock_hertz", 1e-6),
    "DCGM_FI_DEV_XID_ERRORS": _Of("wayside_gpu_xid_last_code"),
    "DCGM_FI_DEV_PCIE_REPLAY_COUNTER": _Of("wayside_gpu_pcie_replays_total", 1, "counter"),
}
_FREE = "DCGM_FI_DEV_FB_FREE"
_INFO = "wayside_gpu_info"

#: Lens's name to the names under which frameworks log it, the first that is there, and what it is multiplied by.
LENS: dict[str, tuple[tuple[str, ...], float]] = {
    "training_loss": (("train/loss", "loss", "lm loss", "lm_loss", "train_loss", "training/loss"), 1.0),
    "training_grad_norm": (("train/grad_norm", "grad_norm", "grad-norm", "training/grad_norm"), 1.0),
    "training_tflops": (("tflops", "train/tflops", "throughput/tflops", "perf/tflops"), 1.0),
    "training_skipped_iterations": (("skipped_iterations", "skipped_iterations_number", "skipped iterations"), 1.0),
    "training_elapsed_time_per_iteration_ms": (
        ("elapsed_time_per_iteration_ms", "iteration-time-ms", "time_per_iteration_ms"),
        1.0,
    ),
    "training_memory_used": (("mem_usages", "mem_usage", "memory/used"), 1.0),
    "training_memory_total": (("mem_total", "memory/total"), 1.0),
    "training_checkpoint_failures": (("checkpoint_failures", "checkpoint/failures"), 1.0),
    "training_checkpoint_duration_seconds": (("checkpoint_save_time_ms",), 0.001),
}
_LAST = "training_last_iteration_timestamp"


def alias_shots(shots: Sequence[Shot], wanted: Iterable[Alias]) -> list[Shot]:
    """Families of aliases, for what of it stands on the page."""
    by_name = {shot.name: shot for shot in shots}
    found: list[Shot] = []
    for alias in wanted:
        found += _dcgm(by_name) if alias == "dcgm" else _lens(by_name)
    return found


def _shot(name: str, series: dict[str, float], said: str, kind: Literal["gauge", "counter"] = "gauge") -> Shot:
    text = f"# HELP {name} {escape_help(said)}\n# TYPE {name} "
    # Whoever named these counters gave them no `_total`, which OpenMetrics wants.
    return Shot((f"{text}{kind}\n", f"{text}{'unknown' if kind == 'counter' else kind}\n"), name, series)


# --- dcgm-exporter ---------------------------------------------------------------------------------------------------


def _dcgm(shots: Mapping[str, Shot]) -> Iterator[Shot]:
    info = {(found["host"], found["gpu"]): found for found in map(_pairs, _series(shots, _INFO)) if "gpu" in found}
    labels: dict[str, str] = {}
    for name, of in DCGM.items():
        series = {
            _dcgm_labels(text, info, labels): value * of.factor for text, value in _series(shots, of.family).items()
        }
        if series:
            yield _shot(name, series, f"{of.family}, as dcgm-exporter has it.", of.kind)
    used = _series(shots, "wayside_gpu_memory_used_bytes")
    reserved = _series(shots, "wayside_gpu_memory_reserved_bytes")
    free = {
        _dcgm_labels(text, info, labels): (total - used[text] - reserved.get(text, 0.0)) * _MIB
        for text, total in _series(shots, "wayside_gpu_memory_total_bytes").items()
        if text in used
    }
    if free:
        yield _shot(_FREE, free, "Memory that is not in use, in MiB, as dcgm-exporter has it.")


def _dcgm_labels(text: str, info: Mapping[tuple[str, str], Mapping[str, str]], made: dict[str, str]) -> str:
    """Its labels for a GPU of ours."""
    if text not in made:
        pairs = _pairs(text)
        gpu, host = pairs.get("gpu", ""), pairs.get("host", "")
        known = info.get((host, gpu), {})
        told = {
            "gpu": gpu,
            "UUID": pairs.get("gpu_uuid", ""),
            "pci_bus_id": known.get("pci_bus_id", ""),
            "device": f"nvidia{gpu}",
            "modelName": known.get("name", ""),
            "Hostname": host,
            "hostname": host,
        }
        made[text] = _text(told)
    return made[text]


# --- Primus Lens -----------------------------------------------------------------------------------------------------


def _lens(shots: Mapping[str, Shot]) -> Iterator[Shot]:
    workloads = {found["run"]: found.get("workload") or found["run"] for found in map(_pairs, _series(shots, RUN_INFO))}
    last = _series(shots, RUN_LAST_ROW)
    order = _by_age(last)
    for name, (originals, factor) in LENS.items():
        for original in originals:
            values = _series(shots, plain_name(original))
            series = {
                _text({"workload_id": workloads.get(run, run)}): values[text] * factor
                for run, text in _primary(values, order)
            }
            if series:
                yield _shot(name, series, f"{original}, as Primus Lens's alert rules have it.")
                break
    times: dict[str, float] = {}
    for text, value in last.items():
        labels = _text({"workload_id": workloads.get(_pairs(text)["run"], _pairs(text)["run"])})
        times[labels] = max(value, times.get(labels, -math.inf))
    if times:
        yield _shot(_LAST, times, "When the workload last logged, Unix time, as Primus Lens's alert rules have it.")


def _by_age(last: Mapping[str, float]) -> dict[str, float]:
    """Run to when it last logged."""
    found: dict[str, float] = {}
    for text, time in last.items():
        run = _pairs(text)["run"]
        found[run] = max(time, found.get(run, -math.inf))
    return found


def _primary(values: Mapping[str, float], order: Mapping[str, float]) -> list[tuple[str, str]]:
    """Of each run its lowest rank's series; the run that logged last stands last: of several of a workload it stays."""
    lowest: dict[str, tuple[int, str]] = {}
    for text in values:
        pairs = _pairs(text)
        if "run" in pairs:
            rank = int(pairs.get("rank", "-1"))
            lowest[pairs["run"]] = min((rank, text), lowest.get(pairs["run"], (rank, text)))
    return [(run, lowest[run][1]) for run in sorted(lowest, key=lambda run: order.get(run, -math.inf))]


# --- labels ----------------------------------------------------------------------------------------------------------


def _series(shots: Mapping[str, Shot], name: str) -> dict[str, float]:
    return shots[name].series if name in shots else {}


def _pairs(text: str) -> dict[str, str]:
    """The labels of a series, values escaped as they stand there."""
    return dict(_PAIR.findall(text))


def _text(pairs: Mapping[str, str]) -> str:
    said = ",".join(f'{name}="{value}"' for name, value in pairs.items() if value)
    return f"{{{said}}} "
