"""Numbers that lie on an accelerator, or are still being computed, fetched without waiting for it.

Reading such a tensor where it is logged would wait for all work queued before it: the training step would end there.
So its copy is queued behind that work, with an event behind the copy, and the number is read when the event is done.
torch and jax are asked by what their objects can do, and torch's own functions are taken from `sys.modules`: nothing
is imported. A tensor of any other library has no way here, and is refused (`values.as_float`).
"""

import sys
from typing import Any, Callable, Dict, List, Optional

_CAPTURED = "a CUDA graph is being captured: nothing in it is computed yet; log it after the graph's replay"
_SPREAD = "a DTensor is spread over ranks, and putting it together takes all of them; log its `.full_tensor()`"
_RELAXED = 2  # CU_STREAM_CAPTURE_MODE_RELAXED, and HIP's

#: Who knows what threads may do while another captures a graph: CUDA's driver, and HIP under the names it comes by.
_DRIVERS = (
    ("libcuda.so.1", "cuThreadExchangeStreamCaptureMode"),
    *(("libamdhip64.so" + end, "hipThreadExchangeStreamCaptureMode") for end in ("", ".5", ".6", ".7")),
)

Events = Dict[Any, Any]  # one row's: a device to the event behind the latest copy from it


class Coming:
    """A number on its way. value: what will hold it, on the host, once `is_there` says so; either may raise whatever
    the framework raises.
    """

    __slots__ = ("is_there", "value")

    def __init__(self, value: Any, is_there: Callable[[], Any]) -> None:
        self.value = value
        self.is_there = is_there


def begin(value: Any, events: Events) -> Optional[Coming]:
    """Have this number brought to the host; None where it is at hand already, or there is no way to it without waiting.

    events: those of the row so far. Raises TypeError for what can never be read, and what the object itself raises.
    """
    copy_to_host = getattr(value, "copy_to_host_async", None)
    if copy_to_host is not None and callable(getattr(value, "is_ready", None)):
        return _begin_jax(value, copy_to_host)
    torch = sys.modules.get("torch")
    device = getattr(value, "device", None)
    kind = getattr(device, "type", None)
    if torch is None or not isinstance(kind, str) or kind in ("cpu", "meta") or not hasattr(value, "detach"):
        return None
    if hasattr(value, "full_tensor") and hasattr(value, "placements"):
        raise TypeError(_SPREAD)
    backend = getattr(torch, kind, None)  # torch.cuda, which is ROCm's too; torch.mps, torch.xpu and others alike
    if not hasattr(backend, "Event"):
        return None
    if value.numel() != 1:
        raise TypeError(f"{type(value).__name__} with {value.numel()} elements is not a single number")
    return begin_torch(value, device, backend, events)


def stay_outside_graphs(backend: Any) -> None:
    """Raises TypeError while a graph is captured: what is queued then is done at each replay, and not now."""
    capturing = getattr(backend, "is_current_stream_capturing", None)
    if capturing is not None and capturing():
        raise TypeError(_CAPTURED)


def begin_torch(tensor: Any, device: Any, backend: Any, events: Events) -> Coming:
    """A copy of a tensor of any size, behind the work queued so far; raises TypeError within a graph's capture."""
    stay_outside_graphs(backend)
    host = tensor.detach().to("cpu", non_blocking=True)  # into pinned memory, which torch itself sees to
    event = events.get(device)
    if event is None:
        event = events[device] = backend.Event()
    stream = getattr(backend, "current_stream", None)
    if stream is None:
        event.record()
    else:
        event.record(stream(device))  # again for each number of a row: done when the last one is there
    return Coming(host, event.query)


def _begin_jax(array: Any, copy_to_host: Callable[[], Any]) -> Optional[Coming]:
    if getattr(array, "size", 1) != 1:
        return None
    if getattr(getattr(array, "device", None), "platform", None) == "cpu" and array.is_ready():
        return None
    copy_to_host()
    return Coming(array, array.is_ready)


def stay_out_of_captures() -> List[str]:
    """Let the calling thread ask for events while another one captures a CUDA graph, which in the usual mode would be
    the end of that capture. Returns the libraries that were asked.
    """
    import ctypes  # when first needed
    import os

    asked = []
    for library, function in _DRIVERS:
        try:
            exchange = getattr(ctypes.CDLL(library, mode=os.RTLD_NOLOAD | os.RTLD_NOW), function)
        except (OSError, AttributeError):
            continue  # not in this process
        exchange(ctypes.byref(ctypes.c_int(_RELAXED)))
        asked.append(library)
    return asked
