"""TensorBoard's `SummaryWriter`, torch's and tensorboardX's, heard without a change to the script: its scalars and
hyperparameters go into one run of the process, whichever writer they are given to. TensorBoard's files are written as
ever.

Where another run of ours is open in the process (a native adapter's, the script's own, or one beside wandb's), that
one logs the training, and this hook yields to it.
"""

import os
import weakref
from collections.abc import Mapping
from typing import Any, Dict, Optional

from .. import api
from ..notices import say
from ..runs import Run
from .counterpart import begin
from .patches import _wrap

ORIGIN = "tensorflow"  #: what Primus Lens calls this source of data
OVER_SAMPLES = " vs samples"  #: Megatron's second curve of each number, over another axis than steps

_ours: Optional[Run] = None
_prefixes: "weakref.WeakKeyDictionary[Any, str]" = weakref.WeakKeyDictionary()  # a writer to what its tags begin with
_folders: Dict[str, str] = {}  # the writers' folders, to the same
_yielded = False


def patch(module: Any) -> None:
    """Hook the writers of this module."""
    writer = getattr(module, "SummaryWriter", None)
    if isinstance(writer, type):
        _wrap(writer, "add_scalar", before=_scalar)
        _wrap(writer, "add_scalars", before=_scalars)
        _wrap(writer, "add_hparams", before=_hyperparameters)


def _scalar(writer: Any, tag: Any, scalar_value: Any, global_step: Any = None, *args: Any, **others: Any) -> None:
    _log(writer, {str(tag): scalar_value}, global_step)


def _scalars(
    writer: Any, main_tag: Any, tag_scalar_dict: Any, global_step: Any = None, *args: Any, **others: Any
) -> None:
    if isinstance(tag_scalar_dict, Mapping):
        _log(writer, {f"{main_tag}/{tag}": value for tag, value in tag_scalar_dict.items()}, global_step)


def _hyperparameters(writer: Any, hparam_dict: Any, *args: Any, **others: Any) -> None:
    run = _run(writer)
    if run is not None:
        run.config.update(dict(hparam_dict))  # the metrics beside them come from a writer that this call makes


def _log(writer: Any, metrics: Dict[str, Any], step: Any) -> None:
    run = _run(writer)
    if run is not None:
        prefix = _prefix(writer)
        found = {prefix + name: value for name, value in metrics.items() if not name.endswith(OVER_SAMPLES)}
        if found:
            run.log(found, step=step)


def _run(writer: Any) -> Optional[Run]:
    """Ours, begun at the first word; None where another run logs this training."""
    global _ours, _yielded
    if _yielded:
        return None
    others = [run for run in api._open if run is not _ours]
    if others:
        _yielded = True
        say(f"TensorBoard's scalars are left to run {others[-1].id}, which logs this training")
        return None
    if _ours is None or _ours._finished:
        folder = _folder(writer)
        _ours = begin({"name": os.path.basename(folder) or None}, None, ORIGIN)
    return _ours


def _prefix(writer: Any) -> str:
    """What tells a writer's tags from those of another one in another folder: nothing for the first."""
    found = _prefixes.get(writer)
    if found is None:
        folder = _folder(writer)
        above, name = os.path.split(folder)
        if above in _folders and name.replace(".", "").isdigit():
            folder = above  # of one call of add_hparams, named after the time
        if folder not in _folders:
            _folders[folder] = f"{name}/" if _folders else ""
        found = _prefixes[writer] = _folders[folder]
    return found


def _folder(writer: Any) -> str:
    """Where a writer writes; tensorboardX calls it otherwise."""
    found = getattr(writer, "log_dir", None) or getattr(writer, "logdir", None) or ""
    return os.path.abspath(str(found)) if found else ""
