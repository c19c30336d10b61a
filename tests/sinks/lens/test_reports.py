"""The report of a run's framework: what Lens gets of it, and in which lane."""

import asyncio
import json
import math
import sys
from typing import Any

import pytest
from sinks.lens.lens_bench import NOW, OTHER, POD_ONLY, SESSION, Bench, bench, steps
from standins.lens_server import LensServer, Reply
from waiting import until_async
from wayside.detect import Told, gather
from wayside_collector.sinks.base import Context, Parcel, Part
from wayside_collector.sinks.lens import LensOptions
from wayside_collector.sinks.lens.encode import identify
from wayside_collector.sinks.lens.judge import Judgement
from wayside_collector.sinks.lens.kept import Kept
from wayside_collector.sinks.lens.lane import ReportLane
from wayside_collector.sinks.lens.reports import MAX_BODY, encode_report, fit, put_hardware, put_report
from wayside_collector.testing import make_event, make_rows, make_session

pytestmark = pytest.mark.asyncio
TOLD = Told("r1", "first", "demo", ("a",), {"lr": 0.1, "framework": "primus"})
DATA = gather({"sys": sys}, {"PRIMUS_CONFIG": "c", "RANK": "0", "GIT_SHA": "abc"}, TOLD, ())


def event(data: dict[str, Any] | None = None, seq: int = 90) -> Any:
    return make_event("detection", data if data is not None else DATA, seq=seq, time=NOW)


def body_of(data: dict[str, Any], kept: Kept | None = None) -> dict[str, Any]:
    header = identify(SESSION, LensOptions(endpoint="http://lens/v1"))
    found: dict[str, Any] = json.loads(encode_report(SESSION, event(data), header, kept or Kept({}), NOW))
    return found


async def until(b: Bench, reports: int) -> None:
    await until_async(lambda: len(b.lens.detections) >= reports, f"{reports} reports at Lens")


# --- what it says ----------------------------------------------------------------------------------------------------


async def test_it_has_the_fields_of_the_contract() -> None:
    """Header, evidence and hints as AMD's exporter sends them, identity filled in."""
    body = body_of(DATA)
    assert {key: body[key] for key in ("source", "type", "version", "workload_uid", "pod_name")} == {
        "source": "wandb",
        "type": "framework_detection_raw",
        "version": "1.0",
        "workload_uid": "w1",
        "pod_name": "pod-0",
    }
    evidence, hints = body["evidence"], body["hints"]
    assert evidence["wandb"] == {
        "project": "demo",
        "name": "first",
        "id": "r1",
        "config": {"lr": 0.1, "framework": "primus"},
        "tags": ["a"],
    }
    assert evidence["environment"] == {"PRIMUS_CONFIG": "c", "RANK": "0"}
    assert evidence["build"] == {"git_commit": "abc"}
    assert set(evidence["hardware"]) >= {"gpu_arch", "gpu_count", "gpu_memory_gb", "gpu_name"}
    assert hints["wrapper_frameworks"] == ["primus"]
    assert hints["confidence"] == "medium"
    assert (hints["timestamp"], body["timestamp"]) == (NOW, NOW)
    assert set(evidence) == {
        *("wandb", "environment", "pytorch", "wrapper_frameworks", "base_frameworks", "system", "hardware"),
        *("software", "build"),
    }


async def test_what_does_not_fit_is_left_out_and_the_rest_goes() -> None:
    """Lens decodes strictly: a value of another type, or one that is not finite, must not cost the whole report."""
    told = {
        "evidence": {
            "wandb": {"project": 3, "name": "n", "tags": ["a", None, 4], "config": {"x": math.nan, "t\0": "a\0b"}},
            "environment": {"RANK": 0, "FRAMEWORK": "jax"},
            "pytorch": {"available": "yes", "version": "2.6", "detected_modules": {"megatron": True, "x": 1}},
            "hardware": {"gpu_count": "8", "gpu_memory_gb": 80, "gpu_name": "H100", "more": 1},
            "base_frameworks": {"jax": "yes", "megatron": {"detected": True}},
            "unknown": {"a": 1},
        },
        "hints": {"confidence": 0.9, "possible_frameworks": "jax", "base_frameworks": ["jax", 1]},
    }
    body = body_of(told)
    evidence = body["evidence"]
    assert evidence["wandb"] == {"name": "n", "tags": ["a"], "config": {"x": "NaN", "t": "ab"}}
    assert evidence["environment"] == {"FRAMEWORK": "jax"}
    assert evidence["pytorch"] == {"version": "2.6", "detected_modules": {"megatron": True}}
    assert evidence["hardware"] == {"gpu_arch": "h100", "gpu_count": 0, "gpu_memory_gb": 80.0, "gpu_name": "H100"}
    assert evidence["base_frameworks"] == {"megatron": {"detected": True}}
    assert "unknown" not in evidence
    assert body["hints"] == {"possible_frameworks": [], "base_frameworks": ["jax"], "timestamp": NOW}
    assert body_of({})["evidence"]["hardware"]["gpu_count"] == 0
    assert body_of({"evidence": 3, "hints": None})["hints"] == {"timestamp": NOW}
    assert fit(True, int) is None


async def test_a_huge_one_goes_without_the_config() -> None:
    """Rather no config at Lens than no report."""
    told = {"evidence": {"wandb": {"name": "n", "config": {"x": "y" * MAX_BODY}}}}
    assert body_of(told)["evidence"]["wandb"] == {"name": "n"}


async def test_samplers_name_the_hardware_that_the_training_does_not() -> None:
    """Of the same pod alone; what the training told of its GPUs goes before it."""
    kept = Kept({})
    sampler = make_session(kind="system", pod=SESSION.pod)
    device = make_event("device", {"gpu/0": {"name": "AMD Instinct MI300X"}, "gpu/1": {}, "gpu/0/mig/1": {}}, seq=0)
    put_hardware(kept, sampler, device)
    put_hardware(kept, sampler, make_rows(1, {"gpu/0/memory_total_bytes": float(192 << 30), "host/load1": 1.0})[0])
    put_hardware(
        kept, make_session(kind="system", pod=OTHER.pod), make_event("device", {"gpu/0": {"name": "other"}}, seq=0)
    )
    told = body_of(DATA, kept)["evidence"]["hardware"]
    assert (told["gpu_arch"], told["gpu_count"], told["gpu_memory_gb"]) == ("mi300x", 2, 192.0)
    own = body_of({"evidence": {"hardware": {"gpu_count": 8, "gpu_name": "NVIDIA H100"}}}, kept)["evidence"]["hardware"]
    assert (own["gpu_arch"], own["gpu_count"], own["gpu_name"]) == ("h100", 8, "NVIDIA H100")


async def test_who_reports() -> None:
    """The session that speaks for its run, and only one that Lens could find the workload of."""
    kept = Kept({})
    options = LensOptions(endpoint="http://lens/v1")
    put_report(kept, Part(SESSION, [], (), False), event(), identify(SESSION, options), NOW)
    nobody = make_session("r9")
    put_report(kept, Part(nobody, []), event(), identify(nobody, options), NOW)
    put_report(kept, Part(SESSION, []), make_event("about", DATA, seq=0), identify(SESSION, options), NOW)
    assert kept.changes == {}
    put_report(kept, Part(POD_ONLY, []), event(), identify(POD_ONLY, options), NOW)
    assert list(kept.changes) == [f"report/{POD_ONLY.id}"]


# --- in which lane ---------------------------------------------------------------------------------------------------


async def test_it_goes_once_after_the_steps_and_is_then_forgotten() -> None:
    """Steps first; what Lens has taken is not kept after the next send, and not sent again."""
    async with bench() as b:
        await b.send(Part(SESSION, [event(seq=0), *steps(3, 1)]))
        assert b.lens.steps() == [1, 2, 3]
        assert [key for key in b.state if key.startswith("report/")]
        await until(b, 1)
        await b.send(Part(SESSION, steps(2, 5)))
        assert not [key for key in b.state if key.startswith("report/")]
        assert [path for path, _, _ in b.lens.requests] == [
            "/v1/wandb/metrics",
            "/v1/wandb/detection",
            "/v1/wandb/metrics",
        ]
        assert b.counted["reports"] == 1
        await b.send(Part(SESSION, [event({**DATA, "framework": "jax"}, seq=91), *steps(1, 9)]))
        await until(b, 2)


async def test_steps_do_not_wait_for_it() -> None:
    """Lens takes as long as it likes over a report; steps go on meanwhile."""
    async with bench(lens=LensServer(script=["ok", "hang"])) as b:
        await b.send(Part(SESSION, [event(seq=0), *steps(1, 1)]))
        await until_async(lambda: len(b.lens.requests) == 2, "the report is on its way")
        for number in range(5):
            await b.send(Part(OTHER, steps(1, number)))
        assert len(b.lens.values("w2")) == 5
        assert b.counted["reports"] == 0
        b.lens.go.set()
        await until_async(lambda: b.counted["reports"], "taken")


async def test_what_waits_outlives_a_restart() -> None:
    """A report that Lens has not taken is kept with the sink's state, and goes when the sink is opened again."""
    async with bench(lens=LensServer(script=["ok", *["fail"] * 50])) as b:
        await b.send(Part(SESSION, [event(seq=0), *steps(1, 1)]))
        state = dict(b.state)
    async with bench() as b:
        await b.sink.open(Context("lens", b.sink._context.folder, state))
        await until(b, 1)
        assert b.lens.detections[0]["workload_uid"] == "w1"


async def test_one_that_is_refused_is_told_and_dropped(caplog: pytest.LogCaptureFixture) -> None:
    """Lens says no for good: counted, logged, and out of the way of the next."""
    refusal = Reply(400, json.dumps({"meta": {"code": 400, "message": "invalid request format"}}).encode())
    async with bench(lens=LensServer(script=["ok", refusal])) as b:
        await b.send(Part(SESSION, [event(seq=0), *steps(1, 1)]))
        await until_async(lambda: b.counted["reports_refused"], "refused")
        await b.send(Part(OTHER, [event(seq=0), *steps(1, 1)]))
        await until(b, 1)
        assert b.lens.detections[0]["workload_uid"] == "w2"
    assert "Lens does not take the report" in caplog.text


async def test_what_cannot_be_sent_is_tried_again() -> None:
    """After a pause, however often that takes, one report not holding up another."""
    async with bench(lens=LensServer(script=["ok", "fail", "ok"])) as b:
        lane = ReportLane(b.sink._report, lambda name, by: b.counted.update({name: by}), pause=0.01)
        kept = Kept({})
        options = LensOptions(endpoint="http://lens/v1")
        for session in (SESSION, OTHER):
            put_report(kept, Part(session, []), event(), identify(session, options), NOW)
        await b.sink.send(Parcel([Part(SESSION, steps(1))]))
        lane.offer({key: body for key, body in kept.changes.items() if body is not None})
        lane.start()
        await until(b, 2)
        await until_async(lambda: b.counted["reports"] == 2, "taken")
        await lane.stop()
        await lane.stop()


async def test_sends_that_go_on_do_not_hurry_it() -> None:
    """Between two tries lies the pause, however many sends offer the same report, or another, meanwhile."""
    posted: list[bytes] = []

    async def post(body: bytes) -> Judgement:
        posted.append(body)
        return Judgement("again", "not now")

    lane = ReportLane(post, lambda name, by: None, pause=3600.0)
    lane.start()
    for number in range(50):
        lane.offer({"a": b"one", "b": b"two"} if number > 25 else {"a": b"one"})
        for _ in range(5):
            await asyncio.sleep(0)
    assert posted == [b"one"]
    await lane.stop()
