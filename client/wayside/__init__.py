"""Wayside's client: log metrics without ever slowing a training step. Standard library only.

    import wayside

    with wayside.init(project="demo", config={"lr": 3e-4}):
        for step in range(100):
            wayside.log({"train/loss": 1 / (step + 1)}, step=step)

`wayside.run`, `wayside.config` and `wayside.summary` are those of the current run, as in wandb.
"""

from typing import Any

from . import api as _api
from ._version import __version__
from .api import AlertLevel, alert, define_metric, finish, init, log
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
    "log",
    "run",
    "summary",
]


def __getattr__(name: str) -> Any:
    if name in ("run", "config", "summary"):
        return _api.current(name)
    raise AttributeError(f"module 'wayside' has no attribute {name!r}")
