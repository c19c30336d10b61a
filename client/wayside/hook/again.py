"""A second `wandb.init` while a diverted run is open: to wandb, which was told "disabled", that run never was, so what
`reinit=` asks is done here.
"""

from contextlib import contextmanager
from typing import Any, Dict, Iterator, List, Mapping, Optional, Tuple

from ..asking import in_notebook
from ..runs import Run
from .asked import reinit_of
from .silent import ENDED

_open: List[Tuple[Any, Run]] = []  # diverted runs: wandb's, ours

#: What `wandb.init` binds in the module.
_GLOBALS = (
    *("run", "config", "summary", "log", "save", "use_artifact", "log_artifact", "define_metric", "alert", "watch"),
    *("unwatch", "mark_preempting", "log_model", "use_model", "link_model"),
)


def diverted(run: Any, ours: Run) -> None:
    """A run has begun."""
    _open.append((run, ours))


def given_back(asked: Mapping[str, Any]) -> Optional[Any]:
    """The run that this `init` gives back as it is, if there is one. Or those that are open are ended first."""
    _open[:] = [(run, ours) for run, ours in _open if ENDED not in run.__dict__]
    reinit = reinit_of(asked)
    if reinit is True or reinit == "finish_previous" or (reinit in (None, "default") and in_notebook()):
        for run, _ in list(_open):
            run.finish()
    elif reinit != "create_new" and _open:
        run, ours = _open[-1]
        ours.notices.tell("reinit", f"run {ours.id} is open: wandb.init() gives it back; reinit= says otherwise")
        return run
    return None


@contextmanager
def in_place(wandb: Any, asked: Mapping[str, Any]) -> Iterator[None]:
    """Within, a run is made; one that is to stand beside others does not become the module's own."""
    before: Dict[str, Any] = {}
    if reinit_of(asked) == "create_new":
        before = {name: getattr(wandb, name) for name in _GLOBALS if hasattr(wandb, name)}
    try:
        yield
    finally:
        for name, value in before.items():
            setattr(wandb, name, value)
