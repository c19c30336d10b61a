"""The runner of samplers, by a clock that moves when told to; nothing here sleeps.

`SteeredClock` lets a call that is under way end at once, unless the test makes ticks pass during it.
"""

import asyncio
import contextlib
import logging
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wayside_collector.sources.base import Sample, Unavailable
from wayside_collector.sources.sampling import (
    CLOSE_WITHIN,
    MAX_SAID,
    OPEN_AGAIN,
    STUCK_AFTER,
    Clock,
    SamplerHealth,
    next_tick,
    run_sampler,
)

UNIX = 1_767_225_600.0


class SteeredClock(Clock):
    """Steady time from 0, Unix time from UNIX. Stands still for ever after `waits` waits between calls.

    overruns: for each call into the sampler in turn (`open` is the first), the seconds that pass at each wait for it
    without its end. After the last of them `release` is called, which is to let the call end. stalls: seconds by which
    a wait between calls comes late, by its ordinal.
    """

    def __init__(
        self, waits: int, *, overruns: list[list[float]] | None = None, stalls: dict[int, float] | None = None
    ) -> None:
        self.now = 0.0
        self.left = waits
        self.stalls = stalls or {}
        self.release: Callable[[], None] = lambda: None
        self.ended = asyncio.Event()
        self._overruns = overruns or []
        self._overrun: list[float] = []
        self._overran = False
        self._job: asyncio.Future[Any] | None = None
        self._ordinal = 0

    def time(self) -> float:
        return UNIX + self.now

    def steady(self) -> float:
        return self.now

    async def wait(self, until: float, job: "asyncio.Future[Any] | None" = None) -> None:
        if job is not None:
            await self._wait_for(job)
            return
        if self.left == 0:
            self.ended.set()
            await asyncio.Event().wait()
        self.left -= 1
        self.now = max(self.now, until) + self.stalls.get(self._ordinal, 0.0)
        self._ordinal += 1
        await asyncio.sleep(0)

    async def _wait_for(self, job: "asyncio.Future[Any]") -> None:
        if job is not self._job:
            self._job = job
            self._overrun = self._overruns.pop(0) if self._overruns else []
        if self._overrun:
            self.now += self._overrun.pop(0)
            await asyncio.sleep(0)
            self._overran = True
            return
        if self._overran:
            self._overran = False
            self.release()
        await asyncio.wait({job})


class ScriptedSampler:
    """Answers `open` and `sample` with what its lists say, in turn: an exception to raise, a function to call, or a
    sample; when they are used up, with success. Remembers its calls and their threads.
    """

    def __init__(self, samples: list[Any] | None = None, *, opens: list[Any] | None = None) -> None:
        self.samples = samples or []
        self.opens = opens or []
        self.calls: list[str] = []
        self.threads: set[threading.Thread] = set()

    def open(self) -> None:
        self._answer("open", self.opens)

    def sample(self) -> Sample:
        answer = self._answer("sample", self.samples)
        return answer if isinstance(answer, Sample) else Sample({"a/b": 1.0})

    def close(self) -> None:
        self._answer("close", [])

    def _answer(self, call: str, script: list[Any]) -> Any:
        self.calls.append(call)
        self.threads.add(threading.current_thread())
        answer = script.pop(0) if script else None
        if isinstance(answer, Exception):
            raise answer
        return answer() if callable(answer) else answer


class Ran:
    """What came of a run."""

    def __init__(self) -> None:
        self.health = SamplerHealth()
        self.emitted: list[tuple[Sample, float]] = []
        self.emit_threads: set[threading.Thread] = set()

    def emit(self, sample: Sample, at: float) -> None:
        self.emitted.append((sample, at))
        self.emit_threads.add(threading.current_thread())

    @property
    def times(self) -> list[float]:
        """When the samples were taken, in seconds from the start."""
        return [at - UNIX for _, at in self.emitted]


@contextlib.asynccontextmanager
async def running(sampler: ScriptedSampler, clock: SteeredClock, interval: float = 1.0) -> AsyncIterator[Ran]:
    """A run up to the moment when the clock stands still; ends it on leaving."""
    ran = Ran()
    task = asyncio.create_task(run_sampler("gpu", sampler, interval, ran.emit, ran.health, clock))
    try:
        await asyncio.wait({task, waiter := asyncio.create_task(clock.ended.wait())}, return_when="FIRST_COMPLETED")
        waiter.cancel()
        if task.done():
            await task
        yield ran
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def run(sampler: ScriptedSampler, clock: SteeredClock, interval: float = 1.0) -> Ran:
    async with running(sampler, clock, interval) as ran:
        return ran


def messages(caplog: pytest.LogCaptureFixture, level: int) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == level]


@pytest.mark.asyncio
async def test_samples_come_on_the_beat_however_long_each_takes() -> None:
    """A call of 0.3 s, then one of 0.9 s, move no later tick: the clock has no drift."""
    clock = SteeredClock(4)
    lengths = [0.3, 0.9, 0.0, 0.5]
    sampler = ScriptedSampler([lambda s=s: setattr(clock, "now", clock.now + s) for s in lengths])
    ran = await run(sampler, clock)
    assert ran.times == [0.0, 1.0, 2.0, 3.0, 4.0]
    assert ran.health.skipped == 0
    assert ran.health.samples == 5


@pytest.mark.asyncio
async def test_a_slow_sample_skips_ticks_and_piles_none_up() -> None:
    """A call that lasts over two ticks costs those two, counted; the third comes on the old beat, and only once."""
    held = threading.Event()
    clock = SteeredClock(2, overruns=[[], [1.0, 1.0]])
    clock.release = held.set
    ran = await run(ScriptedSampler([held.wait]), clock)
    assert ran.health.skipped == 2
    assert ran.times == [0.0, 3.0, 4.0]


@pytest.mark.asyncio
async def test_a_process_that_stood_still_does_not_catch_up() -> None:
    """After a stall of 5.5 s between two ticks the missed ones are counted, and none is made good for."""
    ran = await run(ScriptedSampler(), SteeredClock(3, stalls={0: 5.5}))
    assert ran.times == [0.0, 6.5, 7.0, 8.0]
    assert ran.health.skipped == 5


@given(st.floats(0, 1e6), st.floats(0, 1e4), st.floats(0.1, 3600))
def test_the_next_tick_is_on_the_beat_and_less_than_an_interval_ago(due: float, late: float, interval: float) -> None:
    """For any lateness: the tick that is due is the last one that has come, and those before it are missed."""
    tick, missed = next_tick(due, due + late, interval)
    assert missed >= 0
    assert tick == due + missed * interval
    assert -interval * 1e-6 <= (due + late) - tick < interval * (1 + 1e-6)


@pytest.mark.asyncio
async def test_all_calls_are_made_in_one_thread_that_nothing_waits_for_and_emit_on_the_loop() -> None:
    """A driver's call blocks only its own thread, and no thread of a sampler can hold up the end of the process."""
    sampler = ScriptedSampler()
    ran = await run(sampler, SteeredClock(2))
    (thread,) = sampler.threads
    assert thread is not threading.main_thread()
    assert thread.daemon
    assert thread.name == "wayside-gpu"
    assert ran.emit_threads == {threading.main_thread()}
    assert sampler.calls == ["open", "sample", "sample", "sample", "close"]


@pytest.mark.asyncio
async def test_the_thread_ends_with_the_runner() -> None:
    """A configuration that is loaded anew a thousand times leaves no thousand threads."""
    sampler = ScriptedSampler()
    await run(sampler, SteeredClock(1))
    (thread,) = sampler.threads
    await asyncio.to_thread(thread.join, 10)
    assert not thread.is_alive()


@pytest.mark.asyncio
async def test_nothing_to_measure_is_said_once_and_looked_for_again(caplog: pytest.LogCaptureFixture) -> None:
    """A machine without GPUs is no fault: one line at INFO, a reason in the health, and another look later."""
    caplog.set_level(logging.INFO)
    none = [Unavailable("no driver"), Unavailable("no driver"), Unavailable("no driver")]
    sampler, clock = ScriptedSampler(opens=none), SteeredClock(4)
    async with running(sampler, clock) as ran:
        assert ran.times == [3 * OPEN_AGAIN, 3 * OPEN_AGAIN + 1]
        assert ran.health.unavailable is None
    assert ran.health.failures == 0
    assert messages(caplog, logging.INFO) == [
        "gpu: not sampled, looked for again each 5 minutes: no driver",
        "gpu: sampling",
    ]
    assert messages(caplog, logging.WARNING) == []
    assert sampler.calls[:6] == ["open", "close"] * 3


@pytest.mark.asyncio
async def test_the_reason_stands_in_the_health_while_there_is_nothing_to_measure() -> None:
    """The status page tells a person why there are no GPU charts."""
    async with running(ScriptedSampler(opens=[Unavailable("no driver")]), SteeredClock(0)) as ran:
        assert ran.health == SamplerHealth(unavailable="no driver")


@pytest.mark.asyncio
async def test_a_driver_that_goes_away_is_opened_anew_later() -> None:
    """Unavailable out of `sample` closes the sampler, waits, and opens it again."""
    sampler = ScriptedSampler([Sample({}), Unavailable("gone"), Sample({})])
    ran = await run(sampler, SteeredClock(3))
    assert sampler.calls == ["open", "sample", "sample", "close", "open", "sample", "sample", "close"]
    assert ran.times == [0.0, 1.0 + OPEN_AGAIN, 2.0 + OPEN_AGAIN]
    assert (ran.health.samples, ran.health.failures, ran.health.success) == (3, 0, True)


@pytest.mark.asyncio
async def test_a_failed_sample_is_counted_said_once_and_followed_by_the_next(caplog: pytest.LogCaptureFixture) -> None:
    """A bug or a broken file in a sampler costs samples, never the sampling."""
    script = [ValueError("bad"), ValueError("bad"), KeyError("other"), Sample({"a/b": 2.0})]
    async with running(ScriptedSampler(list(script)), SteeredClock(3)) as ran:
        assert ran.times == [3.0]
        assert ran.health.failures == 3
        assert ran.health.success
        assert ran.health.last_error == "KeyError: 'other'"
    assert messages(caplog, logging.WARNING) == ["gpu: failed: ValueError: bad", "gpu: failed: KeyError: 'other'"]
    assert caplog.records[0].exc_info is not None


@pytest.mark.asyncio
async def test_an_open_that_fails_is_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    """What `open` raises by mistake is a failure, and not the end."""
    ran = await run(ScriptedSampler(opens=[OSError("broken")]), SteeredClock(1))
    assert (ran.health.failures, ran.health.samples) == (1, 1)
    assert messages(caplog, logging.WARNING) == ["gpu: failed: OSError: broken"]


@pytest.mark.asyncio
async def test_each_problem_is_said_once_and_counted_always(caplog: pytest.LogCaptureFixture) -> None:
    """A field that cannot be read at each of a million samples is one line in the log."""
    bad = Sample({"a/b": 1.0}, problems=("gpu/0: fan: odd", "gpu/1: fan: odd"))
    ran = await run(ScriptedSampler([bad, bad, bad]), SteeredClock(2))
    assert messages(caplog, logging.WARNING) == ["gpu: gpu/0: fan: odd", "gpu: gpu/1: fan: odd"]
    assert ran.health.problems == 6
    assert ran.health.samples == 3


@pytest.mark.asyncio
async def test_a_sampler_that_words_each_problem_anew_cannot_fill_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """After MAX_SAID texts one last line says so; everything is still counted."""
    sample = Sample({}, problems=tuple(f"problem {number}" for number in range(MAX_SAID * 2)))
    ran = await run(ScriptedSampler([sample, sample]), SteeredClock(1))
    said = messages(caplog, logging.WARNING)
    assert len(said) <= MAX_SAID + 1
    assert said[-1] == f"gpu: {MAX_SAID} problems have been logged; more are only counted"
    assert ran.health.problems == MAX_SAID * 4


@pytest.mark.asyncio
async def test_a_call_that_hangs_is_said_and_shown(caplog: pytest.LogCaptureFixture) -> None:
    """A driver that does not come back within a minute is no success, although nothing has failed yet."""
    held = threading.Event()
    clock = SteeredClock(1, overruns=[[], [], [30.0, 30.0, 30.0]])
    sampler = ScriptedSampler([Sample({}), held.wait])
    ran = Ran()
    seen: list[tuple[bool, str | None]] = []

    def release() -> None:
        seen.append((ran.health.success, ran.health.last_error))
        held.set()

    clock.release = release
    task = asyncio.create_task(run_sampler("gpu", sampler, 30, ran.emit, ran.health, clock))
    await clock.ended.wait()
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    assert seen == [(False, f"one call has taken more than {STUCK_AFTER:g} s")]
    assert messages(caplog, logging.WARNING) == ["gpu: hangs: one call has taken more than 60 s"]
    assert ran.health.success


@pytest.mark.asyncio
async def test_the_end_waits_for_a_hanging_call_only_so_long(caplog: pytest.LogCaptureFixture) -> None:
    """A sampler stuck in its driver is left behind, and said to be; the collector stops in time."""
    held = threading.Event()
    clock = SteeredClock(0, overruns=[[], [1.0] * 5, [CLOSE_WITHIN]])
    ran = Ran()
    task = asyncio.create_task(run_sampler("gpu", ScriptedSampler([held.wait]), 1.0, ran.emit, ran.health, clock))
    clock.release = task.cancel
    with pytest.raises(asyncio.CancelledError):
        await task
    held.set()
    assert clock.now == 5 + CLOSE_WITHIN
    assert messages(caplog, logging.WARNING) == ["gpu: did not end within 2 s; its thread is left behind"]


@pytest.mark.asyncio
async def test_a_close_that_fails_is_said(caplog: pytest.LogCaptureFixture) -> None:
    """It harms nobody, and nobody would know of it otherwise."""

    class Stubborn(ScriptedSampler):
        def close(self) -> None:
            raise OSError("no")

    await run(Stubborn(), SteeredClock(0))
    assert messages(caplog, logging.WARNING) == ["gpu: closing failed: OSError: no"]


@pytest.mark.asyncio
@pytest.mark.parametrize("failing", ["open", "sample"])
async def test_a_close_that_hangs_is_said_and_the_sampler_tried_again(
    caplog: pytest.LogCaptureFixture, failing: str
) -> None:
    """A library that hangs on its way out, after its driver went, is opened again once it has let go."""
    held = threading.Event()

    class Hanging(ScriptedSampler):
        def close(self) -> None:
            self.calls.append("close")
            held.wait()

    gone = [Unavailable("the driver went")]
    sampler = Hanging(opens=list(gone) if failing == "open" else [], samples=list(gone) if failing == "sample" else [])
    overruns = [[], [], [CLOSE_WITHIN]] if failing == "sample" else [[], [CLOSE_WITHIN]]
    clock = SteeredClock(1, overruns=overruns)
    clock.release = held.set
    async with running(sampler, clock):
        assert sampler.calls.count("open") == 2
        assert messages(caplog, logging.WARNING) == ["gpu: closing takes more than 2 s"]


@pytest.mark.asyncio
async def test_one_samplers_trouble_is_its_own() -> None:
    """While one hangs in its driver, another goes on, by the real clock."""
    held = threading.Event()
    stuck, fine = Ran(), Ran()
    enough = asyncio.Event()

    def emit(sample: Sample, at: float) -> None:
        fine.emit(sample, at)
        if len(fine.emitted) == 5:
            enough.set()

    tasks = [
        asyncio.create_task(run_sampler("nfs", ScriptedSampler([held.wait]), 0.01, stuck.emit, stuck.health)),
        asyncio.create_task(run_sampler("gpu", ScriptedSampler(), 0.01, emit, fine.health)),
    ]
    await asyncio.wait_for(enough.wait(), 10)
    assert stuck.emitted == []
    assert stuck.health.skipped > 0
    held.set()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
