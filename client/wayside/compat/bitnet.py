"""BitNet-QDyT-v2's training: its flags, and what its `Trainer` has of wandb, as a class to inherit from.

class Trainer(Tracking):
    def __init__(self, args):
        self.args = args
        self.setup_wandb()
"""

import argparse
import itertools
import os
import sys
import time
from typing import Any, Dict, List, Mapping, Optional, Tuple

from ..identity import find_place, run_id
from ..runs import Run
from ..settings import read_settings
from .beginning import begin, cuda_in_use, is_main_process, tags_of, torch_memory

PROJECT = "bitnet-qdyt-v2"  #: what `--wandb_project` is without a word
MODES = ("online", "offline", "disabled")

_GIB, _MIB = 1024**3, 1024**2
_unnamed = itertools.count(1)  # runs of this process whose names were made up


def add_arguments(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """`--wandb_project`, `--wandb_run_name`, `--wandb_tags`, `--wandb_notes`, `--wandb_mode`, `--disable_wandb`."""
    parser.add_argument("--wandb_project", type=str, default=PROJECT, help="the run's project")
    parser.add_argument("--wandb_run_name", type=str, default=None, help="the run's name; made up without one")
    parser.add_argument("--wandb_tags", type=str, nargs="*", default=[], help="tags of the run")
    parser.add_argument("--wandb_notes", type=str, default=None, help="notes on the run")
    parser.add_argument("--disable_wandb", action="store_true", help="track nothing")
    parser.add_argument(
        "--wandb_mode",
        type=str,
        default="online",
        choices=list(MODES),
        help="offline: W&B gets files for `wandb sync`; disabled: track nothing",
    )
    return parser


def init_from_args(args: argparse.Namespace, config: Any = None) -> Run:
    """The run that the flags ask for; see `wayside.compat.init_from_args`. Every other argument is recorded, and model
    size and dataset are tags beside those given.
    """
    asked = is_main_process() and not getattr(args, "disable_wandb", False)
    described = [getattr(args, name, None) for name in ("model_size", "dataset")]
    project, name = getattr(args, "wandb_project", PROJECT), getattr(args, "wandb_run_name", None)
    return begin(
        getattr(args, "wandb_mode", "online") if asked else "disabled",
        project=project,
        **({"name": name} if name else _made_up(args, project)),
        tags=tags_of(getattr(args, "wandb_tags", None), described),
        notes=getattr(args, "wandb_notes", None),
        config=hyperparameters(args) if config is None else config,
        resume="allow",
    )


def hyperparameters(args: argparse.Namespace) -> Dict[str, Any]:
    """The arguments that are not about tracking."""
    return {name: value for name, value in vars(args).items() if "wandb" not in name}


def _made_up(args: argparse.Namespace, project: str) -> Dict[str, str]:
    """The guide's name, which holds the time, and an id that does not: a job started again goes on as its run."""
    kind = "-".join(["bitnet-qdyt", *(str(size) for size in [getattr(args, "model_size", None)] if size)])
    found = run_id(None, read_settings(os.environ), find_place(os.environ), project, kind, next(_unnamed))
    return {"name": f"{kind}-{time.strftime('%Y%m%d_%H%M%S')}", "id": found.id}


class Tracking:
    """What the guide's `Trainer` does with wandb. wandb_run: the run, None where nothing is tracked. rank, writer: the
    trainer's own, if it has them: a `SummaryWriter` gets every number, too.
    """

    args: argparse.Namespace
    rank: int = 0
    writer: Any = None
    wandb_run: Optional[Run] = None

    def setup_wandb(self) -> None:
        """Begin the run, on rank 0 alone."""
        mode = getattr(self.args, "wandb_mode", "online")
        if self.rank == 0 and is_main_process() and mode != "disabled" and not self.args.disable_wandb:
            self.wandb_run = init_from_args(self.args)

    def get_system_metrics(self) -> Dict[str, float]:
        return get_system_metrics()

    def log_metrics(self, metrics_dict: Mapping[str, Any], step: int, prefix: str = "") -> None:
        """Log names with a prefix before them, and numbers to TensorBoard as well."""
        if self.rank != 0:
            return
        prefixed = {f"{prefix}{name}": value for name, value in metrics_dict.items()}
        if self.wandb_run is not None:
            self.wandb_run.log(prefixed, step=step)
        if self.writer is not None:
            for name, value in prefixed.items():
                if isinstance(value, (int, float)):
                    self.writer.add_scalar(name, value, step)

    def finish_wandb(self, exit_code: Optional[int] = None) -> None:
        """End the run. What is not ended so ends with the process, by its exit code."""
        if self.wandb_run is not None:
            self.wandb_run.finish(exit_code)


_ticks: List[Tuple[int, int]] = []  # busy and all processor time at the last call


def get_system_metrics() -> Dict[str, float]:
    """The guide's names: `cpu_percent` since the last call, `memory_percent`, and where torch uses a GPU that one's
    `gpu_*` (percent, MiB, °C), as far as torch can tell them, and `torch_gpu_memory_*` in GiB. No stream is waited for.
    All GPUs of the machine are measured every second by the collector: `gpu/0/utilization_ratio` and so on.
    """
    found = {**_processors(), **_memory(), **_gpu(cuda_in_use())}
    memory = torch_memory()
    if memory is not None:
        found["torch_gpu_memory_allocated"] = memory.allocated / _GIB
        found["torch_gpu_memory_reserved"] = memory.reserved / _GIB
    return found


def _gpu(cuda: Any) -> Dict[str, float]:
    found: Dict[str, float] = {}
    unknown = getattr(sys.modules.get("pynvml"), "NVMLError", RuntimeError)  # by which torch asks, if it is installed
    for name in ("utilization", "temperature"):
        try:
            found[f"gpu_{name}"] = float(getattr(cuda, name)())
        except (AttributeError, ImportError, RuntimeError, unknown):
            continue
    try:
        free, total = cuda.mem_get_info()
        used = total - free
        found.update(
            gpu_memory_used=used / _MIB, gpu_memory_total=total / _MIB, gpu_memory_percent=100.0 * used / total
        )
    except (AttributeError, RuntimeError, ZeroDivisionError):
        return found
    return found


def _processors() -> Dict[str, float]:
    try:
        with open("/proc/stat", encoding="ascii") as file:
            times = [int(word) for word in file.readline().split()[1:9]]
    except (OSError, ValueError):
        return {}
    now = (sum(times) - sum(times[3:5]), sum(times))
    before = _ticks.pop() if _ticks else (0, 0)
    _ticks.append(now)
    passed = now[1] - before[1]
    return {"cpu_percent": 100.0 * (now[0] - before[0]) / passed} if passed > 0 else {}


def _memory() -> Dict[str, float]:
    try:
        total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        with open("/proc/meminfo", encoding="ascii") as file:
            free = {line.split(":")[0]: int(line.split()[1]) * 1024 for line in file}["MemAvailable"]
    except (OSError, ValueError, KeyError, IndexError):
        return {}
    return {"memory_percent": 100.0 * (total - free) / total}
