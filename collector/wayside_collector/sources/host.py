"""The host sampler: the machine by psutil (`machine`), and the collector's own container by its cgroup (`cgroup`).

One question that cannot be answered hides no other. Utilisation is worked out between two samples, so the first has
none. A file system that does not answer (a dead NFS mount) holds the whole sampler up, so only those named are asked.
"""

import logging
import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec
import psutil

from ..configuration.units import SampleInterval
from . import cgroup, machine
from .base import Sample
from .machine import CpuTimes, Metrics

#: What psutil and the files below /proc and /sys raise when something is not there or not as expected.
UNREADABLE: Final = (OSError, RuntimeError, ValueError, IndexError, KeyError, psutil.Error)

log = logging.getLogger(__name__)

Name = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_.-]+$", description="letters, digits and _ . -")]


class HostOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """interval: seconds between two samples; 5, since the kernel's own averages move no faster. filesystems: name to a
    path on each file system to tell of. exclude_disks, exclude_interfaces: names, `*` and `?` as in a shell; the
    defaults leave out what is made of other devices or is one end of a container's cable. container: "off" leaves the
    cgroup alone. cgroup_root: where cgroups are mounted. cgroup: a folder below it to tell of instead of the
    collector's own, for example the pod's, where it is mounted.
    """

    interval: SampleInterval = 5.0
    filesystems: dict[Name, str] = msgspec.field(default_factory=lambda: {"root": "/"})
    exclude_disks: tuple[str, ...] = ("loop*", "ram*", "zram*", "sr*")
    exclude_interfaces: tuple[str, ...] = (
        "lo",
        "veth*",
        "cali*",
        "docker*",
        "br-*",
        "cni*",
        "flannel*",
        "ifb*",
        "dummy*",
    )
    container: Literal["auto", "off"] = "auto"
    cgroup_root: str = "/sys/fs/cgroup"
    cgroup: str | None = None


class HostSampler:
    """Fulfils `Sampler`. `clock` is a steady clock in seconds, `now` Unix time; `proc` and `sysfs` are for tests."""

    def __init__(
        self,
        options: HostOptions,
        *,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
        proc: Path = Path("/proc"),
        sysfs: Path = Path("/sys"),
    ) -> None:
        self._options = options
        self._clock = clock
        self._now = now
        self._proc = proc
        self._sysfs = sysfs
        self._cpus: list[CpuTimes] = []
        self._usage: tuple[float, float] | None = None
        self._folders: list[Path] = []
        self._left_out: dict[str, int] = {}

    def open(self) -> None:
        self._cpus = []
        self._usage = None
        self._folders = []
        if self._options.container == "off":
            return
        try:
            self._folders = cgroup.locate(Path(self._options.cgroup_root), self._options.cgroup, self._proc)
        except cgroup.NoCgroup as reason:
            log.info("host: container: %s", reason)  # as it is on most machines: nothing is wrong

    def sample(self) -> Sample:
        metrics: Metrics = {}
        problems: list[str] = []
        self._take_machine(metrics, problems)
        self._take_devices(metrics, problems)
        for name, path in self._options.filesystems.items():
            stat = _ask(f"file system {name}", partial(os.statvfs, path), problems)
            if stat is not None:
                _put(metrics, f"filesystem/{name}", machine.parse_filesystem(stat))
        if self._folders:
            self._take_container(metrics)
        about = {f"filesystem/{name}": {"path": path} for name, path in self._options.filesystems.items()}
        return Sample({name: float(value) for name, value in metrics.items()}, about, tuple(problems))

    def close(self) -> None:
        return None

    def _take_machine(self, metrics: Metrics, problems: list[str]) -> None:
        times = _ask("processors", lambda: psutil.cpu_times(percpu=True), problems)
        if times is not None:
            cpus = machine.read_cpus(times)
            metrics.update(machine.parse_cpus(self._cpus, cpus))
            self._cpus = cpus
        for name, fetch, parse in machine.FETCHES:
            answer = _ask(name, fetch, problems)
            if answer is not None:
                metrics.update(parse(answer))
        start = metrics.get("host/boot_timestamp_seconds")
        if start is not None:
            metrics["host/uptime_seconds"] = max(0.0, self._now() - start)

    def _take_devices(self, metrics: Metrics, problems: list[str]) -> None:
        """Disks and interfaces, the busiest of each; what is left out is counted."""
        options = self._options
        disks = _ask("disks", lambda: machine.fetch_disks(self._sysfs), problems)
        interfaces = _ask("interfaces", machine.fetch_interfaces, problems)
        metrics["host/devices_left_out"] = 0.0
        for family, found, patterns, first, second in (
            ("disk", machine.parse_disks(disks or {}), options.exclude_disks, "read_bytes_total", "write_bytes_total"),
            (
                "network",
                machine.parse_interfaces(interfaces or {}),
                options.exclude_interfaces,
                "receive_bytes_total",
                "transmit_bytes_total",
            ),
        ):
            kept = {name: values for name, values in found.items() if not machine.excluded(name, patterns)}
            told, left_out = machine.busiest(kept, first, second)
            for name, values in told.items():
                _put(metrics, f"{family}/{name}", values)
            metrics["host/devices_left_out"] += left_out
            if left_out:
                # The most there ever were, so that coming and going is not told anew each time.
                most = self._left_out[family] = max(left_out, self._left_out.get(family, 0))
                problems.append(f"{family}: the {machine.MAX_DEVICES} busiest are told, {most} left out")

    def _take_container(self, metrics: Metrics) -> None:
        own = cgroup.read_files(self._folders[0], cgroup.FILES)
        limits = cgroup.parse_limits(cgroup.read_files(folder, ("cpu.max", "memory.max")) for folder in self._folders)
        found = cgroup.parse_container(own, limits)
        metrics.update(found)
        used = found.get("container/cpu_usage_seconds_total")
        if used is not None:
            usage, before = (used, self._clock()), self._usage
            cores = limits.cores or float(len(self._cpus))
            ratio = cgroup.cpu_ratio(usage, before, cores) if before else None
            if ratio is not None:
                metrics["container/cpu_utilization_ratio"] = ratio
            self._usage = usage
        disks, left_out = machine.busiest(
            cgroup.parse_disks(own.get("io.stat", "")), "read_bytes_total", "write_bytes_total"
        )
        metrics["host/devices_left_out"] += left_out
        for number, values in disks.items():
            _put(metrics, f"container/disk/{self._disk_name(number)}", values)

    def _disk_name(self, number: str) -> str:
        """The name of a disk from its "major:minor", or that where sysfs does not tell."""
        try:
            return os.path.basename(os.readlink(self._sysfs / "dev/block" / number))
        except OSError:
            return number


def _ask(what: str, fetch: Callable[[], Any], problems: list[str]) -> Any:
    """The answer, or None and a problem said."""
    try:
        return fetch()
    except UNREADABLE as error:
        problems.append(f"host: {what}: {type(error).__name__}: {error}")
        return None


def _put(metrics: Metrics, device: str, values: Metrics) -> None:
    for name, value in values.items():
        metrics[f"{device}/{name}"] = value
