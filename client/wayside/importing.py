"""What the client's own threads import, no fork meets half-way.

A module that a thread is importing when another one forks stays locked in the child for ever, and whoever imports it
there hangs: a data loader's worker, say. So a thread of ours imports with this lock held, and a fork waits for it.
"""

import contextlib
import os
import threading
from typing import Iterator

PATIENCE = 2.0  #: seconds a fork waits: longer than any import of ours, unless it waits for the forking thread's own

_lock = threading.RLock()


@contextlib.contextmanager
def importing() -> Iterator[None]:
    """To be held around whatever a thread of ours may import."""
    with _lock:
        yield


def _before_fork() -> None:
    _lock.acquire(timeout=PATIENCE)


def _in_parent() -> None:
    with contextlib.suppress(RuntimeError):  # it was not to be had in time
        _lock.release()


def _in_child() -> None:
    global _lock
    _lock = threading.RLock()  # the old one may be held by a thread that is no more


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_in_parent, after_in_child=_in_child)
