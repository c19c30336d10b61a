"""What Grafana's JSON data sources ask of `/grafana`: simple-json's contract, and simpod's beside it."""

import io
import json
import math
from pathlib import Path
from typing import Any

import pytest
from wayside_collector.configuration.access import Outside, PublicSection
from wayside_collector.store import Writer, connect
from wayside_collector.store.answers import Curve
from wayside_collector.testing import make_rows
from wayside_collector.web.api.grafana import GRAFANA, MAX_BODY, _points
from web.api.asking import Asking, asking
from web.api.history import START, filled, put, run_session

RANGE = {"from": "2026-01-01T00:00:00Z", "to": "2026-01-01T01:00:00.000Z"}
READER, TEAM, WRITER = "r" * 20, "t" * 20, "w" * 20


async def post(ask: Asking, path: str, body: Any = None, status: int = 200, **options: Any) -> Any:
    text = io.BytesIO(json.dumps({} if body is None else body).encode())
    async with ask.served.asking.post(f"{ask.served.local}/grafana{path}", data=text, **options) as answer:
        found = await answer.text()
        assert answer.status == status, (path, found)
        return json.loads(found)


def query(*targets: str, **more: Any) -> dict[str, Any]:
    return {"range": RANGE, "targets": [{"target": one, "refId": "A", "type": "timeserie"} for one in targets], **more}


@pytest.mark.asyncio
async def test_a_source_is_tested_and_finds_its_targets(tmp_path: Path) -> None:
    """GET / is 200; /search and simpod's /metrics offer RUN/METRIC, which the text typed so far narrows."""
    async with asking(filled(tmp_path)) as ask:
        assert await ask.served.status(f"{ask.served.local}/grafana/") == 200
        everything = await post(ask, "/search", {"target": ""})
        assert {"r1/train/loss", "r1/gpu/0/util", "r2/val/acc"} <= set(everything)
        assert await post(ask, "/search", {"target": "r2/ACC"}) == []
        assert await post(ask, "/search", {"target": "r2/val"}) == ["r2/val/acc"]
        offered = await post(ask, "/metrics", {"payload": {}})
        assert [one["value"] for one in offered] == everything
        assert await post(ask, "/metric-payload-options", {"metric": "r1/train/loss"}) == []


@pytest.mark.asyncio
async def test_points_come_as_value_and_milliseconds(tmp_path: Path) -> None:
    """One curve a rank, each named; what is not finite is null; a range leaves out what lies outside it."""
    async with asking(filled(tmp_path)) as ask:
        first, second = await post(ask, "/query", query("r1/train/loss"))
        assert [first["target"], second["target"]] == ["r1/train/loss rank 0", "r1/train/loss rank 1"]
        assert len(first["datapoints"]) == 40
        assert first["datapoints"][0] == [2.0, START * 1000]
        assert first["datapoints"][5][0] is None
        (only,) = await post(ask, "/query", query("r2/train/loss", "", adhocFilters=[]))
        assert only["target"] == "r2/train/loss"
        first, _ = await post(
            ask, "/query", {**query("r1/train/loss"), "range": {**RANGE, "to": "2026-01-01T00:00:03Z"}}
        )
        assert [time - START * 1000 for _, time in first["datapoints"]] == [0, 1000, 2000, 3000]
        filters = [{"key": "rank", "operator": "=", "value": "1"}]
        (ranked,) = await post(ask, "/query", query("r1/train/loss", adhocFilters=filters))
        assert len(ranked["datapoints"]) == 5


@pytest.mark.asyncio
async def test_few_points_keep_the_extremes(tmp_path: Path) -> None:
    """With maxDataPoints below what there is, no more than those come, and the least and greatest are among them."""
    url = filled(tmp_path)
    db = connect(url)
    rows = make_rows(2000, {"loss": 1.0}, seq=1, time=START)
    spikes = {700: 9.0, 1300: -9.0}
    put(Writer(db), run_session("long", 0, "job", START), [
        row._replace(values=(spikes.get(number, 1.0),)) for number, row in enumerate(rows)
    ])  # fmt: skip
    db.close()
    async with asking(url) as ask:
        (curve,) = await post(ask, "/query", query("long/loss", maxDataPoints=100))
        values = [value for value, _ in curve["datapoints"]]
        times = [time for _, time in curve["datapoints"]]
        assert 50 <= len(values) <= 100
        assert (min(values), max(values)) == (-9.0, 9.0)
        assert times == sorted(times)


def test_a_bucket_goes_as_it_went() -> None:
    """The least comes first where the bucket rose, the greatest where it fell; a bucket of one point is that point."""
    curve = Curve(
        "r", "m", "run", 0, "h", "time", "buckets", 5, [0, 2, 4], [10.0, 20.0, 30.0], [1.5, 1.5, 7.0],
        mins=[1.0, 1.0, 7.0], maxs=[2.0, 2.0, 7.0], firsts=[1.0, 2.0, 7.0], lasts=[2.0, 1.0, 7.0], counts=[2, 2, 1],
    )  # fmt: skip
    assert list(_points(curve)) == [[1.0, 10000], [2.0, 15000], [2.0, 20000], [1.0, 25000], [7.0, 30000]]
    assert list(_points(Curve("r", "m", "run", 0, "h", "time", "points", 1, [0], [1.0], [math.inf]))) == [[None, 1000]]


@pytest.mark.asyncio
async def test_annotations_tell_of_runs(tmp_path: Path) -> None:
    """Beginning, end and alerts of a run, by time; of all when none is named; nothing outside the range."""
    async with asking(filled(tmp_path)) as ask:
        found = await post(ask, "/annotations", {"range": RANGE, "annotation": {"name": "runs", "query": "r1"}})
        assert [one["tags"][1] for one in found] == ["start", "alert", "end"]
        assert (found[1]["title"], found[1]["time"]) == ("loss is no number", (START + 5) * 1000)
        assert found[2]["title"] == "first finished"
        everything = await post(ask, "/annotations", {"range": RANGE, "annotation": {"query": ""}})
        assert {one["tags"][0] for one in everything} == {"r1", "r2", "r3"}
        late = {"from": "2027-01-01T00:00:00Z", "to": "2027-01-02T00:00:00Z"}
        assert await post(ask, "/annotations", {"range": late}) == []


@pytest.mark.asyncio
async def test_variables_and_tags(tmp_path: Path) -> None:
    """A variable has the runs, or a run's metrics as targets; filters offer ranks and hosts."""
    async with asking(filled(tmp_path)) as ask:
        runs = await post(ask, "/variable", {"payload": {"target": "runs"}})
        assert {"__text": "first", "__value": "r1"} in runs
        metrics = await post(ask, "/variable", {"payload": {"target": "r2"}})
        assert {"__text": "val/acc", "__value": "r2/val/acc"} in metrics
        assert [one["text"] for one in await post(ask, "/tag-keys")] == ["rank", "host"]
        assert {"text": "1"} in await post(ask, "/tag-values", {"key": "rank"})


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("path", "body", "says"),
    [
        ("/query", query("r1"), "RUN/METRIC"),
        ("/query", {"targets": []}, "range"),
        ("/query", query("r1/loss", maxDataPoints=0), "maxDataPoints"),
        ("/query", query("r1/train/loss", adhocFilters=[{"key": "color", "value": "x"}]), "rank, host"),
        ("/tag-values", {"key": "color"}, "rank, host"),
        ("/search", [1], "body"),
    ],
)
async def test_what_makes_no_sense_is_told(tmp_path: Path, path: str, body: Any, says: str) -> None:
    """With status 400 and a sentence that names what is wrong."""
    async with asking(filled(tmp_path)) as ask:
        answer = await post(ask, path, body, 400)
        assert says in answer["error"]
        await post(ask, "/query", query("nobody/loss"), 404)


@pytest.mark.asyncio
async def test_the_roles_of_the_api_apply(tmp_path: Path) -> None:
    """Strangers and writers see nothing; a token of a namespace sees that namespace's runs alone."""
    file = tmp_path / "tokens"
    file.write_text(f"reader {READER}\nwriter {WRITER}\nreader {TEAM} namespace=team\n")
    outside = Outside("127.0.0.1:0", PublicSection(token_file=str(file)))
    async with asking(filled(tmp_path), outside=outside) as ask:

        async def status(path: str, token: str | None) -> int:
            headers = {} if token is None else {"Authorization": f"Bearer {token}"}
            async with ask.served.asking.post(
                f"{ask.served.public}/grafana{path}", data=json.dumps(query("r1/train/loss")), headers=headers
            ) as answer:
                return int(answer.status)

        for one in GRAFANA:
            assert await status(one.path, None) == 401, one.path
            assert await status(one.path, WRITER) == 403, one.path
        assert await status("/query", READER) == 200
        assert await status("/query", TEAM) == 404


@pytest.mark.asyncio
async def test_a_question_that_is_too_long_is_refused(tmp_path: Path) -> None:
    """With 413, before anybody reads it."""
    async with asking(filled(tmp_path)) as ask:
        await post(ask, "/search", {"target": "x" * MAX_BODY}, 413)


@pytest.mark.asyncio
async def test_infinity_finds_rows_at_its_roots(tmp_path: Path) -> None:
    """The paths and columns that the page names for Infinity are there, as flat rows of numbers and text."""
    async with asking(filled(tmp_path)) as ask:
        rows = (await ask.get("/workloads/job/metrics/data?metrics=train/loss&run=r2"))["data"]
        assert {"timestamp", "metric_name", "value"} <= set(rows[0])
        assert not any(isinstance(value, dict | list) for row in rows for value in row.values())
        (curve,) = (await ask.get("/runs/r2/data?metric=train/loss&axis=time"))["curves"]
        assert len(curve["times"]) == len(curve["values"]) == 20
