"""XID errors, as NVML's events tell them: how a GPU says that something went wrong on it.

The set is looked into once in each sample and never waited on. Where several errors came between two looks, NVML
gives the code of the last one for each of them (nvml.h): the count is right, the earlier codes are not to be had.
"""

import ctypes
from collections.abc import Iterable, Iterator
from typing import Any, Final

from .nvml import TIMEOUT
from .nvml_devices import Gpu

XID_CRITICAL_ERROR: Final = 0x8  # nvmlEventTypeXidCriticalError
MAX_EVENTS: Final = 64  #: events taken in one sample, so that a storm of them ends; the others wait for the next
WAIT: Final = 1  #: milliseconds; 0 should not wait at all, but NVIDIA's own cuda.core says of it that it waits for ever


def listen(nvml: Any, gpus: Iterable[Gpu]) -> tuple[Any, list[str]]:
    """A set of events in which the GPUs' XID errors arrive (None when there is nothing to hear), and who is not heard.

    Sets `xids` of each GPU that is; the others have no count, which is not the same as a count of zero.
    """
    try:
        events = nvml.nvmlEventSetCreate()
    except nvml.NVMLError as error:
        return None, [f"XID errors cannot be heard: {error}"]
    deaf: list[str] = []
    heard = False
    for gpu in gpus:
        if gpu.lost is not None:
            continue
        try:
            nvml.nvmlDeviceRegisterEvents(gpu.handle, XID_CRITICAL_ERROR, events)
            gpu.xids = gpu.xids or 0
            heard = True
        except nvml.NVMLError as error:
            gpu.xids = None
            deaf.append(f"{gpu.device}: XID errors cannot be heard: {error}")
    if not heard:
        nvml.nvmlEventSetFree(events)
    return events if heard else None, deaf


def hear(nvml: Any, events: Any) -> Iterator[tuple[int, int]]:
    """The address of the GPU and the code of each XID error that has come since; raises NVMLError but for TIMEOUT."""
    for _ in range(MAX_EVENTS):
        try:
            event = nvml.nvmlEventSetWait_v2(events, WAIT)
        except nvml.NVMLError as error:
            if error.value == TIMEOUT:
                return
            raise
        if event.eventType == XID_CRITICAL_ERROR:
            yield address(event.device), event.eventData


def address(handle: Any) -> int:
    """What tells one GPU's handle from another's: NVML's handles are pointers."""
    return ctypes.cast(handle, ctypes.c_void_p).value or 0
