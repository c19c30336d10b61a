"""AMD's exporter, pointed here as it is: what it sends becomes runs, and nothing of it is thrown away."""

import asyncio
import math
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from sources.place import FailingSpool
from standins.lens_exporter import Exporter
from wayside.row import ABOUT, CONFIG, DETECTION, FINISH
from web.ingest.posting import Post, posting


@pytest_asyncio.fixture
async def post() -> AsyncIterator[Post]:
    async with posting() as found:
        yield found


@pytest.mark.asyncio
@pytest.mark.parametrize("prefix", ["/v1", "/api/v1"])
async def test_an_unchanged_exporter_delivers_everything(post: Post, prefix: str) -> None:
    """Every call of a process that logs for long is a row with its step, its time and its numbers, NaN included."""
    exporter = Exporter(post.server.local + prefix)
    exporter.init("p", "r1", "name", {"lr": 0.1, "api_key": "sk-1234567890abcdef1234"})
    for step in range(57):
        exporter.log({"loss": 1 / (step + 1), "ok": True, "text": "skipped"}, step=step)
    exporter.log({"loss": math.nan, "top": math.inf}, step=57)
    await asyncio.to_thread(exporter.flush_all)
    assert (exporter.sent, exporter.refused, exporter.dropped) == (59, 0, 0)
    found = post.rows("r1")
    assert [one.step for one in found] == list(range(58))
    assert [one.metrics["loss"] for one in found[:57]] == [1 / (step + 1) for step in range(57)]
    assert math.isnan(found[-1].metrics["loss"])
    assert found[-1].metrics["top"] == math.inf
    assert found[0].time > 1.7e9
    assert not any(one.auto_step for one in found)


@pytest.mark.asyncio
async def test_a_detection_says_what_the_run_is(post: Post) -> None:
    """Project, name, tags, workload and pod are the session's; config and frameworks its events, secrets masked."""
    exporter = Exporter(post.server.local + "/v1", "w7", "pod-3", "uid-3")
    exporter.init("proj", "r1", "my run", {"lr": 0.1, "api_key": "sk-1234567890abcdef1234"})
    await asyncio.to_thread(exporter.flush_all)
    (known,) = post.place.registry.all()
    session = known.session
    assert (session.run.id, session.run.project, session.run.name, session.run.tags) == ("r1", "proj", "my run", ("a",))
    assert (session.workload, session.pod.name, session.pod.uid, session.origin) == ("w7", "pod-3", "uid-3", "wandb")
    assert post.events("r1", CONFIG) == [{"set": {"lr": 0.1, "api_key": "***"}, "remove": []}]
    (about,) = post.events("r1", ABOUT)
    assert about["frameworks"] == ["primus", "megatron"]
    assert about["packages"] == {"torch": "2.6.0", "wandb": "0.31.0"}
    assert (about["python"], about["git"]) == ("3.11.7", {"commit": "abc123"})
    (detected,) = post.events("r1", DETECTION)
    assert (detected["framework"], detected["base_framework"], detected["confidence"]) == ("primus", "megatron", "high")
    assert detected["evidence"]["hardware"]["gpu_count"] == 8
    assert detected["evidence"]["wandb"]["config"] == {"lr": 0.1, "api_key": "***"}


@pytest.mark.asyncio
async def test_its_answers_are_lens_s(post: Post) -> None:
    """200 in the envelope, with the counts that Lens gives."""
    exporter = Exporter(post.server.local + "/v1")
    exporter.init("p", "r1")
    exporter.log({"a": 1, "b": 2}, step=1)
    await asyncio.to_thread(exporter.flush_all)
    counts = {"workloads_count": 1, "success_count": 1}
    assert exporter.answers == [
        {"meta": {"code": 2000, "message": "OK"}, "data": data, "tracing": None}
        for data in (
            {"message": "detection reported successfully", **counts},
            {"message": "metrics reported successfully", "count": 2, **counts},
        )
    ]


@pytest.mark.asyncio
async def test_calls_without_a_step_are_counted(post: Post) -> None:
    """All of them come as step 0; they are rows one after the other, and marked as counted by us."""
    exporter = Exporter(post.server.local + "/v1")
    exporter.init("p", "r1")
    for call in range(25):
        exporter.log({"loss": float(call)})
    await asyncio.to_thread(exporter.flush_all)
    found = post.rows("r1")
    assert [one.step for one in found] == list(range(25))
    assert [one.metrics["loss"] for one in found] == [float(call) for call in range(25)]
    assert [one.auto_step for one in found] == [False, *[True] * 24]


@pytest.mark.asyncio
async def test_a_framework_s_own_counter_is_the_step(post: Post) -> None:
    """HF's Trainer logs without a step, and with `train/global_step`."""
    exporter = Exporter(post.server.local + "/v1")
    for step in (10, 20, 30):
        exporter.log({"train/loss": 1.0, "train/global_step": step})
    await asyncio.to_thread(exporter.flush_all)
    assert [(one.step, one.auto_step) for one in post.rows("w1")] == [(10, False), (20, False), (30, False)]


@pytest.mark.asyncio
async def test_a_process_that_begins_anew_begins_a_session(post: Post) -> None:
    """Each `wandb.init` is a session of its run; the one before it is over, and its rows stay."""
    exporter = Exporter(post.server.local + "/v1")
    for attempt in range(2):
        exporter.init("p", "r1")
        exporter.log({"loss": 1.0}, step=attempt)
        await asyncio.to_thread(exporter.flush_all)
    assert [known.ended is None for known in post.place.registry.all()] == [False, True]
    assert len(post.rows("r1")) == 2
    assert post.events("r1", FINISH) == [{"exit_code": None, "reason": "replaced"}]


@pytest.mark.asyncio
async def test_many_processes_share_nothing(post: Post) -> None:
    """Eight exporters at once, some in one workload: each call arrives in its own run, once."""
    exporters = [Exporter(post.server.local + "/v1", f"w{n % 3}", f"pod-{n}") for n in range(8)]
    for number, exporter in enumerate(exporters):
        exporter.init("p", f"r{number}")
        for step in range(40):
            exporter.log({"loss": float(step), "me": number}, step=step)
    await asyncio.gather(*(asyncio.to_thread(exporter.flush_all) for exporter in exporters))
    for number, exporter in enumerate(exporters):
        assert exporter.refused == 0
        assert [(one.step, one.metrics["me"]) for one in post.rows(f"r{number}")] == [(n, number) for n in range(40)]


@pytest.mark.asyncio
async def test_what_cannot_be_stored_is_not_answered_with_200(post: Post) -> None:
    """The exporter counts it as lost, which it is; what comes after it is taken again."""
    spool = FailingSpool(post.place)
    exporter = Exporter(post.server.local + "/v1")
    exporter.log({"loss": 1.0}, step=1)
    await asyncio.to_thread(exporter.flush)
    spool.fails = True
    exporter.log({"loss": 2.0}, step=2)
    await asyncio.to_thread(exporter.flush)
    spool.fails = False
    exporter.log({"loss": 3.0}, step=3)
    await asyncio.to_thread(exporter.flush)
    assert (exporter.sent, exporter.refused) == (2, 1)
    assert [one.step for one in post.rows("w1")] == [1, 3]


def metrics(*entries: Any, **header: Any) -> dict[str, Any]:
    return {"source": "wandb", "workload_uid": "w1", "run_id": "r1", "metrics": list(entries), **header}


@pytest.mark.asyncio
async def test_requests_are_read_as_go_reads_them(post: Post) -> None:
    """Keys in any case, unknown fields, and null for what is not there; and, kinder, a step with a decimal point."""
    entry = {"Name": "loss", "VALUE": 1, "Step": 4.0, "timestamp": None, "tags": None, "more": [1]}
    body = {"Source": None, "Workload_UID": "w1", "pod_name": None, "RUN_ID": "r1", "METRICS": [entry], "x": {}}
    assert (await post("/v1/wandb/metrics", body)).body["data"]["count"] == 1
    (row,) = post.rows("r1")
    assert (row.step, row.metrics) == (4, {"loss": 1.0})
    assert row.time > 1.7e9


@pytest.mark.asyncio
async def test_one_bad_entry_does_not_cost_the_others(post: Post) -> None:
    """Lens refuses the whole request, and up to ten calls are lost; here the entry is told, and the rest is stored."""
    bad = [{"name": "a", "value": "x"}, {"name": "", "value": 1}, 7, {"name": "a", "value": 1, "step": 1.5}]
    bad.append({"name": "a", "value": 1, "timestamp": -1})
    answer = await post("/v1/wandb/metrics", metrics({"name": "loss", "value": 1, "step": 3}, *bad))
    assert (answer.status, answer.body["data"]["count"], answer.body["data"]["refused"]) == (200, 1, 5)
    assert "metrics[1]" in answer.body["data"]["problems"][0]
    assert [one.metrics for one in post.rows("r1")] == [{"loss": 1.0}]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("path", "body", "said"),
    [
        ("metrics", b"{", "invalid request format"),
        ("metrics", [], "invalid request format"),
        ("metrics", {"workload_uid": 7}, "invalid request format"),
        ("metrics", metrics({"name": "a", "value": "x"}), "invalid request format"),
        ("metrics", {"workload_uid": "w", "metrics": {}}, "invalid request format"),
        ("metrics", {"workload_uid": "", "metrics": []}, "either workload_uid or pod_name is required"),
        ("logs", {"run_id": "r", "logs": [{"data": {"a": 1}}]}, "either workload_uid or pod_name is required"),
        ("logs", {"workload_uid": "w", "logs": [{"data": 1}]}, "invalid request format"),
        ("detection", {"evidence": {}}, "either workload_uid or pod_name is required"),
        ("detection", {"workload_uid": "w", "evidence": {"wandb": {"config": 1}}}, "invalid request format"),
    ],
)
async def test_what_makes_no_sense_is_answered_with_400(post: Post, path: str, body: Any, said: str) -> None:
    """In Lens's words, and in its envelope."""
    answer = await post(f"/v1/wandb/{path}", body)
    assert (answer.status, answer.body["meta"]["code"], answer.body["data"]) == (400, 400, None)
    assert answer.body["meta"]["message"].startswith(said)
    assert list(post.place.registry.all()) == []


@pytest.mark.asyncio
async def test_a_request_without_rows_is_a_probe(post: Post) -> None:
    """It is answered with 200, and nothing is begun."""
    assert (await post("/v1/wandb/metrics", metrics())).status == 200
    assert list(post.place.registry.all()) == []


@pytest.mark.asyncio
async def test_logs_hold_any_json(post: Post) -> None:
    """Numbers are metrics, nested ones under names with a slash; texts are kept as such; the rest is left out."""
    data = {"loss": 0.5, "eval": {"acc": 1, "note": "good"}, "phase": "warmup", "list": [1], "nothing": None}
    body = {"pod_name": "pod-1", "run_id": "r1", "logs": [{"step": 3, "timestamp": 1e9, "data": data}]}
    assert (await post("/v1/wandb/logs", body)).body["data"]["message"] == "training data reported successfully"
    (row,) = post.rows("r1")
    assert (row.step, row.time, row.metrics) == (3, 1e9, {"loss": 0.5, "eval/acc": 1.0})
    assert post.events("r1", "text") == [{"values": {"eval/note": "good", "phase": "warmup"}}]


@pytest.mark.asyncio
async def test_a_batch_answers_for_each_part(post: Post) -> None:
    """200 in any case; which part was taken stands inside, and parts may be of different runs."""
    body = {
        "metrics": metrics({"name": "loss", "value": 1, "step": 1}),
        "logs": {"pod_name": "pod-9", "run_id": "r2", "logs": [{"step": 1, "data": {"a": 1}}]},
        "detection": {"evidence": {}},
    }
    answer = await post("/v1/wandb/batch", body)
    results = answer.body["data"]["results"]
    assert (answer.status, answer.body["data"]["success"]) == (200, True)
    assert {name: found["success"] for name, found in results.items()} == {
        "detection": False,
        "metrics": True,
        "logs": True,
    }
    assert "pod_name" in results["detection"]["error"]
    assert len(post.rows("r1")) == len(post.rows("r2")) == 1


@pytest.mark.asyncio
async def test_names_that_lens_reserves_are_metrics_like_others(post: Post) -> None:
    """A metric called `step` or `source` disturbs neither step nor source."""
    names = ("step", "run_id", "source", "history", "created_at", "updated_at", "iteration")
    entries = [{"name": name, "value": 7, "step": 3, "timestamp": 1e9} for name in names]
    await post("/v1/wandb/metrics", metrics(*entries))
    (row,) = post.rows("r1")
    assert (row.step, row.metrics) == (3, dict.fromkeys(names, 7.0))
