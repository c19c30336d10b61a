"""Drives one sampler: calls it on its interval in a thread of its own, counts and times the calls, says what is wrong.

The samplers measure, `system.py` decides what becomes of a sample; between them there is only this. A driver can hold
a call for seconds or for ever (a dead NFS mount, a GPU in trouble), so the thread is a daemon thread that nothing
waits for without a limit, and a call that overruns makes the clock skip ticks and never pile them up.
"""

import asyncio
import concurrent.futures
import logging
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from .base import Sample, Sampler, Unavailable

log = logging.getLogger(__name__)

OPEN_AGAIN: Final = 300.0  #: seconds until a sampler that could not be opened is tried again: drivers come late
STUCK_AFTER: Final = 60.0  #: seconds in one call after which it is said to hang; the slowest honest one takes about 1
CLOSE_WITHIN: Final = 2.0  #: seconds a sampler has to end, of the whole collector's few; then its thread is left behind
MAX_SAID: Final = 256  #: different texts a sampler may log, so that one that words each anew cannot fill the log
MAX_TEXT: Final = 500  #: characters of one such text


@dataclass(slots=True)
class SamplerHealth:
    """How a sampler fares, for the status page; written on the event loop only.

    success: whether the last call measured. duration_seconds: how long that took. samples, failures: calls that did
    and did not. skipped: ticks that passed while a call was still under way. problems: fields that could not be read,
    counted at each sample. last_time: Unix time of the last sample. unavailable: why there is nothing to measure.
    """

    success: bool = False
    duration_seconds: float = 0.0
    samples: int = 0
    failures: int = 0
    skipped: int = 0
    problems: int = 0
    last_time: float | None = None
    last_error: str | None = None
    unavailable: str | None = None


class Clock:
    """The time a runner lives by; a test passes one that moves when told to."""

    def time(self) -> float:
        """Unix time in seconds: when a sample was taken."""
        return time.time()

    def steady(self) -> float:
        """Seconds that only grow: when the next sample is due."""
        return time.monotonic()

    async def wait(self, until: float, job: "asyncio.Future[Any] | None" = None) -> None:
        """Return at the steady time `until`, or before it when `job` is done."""
        delay = max(0.0, until - self.steady())
        if job is None:
            await asyncio.sleep(delay)
        else:
            await asyncio.wait({job}, timeout=delay)


class Outcome(NamedTuple):
    """How one call in the sampler's thread ended. time: Unix time when it was asked for; the thread was free then."""

    time: float
    seconds: float
    result: Any
    error: Exception | None


def next_tick(due: float, now: float, interval: float) -> tuple[float, int]:
    """The last tick that is due, and how many before it have passed unused (after a stall of the whole process)."""
    missed = max(0, int((now - due) // interval))
    return due + missed * interval, missed


async def run_sampler(
    name: str,
    sampler: Sampler,
    interval: float,
    emit: Callable[[Sample, float], None],
    health: SamplerHealth,
    clock: Clock | None = None,
) -> None:
    """Sample until cancelled. `emit(sample, Unix time)` is called on the event loop.

    `open` and `sample` may raise Unavailable: said once at INFO, and opened again after OPEN_AGAIN. Anything else
    that `sample` raises is a failure, counted, said once for each message, and the next tick comes as usual.
    """
    run = _Run(name, sampler, emit, health, clock or Clock())
    try:
        while True:
            if await run.open():
                await run.sample_each(interval)
            await run.clock.wait(run.clock.steady() + OPEN_AGAIN)
    finally:
        await run.close()


class _Run:
    def __init__(
        self,
        name: str,
        sampler: Sampler,
        emit: Callable[[Sample, float], None],
        health: SamplerHealth,
        clock: Clock,
    ) -> None:
        self.clock = clock
        self._name = name
        self._sampler = sampler
        self._emit = emit
        self._health = health
        self._thread = _Thread(f"wayside-{name}")
        self._said: set[str] = set()

    async def open(self) -> bool:
        """Whether the sampler is open now."""
        job = self._start(self._sampler.open)
        while not job.done():
            await self.clock.wait(self.clock.steady() + STUCK_AFTER, job)
            if not job.done():
                self._say_stuck()
        outcome = job.result()
        if outcome.error is not None:
            self._take_error(outcome.error)
            await self._close_for_now()
            return False
        self._health.unavailable = None
        self._say(logging.INFO, "sampling")
        return True

    async def sample_each(self, interval: float) -> None:
        """Sample on each tick, until the sampler says that there is nothing to measure any more."""
        due = self.clock.steady()
        while True:
            started = self.clock.steady()
            job = self._start(self._sampler.sample)
            while not job.done():
                due += interval
                await self.clock.wait(due, job)
                if not job.done():
                    self._health.skipped += 1
                    if self.clock.steady() - started >= STUCK_AFTER:
                        self._say_stuck()
            outcome = job.result()
            self._health.duration_seconds = outcome.seconds
            if outcome.error is None:
                self._take_sample(outcome.result, outcome.time)
            else:
                self._take_error(outcome.error)
                if isinstance(outcome.error, Unavailable):
                    await self._close_for_now()
                    return
            await self.clock.wait(due)
            due, missed = next_tick(due, self.clock.steady(), interval)
            self._health.skipped += missed

    async def _close_for_now(self) -> None:
        """Before it is opened again. One that hangs holds its thread: the next call waits for that, and says so."""
        job = self._start(self._sampler.close)
        await self.clock.wait(self.clock.steady() + CLOSE_WITHIN, job)
        if job.done():
            self._take_close(job.result())
        else:
            log.warning("%s: closing takes more than %g s", self._name, CLOSE_WITHIN)

    async def close(self) -> None:
        """Close the sampler when its thread is free, and wait for that no longer than CLOSE_WITHIN."""
        job = self._start(self._sampler.close)
        self._thread.end()
        await self.clock.wait(self.clock.steady() + CLOSE_WITHIN, job)
        if not job.done():
            log.warning("%s: did not end within %g s; its thread is left behind", self._name, CLOSE_WITHIN)
        else:
            self._take_close(job.result())

    def _start(self, call: Callable[[], object]) -> "asyncio.Future[Outcome]":
        at, start = self.clock.time(), self.clock.steady()

        def timed() -> Outcome:
            result, problem = _caught(call)
            return Outcome(at, self.clock.steady() - start, result, problem)

        return self._thread.start(timed)

    def _take_sample(self, sample: Sample, at: float) -> None:
        health = self._health
        health.success = True
        health.samples += 1
        health.problems += len(sample.problems)
        health.last_time = at
        for problem in sample.problems:
            self._say(logging.WARNING, problem)
        self._emit(sample, at)

    def _take_error(self, error: Exception) -> None:
        self._health.success = False
        if isinstance(error, Unavailable):
            self._health.unavailable = str(error)
            self._say(logging.INFO, f"not sampled, looked for again each {OPEN_AGAIN / 60:g} minutes: {error}")
        else:
            self._health.failures += 1
            self._health.last_error = f"{type(error).__name__}: {error}"[:MAX_TEXT]
            self._say(logging.WARNING, f"failed: {self._health.last_error}", error)

    def _take_close(self, outcome: Outcome) -> None:
        if outcome.error is not None:
            self._say(logging.WARNING, f"closing failed: {type(outcome.error).__name__}: {outcome.error}")

    def _say_stuck(self) -> None:
        self._health.success = False
        self._health.last_error = f"one call has taken more than {STUCK_AFTER:g} s"
        self._say(logging.WARNING, f"hangs: {self._health.last_error}")

    def _say(self, level: int, text: str, error: Exception | None = None) -> None:
        """Log a text once; when MAX_SAID texts have been logged, say so and log no more."""
        text = text[:MAX_TEXT]
        if text in self._said or len(self._said) > MAX_SAID:
            return
        self._said.add(text)
        if len(self._said) > MAX_SAID:
            level, text, error = logging.WARNING, f"{MAX_SAID} problems have been logged; more are only counted", None
        log.log(level, "%s: %s", self._name, text, exc_info=error)


def _caught(call: Callable[[], object]) -> tuple[object, Exception | None]:
    try:
        return call(), None
    except Exception as error:  # noqa: BLE001 -- here a sampler's errors end: the runner counts and logs each
        return None, error


class _Thread:
    """One daemon thread that makes one call after the other, started with the first.

    Not an executor: Python waits for an executor's threads at exit, for ever when one hangs in a driver.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._jobs: queue.SimpleQueue[tuple[Callable[[], Outcome], concurrent.futures.Future[Outcome]] | None] = (
            queue.SimpleQueue()
        )
        self._thread: threading.Thread | None = None

    def start(self, call: Callable[[], Outcome]) -> "asyncio.Future[Outcome]":
        """The outcome of `call`, to be awaited on the running loop. `call` must not raise."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name=self._name, daemon=True)
            self._thread.start()
        future: concurrent.futures.Future[Outcome] = concurrent.futures.Future()
        self._jobs.put((call, future))
        return asyncio.wrap_future(future)

    def end(self) -> None:
        """Let the thread end after the calls it has."""
        self._jobs.put(None)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            call, future = job
            if future.set_running_or_notify_cancel():
                future.set_result(call())
