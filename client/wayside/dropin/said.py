"""wandb's words to the terminal, and requirements that mean nothing here."""

import sys
from typing import Any, Set

_said: Set[str] = set()


def termlog(string: str = "", newline: bool = True, repeat: bool = True, prefix: bool = True) -> None:
    """A line on stderr. repeat=False: only the first time."""
    _say(string, newline, repeat, "wandb: " if prefix else "")


def termwarn(string: str, newline: bool = True, repeat: bool = True, prefix: bool = True) -> None:
    """A warning on stderr, as `termlog`."""
    _say(string, newline, repeat, "wandb: WARNING " if prefix else "")


def termerror(string: str, newline: bool = True, repeat: bool = True, prefix: bool = True) -> None:
    """An error on stderr, as `termlog`."""
    _say(string, newline, repeat, "wandb: ERROR " if prefix else "")


def require(requirement: Any = None, experiment: Any = None) -> None:
    """Accepted: it chooses between parts of W&B's SDK."""


def ensure_configured() -> None:
    """Accepted: there is nothing to configure."""


def teardown(exit_code: Any = None) -> None:
    """End the runs of this process."""
    from .. import api

    for run in list(api._open):
        run.finish(exit_code)


def _say(string: str, newline: bool, repeat: bool, prefix: str) -> None:
    if not repeat:
        if string in _said:
            return
        _said.add(string)
    sys.stderr.write(f"{prefix}{string}" + ("\n" if newline else ""))
