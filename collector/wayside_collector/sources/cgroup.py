"""The container the collector runs in, as its cgroup (version 2) tells it. Pure but for `locate` and `read_files`.

In a sidecar this is the sidecar's own container: the trainer's has a cgroup of its own, which a container does not
see. Where the collector runs beside the trainer in one container, or as a service on a machine, it is theirs together.

The files and their meaning: the kernel's Documentation/admin-guide/cgroup-v2.rst and accounting/psi.rst.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Final, NamedTuple

Metrics = dict[str, float]

METRICS: Final = {
    "container/cpu_usage_seconds_total": "processor time used",
    "container/cpu_user_seconds_total": "of it, in programs",
    "container/cpu_system_seconds_total": "of it, in the kernel",
    "container/cpu_utilization_ratio": "processor time used since the last sample, of what the limit or machine allows",
    "container/cpu_limit_cores": "the least processor limit of the cgroup and those above it that can be seen",
    "container/cpu_periods_total": "periods in which the limit was looked at",
    "container/cpu_throttled_periods_total": "of them, those in which the limit held the container back",
    "container/cpu_throttled_seconds_total": "time for which it did",
    "container/memory_used_bytes": "memory charged to the container, page cache and all",
    "container/memory_working_set_bytes": "the same less file pages not lately used, as the kubelet counts",
    "container/memory_peak_bytes": "the most it ever was",
    "container/memory_limit_bytes": "the least memory limit of the cgroup and those above it that can be seen",
    "container/memory_utilization_ratio": "working set by limit",
    "container/memory_limit_hits_total": "times the limit was reached",
    "container/oom_kills_total": "processes killed for lack of memory",
    "container/swap_used_bytes": "swap in use",
    "container/tasks": "threads and processes",
    "container/tasks_limit": "how many there may be",
    **{
        f"container/{what}_pressure_{who}_{unit}": f"time in which {whom} waited for {what}{how}"
        for what in ("cpu", "memory", "io")
        for who, whom in (("some", "some task"), ("full", "every task"))
        for unit, how in (("ratio", ", of the last 10 seconds"), ("seconds_total", ""))
    },
    "container/disk/<disk>/read_bytes_total": "bytes read",
    "container/disk/<disk>/write_bytes_total": "bytes written",
    "container/disk/<disk>/reads_total": "reads",
    "container/disk/<disk>/writes_total": "writes",
}

FILES: Final = (
    "cpu.stat",
    "memory.current",
    "memory.peak",
    "memory.stat",
    "memory.events",
    "memory.swap.current",
    "pids.current",
    "pids.max",
    "io.stat",
    "cpu.pressure",
    "memory.pressure",
    "io.pressure",
)


class NoCgroup(Exception):
    """There is no container to tell of; the text says why."""


def own_path(text: str) -> str | None:
    """The path of version 2 in the text of /proc/self/cgroup, or None without one."""
    for line in text.splitlines():
        if line.startswith("0::"):
            return line[3:]
    return None


def locate(root: Path, given: str | None, proc: Path) -> list[Path]:
    """The folders of the collector's cgroup and of those above it, the own one first; raises NoCgroup.

    root: where cgroups are mounted. given: a folder below it, or None to ask `proc`/self/cgroup. In a container the
    answer is mostly "/", the root itself.
    """
    if not (root / "cgroup.controllers").is_file():
        raise NoCgroup(f"no cgroup version 2 at {root}: container/* is left out")
    if given is None:
        try:
            given = own_path((proc / "self/cgroup").read_text()) or "/"
        except OSError:
            given = "/"
    path = given.strip("/")
    folder = root / path
    if ".." in folder.parts or not folder.is_dir():  # a cgroup outside of what the container sees
        folder = root
    if not (folder / "memory.current").exists() and not (folder / "cpu.max").exists():
        raise NoCgroup(f"no container around the collector ({folder} has no limits): container/* is left out")
    above = [folder, *folder.parents]
    return above[: above.index(root) + 1]


def read_files(folder: Path, names: Iterable[str]) -> dict[str, str]:
    """The texts of those files that are there and can be read: controllers differ from kernel to kernel."""
    texts: dict[str, str] = {}
    for name in names:
        try:
            texts[name] = (folder / name).read_text()
        except OSError:
            continue
    return texts


class Limits(NamedTuple):
    """What the cgroup may use: processors, bytes of memory; None without a limit."""

    cores: float | None
    memory: float | None


def parse_limits(above: Iterable[dict[str, str]]) -> Limits:
    """The tightest of the limits of a cgroup and those above it, from their cpu.max and memory.max."""
    cores, memory = [], []
    for texts in above:
        quota, _, period = texts.get("cpu.max", "max").partition(" ")
        allowed, each = parse_number(quota), parse_number(period)
        if allowed is not None and each:
            cores.append(allowed / each)
        limit = parse_number(texts.get("memory.max", "max"))
        if limit is not None:
            memory.append(limit)
    return Limits(min(cores, default=None), min(memory, default=None))


def parse_number(text: str) -> float | None:
    """One whole number; None for "max" and anything else."""
    return float(text) if text.strip().isdecimal() else None


def parse_flat(text: str) -> dict[str, float]:
    """Lines of a name and a whole number: cpu.stat, memory.stat, memory.events."""
    found: dict[str, float] = {}
    for line in text.splitlines():
        name, _, number = line.partition(" ")
        value = parse_number(number)
        if value is not None:
            found[name] = value
    return found


def parse_nested(text: str) -> dict[str, dict[str, float]]:
    """Lines of a name and `key=number` pairs: io.stat, *.pressure."""
    found: dict[str, dict[str, float]] = {}
    for line in text.splitlines():
        words = line.split()
        for pair in words[1:]:
            key, _, number = pair.partition("=")
            if number.replace(".", "", 1).isdecimal():
                found.setdefault(words[0], {})[key] = float(number)
    return found


def parse_container(texts: dict[str, str], limits: Limits) -> Metrics:
    """Everything that one look at the files tells; a file that is missing leaves its metrics out."""
    found: Metrics = {}

    def take(name: str, value: float | None, by: float = 1.0) -> None:
        if value is not None:
            found[f"container/{name}"] = value / by

    cpu = parse_flat(texts.get("cpu.stat", ""))
    take("cpu_usage_seconds_total", cpu.get("usage_usec"), 1e6)
    take("cpu_user_seconds_total", cpu.get("user_usec"), 1e6)
    take("cpu_system_seconds_total", cpu.get("system_usec"), 1e6)
    take("cpu_periods_total", cpu.get("nr_periods"))
    take("cpu_throttled_periods_total", cpu.get("nr_throttled"))
    take("cpu_throttled_seconds_total", cpu.get("throttled_usec"), 1e6)
    take("cpu_limit_cores", limits.cores)
    used = parse_number(texts.get("memory.current", ""))
    take("memory_used_bytes", used)
    inactive = parse_flat(texts.get("memory.stat", "")).get("inactive_file")
    if used is not None and inactive is not None:
        working = max(0.0, used - inactive)
        take("memory_working_set_bytes", working)
        take("memory_utilization_ratio", working / limits.memory if limits.memory else None)
    take("memory_peak_bytes", parse_number(texts.get("memory.peak", "")))
    take("memory_limit_bytes", limits.memory)
    events = parse_flat(texts.get("memory.events", ""))
    take("memory_limit_hits_total", events.get("max"))
    take("oom_kills_total", events.get("oom_kill"))
    take("swap_used_bytes", parse_number(texts.get("memory.swap.current", "")))
    take("tasks", parse_number(texts.get("pids.current", "")))
    take("tasks_limit", parse_number(texts.get("pids.max", "")))
    for what in ("cpu", "memory", "io"):
        for who, values in parse_nested(texts.get(f"{what}.pressure", "")).items():
            if who in ("some", "full"):
                take(f"{what}_pressure_{who}_ratio", values.get("avg10"), 100)
                take(f"{what}_pressure_{who}_seconds_total", values.get("total"), 1e6)
    return found


def parse_disks(text: str) -> dict[str, Metrics]:
    """io.stat, by the disk's "major:minor"."""
    names = {"rbytes": "read_bytes_total", "wbytes": "write_bytes_total", "rios": "reads_total", "wios": "writes_total"}
    disks = parse_nested(text)
    return {
        disk: {names[key]: value for key, value in values.items() if key in names}
        for disk, values in disks.items()
        if values.keys() >= names.keys()
    }


def cpu_ratio(usage: tuple[float, float], before: tuple[float, float], cores: float) -> float | None:
    """Processor seconds used by those allowed, between two looks of (seconds used, steady time)."""
    passed = usage[1] - before[1]
    if passed <= 0 or cores <= 0 or usage[0] < before[0]:
        return None
    return (usage[0] - before[0]) / (passed * cores)
