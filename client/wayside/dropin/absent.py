"""What needs W&B's own server or SDK: each says so, and what to use instead."""

import os
from typing import Any, NamedTuple, NoReturn, Optional

from ..told import told_once
from .errors import UnsupportedError

_MIRROR = "keep `import wandb`, and WAYSIDE_WANDB_HOOK=mirror gives the collector every row, too (docs/zero-code.md)"


class Absent:
    """What `use_artifact` gives: takes every call, and is what came before it."""

    def __init__(self, name: str, type: Optional[str], folder: str) -> None:
        self.name = name
        self.type = type
        self._folder = folder

    def download(self, root: Any = None, *args: Any, **named: Any) -> str:
        """A folder with nothing in it."""
        safe = "".join(one if one.isalnum() or one in "-_." else "-" for one in self.name)
        path = os.path.abspath(root or os.path.join(self._folder, safe))
        os.makedirs(path, exist_ok=True)
        told_once(
            f"download {self.name}", f"nothing is downloaded of {self.name}: {path} holds only what was put there"
        )
        return path

    def __call__(self, *args: Any, **named: Any) -> "Absent":
        return self

    def __getattr__(self, name: str) -> "Absent":
        if name.startswith("__"):
            raise AttributeError(name)
        return self


class Status(NamedTuple):
    """What `Run.status` says."""

    sync_items_total: int
    sync_items_pending: int
    sync_time: float


class Api:
    """Not offered: it reads what W&B keeps."""

    def __init__(self, *args: Any, **named: Any) -> None:
        _refuse("Api", "runs are read with the collector's own API (docs/api.md), or with wandb's SDK")


def sweep(*args: Any, **named: Any) -> NoReturn:
    """Not offered: W&B's server makes the choices of a sweep."""
    _refuse("sweep", _MIRROR)


def agent(*args: Any, **named: Any) -> NoReturn:
    """Not offered: its runs are W&B's own."""
    _refuse("agent", _MIRROR)


def controller(*args: Any, **named: Any) -> NoReturn:
    """Not offered, as `sweep`."""
    _refuse("controller", _MIRROR)


def attach(*args: Any, **named: Any) -> NoReturn:
    """Not offered: another process begins a session of its own, with `init(id=…)`."""
    _refuse("attach", "a process of the same run calls init() with the same id=, and has a session of its own")


def _refuse(name: str, instead: str) -> NoReturn:
    raise UnsupportedError(f"wayside has no {name}(): {instead}")
