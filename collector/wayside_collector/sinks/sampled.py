"""From a sampled metric's name to a family and its labels: pure functions of text.

A sampler names `family/metric` or `family/device/metric`, the device being everything between the first slash and the
last (`sources/base.py`). The device becomes labels, so that one dashboard fits every machine:

    host/memory_used_bytes                   wayside_host_memory_used_bytes{host}
    disk/vda/read_bytes_total                wayside_disk_read_bytes_total{host, device}
    filesystem/root/used_bytes               wayside_filesystem_used_bytes{host, mountpoint}
    gpu/0/utilization_ratio                  wayside_gpu_utilization_ratio{host, gpu, gpu_uuid}
    gpu/0/process/1234/memory_used_bytes     wayside_gpu_process_memory_used_bytes{host, gpu, gpu_uuid, pid}
    gpu/0/mig/1/memory_used_bytes            wayside_gpu_mig_memory_used_bytes{host, gpu, gpu_uuid, mig}

What belongs to a part of a GPU has a name of its own, so that a sum over `wayside_gpu_memory_used_bytes` counts
nothing twice.
"""

import re
from collections.abc import Mapping
from typing import NamedTuple

from .names import Kind, plain_name

Pairs = tuple[tuple[str, str], ...]

KEPT_FIELDS = ("uuid", "name", "vendor", "driver", "pci_bus_id", "path")  #: what is kept of a device's description
INFO_FIELDS = ("uuid", "name", "vendor", "driver", "pci_bus_id")  #: of those, in `…_info`
_DEVICE_LABELS = {"gpu": "gpu", "filesystem": "mountpoint"}
_PART_LABELS = {"process": "pid"}
_PART = re.compile("[a-z][a-z0-9_]*")  # it becomes the name of a label


class Sampled(NamedTuple):
    """plain: the exposed name. labels: of the device, without the host. device: `gpu/0/process/1234`, or None."""

    plain: str
    kind: Kind
    help: str
    labels: Pairs
    device: str | None


class Device(NamedTuple):
    """group: what its metrics' names begin with, `gpu` or `gpu_mig`. whole: the device it is a part of, or itself."""

    group: str
    labels: Pairs
    whole: str


def parse_device(device: str) -> Device:
    """`gpu/0`, `gpu/0/mig/1`, `disk/vda`."""
    family, _, rest = device.partition("/")
    label = _DEVICE_LABELS.get(family, "device")
    if family != "gpu":
        return Device(family, ((label, rest),), device)
    index, *parts = rest.split("/")
    part = parts[0] if len(parts) == 2 else ""
    if not _PART.fullmatch(part) or part in ("host", "gpu", "gpu_uuid"):  # a whole GPU, or a shape we do not know
        return Device(family, ((label, rest),), device)
    return Device(f"gpu_{part}", ((label, index), (_PART_LABELS.get(part, part), parts[1])), f"gpu/{index}")


def parse_sampled(name: str) -> Sampled:
    """What stands behind a sampled metric's name."""
    device, _, metric = name.rpartition("/")
    kind: Kind = "counter" if metric.endswith("_total") else "gauge"
    if "/" not in device:
        return Sampled(plain_name(name), kind, f"Sampled by the collector: {name}.", (), None)
    found = parse_device(device)
    plain = plain_name(f"{found.group}/{metric}")
    return Sampled(plain, kind, f"Sampled by the collector: {found.group}/…/{metric}.", found.labels, device)


def described(labels: Pairs, devices: Mapping[str, Mapping[str, str]], device: str | None) -> Pairs:
    """The labels of a device's metrics with what descriptions have told: a GPU's uuid, where a file system is."""
    if device is None:
        return labels
    about = devices.get(parse_device(device).whole, {})
    if labels[0][0] == "gpu":
        return (labels[0], ("gpu_uuid", about.get("uuid", "")), *labels[1:])
    if labels[0][0] == "mountpoint":
        return (("mountpoint", about.get("path", labels[0][1])),)
    return labels
