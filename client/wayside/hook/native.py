"""The hook and a native adapter in one process: the adapter logs the training itself, and the hook yields to it."""

from typing import List, Optional

from ..runs import Run

_to = ""  # who logs natively; empty while nobody does
_begun: List[Run] = []  # runs of the hook's that are open


def began(run: Run) -> None:
    """The hook has begun a run."""
    _begun[:] = [*(one for one in _begun if not one._finished), run]


def yielded() -> bool:
    """Whether an adapter logs, so that nothing of wandb's runs is heard any more."""
    return bool(_to)


def yield_to(name: str) -> Optional[Run]:
    """See `wayside.hook.yield_to`."""
    global _to
    _to = name
    still_open = [run for run in _begun if not run._finished]
    _begun.clear()
    return still_open[-1] if still_open else None
