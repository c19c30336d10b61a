"""Runs that a sink does not take for now while it takes others: each waits out a backoff of its own. Pure.

What of them is read stays where it was in the order of their session; nothing more of them is read meanwhile. So one
run that W&B forbids, or one workload that Lens does not know, holds no other.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from . import backoff

MAX_ASIDE = 20_000  #: records in memory of runs set aside, some tens of MB; with more, the sink as a whole waits


@dataclass(slots=True)
class _Trouble:
    """One run's. due: Unix time in seconds of its next try. oldest: likewise, of its oldest record."""

    failures: int = 0
    due: float = 0.0
    oldest: float = 0.0
    error: str = ""


class Aside:
    """One sink's, by the id of the run."""

    def __init__(self) -> None:
        self._troubles: dict[str, _Trouble] = {}
        self._waiting: frozenset[str] = frozenset()

    def holds(self, run: str) -> bool:
        """Whether nothing of this run is to be sent now. From any thread."""
        return run in self._waiting

    def put(self, run: str, error: str, oldest: float) -> int:
        """One more failure of this run; how many there were in a row."""
        trouble = self._troubles.setdefault(run, _Trouble())
        trouble.failures += 1
        trouble.error, trouble.oldest = error, oldest
        self._waiting |= {run}
        return trouble.failures

    def wait(self, run: str, random: Callable[[], float], not_before: float | None, now: float) -> None:
        """It waits from now on."""
        trouble = self._troubles[run]
        trouble.due = now + backoff.wait(trouble.failures, random, not_before=not_before, now=now)

    def wake(self, now: float) -> None:
        """Those that have waited long enough may be tried again."""
        self._waiting = frozenset(run for run in self._waiting if self._troubles[run].due > now)

    def forgive(self, runs: Iterable[str]) -> None:
        """Something of these was delivered, or refused for good; a dead letter of theirs may be, while they wait."""
        for run in runs:
            self._waiting -= {run}
            self._troubles.pop(run, None)

    @property
    def runs(self) -> frozenset[str]:
        """Those in trouble."""
        return frozenset(self._troubles)

    @property
    def next_due(self) -> float | None:
        """When the next of them may be tried again."""
        return min((self._troubles[run].due for run in self._waiting), default=None)

    # --- what is shown of it, from any thread -----------------------------------------------------

    @property
    def failures(self) -> int:
        return max((trouble.failures for trouble in list(self._troubles.values())), default=0)

    @property
    def error(self) -> str | None:
        """Of the run that has failed most often, and how many others there are."""
        troubles = list(self._troubles.values())
        if not troubles:
            return None
        worst = max(troubles, key=lambda trouble: trouble.failures)
        return worst.error if len(troubles) == 1 else f"{worst.error} (and {len(troubles) - 1} more runs)"

    @property
    def oldest(self) -> float | None:
        return min((trouble.oldest for trouble in list(self._troubles.values())), default=None)
