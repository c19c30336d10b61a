"""With which code the process is about to end, as far as that can be known before it does.

Nothing tells the functions that run at exit what `sys.exit` was called with, so it is wrapped, as wandb does it; what
ends a process otherwise (`os._exit`, a signal) runs no such functions.
"""

import sys
import threading
from typing import Any, Optional

INTERRUPTED = 130  #: what a shell makes of a process that SIGINT ended

_asked: Optional[BaseException] = None  # the SystemExit of the last sys.exit() in the main thread
_original = sys.exit


def watch() -> None:
    """Remember from now on what `sys.exit` is called with."""
    global _original
    if sys.exit is not _exit:
        _original = sys.exit
        sys.exit = _exit


def _exit(status: Any = None, /) -> Any:
    global _asked
    if threading.current_thread() is threading.main_thread():
        _asked = SystemExit(status)
    _original(status)


def code() -> int:
    """The exit code, asked at exit: of the exception that reached the top, or of `sys.exit`, else 0."""
    problem = getattr(sys, "last_value", None)
    return code_of(problem if problem is not None else _asked)


def code_of(problem: Optional[BaseException]) -> int:
    """The exit code that an exception gives a process."""
    if problem is None:
        return 0
    if isinstance(problem, KeyboardInterrupt):
        return INTERRUPTED
    if not isinstance(problem, SystemExit):
        return 1
    return exit_number(problem.code)


def exit_number(status: Any) -> int:
    """An exit code as `sys.exit` takes it: a number as it is, nothing as 0, anything else as 1."""
    if status is None:
        return 0
    return int(status) if isinstance(status, int) else 1
