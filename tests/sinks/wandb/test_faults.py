"""Every row exactly once, whatever happens to the network, to the child, to wandb-core, and to the collector."""

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import psutil
import pytest
from standins import wandb_collector
from standins.wandb_backend import WandbBackend
from standins.wandb_pump import MiniPump, steps
from standins.wandb_runs import StandInRun
from wayside_collector.sinks.base import Parcel, Part
from wayside_collector.sinks.wandb import WandbOptions
from wayside_collector.sinks.wandb.limits import Limits
from wayside_collector.testing import make_event, make_parcel, make_rows, make_session

SESSION = make_session("r1", id="a" * 32)
SHARED = pytest.mark.asyncio(loop_scope="module")


def numbers(run: StandInRun) -> list[float]:
    """The rows that arrived, after a look at what must hold for them all."""
    made = [row["_step"] for row in run.rows]
    assert made == sorted(set(made))
    return [row["x"] for row in run.rows]


def lives(pid: int) -> bool:
    """Whether it is there, and more than an orphan that the machine's first process has not buried yet."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


@SHARED
@pytest.mark.parametrize("fault", ["drop", "drop late", "500", "hang"])
async def test_a_request_that_fails_in_passing(shared_backend: WandbBackend, shared: MiniPump, fault: str):
    """A connection that breaks off before or after W&B has taken the rows, an error, a silence: each row is there
    once, and the pump is told what it was.
    """
    session = make_session(f"passing-{fault.replace(' ', '-')}")
    await shared.deliver(make_parcel(session, steps(5)))
    if fault == "500":
        shared_backend.fail("file_stream", lines=True)
    elif fault == "hang":
        silence = shared_backend.hang("file_stream", lines=True)
        asyncio.get_running_loop().call_later(1.0, silence.release.set)
    else:
        shared_backend.drop("file_stream", late=fault == "drop late", lines=True)
    await shared.deliver(make_parcel(session, steps(20, seq=5, step=5)))
    assert numbers(shared_backend.run(session.run.id)) == list(range(25))
    assert bool(shared.retries) == (fault != "hang")
    for retry in shared.retries:
        assert "file_stream" in str(retry)
        assert retry.uncertain


@SHARED
async def test_w_and_b_asks_for_patience(shared_backend: WandbBackend, shared: MiniPump):
    """429 with Retry-After: nobody comes before its time, and the pump knows it."""
    session = make_session("patience")
    await shared.deliver(make_parcel(session, steps(5)))
    shared_backend.fail("file_stream", 429, lines=True, headers={"Retry-After": "3"})
    parcel = make_parcel(session, steps(5, seq=5, step=5))
    assert not await shared.send_once(parcel)
    told, ours = time.time(), ("file_stream", "patience")
    asked = shared_backend.requests.count(ours)
    (retry,) = shared.retries
    assert "answered 429 Too Many Requests" in str(retry)
    assert retry.runs == frozenset()
    assert 2 < retry.not_before - told <= 3
    await asyncio.to_thread(
        shared_backend.wait_for, lambda: shared_backend.requests.count(("file_stream", "patience")) > asked
    )
    assert time.time() - told > 2.5
    await shared.deliver(parcel)
    assert numbers(shared_backend.run(session.run.id)) == list(range(10))


@SHARED
async def test_a_key_that_may_not_write(shared_backend: WandbBackend, shared: MiniPump):
    """403: the rows wait with an error that says what to check; another run's rows in the same parcel arrive. Once it
    is set right, the SDK, which would have given up for good, goes on.
    """
    session = make_session("forbidden")
    other = make_session("r2")
    await shared.deliver(Parcel([Part(session, steps(5)), Part(other, steps(5))]))
    shared_backend.fail("file_stream", 403, times=100, run=session.run.id)
    parcel = Parcel([Part(session, steps(5, seq=5, step=5)), Part(other, steps(5, seq=5, step=5))])
    assert not await shared.send_once(parcel)
    (retry,) = shared.retries
    assert "answered 403 Forbidden: check that the API key may write to this entity and project" in str(retry)
    assert retry.delivered == {(other.id, seq) for seq in range(5, 10)}
    assert session.run.id in retry.runs  # the pump goes on with other runs
    assert numbers(shared_backend.run("r2")) == list(range(10))
    shared_backend.heal()
    await shared.deliver(parcel)
    assert numbers(shared_backend.run(session.run.id)) == list(range(10))


@SHARED
async def test_a_row_that_w_and_b_refuses(shared_backend: WandbBackend, shared: MiniPump):
    """The one row is rejected with W&B's words; all others arrive; sent again from the dead letters, it arrives."""
    session = make_session("refused")
    shared_backend.refuse(lambda line: '"x":7,' in line or line.endswith('"x":7}'))
    await shared.deliver(make_parcel(session, steps(20)))
    assert list(shared.rejected) == [(session.id, 7)]
    assert "answered 400 Bad Request (" in shared.rejected[session.id, 7]
    run = shared_backend.run(session.run.id)
    assert [row.get("x") for row in run.rows] == [*range(7), None, *range(8, 20)]
    shared_backend.heal()
    await shared.sink.send(make_parcel(session, steps(1, seq=7, step=7)))
    assert [row.get("x") for row in run.rows] == [*range(7), None, *range(8, 20), 7]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("victim", "request_"),
    [
        ("child", "arrives unheard"),
        ("core", "is lost"),
        pytest.param("child", "is lost", marks=pytest.mark.long),
        pytest.param("core", "arrives unheard", marks=pytest.mark.long),
        pytest.param("core", "arrives", marks=pytest.mark.long),
    ],
)
async def test_sigkill_in_the_middle_of_a_send(backend: WandbBackend, pump: MiniPump, victim: str, request_: str):
    """The child, or wandb-core, dies while W&B is taking a request of rows and samples; that arrives, with or without
    an answer, or is lost.
    """
    system = make_session("sys", kind="system")
    await pump.deliver(make_parcel(SESSION, steps(5)))
    then = {"arrives": "", "arrives unheard": ", drop late", "is lost": ", drop"}[request_]
    silence = backend.hang("file_stream", then, lines=True)
    samples = make_rows(4, {"gpu/0/utilization_ratio": 0.5})
    parcel = Parcel([Part(SESSION, steps(50, seq=5, step=5)), Part(system, samples, (SESSION,))])
    sending = asyncio.create_task(pump.send_once(parcel))
    await asyncio.to_thread(backend.wait_for, lambda: silence.met)
    child = pump.sink._tools.runs.child
    os.kill(child.pid if victim == "child" else child.core, signal.SIGKILL)
    silence.release.set()
    await sending  # it may be acknowledged before the death is noticed
    await pump.deliver(parcel)
    await pump.deliver(make_parcel(SESSION, steps(1, seq=55, step=55)))
    run = backend.run("r1")
    assert numbers(run) == list(range(56))
    assert len(run.samples) == len({sample["_timestamp"] for sample in run.samples}) == 4
    assert not lives(child.pid)
    assert not lives(child.core)


@pytest.mark.long
@pytest.mark.asyncio
async def test_a_summary_that_was_ahead_gives_no_row_up(backend: WandbBackend, pump: MiniPump):
    """After a crash W&B shows a summary further than its history (a backlog of several requests): the rows in between
    are sent with their own steps, though the SDK would take them for sent.
    """
    await pump.deliver(make_parcel(SESSION, steps(5)))
    backend.drop("file_stream", lines=True)
    parcel = make_parcel(SESSION, steps(10, seq=5, step=5))
    assert not await pump.send_once(parcel)
    os.kill(pump.sink._tools.runs.child.core, signal.SIGKILL)
    backend.run("r1").summary_line = '{"_step": 14, "x": 14}'
    await pump.deliver(parcel)
    assert numbers(backend.run("r1")) == [row["_step"] for row in backend.run("r1").rows] == list(range(15))


@pytest.mark.long
@pytest.mark.asyncio
async def test_a_backend_that_is_behind_is_waited_for(backend: WandbBackend, online: WandbOptions, tmp_path: Path):
    """W&B shows fewer rows than it has acknowledged: going on at once would write over them. It catches up; or, the
    run deleted there, its rows go on after a while.
    """
    async with MiniPump(online, tmp_path) as pump:
        await pump.deliver(make_parcel(SESSION, steps(10)))
        run = backend.run("r1")
        whole = list(run.history)
        del run.history[5:]
        await pump.reopen()
        parcel = make_parcel(SESSION, steps(5, seq=10, step=10))
        assert not await pump.send_once(parcel)
        assert "shows run demo/r1 up to step 4 only, but has acknowledged step 9" in str(pump.retries[-1])
        run.history[:] = whole
        await pump.deliver(parcel)
        assert numbers(run) == list(range(15))
        del run.history[:]
        await pump.reopen()
        await pump.deliver(make_parcel(SESSION, steps(1, seq=15, step=15)))
    assert numbers(run) == [15]


@pytest.mark.asyncio
async def test_a_backend_that_is_away(backend: WandbBackend, online: WandbOptions, tmp_path: Path):
    """No server at the first send, then one: the error says where, and the rows arrive."""
    backend.away()
    async with MiniPump(online, tmp_path, Limits(pause=1.0, init_timeout=2.0)) as pump:
        parcel = make_parcel(SESSION, steps(5))
        assert not await pump.send_once(parcel)
        assert "no connection" in str(pump.retries[0])
        backend.start()
        await pump.deliver(parcel)
    assert numbers(backend.run("r1")) == list(range(5))


@pytest.mark.long
@pytest.mark.asyncio
async def test_a_key_that_is_rotated(backend: WandbBackend, tmp_path: Path):
    """A wrong key is said at once and never shown; the file is read anew, and the new key works without a restart."""
    path = tmp_path / "key"
    path.write_text("w" * 40)
    options = WandbOptions(base_url=backend.url, api_key_file=str(path), upload_interval=1)
    async with MiniPump(options, tmp_path) as pump:
        parcel = make_parcel(SESSION, steps(5))
        assert not await pump.send_once(parcel)
        assert "check the API key" in str(pump.retries[0])
        assert "wwww" not in str(pump.retries[0])
        path.write_text(backend.key)
        await pump.deliver(parcel)
    assert numbers(backend.run("r1")) == list(range(5))


@pytest.mark.long
@pytest.mark.asyncio
async def test_a_finish_that_hangs_is_given_up(backend: WandbBackend, online: WandbOptions, tmp_path: Path):
    """The SDK may wait for days; the child is ended instead, and the finish said again when W&B answers."""
    options = WandbOptions(base_url=backend.url, api_key=backend.key, upload_interval=1, finish_timeout=1.0)
    async with MiniPump(options, tmp_path, Limits(pause=1.0, drain=0.5, command_timeout=5.0)) as pump:
        await pump.deliver(make_parcel(SESSION, steps(5)))
        fault = backend.hang("file_stream")
        parcel = make_parcel(SESSION, [make_event("finish", {"exit_code": 1}, seq=9)])
        assert not await pump.send_once(parcel)
        assert "not finished within 1 s" in str(pump.retries[0])
        fault.release.set()
        await pump.deliver(parcel)
    run = backend.run("r1")
    assert (run.exit_code, run.states[-1], numbers(run)) == (1, "finished", list(range(5)))


@pytest.mark.asyncio
async def test_cancelled_in_the_middle_of_a_send(backend: WandbBackend, pump: MiniPump):
    """The pump may cancel a send at any moment and send the same rows again: they are there once."""
    parcel = make_parcel(SESSION, [make_event("config", {"set": {"a": 1}}, seq=900), *steps(200)])
    for delay in (0.0, 0.05, 0.6, 1.2, 1.4, 1.6):
        sending = asyncio.create_task(pump.sink.send(parcel))
        await asyncio.wait([sending], timeout=delay)
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
    await pump.deliver(parcel)
    assert numbers(backend.run("r1")) == list(range(200))


def collector(options: WandbOptions, folder: Path, rows: int) -> subprocess.Popen:
    """A collector in a process of its own."""
    values = {name: getattr(options, name) for name in ("mode", "base_url", "api_key", "upload_interval")}
    arguments = [wandb_collector.__file__, json.dumps(values), str(folder), str(rows)]
    return subprocess.Popen([sys.executable, *arguments], stdout=subprocess.PIPE, text=True)


def kill(process: subprocess.Popen) -> None:
    """SIGKILL the collector; its child and wandb-core must go with it."""
    below = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    _, alive = psutil.wait_procs(below, 5)
    assert [one for one in alive if one.is_running() and one.status() != psutil.STATUS_ZOMBIE] == []


def check(backend: WandbBackend, said: str, rows: int) -> None:
    """Everything is there once, and the collector itself never imported wandb."""
    assert said == "ready\ndone False\n"
    run = backend.run("r1")
    assert Counter(numbers(run)) == Counter({float(n): 2 for n in range(rows)})
    times = [sample["_timestamp"] for sample in run.samples]
    assert len(times) == len(set(times)) == wandb_collector.SAMPLES


@pytest.mark.timeout(60)
def test_sigkill_of_the_collector(backend: WandbBackend, online: WandbOptions, tmp_path: Path):
    """Killed while W&B takes a request that arrives all the same, with rows of two sessions and samples that come back
    in other parcels.
    """
    silence = backend.hang("file_stream", lines=True)
    first = collector(online, tmp_path, 500)
    backend.wait_for(lambda: silence.met)
    kill(first)
    silence.release.set()
    backend.wait_for(lambda: backend.run("r1").rows)
    said, _ = collector(online, tmp_path, 500).communicate(timeout=40)
    check(backend, said, 500)


@pytest.mark.long
@pytest.mark.timeout(180)
def test_sigkill_of_the_collector_at_any_time(backend: WandbBackend, online: WandbOptions, tmp_path: Path):
    """Again and again, wherever it stands."""
    chance = random.Random(1)
    for _ in range(6):
        process = collector(online, tmp_path, 3000)
        assert process.stdout.readline() == "ready\n"
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(chance.uniform(1.3, 2.5))
        kill(process)
    said, _ = collector(online, tmp_path, 3000).communicate(timeout=60)
    check(backend, said, 3000)


@pytest.mark.long
@pytest.mark.asyncio
@pytest.mark.timeout(180)
@pytest.mark.parametrize("seed", range(3))
async def test_anything_at_any_time(backend: WandbBackend, pump: MiniPump, seed: int):
    """Kills and faults at random moments, three sessions of two runs, samples for both: each row is there once."""
    chance = random.Random(seed)
    sessions = [make_session("A"), make_session("A"), make_session("B")]
    system = make_session("sys", kind="system")

    async def trouble() -> None:
        while True:
            await asyncio.sleep(chance.uniform(0.3, 3.0))
            what = chance.choice(["child", "core", "drop", "drop late", "500"])
            child = pump.sink._tools.runs.child
            if what == "500":
                backend.fail("file_stream")
            elif what.startswith("drop"):
                backend.drop("file_stream", late=what == "drop late")
            elif child is not None and child.core and not child.gone:
                os.kill(child.pid if what == "child" else child.core, signal.SIGKILL)

    troubling, sent, sampled = asyncio.create_task(trouble()), [0, 0, 0], 0
    for _ in range(12):
        parts = []
        for number, session in enumerate(sessions):
            count = chance.randint(1, 300)
            parts.append(Part(session, steps(count, seq=sent[number], step=sent[number])))
            sent[number] += count
        rows = make_rows(3, {"host/load1": 1.0}, seq=sampled, time=1e9 + sampled)
        parts.append(Part(system, rows, (sessions[0], sessions[2])))
        sampled += 3
        chance.shuffle(parts)
        await pump.deliver(Parcel(parts), 90)
    troubling.cancel()
    expected = {"A": Counter([*range(sent[0]), *range(sent[1])]), "B": Counter(range(sent[2]))}
    for id, rows in expected.items():
        run = backend.run(id)
        assert Counter(numbers(run)) == rows
        assert sorted(sample["_timestamp"] for sample in run.samples) == [1e9 + n for n in range(sampled)]
