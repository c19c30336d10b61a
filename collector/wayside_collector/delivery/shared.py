"""What all pumps of a collector share."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..registry import Registry
from ..sinks.base import Account, Report
from ..spool import Spool
from .books import Books
from .election import Election


@dataclass(frozen=True, slots=True)
class Shared:
    """What all pumps of a collector share. folder: where each sink has a folder of its own. clock: Unix time in
    seconds. randomness: numbers from 0 to 1, for the backoff. lost: rows and points that clients lost, ever.
    """

    spool: Spool
    registry: Registry
    election: Election
    folder: Path
    clock: Callable[[], float] = time.time
    randomness: Callable[[], float] = random.random
    lost: Callable[[], tuple[int, int]] = lambda: (0, 0)

    def report(self, books: Books) -> Report:
        """How the collector fares, and a sink with these books."""
        alive = tuple(one.session for one in self.registry.all() if one.ended is None and one.session.kind != "test")
        now = books.copy()
        dropped = {reason: amount.points for reason, amount in now.dropped.items()}
        told = (now.received.points, now.delivered.points, now.waiting.points)
        return Report(alive, Account(*told, dropped, now.filtered.points, now.redelivered.points), *self.lost())
