"""What all guides' runs share: whether this process tracks at all, wandb's modes, and memory as torch knows it.

Nothing here imports torch: what the script has not loaded has no memory to tell of.
"""

import os
import sys
from contextlib import contextmanager
from typing import Any, Iterator, List, Mapping, NamedTuple, Optional

from .. import api
from ..identity import find_place
from ..runs import Run


def tags_of(*given: Any) -> List[str]:
    """Tags from lists of them, or from single ones; what is empty is none."""
    lists = [[one] if isinstance(one, str) else list(one or ()) for one in given]
    return [str(tag) for tags in lists for tag in tags if tag]


class TorchMemory(NamedTuple):
    """Bytes of this process's current GPU: in tensors, and held by torch's allocator."""

    allocated: int
    reserved: int


def is_main_process(accelerator: Any = None) -> bool:
    """Whether this is the process that logs: as accelerate knows, else the first rank, or one without any."""
    told = getattr(accelerator, "is_main_process", None)
    return not find_place(os.environ).rank if told is None else bool(told)


def begin(mode: Optional[str], **asked: Any) -> Run:
    """`wayside.init` with a mode as wandb's users mean it. "disabled" keeps nothing. "offline" is about W&B alone: the
    collector writes files for `wandb sync` and reaches for no network, and all else goes on.
    """
    if mode == "disabled":
        return api.init(mode="disabled", **asked)
    with _wandb_mode(mode):
        return api.init(**asked)


@contextmanager
def _wandb_mode(mode: Optional[str]) -> Iterator[None]:
    """The environment says it for as long as the run is begun: that is where `init` looks for it."""
    before = os.environ.get("WANDB_MODE")
    if mode is not None and before is None:
        os.environ["WANDB_MODE"] = mode
    try:
        yield
    finally:
        if before is None:
            os.environ.pop("WANDB_MODE", None)


def cuda_in_use(modules: Optional[Mapping[str, Any]] = None) -> Any:
    """`torch.cuda`, where the script has loaded torch and this process uses a GPU; None elsewhere: nothing is imported
    for the asking, and no context made. modules: `sys.modules` when not given.
    """
    cuda = getattr((sys.modules if modules is None else modules).get("torch"), "cuda", None)
    try:
        return cuda if cuda is not None and cuda.is_initialized() else None
    except (AttributeError, RuntimeError):  # half imported
        return None


def torch_memory(modules: Optional[Mapping[str, Any]] = None) -> Optional[TorchMemory]:
    """From the allocator's own books, so that no stream is waited for; None where torch uses no GPU."""
    cuda = cuda_in_use(modules)
    try:
        return None if cuda is None else TorchMemory(int(cuda.memory_allocated()), int(cuda.memory_reserved()))
    except (AttributeError, RuntimeError, TypeError, ValueError):  # a device that is gone
        return None
