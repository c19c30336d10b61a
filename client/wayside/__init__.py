"""Wayside's client: log metrics without ever slowing a training step. Standard library only.

    import wayside

    with wayside.init(project="demo", config={"lr": 3e-4}):
        for step in range(100):
            wayside.log({"train/loss": 1 / (step + 1)}, step=step)

`wayside.run`, `wayside.config` and `wayside.summary` are those of the current run, as in wandb. What is asked of this
module is imported when it is first asked for: every Python process of an image may import it just to find that it has
nothing to do (`hook.activate`).
"""

from __future__ import annotations

from ._version import __version__

TYPE_CHECKING = False  # as type checkers know it; importing `typing` takes longer than all the rest of a Python's start
if TYPE_CHECKING:
    from typing import Any

    from .api import AlertLevel, alert, define_metric, finish, init, log
    from .hook import install_wandb_hook
    from .runs import Run

__all__ = [
    "AlertLevel",
    "Run",
    "__version__",
    "alert",
    "config",
    "define_metric",
    "finish",
    "init",
    "install_wandb_hook",
    "log",
    "run",
    "summary",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'wayside' has no attribute {name!r}")
    from . import api, hook, runs

    if name in ("run", "config", "summary"):
        return api.current(name)
    home: Any = runs if name == "Run" else hook if name == "install_wandb_hook" else api
    globals()[name] = found = getattr(home, name)  # from now on found without asking
    return found
