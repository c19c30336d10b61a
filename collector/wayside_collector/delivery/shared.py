"""What all pumps of a collector share."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..registry import Registry
from ..spool import Spool
from .election import Election


@dataclass(frozen=True, slots=True)
class Shared:
    """What all pumps of a collector share. folder: where each sink has a folder of its own. clock: Unix time in
    seconds. randomness: numbers from 0 to 1, for the backoff.
    """

    spool: Spool
    registry: Registry
    election: Election
    folder: Path
    clock: Callable[[], float] = time.time
    randomness: Callable[[], float] = random.random
