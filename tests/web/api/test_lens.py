"""Lens's endpoints: bodies, parameters and errors as its clients know them, and what Grafana's paths find in them."""

from pathlib import Path
from typing import Any

import pytest
from wayside_collector.web.api.asked import BadQuestion
from wayside_collector.web.api.lens import between, chosen_metrics
from web.api.asking import asking
from web.api.history import START, STEPS, filled

MS = int(START * 1000)
JOB = "/workloads/job/metrics"
FINITE = STEPS - 5  # of the losses of r1


@pytest.fixture
def url(tmp_path: Path) -> str:
    return filled(tmp_path)


def at(body: Any, *path: str) -> list[Any]:
    """What a JSONPath like $.data[*].value finds, as Grafana's plugin reads it."""
    (rows, field) = path
    return [one[field] for one in body[rows]]


@pytest.mark.asyncio
async def test_sources(url: str) -> None:
    """What the client logged is data source `wandb`, with as many rows as there are steps; nothing where nothing is."""
    async with asking(url) as ask:
        body = await ask.get(f"{JOB}/sources")
        count = STEPS + 20
        assert body == {"workload_uid": "job", "data_sources": [{"name": "wandb", "count": count}], "total_count": 1}
        assert at(body, "data_sources", "name") == ["wandb"]
        assert (await ask.get(f"{JOB}/sources?run=r2"))["data_sources"] == [{"name": "wandb", "count": 20}]
        nothing = {"workload_uid": "no/such job", "data_sources": [], "total_count": 0}
        assert await ask.get("/workloads/no%2Fsuch%20job/metrics/sources") == nothing


@pytest.mark.asyncio
async def test_available(url: str) -> None:
    """Metrics in a stable order, of the rank that speaks, without the reserved names; none of another source."""
    async with asking(url) as ask:
        body = await ask.get(f"{JOB}/available?data_source=wandb&cluster=c")
        assert body == {
            "workload_uid": "job",
            "metrics": [
                {"name": "train/loss", "data_source": ["wandb"], "count": STEPS + 20},
                {"name": "val/acc", "data_source": ["wandb"], "count": STEPS + 20},
            ],
            "total_count": 2,
        }
        assert at(body, "metrics", "name") == ["train/loss", "val/acc"]
        assert (await ask.get(f"{JOB}/available?data_source=log"))["metrics"] == []


@pytest.mark.asyncio
async def test_data(url: str) -> None:
    """Points by time with their step, in milliseconds; what is not finite is left out, and so is what is reserved."""
    async with asking(url) as ask:
        body = await ask.get(f"{JOB}/data?data_source=wandb&run=r1")
        assert (body["workload_uid"], body["data_source"]) == ("job", "wandb")
        assert body["total_count"] == len(body["data"]) == FINITE + STEPS
        assert body["data"][0] == {
            "metric_name": "train/loss", "value": 2.0, "timestamp": MS, "iteration": 0, "data_source": "wandb"
        }  # fmt: skip
        assert at(body, "data", "timestamp") == sorted(at(body, "data", "timestamp"))
        assert set(at(body, "data", "metric_name")) == {"train/loss", "val/acc"}
        whole = await ask.get(f"{JOB}/data")
        assert "data_source" not in whole
        assert whole["total_count"] == FINITE + STEPS + 18 + 20 - 1
        assert await ask.get(f"{JOB}/data?data_source=tensorflow") == {
            "workload_uid": "job", "data": [], "total_count": 0, "data_source": "tensorflow"
        }  # fmt: skip


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("metrics=train/loss", {"train/loss"}),
        ("metrics=train/loss,%20val/acc", {"train/loss", "val/acc"}),
        ("metrics={train/loss,val/acc}", {"train/loss", "val/acc"}),
        ("metrics={val/acc}", {"val/acc"}),
        ("metrics=ALL", {"train/loss", "val/acc"}),
        ("metrics=", {"train/loss", "val/acc"}),
        ("metrics=nothing", set()),
        ("metrics=run_id", set()),
        ("metrics=train/loss&metrics=val/acc&unknown=1", {"train/loss"}),
    ],
)
async def test_chosen_metrics(url: str, query: str, names: set[str]) -> None:
    """All, a list with commas, and Grafana's form of several; unknown and reserved names are simply not there."""
    async with asking(url) as ask:
        assert set(at(await ask.get(f"{JOB}/data?{query}"), "data", "metric_name")) == names


@pytest.mark.asyncio
async def test_a_time_range(url: str) -> None:
    """Both ends count; one alone is ignored, as Lens does; what is no number of milliseconds is refused."""
    async with asking(url) as ask:
        body = await ask.get(f"{JOB}/data?metrics=val/acc&start={MS + 3000}&end={MS + 6000}")
        assert at(body, "data", "iteration") == [3, 4, 5, 6]
        assert (await ask.get(f"{JOB}/data?metrics=val/acc&start={MS + 10**9}"))["total_count"] == STEPS + 20
        assert (await ask.get(f"{JOB}/data?start=x"))["total_count"] > 0
        late = await ask.get(f"{JOB}/data?start={MS - 9000}&end={MS - 1}")
        assert late["data"] == []
        for query, text in (
            ("start=now&end=1", "invalid start time format"),
            ("start=1&end=", None),
            ("start=1&end=1.5", "invalid end time format"),
        ):
            if text is not None:
                assert await ask.get(f"{JOB}/data?{query}", 400) == {"error": text}


@pytest.mark.asyncio
async def test_iteration_times(url: str) -> None:
    """Each step once, with the time it was first logged, and the target where one was."""
    async with asking(url) as ask:
        body = await ask.get(f"{JOB}/iteration-times?run=r2&data_source=wandb")
        own = [one for one in body["data"] if one["metric_name"] == "iteration"]
        assert [(one["value"], one["iteration"], one["timestamp"]) for one in own] == [
            (step, step, MS + 100_000 + step * 1000) for step in range(20)
        ]
        targets = [one["value"] for one in body["data"] if one["metric_name"] == "target_iteration"]
        assert targets == [STEPS] * 20


@pytest.mark.asyncio
async def test_training_performance(url: str) -> None:
    """A bare list, reserved names included, of the time that must be given."""
    async with asking(url) as ask:
        body = await ask.get(f"/workloads/job/trainingPerformance?start={MS}&end={MS + 1000}")
        assert [(one["metric"], one["timestamp"]) for one in body] == [
            (name, MS + second * 1000)
            for second in (0, 1)
            for name in ("run_id", "target_iteration", "train/loss", "val/acc")
        ]
        assert "must be given" in (await ask.get("/workloads/job/trainingPerformance", 400))["error"]
        assert "required" in (await ask.get("/workloads/job/trainingPerformance?start=&end=1", 400))["error"]


@pytest.mark.asyncio
async def test_page_by_page(url: str) -> None:
    """With `limit`, `next` leads to every other row, once."""
    async with asking(url) as ask:
        whole = (await ask.get(f"{JOB}/data"))["data"]
        found, path = [], f"{JOB}/data?limit=7"
        while True:
            page = await ask.get(path)
            found += page["data"]
            if "next" not in page:
                break
            path = f"{JOB}/data?limit=7&after={page['next']}"
        assert found == whole


@pytest.mark.asyncio
async def test_progress(url: str) -> None:
    """Rows with all their metrics page by page, and how evenly they came, in the envelope it always had."""
    async with asking(url) as ask:
        told = await ask.get("/workload-diag/job/training-progress?run=r1&page_size=3&page_num=2")
        assert told["meta"] == {"code": 2000, "message": "OK"}
        body = told["data"]
        assert (body["total"], [one["iteration"] for one in body["data_points"]]) == (STEPS, [3, 4, 5])
        assert body["data_points"][0] == {
            "iteration": 3, "timestamp": "2026-01-01T00:00:03.000Z", "data_source": "wandb",
            "metrics": {"train/loss": 0.5, "val/acc": 0.03},
        }  # fmt: skip
        assert body["data_points"][2]["metrics"] == {"val/acc": 0.05}
        assert body["iteration_cadence"] == {
            "avg_seconds_per_iteration": 1.0, "min_gap_seconds": 1.0, "max_gap_seconds": 1.0, "stall_count": 0,
            "stall_threshold_seconds": 60.0,
        }  # fmt: skip
        bare = await ask.get("/workload-diag/job/training-progress?run=r1&page_size=3&page_num=2&envelope=false")
        assert bare == body
        limits = "data_source=wandb&start=2026-01-01T00:00:10Z&end=2026-01-01T00:00:12%2B00:00"
        few = await ask.get(f"/workload-diag/job/training-progress?{limits}&envelope=false")
        assert [one["iteration"] for one in few["data_points"]] == [10, 11, 12]
        assert (await ask.get("/workload-diag/none/training-progress?envelope=false")) == {
            "total": 0, "data_points": [], "iteration_cadence": None
        }  # fmt: skip


@pytest.mark.asyncio
async def test_robust_s_forms(url: str) -> None:
    """The successor's two questions, in the envelope in which its client reads them."""
    async with asking(url) as ask:
        names = await ask.get("/training/job/available?source=wandb")
        assert names["data"] == {"workload_id": "job", "metrics": ["train/loss", "val/acc"], "count": 2}
        body = (await ask.get("/training/job/data?page_size=2&start=x"))["data"]
        assert (body["workload_id"], body["total"]) == ("job", STEPS + 20)
        assert body["points"][1] == {
            "source": "wandb", "iteration": 1, "metrics": {"train/loss": 1.0, "val/acc": 0.01},
            "timestamp": "2026-01-01T00:00:01.000Z",
        }  # fmt: skip


@pytest.mark.asyncio
async def test_the_envelope(url: str) -> None:
    """By query, by header or by configuration; then errors have status 200 and a code of their own."""
    async with asking(url) as ask:
        bare = await ask.get(f"{JOB}/sources")
        told = {"meta": {"code": 2000, "message": "OK"}, "data": bare, "tracing": None}
        assert await ask.get(f"{JOB}/sources?envelope=true") == told
        assert await ask.get(f"{JOB}/sources", headers={"X-Lens-Envelope": "true"}) == told
        assert await ask.get(f"{JOB}/sources?envelope=false", headers={"X-Lens-Envelope": "true"}) == bare
        unknown = await ask.get("/workloads/none/metrics/sources?envelope=true")
        assert (unknown["meta"], unknown["data"]) == (
            {"code": 4004, "message": "workload none not found in any cluster"}, None
        )  # fmt: skip
        bad = await ask.get(f"{JOB}/data?envelope=1&start=x&end=y")
        assert bad == {"meta": {"code": 4001, "message": "invalid start time format"}, "data": None, "tracing": None}
    async with asking(url, bodies="envelope") as ask:
        assert await ask.get(f"{JOB}/sources") == told
        assert await ask.get(f"{JOB}/sources?envelope=false") == bare
        assert (await ask.get("/runs"))["total"] == 3


@pytest.mark.asyncio
async def test_health(url: str) -> None:
    """What AMD's guide asks for answers, on each of the prefixes."""
    async with asking(url) as ask:
        for path in ("/health", "/api/v1/health", "/v1/health"):
            assert await ask.served.status(ask.served.local + path) == 200
        assert await ask.served.status(f"{ask.served.local}/v1/workloads/job/metrics/sources") == 200


def test_metrics_as_they_are_written() -> None:
    """Blanks and empty names count for nothing."""
    assert chosen_metrics(" { a , b ,, } ") == {"a", "b"}
    assert chosen_metrics("{}") is chosen_metrics("all") is chosen_metrics(" ") is None
    assert chosen_metrics("all,loss") == {"all", "loss"}


def test_times_as_they_are_written() -> None:
    """Milliseconds become seconds, both or none."""
    assert between("1500", "2500") == (1.5, 2.5)
    assert between("", "x") == (None, None)
    with pytest.raises(BadQuestion, match="invalid end"):
        between("1", "2026-01-01")
