"""The host sampler: this machine by the real psutil, and a container by a tree of files."""

import asyncio
import contextlib
import logging
import os
import re
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest
from wayside_collector.sources import cgroup, machine
from wayside_collector.sources.base import Sample
from wayside_collector.sources.host import HostOptions, HostSampler
from wayside_collector.sources.sampling import SamplerHealth, run_sampler
from wayside_collector.testing import FakeClock


def container(root: Path) -> Path:
    """A container's cgroup, limited to two processors and 4,000,000 bytes, with one disk."""
    root.mkdir()
    for name, text in {
        "cgroup.controllers": "cpu io memory",
        "cpu.stat": "usage_usec 5000000\nuser_usec 1\nsystem_usec 1\nnr_periods 1\nnr_throttled 0\nthrottled_usec 0",
        "cpu.max": "200000 100000",
        "memory.current": "1000000",
        "memory.peak": "1000000",
        "memory.max": "4000000",
        "memory.stat": "inactive_file 0",
        "memory.events": "max 0\noom_kill 0",
        "memory.swap.current": "0",
        "pids.current": "5",
        "pids.max": "100",
        "io.stat": "254:0 rbytes=1 wbytes=2 rios=3 wios=4",
        "cpu.pressure": "some avg10=0.00 total=0\nfull avg10=0.00 total=0",
        "memory.pressure": "some avg10=0.00 total=0\nfull avg10=0.00 total=0",
        "io.pressure": "some avg10=0.00 total=0\nfull avg10=0.00 total=0",
    }.items():
        (root / name).write_text(f"{text}\n")
    return root


def opened(
    tmp_path: Path, *, clock: FakeClock | None = None, sysfs: Path = Path("/sys"), **options: Any
) -> HostSampler:
    proc = tmp_path / "proc"
    (proc / "self").mkdir(parents=True, exist_ok=True)
    (proc / "self/cgroup").write_text("0::/\n")
    sampler = HostSampler(HostOptions(**options), clock=clock or FakeClock(0.0), proc=proc, sysfs=sysfs)
    sampler.open()
    return sampler


def general(name: str) -> str:
    """A metric's name with its device as the documentation writes it."""
    for pattern, written in (
        (r"^(container/)?disk/[^/]+/", r"\1disk/<disk>/"),
        (r"^filesystem/[^/]+/", "filesystem/<name>/"),
        (r"^network/[^/]+/", "network/<interface>/"),
    ):
        name = re.sub(pattern, written, name)
    return name


def test_this_machine_is_measured(tmp_path: Path) -> None:
    """The real psutil on the real machine: plausible numbers, from the kernel's own files where they compare."""
    sampler = opened(tmp_path, container="off")
    sampler.sample()
    metrics = sampler.sample().metrics
    total = int(re.search(r"MemTotal:\s+(\d+) kB", Path("/proc/meminfo").read_text())[1]) * 1024  # type: ignore[index]
    assert metrics["host/memory_total_bytes"] == total
    assert 0 < metrics["host/memory_used_bytes"] < total
    assert metrics["host/processes"] >= 1
    assert metrics["host/uptime_seconds"] > 0
    assert metrics["filesystem/root/total_bytes"] == os.statvfs("/").f_blocks * os.statvfs("/").f_frsize
    assert metrics["host/cpu_cores"] >= 1


def test_every_name_is_in_the_tables_and_every_name_of_the_containers_table_is_given(tmp_path: Path) -> None:
    """What the sampler emits is what the documentation promises; what the machine lacks it may leave out."""
    clock = FakeClock(0.0)
    root = container(tmp_path / "cgroup")
    sampler = opened(tmp_path, clock=clock, cgroup_root=str(root))
    sampler.sample()
    clock.forward(5)
    given = {general(name) for name in sampler.sample().metrics}
    assert given <= machine.METRICS.keys() | cgroup.METRICS.keys()
    assert {name for name in given if name.startswith("container/")} == cgroup.METRICS.keys()


def test_a_containers_processor_time_is_told_by_its_limit(tmp_path: Path) -> None:
    """Five seconds of two processors' ten are half; the first look has nothing to compare with."""
    clock, root = FakeClock(0.0), container(tmp_path / "cgroup")
    sampler = opened(tmp_path, clock=clock, cgroup_root=str(root))
    assert "container/cpu_utilization_ratio" not in sampler.sample().metrics
    (root / "cpu.stat").write_text("usage_usec 10000000\n")
    clock.forward(5)
    metrics = sampler.sample().metrics
    assert metrics["container/cpu_utilization_ratio"] == 0.5
    assert metrics["container/cpu_limit_cores"] == 2
    assert metrics["container/memory_utilization_ratio"] == 0.25


def test_a_containers_disk_has_the_machines_name_for_it(tmp_path: Path) -> None:
    """io.stat knows disks by number; sysfs tells the name, and where it does not, the number serves."""
    root, sysfs = container(tmp_path / "cgroup"), tmp_path / "sys"
    assert (
        opened(tmp_path, cgroup_root=str(root), sysfs=sysfs).sample().metrics["container/disk/254:0/reads_total"] == 3
    )
    (sysfs / "dev/block").mkdir(parents=True)
    (sysfs / "dev/block/254:0").symlink_to("../../devices/pci0/block/vda")
    assert opened(tmp_path, cgroup_root=str(root), sysfs=sysfs).sample().metrics["container/disk/vda/reads_total"] == 3


def test_no_container_is_said_once_and_is_no_error(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A machine with version 1 of cgroups still tells everything else, and nobody is warned."""
    caplog.set_level(logging.INFO)
    sampler = opened(tmp_path, cgroup_root=str(tmp_path / "none"))
    first, second = sampler.sample(), sampler.sample()
    told = [(record.levelname, record.getMessage()) for record in caplog.records]
    assert [(level, text[:38]) for level, text in told] == [("INFO", "host: container: no cgroup version 2 a")]
    assert not any(problem.startswith("container") for problem in (*first.problems, *second.problems))
    assert "host/memory_total_bytes" in first.metrics
    assert not any(name.startswith("container/") for name in first.metrics)


@pytest.mark.parametrize("error", [OSError("no"), RuntimeError("odd"), ValueError("bad"), NotImplementedError()])
def test_a_question_that_cannot_be_answered_hides_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """A restricted /proc costs its own metrics and one line."""

    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("psutil.disk_io_counters", fail)
    sample = opened(tmp_path, container="off").sample()
    assert any(problem.startswith("host: disks: ") for problem in sample.problems)
    assert "host/load1" in sample.metrics
    assert not any(name.startswith("disk/") for name in sample.metrics)


def test_file_systems_are_those_named(tmp_path: Path) -> None:
    """Under the names given; one that is not there is said, and hides no other."""
    sample = opened(tmp_path, container="off", filesystems={"data": str(tmp_path), "gone": "/nowhere/at/all"}).sample()
    assert sample.metrics["filesystem/data/total_bytes"] > 0
    assert not any(name.startswith(("filesystem/root", "filesystem/gone")) for name in sample.metrics)
    assert any(problem.startswith("host: file system gone: FileNotFoundError") for problem in sample.problems)
    assert sample.devices["filesystem/data"] == {"path": str(tmp_path)}


def test_too_many_interfaces_are_counted_and_said_in_a_text_that_does_not_flicker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A node with hundreds costs thirty-two; when some come and go the text stays, so that it is logged once."""

    def sample(number: int) -> Sample:
        counters = {
            f"eth{i}": msgspec.defstruct(
                "Counters",
                [(name, int, i) for name in ("bytes_recv", "bytes_sent", "errin", "errout", "dropin", "dropout")],
            )()
            for i in range(number)
        }
        monkeypatch.setattr("psutil.net_io_counters", lambda **_: {**counters, "lo": counters["eth0"]})
        return sampler.sample()

    sampler = opened(tmp_path, container="off")
    many, fewer = sample(40), sample(35)
    assert sum(name.endswith("/receive_bytes_total") for name in many.metrics) == 32
    assert many.metrics["host/devices_left_out"] == 8
    assert fewer.metrics["host/devices_left_out"] == 3
    assert "network: the 32 busiest are told, 8 left out" in many.problems
    assert set(many.problems) == set(fewer.problems)


@pytest.mark.asyncio
async def test_the_runner_drives_it() -> None:
    """The real sampler on the real clock in its own thread: rows arrive, with the time they were taken at."""
    arrived: asyncio.Queue[tuple[Sample, float]] = asyncio.Queue()
    health = SamplerHealth()
    before = time.time()
    task = asyncio.create_task(
        run_sampler("host", HostSampler(HostOptions()), 0.1, lambda *sample: arrived.put_nowait(sample), health)
    )
    await arrived.get()
    sample, at = await asyncio.wait_for(arrived.get(), 10)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    assert before <= at <= time.time()
    assert 0 <= sample.metrics["host/cpu_utilization_ratio"] <= 1
    assert (health.success, health.failures) == (True, 0)


def test_names_of_file_systems_must_fit_into_a_metrics_name() -> None:
    """A slash would make another device of it."""
    with pytest.raises(msgspec.ValidationError, match="filesystems"):
        msgspec.convert({"filesystems": {"a/b": "/"}}, HostOptions)


def test_closing_is_safe_without_opening_and_twice(tmp_path: Path) -> None:
    """It holds nothing."""
    sampler = HostSampler(HostOptions())
    sampler.close()
    sampler.close()
