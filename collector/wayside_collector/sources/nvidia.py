"""The NVIDIA sampler: asks NVML, each field on its own, and keeps in mind what there is no use asking.

A field that is not supported is asked for again after an hour. A GPU that is lost is looked for after five minutes,
by closing NVML and opening it anew; when the driver itself is gone, `sample` raises Unavailable and the runner does
the same. What is asked stands in `nvml_fields`, what NVML's errors mean in `nvml`, the names of metrics in `gpu`.

The `pynvml` module is imported in `open`, since most machines have no use for it. NVML is told nothing, only asked.
"""

import contextlib
import importlib
import time
from collections.abc import Callable
from typing import Any, Final, Literal

import msgspec

from ..configuration.units import SampleInterval
from .base import Sample, Unavailable
from .gpu import Draft, Reading
from .nvml import say_xid, verdict, why_unavailable
from .nvml_devices import Gpu, find, find_migs
from .nvml_events import address, hear, listen
from .nvml_fields import FIELDS, READ_MIG, SAMPLED_PCIE, Read, parse_memory, parse_processes, read_processes

ASK_AGAIN: Final = 3600.0  #: seconds until a field that was not supported is asked for again; drivers change seldom
OPEN_AGAIN: Final = 300.0  #: seconds until a lost GPU is looked for again; a reset takes a person minutes at least


class NvidiaOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """interval: seconds between two samples; 1, about a training step. slow_interval: seconds between two looks at
    what seldom changes or costs much: limits, error counters, PCIe, fans, MIG. devices: indices or UUIDs (or how a
    UUID begins) of the GPUs to sample; empty for all that the driver shows this process. pcie: "counters" reads the
    driver's byte counters where it has them; "sampled" measures the throughput as well, 40 ms of waiting a GPU.
    processes: "memory" tells the memory of each process, "count" only how many there are.
    """

    interval: SampleInterval = 1.0
    slow_interval: SampleInterval = 10.0
    devices: tuple[int | str, ...] = ()
    pcie: Literal["counters", "sampled"] = "counters"
    processes: Literal["memory", "count"] = "memory"


class NvidiaSampler:
    """Fulfils `Sampler`. `clock` is a steady clock in seconds."""

    def __init__(self, options: NvidiaOptions, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._options = options
        self._clock = clock
        self._fields = FIELDS + (SAMPLED_PCIE if options.pcie == "sampled" else ())
        self._nvml: Any = None
        self._events: Any = None
        self._gpus: dict[str, Gpu] = {}
        self._problems: list[str] = []
        self._slow_due = 0.0
        self._open_again: float | None = None

    def open(self) -> None:
        self.close()
        try:
            nvml = importlib.import_module("pynvml")
        except ImportError as error:
            raise Unavailable(f"the Python module pynvml is missing, install nvidia-ml-py: {error}") from error
        try:
            nvml.nvmlInit()
        except nvml.NVMLError as error:
            raise Unavailable(why_unavailable(error.value, str(error))) from error
        self._nvml = nvml
        try:
            self._gpus = find(nvml, self._options.devices, self._gpus)
        except nvml.NVMLError as error:
            self.close()
            raise Unavailable(f"NVML lists no GPUs: {error}") from error
        if not self._gpus:
            self.close()
            raise Unavailable(_none_shown(self._options.devices))
        self._events, self._problems = listen(nvml, self._gpus.values())
        self._slow_due = self._clock()
        self._open_again = None

    def sample(self) -> Sample:
        now = self._clock()
        if self._nvml is None or (self._open_again is not None and now >= self._open_again):
            self.open()
        slow = now >= self._slow_due
        if slow:
            self._slow_due = now + self._options.slow_interval
        draft = Draft(now, problems=self._problems)
        self._problems = []
        self._hear(draft)
        for gpu in self._gpus.values():
            self._read(gpu, draft, slow)
            _tell_state(gpu, draft)
        if self._open_again is None and any(gpu.lost is not None for gpu in self._gpus.values()):
            self._open_again = now + OPEN_AGAIN
        return draft.sample()

    def close(self) -> None:
        nvml, events = self._nvml, self._events
        self._nvml = self._events = None
        if nvml is None:
            return
        # When the driver is gone, so is what it held for us: there is nothing left to give back.
        with contextlib.suppress(nvml.NVMLError):
            if events is not None:
                nvml.nvmlEventSetFree(events)
        with contextlib.suppress(nvml.NVMLError):
            nvml.nvmlShutdown()

    def _hear(self, draft: Draft) -> None:
        """Count the XID errors that came since the last sample, and say each."""
        if self._events is None:
            return
        gpus = {address(gpu.handle): gpu for gpu in self._gpus.values() if gpu.handle is not None}
        try:
            for where, code in hear(self._nvml, self._events):
                gpu = gpus.get(where)
                if gpu is not None:
                    gpu.xids, gpu.last_xid = (gpu.xids or 0) + 1, code
                draft.problems.append(f"{gpu.device if gpu else 'a GPU not sampled'}: {say_xid(code)}")
        except self._nvml.NVMLError as error:
            if verdict(error.value) == "gone":
                raise _gone(error) from error
            draft.problems.append(f"XID errors cannot be heard: {error}")

    def _read(self, gpu: Gpu, draft: Draft, slow: bool) -> None:
        """Ask a GPU for what is due. A field that cannot be had hides no other, unless the whole GPU is lost."""
        for field in self._fields:
            if slow or not field.slow:
                answer = self._ask(gpu, field.name, field.read, draft)
                if answer is not None:
                    draft.add(gpu.device, field.parse(answer))
        processes = self._ask(gpu, "processes", read_processes, draft)
        if processes is not None:
            draft.add_processes(gpu.device, parse_processes(processes), each=self._options.processes == "memory")
        divided = draft.metrics.get(f"{gpu.device}/mig_enabled")  # known anew at each slow look
        if divided is not None:
            gpu.migs = (self._ask(gpu, "MIG instances", find_migs, draft) or {}) if divided else {}
        for index, (handle, about) in gpu.migs.items():
            device = f"{gpu.device}/mig/{index}"
            draft.devices[device] = about
            memory = self._ask(gpu, f"memory of MIG instance {index}", READ_MIG, draft, handle)
            if memory is not None:
                draft.add(device, parse_memory(memory))

    def _ask(self, gpu: Gpu, name: str, read: Read, draft: Draft, handle: Any = None) -> Any:
        """The answer to one question about a GPU, or None: here NVML's errors end.

        Raises Unavailable when the driver is gone.
        """
        if gpu.lost is not None or gpu.later.get(name, draft.now) > draft.now:
            return None
        try:
            return read(self._nvml, gpu.handle if handle is None else handle)
        except self._nvml.NVMLError as error:
            match verdict(error.value):
                case "unsupported":
                    gpu.later[name] = draft.now + ASK_AGAIN
                    draft.unsupported.setdefault(gpu.device, []).append(name)
                case "lost":
                    gpu.lost = str(error)
                case "gone":
                    raise _gone(error) from error
                case "passing":
                    draft.problems.append(f"{gpu.device}: {name}: {error}")
        return None


def _gone(error: Exception) -> Unavailable:
    return Unavailable(f"the NVIDIA driver went away: {error}")


def _none_shown(devices: tuple[int | str, ...]) -> str:
    if devices:
        return f"the NVIDIA driver shows this process none of the GPUs that `devices` names: {list(devices)}"
    return "the NVIDIA driver is loaded but shows this process no GPU: in a container, check NVIDIA_VISIBLE_DEVICES"


def _tell_state(gpu: Gpu, draft: Draft) -> None:
    """What is known of a GPU without asking it."""
    if gpu.about:
        draft.devices[gpu.device] = gpu.about
    draft.metrics[f"{gpu.device}/lost"] = float(gpu.lost is not None)
    if gpu.lost is not None:
        draft.problems.append(f"{gpu.device}: does not answer: {gpu.lost}")
    if gpu.xids is not None:
        draft.metrics[f"{gpu.device}/xid_errors_total"] = float(gpu.xids)
    if gpu.last_xid is not None:
        draft.add(gpu.device, [Reading("xid_last_code", gpu.last_xid)])
