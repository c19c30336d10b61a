"""`watch`: norm, least, greatest, mean and a histogram of each layer's gradients and parameters, every so many passes.

What is asked of a tensor is computed where it lies, by a dozen small operations queued behind the backward pass, and
comes to the host like any number of a GPU's (`tensors.py`); its histogram is made on the media writer's thread when it
is there. The training's thread waits for none of it. What one backward pass tells is one row of the open step, as with
wandb, in its place before the next `log()`. torch is used where the script has loaded it, and never imported.
"""

import sys
import threading
import time
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

from .handlers import raised_by_handler
from .media.medium import Encoded, Medium, Refused
from .media.recognise import Found
from .tensors import Coming, begin_torch, stay_out_of_captures, stay_outside_graphs
from .values import Taken, problem_of

BINS = 64  #: of a layer's histogram
MAX_LAYERS = 2000  #: of one watched model: a large language model's parameters are some hundred tensors
MAX_SAMPLED = 1 << 20  #: elements of a layer that its histogram is made of, evenly taken; the numbers are of all
ARRIVAL = 60.0  #: seconds after which a layer's numbers are given up: a pass that never ends
MAX_ROW = 500  #: layers of one row: names of more might not fit a segment of the journal
NUMBERS = ("norm", "min", "max", "mean")  #: of each layer, first in its summary

_NAN = float("nan")
_LOOK = 0.005  # seconds between two looks whether they have come

_prepared = threading.local()

LOGS = ("gradients", "parameters", "all", None)


class Watch:
    """One watched model: what was hooked into it, to be taken out again."""

    def __init__(self, run: Any, model: Any, log: Optional[str], log_freq: int, prefix: str) -> None:
        self.model = model
        self._run = run
        self._every = max(1, int(log_freq))
        self._handles: List[Any] = []
        self._pass: Dict[str, Coming] = {}  # what this backward pass has told so far
        named = [(name, each) for name, each in model.named_parameters() if each.requires_grad]
        if len(named) > MAX_LAYERS:
            run.notices.tell("watch", f"watch() hears the first {MAX_LAYERS} of this model's {len(named)} parameters")
        for name, each in named[:MAX_LAYERS]:
            if log in ("gradients", "all"):
                self._handles.append(each.register_hook(self._hook(f"gradients/{prefix}{name}", None)))
            if log in ("parameters", "all"):
                self._handles.append(each.register_hook(self._hook(f"parameters/{prefix}{name}", each)))

    def _hook(self, name: str, parameter: Any) -> Callable[[Any], None]:
        """For one tensor; parameter: to look at instead of its gradient."""
        passes = 0

        def hook(grad: Any) -> None:
            nonlocal passes
            passes += 1
            if passes % self._every:
                return
            try:
                self._tell(name, grad if parameter is None else parameter)
            except Exception as problem:
                if raised_by_handler(problem):
                    raise
                self._refuse(name, problem)

        return hook

    def _refuse(self, what: str, problem: Exception) -> None:
        why = f"{type(problem).__name__}: {problem_of(problem)}"
        self._run.notices.refuse("watch", f"{what} could not be looked at: {why}")

    def _tell(self, name: str, tensor: Any) -> None:
        torch = sys.modules["torch"]
        if not tensor.is_floating_point() or self._run.disabled:
            return
        stay_outside_graphs(getattr(torch, getattr(getattr(tensor, "device", None), "type", "cpu"), None))
        with torch.no_grad():
            self._pass[name] = _begin(torch, _summary(torch, tensor))
        _at_end_of_pass(torch, self._keep_pass)

    def _keep_pass(self) -> None:
        """One row of what was told since the last, and a histogram of each layer."""
        found, self._pass = self._pass, {}
        try:
            names = list(found)
            for first in range(0, len(names), MAX_ROW):
                self._keep({name: found[name] for name in names[first : first + MAX_ROW]})
        except Exception as problem:
            if raised_by_handler(problem):
                raise
            self._refuse("a pass", problem)

    def _keep(self, layers: Dict[str, Coming]) -> None:
        numbers = {}
        for layer, coming in layers.items():
            for index, name in enumerate(NUMBERS):
                numbers[f"{layer}/{name}"] = Coming(coming.value[index], coming.is_there)
        known = all(coming.is_there is _at_hand for coming in layers.values())
        values = tuple(float(one.value) if known else _NAN for one in numbers.values())
        media: List[Any] = [Found(name, Layer(coming)) for name, coming in layers.items()]
        row = Taken(tuple(numbers), values, {}, [], [], {} if known else numbers, media)
        self._run._keep(row, time.time(), None, False)

    def stop(self) -> None:
        """Take the hooks out."""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()


class Layer(Medium):
    """A layer's numbers and histogram, on their way."""

    _type = "histogram"

    def __init__(self, coming: Coming) -> None:
        self._coming = coming

    def _encode(self) -> Encoded:
        _outside_captures()
        deadline = time.monotonic() + ARRIVAL
        while not self._coming.is_there():
            if time.monotonic() > deadline:
                raise Refused(f"its numbers did not come within {ARRIVAL:.0f} s")
            time.sleep(_LOOK)
        low, high, *counts = self._coming.value.tolist()[len(NUMBERS) :]
        if low == high:
            high = low + 1e-6 * max(1.0, abs(low))
        edges = [low + (high - low) * index / BINS for index in range(BINS)] + [high]
        return Encoded({"values": {"edges": edges, "counts": [int(count) for count in counts]}})


def begin_watching(run: Any, models: Any, log: Optional[str], log_freq: int, idx: int) -> Tuple[Watch, ...]:
    """Hook into one model or several. Raises ValueError or TypeError for what cannot be watched, as wandb does."""
    if log not in LOGS:
        raise ValueError("log must be one of 'gradients', 'parameters', 'all', or None")
    models = models if isinstance(models, (tuple, list)) else (models,)
    for model in models:
        if "torch" not in sys.modules or not callable(getattr(model, "named_parameters", None)):
            raise TypeError(f"Expected a pytorch model (torch.nn.Module). Received {type(model)}")
    found = enumerate(models, idx)
    return tuple(Watch(run, model, log, log_freq, f"graph_{at}" if at else "") for at, model in found)


def stop_watching(watches: Sequence[Watch], models: Any) -> Tuple[Watch, ...]:
    """Those that go on when these models, or all, are watched no more."""
    gone = None if models is None else models if isinstance(models, (tuple, list)) else (models,)
    kept = []
    for watch in watches:
        if gone is None or any(watch.model is model for model in gone):
            watch.stop()
        else:
            kept.append(watch)
    return tuple(kept)


def _summary(torch: Any, tensor: Any) -> Any:
    """One small tensor, where the large one lies: norm, least, greatest, mean; the histogram's ends, and its counts of
    finite values. No operation here needs to know a value, which on a GPU would be a wait.
    """
    tensor = tensor.detach()
    if hasattr(tensor, "to_local"):  # a DTensor: this rank's part of it
        tensor = tensor.to_local()
    if tensor.layout is not torch.strided:
        tensor = tensor.coalesce().values()
    flat = tensor.reshape(-1)
    if flat.numel() == 0:
        return torch.zeros(6 + BINS)
    least, greatest = flat.aminmax()
    norm = torch.linalg.vector_norm(flat, dtype=torch.float32)
    numbers = torch.stack([norm, least.float(), greatest.float(), flat.mean(dtype=torch.float32)])
    sample = flat[:: -(-flat.numel() // MAX_SAMPLED)].float()
    finite = torch.isfinite(sample)
    known = torch.where(finite, sample, torch.zeros_like(sample))
    low, high = known.aminmax()
    width = (high - low).clamp_min(torch.finfo(torch.float32).tiny)
    index = ((known - low) / width * BINS).clamp(0, BINS - 1).long()
    counts = torch.zeros(BINS, device=flat.device).scatter_add_(0, index, finite.float())
    return torch.cat([numbers, torch.stack([low, high]), counts])


def _begin(torch: Any, packed: Any) -> Coming:
    kind = packed.device.type
    backend = getattr(torch, kind, None)
    if kind == "cpu" or not hasattr(backend, "Event"):
        return Coming(packed, _at_hand)
    return begin_torch(packed, packed.device, backend, {})


def _at_hand() -> bool:
    return True


def _at_end_of_pass(torch: Any, call: Callable[[], None]) -> None:
    """Have it called when this backward pass has ended; at once where torch does not say so."""
    engine = getattr(torch.autograd.Variable, "_execution_engine", None)
    queue = getattr(engine, "queue_callback", None)
    if queue is None:
        call()
    else:
        queue(call)


def _outside_captures() -> None:
    """Once in a thread: what it asks of a device must not end another one's capture of a graph."""
    if not hasattr(_prepared, "asked"):
        _prepared.asked = stay_out_of_captures()
