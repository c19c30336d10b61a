"""An accelerator whose queue a test lets go on by hand, seen through objects that look like torch's and jax's.

Work is queued and nothing of it is done before `Device.run`. Whoever reads a tensor on the device, or waits for an
event, has done what Wayside must never do: it is counted in `Device.waits`.
"""

import types
from collections.abc import Callable
from typing import Any


class Device:
    """type, index: as torch tells them. queue: what is not done yet, in order. asked: how often an event of it was
    looked at. lost: every question raises.
    """

    def __init__(self, kind: str = "cuda", index: int = 0) -> None:
        self.type = kind
        self.index = index
        self.queue: list[Callable[[], None]] = []
        self.waits = 0
        self.events = 0
        self.asked = 0
        self.capturing = False
        self.lost = False

    def __hash__(self) -> int:
        return hash((self.type, self.index))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Device) and (self.type, self.index) == (other.type, other.index)

    def run(self, tasks: int | None = None) -> None:
        """Do what is queued, all of it or so many tasks."""
        for _ in range(len(self.queue) if tasks is None else tasks):
            self.queue.pop(0)()


class Host:
    """A tensor on the host, whose number is there when the device has copied it."""

    device = types.SimpleNamespace(type="cpu")
    is_cuda = False

    def __init__(self) -> None:
        self.value: Any = -1.0  # what a read that comes too early finds

    def numel(self) -> int:
        return 1

    def item(self) -> Any:
        return self.value


class Tensor:
    """A tensor on the device; what it holds may be changed by work queued later."""

    def __init__(self, device: Device, value: Any, count: int = 1) -> None:
        self.device = device
        self.value = value
        self.count = count
        self.is_cuda = device.type == "cuda"

    def numel(self) -> int:
        return self.count

    def detach(self) -> "Tensor":
        return self

    def to(self, place: str, non_blocking: bool = False) -> Host:
        assert place == "cpu"
        if self.device.lost:
            raise RuntimeError("CUDA error: device-side assert triggered")
        if not non_blocking:
            self.item()
        host = Host()
        self.device.queue.append(lambda: setattr(host, "value", self.value))
        return host

    def item(self) -> Any:
        self.device.waits += 1
        return self.value

    __float__ = item


def torch_with(*devices: Device) -> types.SimpleNamespace:
    """A module `torch` that knows these devices: `torch.cuda.Event`, `torch.mps.Event` and what goes with them."""

    class Event:
        def __init__(self) -> None:
            self.recorded = 0
            self.done = 0
            self.device = devices[0]

        def record(self, stream: Device | None = None) -> None:
            self.device = stream or self.device
            self.device.events += 1
            self.recorded += 1
            self.device.queue.append(lambda: setattr(self, "done", self.done + 1))

        def query(self) -> bool:
            self.device.asked += 1
            if self.device.lost:
                raise RuntimeError("CUDA error: device-side assert triggered")
            return self.done == self.recorded

        def synchronize(self) -> None:
            self.device.waits += 1

    def backend(kind: str) -> types.SimpleNamespace:
        found = types.SimpleNamespace(Event=Event)
        if kind != "mps":  # which has no streams
            found.current_stream = lambda device: device
            found.is_current_stream_capturing = lambda: any(device.capturing for device in devices)
        return found

    return types.SimpleNamespace(**{device.type: backend(device.type) for device in devices})


class JaxArray:
    """An array as jax makes them: computed some time later, on the device or the host."""

    size = 1

    def __init__(self, device: Device, value: Any, platform: str = "gpu") -> None:
        self.device = types.SimpleNamespace(platform=platform)
        self.copies = 0
        self._value = value
        self._queue = device
        self._ready = False
        device.queue.append(lambda: setattr(self, "_ready", True))

    def copy_to_host_async(self) -> None:
        self.copies += 1

    def is_ready(self) -> bool:
        return self._ready

    def item(self) -> Any:
        if not self._ready:
            self._queue.waits += 1
        return self._value
