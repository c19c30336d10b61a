"""Telling an exception that a signal handler raised from one of the object that was just being asked.

A user's object may raise anything when it is read, and that is caught. But a handler may raise in that very moment
(an alarm that ends a step which takes too long), and what it raises is meant for the training, not for us.
"""

from types import TracebackType
from typing import Any, Optional, Set


def raised_by_handler(problem: BaseException) -> bool:
    """Whether a Python signal handler is among the frames an exception came through."""
    import signal

    trace: Optional[TracebackType] = problem.__traceback__

    codes: Set[Any] = set()
    for number in range(1, signal.NSIG):
        try:
            handler = signal.getsignal(number)
        except ValueError:
            continue  # a number that is no signal here
        codes.add(getattr(getattr(handler, "__func__", handler), "__code__", None))
    codes.discard(None)
    while trace is not None:
        if trace.tb_frame.f_code in codes:
            return True
        trace = trace.tb_next
    return False
