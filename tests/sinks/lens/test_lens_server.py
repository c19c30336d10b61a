"""The stand-in itself: the quirks of Lens that our tests lean on."""

import json

import aiohttp
import pytest
from standins.lens_server import LensServer

METRIC = {"name": "loss", "value": 0.5, "step": 1, "timestamp": 1_767_225_600.0}


async def post(lens: LensServer, path: str, body: object) -> tuple[int, dict]:
    async with (
        aiohttp.ClientSession() as session,
        session.post(lens.origin + path, json=body, allow_redirects=False) as reply,
    ):
        text = await reply.text()
        return reply.status, json.loads(text) if text.startswith("{") else {"text": text}


def pushed(*metrics: dict, **header: str) -> dict:
    return {"source": "wandb", "workload_uid": "w1", "run_id": "r1", **header, "metrics": list(metrics)}


@pytest.mark.parametrize("path", ["/api/v1/wandb/metrics", "/v1/health", "/v1/wandb/other"])
@pytest.mark.asyncio
async def test_what_is_not_there_is_a_plain_404(path):
    """Only /v1/wandb/… answers, whatever the documents say, and the 404 is no envelope."""
    async with LensServer() as lens:
        assert await post(lens, path, {}) == (404, {"text": "404 page not found"})


@pytest.mark.asyncio
async def test_a_trailing_slash_redirects():
    """Lens's router sends a path with a slash too many elsewhere."""
    async with LensServer() as lens:
        assert (await post(lens, "/v1/wandb/metrics/", {}))[0] == 307


@pytest.mark.asyncio
async def test_a_push_again_copies_the_old_row_into_history():
    """A row is merged by (workload, step): new values win, the old row goes into history, its first time stays."""
    async with LensServer() as lens:
        await post(lens, "/v1/wandb/metrics", pushed(METRIC, {**METRIC, "name": "lr"}))
        await post(
            lens, "/v1/wandb/metrics", pushed({**METRIC, "value": 2.0, "timestamp": 1_767_225_700.0}, run_id="r2")
        )
        row = lens.rows["w1", 1]
        assert lens.values("w1") == {1: {"loss": 2.0, "lr": 0.5}}
        assert (row.created_at, row.run_id) == (1_767_225_600.0, "r2")
        assert [(old["run_id"], old["loss"]) for old in row.performance["history"]] == [("r1", 0.5)]


@pytest.mark.asyncio
async def test_a_step_beyond_32_bits_wraps():
    """Lens stores a step of 2³¹ as the lowest one, in silence."""
    async with LensServer() as lens:
        assert (await post(lens, "/v1/wandb/metrics", pushed({**METRIC, "step": 2**31})))[0] == 200
        assert list(lens.values("w1")) == [-(2**31)]


@pytest.mark.asyncio
async def test_a_nul_fails_its_step_and_the_request_but_not_the_others():
    """A step that cannot be stored makes the answer 500, though the other steps are stored."""
    async with LensServer() as lens:
        status, body = await post(lens, "/v1/wandb/metrics", pushed(METRIC, {**METRIC, "name": "a\0", "step": 2}))
        assert (status, body["meta"]) == (500, {"code": 500, "message": "failed to process metrics"})
        assert list(lens.values("w1")) == [1]


@pytest.mark.asyncio
async def test_a_metric_called_step_overwrites_the_step():
    """A reserved name does the harm in the stand-in that it does in Lens."""
    async with LensServer() as lens:
        await post(lens, "/v1/wandb/metrics", pushed({**METRIC, "name": "step", "value": 9.0}))
        assert lens.rows["w1", 1].performance["step"] == 9.0


@pytest.mark.asyncio
async def test_identity_is_believed_or_looked_up():
    """A workload_uid is believed unseen; a pod is looked up in a cache that is cold at first; neither is an error."""
    async with LensServer(pods={"pod-0": ("w1", "w2")}, cold=1) as lens:
        assert (await post(lens, "/v1/wandb/metrics", pushed(METRIC, workload_uid="invented")))[0] == 200
        by_pod = pushed(METRIC, workload_uid="", pod_name="pod-0")
        status, body = await post(lens, "/v1/wandb/metrics", by_pod)
        assert (status, body["meta"]["message"]) == (400, "no valid workload found")
        assert (await post(lens, "/v1/wandb/metrics", by_pod))[1]["data"]["success_count"] == 2
        assert {uid for uid, _ in lens.rows} == {"invented", "w1", "w2"}
        status, body = await post(lens, "/v1/wandb/metrics", pushed(METRIC, workload_uid=""))
        assert body["meta"]["message"] == "either workload_uid or pod_name is required"


@pytest.mark.asyncio
async def test_a_batch_with_a_failed_part_is_200():
    """A batch says success over all, and only its parts tell the truth."""
    async with LensServer(batch_fails={"logs"}) as lens:
        logs = {"workload_uid": "w1", "logs": [{"step": 5, "timestamp": 1.0, "data": {"a": "text"}}]}
        status, body = await post(lens, "/v1/wandb/batch", {"metrics": pushed(METRIC), "logs": logs, "detection": None})
        assert (status, body["meta"]["code"], body["data"]["success"]) == (200, 2000, True)
        assert {name: part["success"] for name, part in body["data"]["results"].items()} == {
            "metrics": True,
            "logs": False,
        }
        assert list(lens.values("w1")) == [1]


@pytest.mark.asyncio
async def test_a_detection_report_is_kept():
    """What is posted to /wandb/detection is there for a test to read."""
    async with LensServer() as lens:
        assert (await post(lens, "/v1/wandb/detection", {"workload_uid": "w1", "type": "x", "evidence": {}}))[0] == 200
        assert [report["type"] for report in lens.detections] == ["x"]
