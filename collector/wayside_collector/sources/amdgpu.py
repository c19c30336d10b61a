"""AMD GPUs as the amdgpu driver tells of them in sysfs: which files there are for a card, and how each reads.

Formats: the kernel's Documentation/gpu/amdgpu (thermal, RAS) and hwmon/sysfs-interface. Left alone on purpose:
`pcie_bw`, whose reading blocks for a second; `gpu_metrics`, a binary layout that differs by generation.

What was seen in the wild: a card in reset or asleep answers EPERM to everything; the second die of an MI250X tells a
power of 0 W, since one sensor serves both; MI300X has no edge temperature; with a forced performance level
`pp_dpm_sclk` marks every level as the present one.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

from .gpu import Reading

VENDOR: Final = "0x1002"
MAX_FILE: Final = 8192  #: bytes read of one file; sysfs gives a page at most

_CARD: Final = re.compile(r"^card[0-9]+$")  # card0-DP-1 is a connector of card0
_RENDER: Final = re.compile(r"^renderD([0-9]+)$")
_ADDRESS: Final = re.compile(r"^[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-9a-f]$")
_LEVEL: Final = re.compile(r"^\S+:\s*([0-9]+)Mhz\s*\*", re.MULTILINE)
_GENERATIONS: Final = {"2.5": 1, "5.0": 2, "5": 2, "8.0": 3, "16.0": 4, "32.0": 5, "64.0": 6}

Parse = Callable[[list[str]], Iterable[Reading]]


class Field(NamedTuple):
    """One question to a card: its files, and how their texts read. slow: asked each `slow_interval`."""

    name: str
    paths: tuple[Path, ...]
    parse: Parse
    slow: bool = False


def read_text(path: Path) -> str:
    """The text of a small file; raises OSError. One read, as sysfs wants it."""
    with open(path, "rb", buffering=0) as file:
        return (file.read(MAX_FILE) or b"").decode("utf-8", "replace").strip()


def find_cards(root: Path) -> list[tuple[str, Path]]:
    """The PCI address and the device folder of each AMD GPU in `root`/class/drm, in the order of addresses.

    A partition of a divided MI300 is a card without a vendor file, and is not one of them.
    """
    cards: list[tuple[str, Path]] = []
    for entry in _folder(root / "class/drm"):
        if _CARD.match(entry.name) and _text(entry / "device/vendor") == VENDOR:
            device = (entry / "device").resolve()
            cards.append((device.name if _ADDRESS.match(device.name) else entry.name, device))
    return sorted(cards)


def count_others(root: Path) -> int:
    """NVIDIA's GPUs on the PCI bus: they are numbered first, so that no two GPUs of a machine share a number."""
    return sum(
        _text(entry / "vendor") == "0x10de" and (_text(entry / "class") or "").startswith("0x03")
        for entry in _folder(root / "bus/pci/devices")
    )


def describe(root: Path, address: str, device: Path) -> dict[str, str]:
    """What is known of a card, as text; what the driver does not tell is left out."""
    about = {
        "vendor": "amd",
        "name": _text(device / "product_name") or f"AMD GPU {_text(device / 'device') or ''}".strip(),
        "uuid": _text(device / "unique_id"),
        "driver": _text(root / "module/amdgpu/version") or "amdgpu",
        "pci_bus_id": address if _ADDRESS.match(address) else None,
        "memory_bytes": _text(device / "mem_info_vram_total"),
    }
    return {key: value for key, value in about.items() if value}


def kfd_id(root: Path, device: Path) -> str | None:
    """How the compute driver calls this card (`gpu_id`), by its render node; None where it does not know it."""
    minors = [match[1] for entry in _folder(device / "drm") if (match := _RENDER.match(entry.name))]
    for node in _folder(root / "class/kfd/kfd/topology/nodes"):
        properties = dict(
            line.split(None, 1) for line in (_text(node / "properties") or "").splitlines() if " " in line
        )
        if properties.get("drm_render_minor", "").strip() in minors:
            return _text(node / "gpu_id")
    return None


def read_processes(root: Path, gpu: str) -> dict[int, int | None] | None:
    """Bytes of GPU memory by process id, of compute processes; None where the compute driver tells of none.

    Every process has a file for every GPU; one that holds nothing of this GPU does not use it.
    """
    folder = root / "class/kfd/kfd/proc"
    if not folder.is_dir():
        return None
    found: dict[int, int | None] = {}
    for entry in _folder(folder):
        used = _text(entry / f"vram_{gpu}") or "0"
        if entry.name.isdecimal() and used.isdecimal() and int(used) > 0:
            found[int(entry.name)] = int(used)
    return found


def find_fields(device: Path) -> list[Field]:
    """What can be asked of a card: the fields whose files are there."""
    fields = [
        Field("utilization", (device / "gpu_busy_percent",), one("utilization_ratio", by=100)),
        Field("memory utilization", (device / "mem_busy_percent",), one("memory_utilization_ratio", by=100)),
        Field("memory used", (device / "mem_info_vram_used",), one("memory_used_bytes")),
        Field("memory total", (device / "mem_info_vram_total",), one("memory_total_bytes")),
        Field("GTT used", (device / "mem_info_gtt_used",), one("gtt_used_bytes")),
        Field("GTT total", (device / "mem_info_gtt_total",), one("gtt_total_bytes")),
        Field("PCIe replays", (device / "pcie_replay_count",), one("pcie_replays_total"), slow=True),
        Field("PCIe speed", (device / "current_link_speed",), parse_link_speed, slow=True),
        Field("PCIe width", (device / "current_link_width",), parse_link_width, slow=True),
    ]
    ras = (*device.glob("ras/*_err_count"), *device.glob("ras/aca_*"))
    if ras:
        fields.append(Field("RAS errors", tuple(sorted(ras)), parse_ras, slow=True))
    sensors = next(iter(sorted(device.glob("hwmon/hwmon*"))), None)
    if sensors is not None:
        fields.extend(find_sensors(sensors))
    names = {field.name for field in fields}
    for name, file, metric in (
        ("compute clock", "pp_dpm_sclk", "sm_clock_hertz"),
        ("memory clock", "pp_dpm_mclk", "memory_clock_hertz"),
    ):
        if name not in names:
            fields.append(Field(name, (device / file,), parse_levels(metric)))
    return [field for field in fields if all(path.exists() for path in field.paths)]


def find_sensors(folder: Path) -> Iterator[Field]:
    """What the card's hwmon folder has. Temperatures and clocks are known by their labels, not by their numbers."""
    power = next((folder / name for name in ("power1_average", "power1_input") if (folder / name).exists()), None)
    if power is not None:
        yield Field("power", (power,), parse_power)
    yield Field("power limit", (folder / "power1_cap",), one("power_limit_watts", by=1e6), slow=True)
    labels = {_text(path): path.name.removesuffix("_label") for path in sorted(folder.glob("*_label"))}
    edge = labels.get("edge") or labels.get("junction") or "temp1"
    yield from (
        Field(name, (folder / f"{sensor}_input",), one(metric, by=1000))
        for name, sensor, metric in (
            ("temperature", edge, "temperature_celsius"),
            ("hotspot temperature", labels.get("junction"), "hotspot_temperature_celsius"),
            ("memory temperature", labels.get("mem"), "memory_temperature_celsius"),
        )
        if sensor is not None
    )
    for name, label, metric in (
        ("compute clock", "sclk", "sm_clock_hertz"),
        ("memory clock", "mclk", "memory_clock_hertz"),
    ):
        if label in labels:
            yield Field(name, (folder / f"{labels[label]}_input",), one(metric))
    yield Field("fan speed", (folder / "fan1_input",), one("fan_speed_rpm"))
    yield Field("fan", (folder / "pwm1", folder / "pwm1_max"), parse_fan)


def one(name: str, times: float = 1.0, by: float = 1.0) -> Parse:
    """One file with one whole number."""
    return lambda texts: (Reading(name, _number(texts[0]), times, by),)


def parse_power(texts: list[str]) -> Iterable[Reading]:
    """Microwatts. A GPU that draws nothing is one without a sensor of its own."""
    watts = _number(texts[0])
    return (Reading("power_watts", "0" if watts == 0 else watts, by=1e6),)


def parse_fan(texts: list[str]) -> Iterable[Reading]:
    """The fan's drive and its full drive."""
    drive, full = _number(texts[0]), _number(texts[1])
    if isinstance(drive, int) and isinstance(full, int) and full > 0:
        return (Reading("fan_speed_ratio", drive, by=full),)
    return (Reading("fan_speed_ratio", " of ".join(texts)),)


def parse_levels(name: str) -> Parse:
    """Lines of a level and its clock, the present one marked by a star; nothing is told where not exactly one is."""

    def parse(texts: list[str]) -> Iterable[Reading]:
        marked = _LEVEL.findall(texts[0])
        return (Reading(name, int(marked[0]), 1e6),) if len(marked) == 1 else ()

    return parse


def parse_ras(texts: list[str]) -> Iterable[Reading]:
    """The errors of all blocks together: lines `ue: 0`, `ce: 0` and, from newer drivers, `de: 0`, of each block."""
    sums: dict[str, int] = {}
    for text in texts:
        for line in text.splitlines():
            kind, _, count = line.partition(":")
            if count.strip().isdecimal():
                sums[kind.strip()] = sums.get(kind.strip(), 0) + int(count)
    for kind, name in (
        ("ce", "ecc_corrected_errors_total"),
        ("ue", "ecc_uncorrected_errors_total"),
        ("de", "ecc_deferred_errors_total"),
    ):
        if kind in sums:
            yield Reading(name, sums[kind])


def parse_link_speed(texts: list[str]) -> Iterable[Reading]:
    """`16.0 GT/s PCIe`, or Unknown."""
    speed = texts[0].partition(" ")[0]
    return (Reading("pcie_link_generation", _GENERATIONS.get(speed, texts[0])),)


def parse_link_width(texts: list[str]) -> Iterable[Reading]:
    """Lanes; 0 and 255 where the bus does not know."""
    lanes = _number(texts[0])
    return (Reading("pcie_link_width", texts[0] if lanes in (0, 255) else lanes),)


def _number(text: str) -> object:
    """A whole number, or the text as it is, which no metric takes."""
    try:
        return int(text)
    except ValueError:
        return text


def _text(path: Path) -> str | None:
    """The text of a file, or None when it cannot be read or is empty."""
    try:
        return read_text(path) or None
    except OSError:
        return None


def _folder(path: Path) -> list[Path]:
    """What a folder holds, in order; nothing when it is not there."""
    try:
        return sorted(path.iterdir())
    except OSError:
        return []
