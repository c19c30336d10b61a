"""Where whatever fails in ours ends: the caller of wandb or TensorBoard must never see it. And where nothing is heard
once a native adapter logs.
"""

from typing import Any, Callable

from ..handlers import raised_by_handler
from ..notices import say
from .native import yielded

_said = False


def guarded(ours: Callable[..., Any], *args: Any, **named: Any) -> None:
    """Call ours; a failure is said once in a process. What a signal handler of the script raised meanwhile goes on."""
    global _said
    if yielded():
        return
    try:
        ours(*args, **named)
    except Exception as problem:
        if raised_by_handler(problem):
            raise
        if not _said:
            _said = True
            say(f"something that was logged was not heard: {problem!r}; wandb and TensorBoard are not touched")
