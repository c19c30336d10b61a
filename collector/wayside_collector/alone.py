"""Stops a collector that has been left alone: a sidecar that is an ordinary container, where Kubernetes knows no native
ones, would keep its Job from completing.

Whoever has a session open is company; and where the pod shares its process namespace, whoever runs there beside the
collector, whether it logs or not.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from pathlib import Path

import psutil

LOOK = 0.25  #: seconds between two looks: a training that fails at once must have been seen
NOBODY_CAME = 3600.0  #: seconds to wait for the first company: the training's image may take long to be pulled

log = logging.getLogger(__name__)


class Alone:
    """after: seconds alone. has_company: whether anybody is there now. has_had: whether it is known that somebody was,
    who may have left between two looks. clock: seconds that only grow.
    """

    def __init__(
        self,
        after: float,
        has_company: Callable[[], bool],
        has_had: Callable[[], bool] = lambda: False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._after = after
        self._has_company = has_company
        self._has_had = has_had
        self._clock = clock
        self._since = clock()
        self._limit = max(after, NOBODY_CAME)

    def is_over(self) -> bool:
        """Whether it is time to go. Looks now."""
        now = self._clock()
        if self._has_company():
            self._since, self._limit = now, self._after
            return False
        if self._limit > self._after and self._has_had():
            self._since, self._limit = now, self._after
        return now - self._since >= self._limit

    async def run(self, stop: asyncio.Event) -> None:
        """Sets `stop` when it is time to go; until then runs until cancelled."""
        while not stop.is_set():
            if await asyncio.to_thread(self.is_over):
                log.info("nobody is here any more: stopping, as exit_when_alone says")
                stop.set()
            await asyncio.sleep(LOOK)


def shares_processes(root: Path = Path("/proc")) -> bool:
    """Whether this is a container of a pod whose containers see each other's processes: the first is Kubernetes's."""
    try:
        return (root / "1" / "comm").read_text().strip() == "pause"
    except OSError:
        return False


def others_run() -> bool:
    """Whether a process runs that is neither the first of the pod, nor we, nor started by us. One of which we may not
    ask is somebody.
    """
    try:
        ours = psutil.Process()
        known = {1, ours.pid, *(child.pid for child in ours.children(recursive=True))}
        return any(pid not in known and _runs(pid) for pid in psutil.pids())
    except (psutil.Error, OSError):
        return True


def _runs(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
