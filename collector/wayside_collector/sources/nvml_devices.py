"""Which GPUs NVML shows, who they are, and under which number each is told of.

A GPU keeps the number it was first seen under: when one falls off the bus and NVML counts anew, those behind it move
up by one, and their names must not. One that NVML lists but cannot open, or no longer lists, stays, as lost.
"""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from .gpu import number_devices
from .nvml import NOT_FOUND, verdict

_UNOPENED: Final = "index "  # in the place of a UUID that could not be asked for
MAX_MIGS: Final = 16  #: MIG instances looked for on one GPU; there are at most seven today


@dataclass(slots=True)
class Gpu:
    """One GPU under its number. about: what is told of it. later: field to the time when to ask for it again. lost:
    why it does not answer. xids: XID errors counted, None where they cannot be. last_xid: the code of the last. migs:
    the handles of its MIG instances by their index, and what is told of each.
    """

    number: int
    handle: Any = None
    about: dict[str, str] = field(default_factory=dict)
    later: dict[str, float] = field(default_factory=dict)
    lost: str | None = None
    xids: int | None = None
    last_xid: int | None = None
    migs: dict[int, tuple[Any, dict[str, str]]] = field(default_factory=dict)

    @property
    def device(self) -> str:
        return f"gpu/{self.number}"


def wanted(devices: tuple[int | str, ...], index: int, uuid: str) -> bool:
    """Whether the option `devices` names this GPU: all when empty, by index, or by how its UUID begins."""
    return not devices or any(
        uuid.lower().startswith(device.lower()) if isinstance(device, str) else device == index for device in devices
    )


def find(nvml: Any, devices: tuple[int | str, ...], known: dict[str, Gpu]) -> dict[str, Gpu]:
    """The GPUs to sample, by UUID: those NVML opens now, and as lost those that were `known` or are listed and that
    it does not open. One that it refuses to this process (NO_PERMISSION) is none of ours.

    Raises NVMLError when not even the list can be had.
    """
    opened: dict[str, tuple[int, Any]] = {}
    shut: list[tuple[int, str]] = []
    for index in range(nvml.nvmlDeviceGetCount()):
        try:
            handle = nvml.nvmlDeviceGetHandleByIndex(index)
            uuid = nvml.nvmlDeviceGetUUID(handle)
        except nvml.NVMLError as error:
            if wanted(devices, index, "") and verdict(error.value) != "unsupported":
                shut.append((index, str(error)))
            continue
        if wanted(devices, index, uuid) or uuid in known:
            opened[uuid] = index, handle
    missing = [uuid for uuid, gpu in known.items() if uuid not in opened and not uuid.startswith(_UNOPENED)]
    # What cannot be opened now is most likely what is missing: told of once, under its old number.
    strangers = {f"{_UNOPENED}{index}": (index, why) for index, why in shut[len(missing) :]}
    numbers = number_devices(
        {uuid: gpu.number for uuid, gpu in known.items() if not uuid.startswith(_UNOPENED)},
        [(uuid, index) for uuid, (index, _) in (*opened.items(), *strangers.items())],
    )
    gpus: dict[str, Gpu] = {}
    for uuid, number in sorted(numbers.items(), key=lambda entry: entry[1]):
        gpu = gpus[uuid] = known.get(uuid) or Gpu(number)
        if uuid in opened:
            gpu.handle, gpu.lost = opened[uuid][1], None
            gpu.later.clear()
            gpu.about = {"index": str(number), **describe(nvml, gpu.handle), "uuid": uuid}
        elif uuid in strangers:
            gpu.lost = strangers[uuid][1]
        else:
            gpu.lost = shut[0][1] if shut else "the driver does not list it any more"
    return gpus


def describe(nvml: Any, handle: Any) -> dict[str, str]:
    """What is known of a GPU or a MIG instance, as text; what the driver does not tell is left out."""
    asked: dict[str, Callable[[], object]] = {
        "uuid": lambda: nvml.nvmlDeviceGetUUID(handle),
        "name": lambda: nvml.nvmlDeviceGetName(handle),
        "driver": nvml.nvmlSystemGetDriverVersion,
        "pci_bus_id": lambda: nvml.nvmlDeviceGetPciInfo(handle).busId,
        "memory_bytes": lambda: nvml.nvmlDeviceGetMemoryInfo(handle).total,
    }
    about = {"vendor": "nvidia"}
    for key, ask in asked.items():
        with contextlib.suppress(nvml.NVMLError, UnicodeDecodeError):  # absent is how "not told" is said
            about[key] = str(ask())
    return about


def find_migs(nvml: Any, handle: Any) -> dict[int, tuple[Any, dict[str, str]]]:
    """The MIG instances on the GPU with this handle, by their index there, which may have gaps. Raises NVMLError."""
    found: dict[int, tuple[Any, dict[str, str]]] = {}
    for index in range(min(nvml.nvmlDeviceGetMaxMigDeviceCount(handle), MAX_MIGS)):
        try:
            instance = nvml.nvmlDeviceGetMigDeviceHandleByIndex(handle, index)
        except nvml.NVMLError as error:
            if error.value != NOT_FOUND:
                raise
            continue
        found[index] = instance, describe(nvml, instance)
    return found
