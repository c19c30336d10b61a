"""From a sampled metric's name to a family and its labels."""

import pytest
from wayside_collector.sinks.sampled import described, parse_device, parse_sampled


@pytest.mark.parametrize(
    ("name", "plain", "kind", "labels"),
    [
        ("host/memory_used_bytes", "wayside_host_memory_used_bytes", "gauge", ()),
        ("container/cpu_usage_seconds_total", "wayside_container_cpu_usage_seconds_total", "counter", ()),
        ("disk/vda/read_bytes_total", "wayside_disk_read_bytes_total", "counter", (("device", "vda"),)),
        ("network/eth0/receive_bytes_total", "wayside_network_receive_bytes_total", "counter", (("device", "eth0"),)),
        ("filesystem///used_bytes", "wayside_filesystem_used_bytes", "gauge", (("mountpoint", "/"),)),
        ("filesystem//data/x/used_bytes", "wayside_filesystem_used_bytes", "gauge", (("mountpoint", "/data/x"),)),
        ("gpu/0/utilization_ratio", "wayside_gpu_utilization_ratio", "gauge", (("gpu", "0"),)),
        (
            "gpu/0/process/1234/memory_used_bytes",
            "wayside_gpu_process_memory_used_bytes",
            "gauge",
            (("gpu", "0"), ("pid", "1234")),
        ),
        ("gpu/1/mig/2/memory_used_bytes", "wayside_gpu_mig_memory_used_bytes", "gauge", (("gpu", "1"), ("mig", "2"))),
        ("gpu/1/host/2/x", "wayside_gpu_x", "gauge", (("gpu", "1/host/2"),)),
        ("gpu/1/3d/2/x", "wayside_gpu_x", "gauge", (("gpu", "1/3d/2"),)),
        ("uptime_seconds", "wayside_uptime_seconds", "gauge", ()),
    ],
)
def test_the_device_becomes_labels(name: str, plain: str, kind: str, labels: tuple[tuple[str, str], ...]) -> None:
    """One family for all devices; a part of a GPU has a family of its own, so that sums count nothing twice."""
    found = parse_sampled(name)
    assert (found.plain, found.kind, found.labels) == (plain, kind, labels)


def test_a_gpu_bears_its_uuid_also_on_its_parts() -> None:
    """A process' memory joins its GPU by uuid, since numbers change when a GPU falls off the bus."""
    devices = {"gpu/0": {"uuid": "GPU-1"}}
    assert described((("gpu", "0"), ("pid", "9")), devices, "gpu/0/process/9") == (
        ("gpu", "0"),
        ("gpu_uuid", "GPU-1"),
        ("pid", "9"),
    )
    assert described((("device", "vda"),), {"disk/vda": {"uuid": "x"}}, "disk/vda") == (("device", "vda"),)
    assert described((), devices, None) == ()


def test_a_file_system_bears_where_it_is() -> None:
    """The sampler names a file system as the user does; its description tells the path, and that is the mountpoint."""
    labels = parse_sampled("filesystem/root/used_bytes").labels
    assert described(labels, {"filesystem/root": {"path": "/"}}, "filesystem/root") == (("mountpoint", "/"),)
    assert described(labels, {}, "filesystem/root") == (("mountpoint", "root"),)


def test_a_part_is_described_under_its_own_name() -> None:
    """`wayside_gpu_info` holds whole GPUs only: a join on (host, gpu) must find one."""
    assert parse_device("gpu/0").group == "gpu"
    assert parse_device("gpu/0/mig/1") == ("gpu_mig", (("gpu", "0"), ("mig", "1")), "gpu/0")
