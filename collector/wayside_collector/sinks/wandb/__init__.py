"""The W&B sink: rows reach W&B through its own SDK, which runs in a child process, never in the collector.

`sink` holds the contract, `sending` one send. `encode`, `plain` and `system` turn records into what a run is told,
`shipment` into what the SDK is given; `flight` numbers rows, `course` knows what became of them, `ledger` keeps that
on disk. `runs` opens and closes them through `process`, which speaks `protocol` with `child`: that, `sdk` and `written`
are the only modules that import wandb. `relay` stands between the SDK and W&B (`upstream`) and notes in `feed` what
W&B has taken. `transaction_log` reads the SDK's files.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .options import WandbOptions
    from .sink import WandbSink

__all__ = ["WandbOptions", "WandbSink"]


def __getattr__(name: str) -> Any:
    """Imported when asked for: the child passes through here, and must not carry the collector's half."""
    if name in __all__:
        return getattr(import_module(f".{name.removeprefix('Wandb').lower()}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
