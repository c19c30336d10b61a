"""The machine, as psutil tells it: what is fetched, and how it reads. Pure but for the calls in `FETCHES`.

In a container these are the numbers of the whole node, but for the network and the processes, which are the
container's (its namespaces'); the container's own share is `cgroup`'s business.
"""

import os
from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final, NamedTuple

import psutil

MAX_DEVICES: Final = 32  #: disks, and interfaces, that are told one by one: each is five series; the busiest are kept

METRICS: Final = {
    "host/cpu_utilization_ratio": "time the processors were busy since the last sample, waiting for disks left out",
    "host/cpu_busiest_core_utilization_ratio": "the same, of the busiest processor: 1 where one thread is the limit",
    "host/cpu_cores": "logical processors",
    "host/load1": "runnable and uninterruptible tasks, over about a minute",
    "host/load5": "the same over 5 minutes",
    "host/load15": "the same over 15 minutes",
    "host/memory_total_bytes": "memory there is",
    "host/memory_available_bytes": "memory programs could have without swapping, as the kernel estimates it",
    "host/memory_used_bytes": "total less available",
    "host/memory_utilization_ratio": "used by total",
    "host/swap_total_bytes": "swap there is",
    "host/swap_used_bytes": "swap in use",
    "host/swap_in_bytes_total": "bytes read back from swap",
    "host/swap_out_bytes_total": "bytes written to swap",
    "host/processes": "processes that can be seen",
    "host/boot_timestamp_seconds": "Unix time of the start",
    "host/uptime_seconds": "time since the start",
    "host/devices_left_out": "disks and interfaces beyond the limit, not told one by one",
    "disk/<disk>/read_bytes_total": "bytes read",
    "disk/<disk>/write_bytes_total": "bytes written",
    "disk/<disk>/reads_total": "reads done",
    "disk/<disk>/writes_total": "writes done",
    "disk/<disk>/busy_seconds_total": "time in which at least one request was under way",
    "filesystem/<name>/total_bytes": "size",
    "filesystem/<name>/used_bytes": "bytes in use",
    "filesystem/<name>/available_bytes": "bytes an ordinary user may still write",
    "filesystem/<name>/utilization_ratio": "used by used and available",
    "filesystem/<name>/inodes_used": "files and folders there are",
    "filesystem/<name>/inodes_limit": "files and folders there can be",
    "network/<interface>/receive_bytes_total": "bytes received",
    "network/<interface>/transmit_bytes_total": "bytes sent",
    "network/<interface>/receive_errors_total": "packets received with errors",
    "network/<interface>/transmit_errors_total": "packets not sent for errors",
    "network/<interface>/receive_drops_total": "packets received and dropped",
    "network/<interface>/transmit_drops_total": "packets dropped instead of sent",
}

Metrics = dict[str, float]


class CpuTimes(NamedTuple):
    """Seconds of one processor since the start: busy, and all together."""

    busy: float
    total: float


def read_cpus(times: list[Any]) -> list[CpuTimes]:
    """psutil's processor times; guest time is part of user time on Linux, and a wait for a disk is idle time."""
    found = []
    for cpu in times:
        total = sum(cpu) - getattr(cpu, "guest", 0.0) - getattr(cpu, "guest_nice", 0.0)
        found.append(CpuTimes(total - cpu.idle - getattr(cpu, "iowait", 0.0), total))
    return found


def parse_cpus(before: list[CpuTimes], after: list[CpuTimes]) -> Metrics:
    """Utilisation between two looks. Left out when no time has passed, or when processors came or went."""
    found: Metrics = {"host/cpu_cores": float(len(after))}
    if len(before) != len(after):
        return found
    spans = [(now.busy - then.busy, now.total - then.total) for then, now in zip(before, after, strict=True)]
    passed = sum(total for _, total in spans)
    if passed <= 0:
        return found
    found["host/cpu_utilization_ratio"] = _ratio(sum(busy for busy, _ in spans), passed)
    found["host/cpu_busiest_core_utilization_ratio"] = max(_ratio(busy, total) for busy, total in spans if total > 0)
    return found


def _ratio(part: float, whole: float) -> float:
    return min(1.0, max(0.0, part / whole))  # the kernel's iowait may step back by a tick


def parse_load(load: tuple[float, float, float]) -> Metrics:
    return dict(zip(("host/load1", "host/load5", "host/load15"), load, strict=True))


def parse_memory(memory: Any) -> Metrics:
    used = memory.total - memory.available
    found: Metrics = {
        "host/memory_total_bytes": memory.total,
        "host/memory_available_bytes": memory.available,
        "host/memory_used_bytes": used,
    }
    if memory.total > 0:
        found["host/memory_utilization_ratio"] = used / memory.total
    return found


def parse_swap(swap: Any) -> Metrics:
    return {
        "host/swap_total_bytes": swap.total,
        "host/swap_used_bytes": swap.used,
        "host/swap_in_bytes_total": swap.sin,
        "host/swap_out_bytes_total": swap.sout,
    }


def parse_disks(disks: Mapping[str, Any]) -> dict[str, Metrics]:
    return {
        name: {
            "read_bytes_total": disk.read_bytes,
            "write_bytes_total": disk.write_bytes,
            "reads_total": disk.read_count,
            "writes_total": disk.write_count,
            "busy_seconds_total": disk.busy_time / 1000,
        }
        for name, disk in disks.items()
    }


def parse_interfaces(interfaces: Mapping[str, Any]) -> dict[str, Metrics]:
    return {
        name: {
            "receive_bytes_total": interface.bytes_recv,
            "transmit_bytes_total": interface.bytes_sent,
            "receive_errors_total": interface.errin,
            "transmit_errors_total": interface.errout,
            "receive_drops_total": interface.dropin,
            "transmit_drops_total": interface.dropout,
        }
        for name, interface in interfaces.items()
    }


def parse_filesystem(stat: Any) -> Metrics:
    """From `os.statvfs`. What is kept for root is neither used nor available, as in `df`."""
    total, free, available = (blocks * stat.f_frsize for blocks in (stat.f_blocks, stat.f_bfree, stat.f_bavail))
    used = total - free
    found: Metrics = {"total_bytes": total, "used_bytes": used, "available_bytes": available}
    if used + available > 0:
        found["utilization_ratio"] = used / (used + available)
    if stat.f_files > 0:  # some file systems have no fixed number, and say 0
        found["inodes_limit"] = stat.f_files
        found["inodes_used"] = stat.f_files - stat.f_ffree
    return found


def excluded(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def busiest(devices: dict[str, Metrics], first: str, second: str) -> tuple[dict[str, Metrics], int]:
    """The MAX_DEVICES devices with the most bytes (the sum of two metrics) since the start, and how many others."""
    names = sorted(devices, key=lambda name: (-devices[name][first] - devices[name][second], name))
    return {name: devices[name] for name in sorted(names[:MAX_DEVICES])}, max(0, len(names) - MAX_DEVICES)


def fetch_disks(sysfs: Path) -> dict[str, Any]:
    """Whole disks; a partition has no folder in /sys/block, and would count everything twice."""
    counters = psutil.disk_io_counters(perdisk=True, nowrap=False) or {}
    blocks = sysfs / "block"
    if not blocks.is_dir():
        return dict(counters)
    return {name: disk for name, disk in counters.items() if (blocks / name.replace("/", "!")).exists()}


def fetch_interfaces() -> dict[str, Any]:
    return dict(psutil.net_io_counters(pernic=True, nowrap=False) or {})


#: The questions whose answers need nothing else: what it is called, how it is fetched, how it reads.
FETCHES: Final[tuple[tuple[str, Callable[[], Any], Callable[[Any], Metrics]], ...]] = (
    ("load", os.getloadavg, parse_load),
    ("memory", psutil.virtual_memory, parse_memory),
    ("swap", psutil.swap_memory, parse_swap),
    ("processes", psutil.pids, lambda pids: {"host/processes": float(len(pids))}),
    ("boot time", psutil.boot_time, lambda start: {"host/boot_timestamp_seconds": start}),
)
