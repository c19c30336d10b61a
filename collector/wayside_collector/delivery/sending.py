"""One attempt after the other to give a sink what is in flight, and what its answers lead to.

What is unexpected ends here: whatever a sink raises is a reason to try again, never a reason to stop.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable

from ..sinks.base import Changes, Context, Reject, Report, Retry, Sink
from . import backoff
from .aside import MAX_ASIDE
from .commit import Commits
from .flight import Flight
from .reading import Reading
from .shared import Shared

SEND_LIMIT = 300.0  #: seconds a send may take: far beyond any sink's own timeouts, so that only a bug meets it
HURRY_LIMIT = 10.0  #: seconds it may still take when files must go: the disk does not wait for a sink

log = logging.getLogger(__name__)


class Sending:
    """One sink's, which is opened before its first send. Used within the pump's turn.

    last_error: what is wrong now. failures: since the last good send. counters: what the sink counts of its own.
    report: how the collector fares, for the sink.
    """

    def __init__(self, name: str, sink: Sink, shared: Shared, reading: Reading, flight: Flight) -> None:
        self.last_error: str | None = None
        self.failures = 0
        self.counters: dict[str, int] = {}
        self.report: Callable[[], Report] = Report
        self._name = name
        self._sink = sink
        self._shared = shared
        self._reading = reading
        self._aside = reading.buffer.aside
        self._flight = flight
        self._open = False
        self._limit: asyncio.Timeout | None = None

    async def attempt(self, commits: Commits) -> float:
        """One attempt; returns the seconds to wait before the next."""
        limit = asyncio.timeout(SEND_LIMIT)
        began = asyncio.get_running_loop().time()
        try:
            changes = await self._ask(limit, commits)
        except Retry as answer:
            return await self._retry(answer, commits)
        except Reject as answer:
            await self._refuse(answer, commits)
            return 0.0
        except Exception as problem:
            if limit.expired():
                took = asyncio.get_running_loop().time() - began
                return await self._retry(Retry(f"no answer within {took:.0f} s", uncertain=True), commits)
            log.exception("sink %s failed in a way it should not; tried again", self._name)
            return await self._retry(Retry(f"{type(problem).__name__}: {problem}", uncertain=True), commits)
        self._aside.forgive(self._flight.runs())
        self._flight.accepted(changes)
        self.failures, self.last_error = 0, None
        await commits.at_pace()
        return 0.0

    async def _ask(self, limit: asyncio.Timeout, commits: Commits) -> Changes:
        """What the sink says, within the limit."""
        self._limit = limit
        try:
            async with limit:
                if not self._open:
                    await self._open_sink(commits)
                return await self._sink.send(self._flight.parcel())
        finally:
            self._limit = None

    async def _open_sink(self, commits: Commits) -> None:
        await self._sink.open(self._context(commits))
        self._open = True

    async def open_early(self, commits: Commits) -> None:
        """Before there is anything to send, for a sink that shows what it kept; what fails is tried again with the
        first send, which says so.
        """
        with contextlib.suppress(Retry, TimeoutError):
            async with asyncio.timeout(SEND_LIMIT):
                await self._open_sink(commits)

    def hurry(self) -> None:
        """A send that is under way is cut off soon: files must go, and what is in flight is to be booked first."""
        if self._limit is not None and not self._limit.expired():
            soon = asyncio.get_running_loop().time() + HURRY_LIMIT
            self._limit.reschedule(min(soon, self._limit.when() or soon))

    def _context(self, commits: Commits) -> Context:
        shared = self._shared
        told = (self._name, shared.folder / self._name, dict(commits.state), self._count, self.report)
        return Context(*told, shared.spool.media.path)

    async def _retry(self, answer: Retry, commits: Commits) -> float:
        runs = self._flight.runs()
        something = self._flight.retried(answer)
        left = self._flight.runs()
        if something:
            self.failures = 0
            self._aside.forgive(runs - left)
            await commits.at_pace()
        if left and left <= answer.runs and self._set_aside(answer, left):
            self.failures, self.last_error = 0, None
            return 0.0
        self.failures += 1
        self.last_error = str(answer)
        if self.failures == 1:
            log.warning("sink %s: %s; tried again", self._name, answer)
        now = self._shared.clock()
        return backoff.wait(self.failures, self._shared.randomness, not_before=answer.not_before, now=now)

    def _set_aside(self, answer: Retry, runs: frozenset[str]) -> bool:
        """The trouble is these runs' alone: the others go on. Whether there is room for that."""
        if self._flight.again or self._reading.buffer.held + self._flight.records > MAX_ASIDE:
            return False
        now = self._shared.clock()
        oldest = self._flight.oldest or now
        for run in runs:
            if self._aside.put(run, str(answer), oldest) == 1:
                log.warning("sink %s: %s; run %s is tried again, others go on", self._name, answer, run)
            self._aside.wait(run, self._shared.randomness, answer.not_before, now)
        self._reading.buffer.put_back(self._flight.parts)
        self._flight.parts = []
        return True

    async def _refuse(self, answer: Reject, commits: Commits) -> None:
        self._aside.forgive(self._flight.runs())
        refused = self._flight.refused(answer, self._shared.clock())
        self.failures = 0
        what = f"{refused.rows} rows" if refused.rows else f"{refused.events} events"
        log.error("sink %s refused %s for good: %s; see dead letters", self._name, what, answer)
        await commits.surely()
        self.last_error = str(answer)

    def _count(self, name: str, by: int) -> None:
        self.counters[name] = self.counters.get(name, 0) + by
