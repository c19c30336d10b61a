"""What arrives at W&B through the real SDK, when nothing goes wrong."""

import asyncio
import math
from pathlib import Path

import pytest
from standins.wandb_backend import WandbBackend
from standins.wandb_pump import MiniPump, steps
from wayside_collector.sinks.base import Parcel, Part, Step
from wayside_collector.sinks.wandb import WandbOptions
from wayside_collector.sinks.wandb.limits import Limits
from wayside_collector.testing import make_event, make_parcel, make_rows, make_session

pytestmark = pytest.mark.asyncio
SHARED = pytest.mark.asyncio(loop_scope="module")


@SHARED
async def test_everything_of_a_run(shared_backend: WandbBackend, shared: MiniPump):
    """Rows with their own step and time, texts, NaN, config over ranks, summary, alert, samples, the exit code: all
    of it is at W&B when the send returns.
    """
    first = make_session("run/1", rank=0, host="host-a")
    second = make_session("run/1", rank=1)
    system = make_session("sys", kind="system")
    values = {"loss": 0.25, "bad": math.nan, "up": math.inf, "_timestamp": 3.0, "a.b": 1.0}
    records = [
        make_event("about", {"command": ["train.py"], "git": {"commit": "abc"}}, seq=0),
        make_event("config", {"set": {"lr": 0.1, "deep": {"a": [1, None]}, "big": 2**70}}, seq=1),
        make_event("define_metric", {"name": "val/*", "summary": "min"}, seq=2),
        Step((3,), 1e9, 1e9 + 0.25, 10, values, 5, False),
        make_event("text", {"values": {"note": "hello"}}, seq=4, step=10),
        make_event("alert", {"title": "Careful", "text": "…", "level": "WARN", "wait": 60}, seq=5, time=1e9),
        make_event("alert", {"title": "Careful", "text": "…", "level": "WARN", "wait": 60}, seq=6, time=1e9 + 1),
        Step((7,), 1e9 + 1, 1e9 + 1.5, 20, {"loss": 0.125}, 1, False),
        make_event("summary", {"set": {"best": 0.125, "none": math.nan}}, seq=8),
    ]
    others = [make_event("config", {"set": {"lr": 9.0, "rank1": True}}, seq=0)]
    samples = make_rows(1, {"gpu/0/utilization_ratio": 0.5, "host/load1": 2.0}, time=1e9 + 0.75)
    parts = [Part(second, others, (), False), Part(first, records, (), True), Part(system, samples, (first,))]
    await shared.deliver(Parcel(parts))
    run = shared_backend.run("run_x2f1")
    one, two = run.rows
    assert (one["_step"], one["_timestamp"], one["loss"], one["note"]) == (10, 1e9 + 0.25, 0.25, "hello")
    assert math.isnan(one["bad"])
    assert (one["up"], one["wayside/user/_timestamp"], one["a.b"]) == (math.inf, 3.0, 1.0)
    assert (two["_step"], two["_timestamp"], two["loss"]) == (20, 1e9 + 1.5, 0.125)
    assert run.config == {
        "lr": 0.1,
        "deep": {"a": [1, None]},
        "big": float(2**70),
        "rank1": True,
        "wayside": {"command": ["train.py"], "git": {"commit": "abc"}},
    }
    assert {name: run.summary[name] for name in ("best", "none", "loss")} == {
        "best": 0.125,
        "none": "NaN",
        "loss": 0.125,
    }
    assert [alert["title"] for alert in run.alerts] == ["Careful"]
    assert [metric.get("2") for metric in run.metrics] == ["val/*"]
    (sample,) = run.samples
    assert (sample["system.gpu.0.gpu"], sample["system.wayside.host.load1"]) == (50.0, 2.0)
    assert sample["_timestamp"] == 1e9 + 0.75
    assert (run.about["displayName"], run.about["commit"], run.about["program"]) == ("run/1", "abc", "train.py")
    assert shared.counts == {"alerts_held": 1}
    assert (run.states, run.exit_code) == (["running"], None)

    await shared.deliver(make_parcel(first, [make_event("finish", {"exit_code": 3}, seq=9)]))
    assert (run.states, run.exit_code) == (["running", "finished"], 3)
    assert shared.retries == []


@SHARED
async def test_rows_that_go_back_are_kept(shared_backend: WandbBackend, shared: MiniPump):
    """A run resumed from a checkpoint, and rows that come late, lose nothing: each has its own step beside it."""
    before, after = make_session("back", rank=0), make_session("back", rank=0)
    late = Step((100,), 1.0, 1.0, 2, {"x": 100.0}, 1, True)
    await shared.deliver(
        Parcel([Part(before, [*steps(5), late], (), True), Part(after, steps(4, seq=200, step=3), (), True)])
    )
    rows = shared_backend.run("back").rows
    assert [row["_step"] for row in rows] == list(range(10))
    assert [row.get("wayside/step") for row in rows] == [None] * 5 + [2, 3, 4, 5, 6]
    assert [row["x"] for row in rows] == [0, 1, 2, 3, 4, 100, 200, 201, 202, 203]
    assert shared.counts == {"restepped": 5}


@SHARED
async def test_the_same_parcel_twice_is_there_once(shared_backend: WandbBackend, shared: MiniPump):
    """Should the commit fail after a send, the pump sends again; the sink knows what arrived."""
    session = make_session("twice")
    parcel = make_parcel(session, [make_event("config", {"set": {"a": 1}}, seq=50), *steps(10)])
    assert await shared.sink.send(parcel)
    requests = len(shared_backend.requests)
    await shared.sink.send(parcel)
    await shared.sink.send(make_parcel(session, steps(3, seq=7, step=7)[:2]))
    assert len(shared_backend.requests) == requests
    await shared.deliver(make_parcel(session, steps(5, seq=8, step=8)))
    assert [row["x"] for row in shared_backend.run("twice").rows] == list(range(13))


@pytest.mark.long
async def test_several_runs_in_one_child(backend: WandbBackend, online: WandbOptions, tmp_path: Path):
    """More runs than may be open at once: the longest unused is closed, goes on when it has rows, and stays one run."""
    async with MiniPump(online, tmp_path, Limits(pause=1.0, open_runs=1)) as pump:
        sessions = [make_session(f"r{i}", project=f"p{i}") for i in range(2)]
        for turn, session in enumerate([*sessions, sessions[0]]):
            await pump.deliver(make_parcel(session, steps(3, seq=3 * turn, step=3 * turn)))
        assert len(pump.sink._tools.runs.opened) == 1
    for i, rows in enumerate([[0, 1, 2, 6, 7, 8], [3, 4, 5]]):
        run = backend.run(f"r{i}")
        assert [row["x"] for row in run.rows] == rows
        assert (run.project, run.states) == (f"p{i}", ["running"])
    assert pump.retries == []


async def test_runs_are_closed_and_opened_again(backend: WandbBackend, online: WandbOptions, tmp_path: Path):
    """An idle run is closed without an end, and its next row goes on; a finished one that gets late rows ends once
    more as it had ended, while a new attempt of the job goes on. What a person renamed meanwhile stays renamed.
    """
    async with MiniPump(online, tmp_path, Limits(idle_close=0.0, linger=0.0, tend_interval=0.1)) as pump:

        async def idle() -> None:
            await asyncio.to_thread(backend.wait_for, lambda: not pump.sink._tools.runs.opened)

        session = make_session("r1", started=100.0)
        await pump.deliver(make_parcel(session, steps(2)))
        await idle()
        run = backend.run("r1")
        assert (run.states, run.exit_code) == (["running"], None)
        run.about["displayName"] = "renamed"
        finish = make_event("finish", {"exit_code": 7}, seq=50, time=200.0)
        await pump.deliver(make_parcel(session, [*steps(2, seq=2, step=2), finish]))
        assert (run.states, run.exit_code) == (["running", "finished"], 7)
        run.exit_code = None
        await pump.deliver(make_parcel(session, steps(1, seq=60, step=60)))
        await idle()
        assert (run.states, run.exit_code) == (["running", "finished", "running", "finished"], 7)
        await pump.deliver(make_parcel(make_session("r1", started=300.0), steps(1, seq=0, step=70)))
        await idle()
    assert run.states[-1] == "running"
    assert [row["_step"] for row in run.rows] == [0, 1, 2, 3, 60, 70]
    assert run.about["displayName"] == "renamed"


@SHARED
async def test_a_run_that_was_there_before(shared_backend: WandbBackend, shared: MiniPump):
    """A run of the same id with larger steps, from wherever, is continued and not overwritten."""
    shared_backend.make_run("before", "demo", [{"_step": 1000, "x": -1.0}, {"_step": 1001, "x": -2.0}])
    await shared.deliver(make_parcel(make_session("before"), steps(2)))
    rows = shared_backend.run("before").rows
    assert [(row["_step"], row["x"]) for row in rows] == [(1000, -1.0), (1001, -2.0), (1002, 0.0), (1003, 1.0)]
    assert [row.get("wayside/step") for row in rows] == [None, None, 0, 1]


@pytest.mark.long
async def test_the_step_axis_can_be_the_users(backend: WandbBackend, tmp_path: Path):
    """With `step_axis: wayside` every row carries the user's step, and W&B is told to draw over it."""
    options = WandbOptions(base_url=backend.url, api_key=backend.key, upload_interval=1, step_axis="wayside")
    async with MiniPump(options, tmp_path) as pump:
        await pump.deliver(make_parcel(make_session("r1"), [*steps(2, step=5), *steps(1, seq=9, step=5)]))
        await pump.deliver(make_parcel(make_session("r1"), [make_event("finish", {}, seq=10)]))
    run = backend.run("r1")
    assert [row["wayside/step"] for row in run.rows] == [5, 6, 5]
    assert {"2": "*"}.items() <= next(metric for metric in run.metrics if metric.get("2")).items()


@pytest.mark.long
async def test_online_files_make_room(backend: WandbBackend, tmp_path: Path):
    """Folders of runs that W&B has are removed when they fill `max_dir_size`; those in use are begun anew."""
    options = WandbOptions(
        base_url=backend.url, api_key=backend.key, upload_interval=1, max_dir_size=1 << 20, dir=str(tmp_path / "files")
    )
    wide = {f"metric/{i}": float(i) for i in range(400)}
    async with MiniPump(options, tmp_path / "own", Limits(tend_interval=0.0)) as pump:
        for turn in range(3):
            rows = steps(100, seq=100 * turn, step=100 * turn, **wide)
            await pump.deliver(make_parcel(make_session("r1", id="a" * 32), rows))
        await pump.deliver(make_parcel(make_session("r1", id="a" * 32), steps(1, seq=900, step=900)))
        sizes = sum(path.stat().st_size for path in (tmp_path / "files").rglob("*.wandb"))
    assert sizes < 3 << 20
    assert [row["_step"] for row in backend.run("r1").rows] == [*range(300), 900]
