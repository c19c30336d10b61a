"""Our own endpoints of runs: each body as the page and the commands read it."""

from pathlib import Path
from typing import Any

import pytest
from wayside_collector.store import Writer, connect
from wayside_collector.testing import make_rows
from web.api.asking import asking
from web.api.history import START, STEPS, filled, put, run_session

pytestmark = pytest.mark.asyncio


@pytest.fixture
def url(tmp_path: Path) -> str:
    return filled(tmp_path)


def ids(body: Any) -> list[str]:
    return [run["id"] for run in body["runs"]]


async def test_workloads(url: str) -> None:
    """Each workload comes with its runs' number and state: running while one of them is."""
    async with asking(url) as ask:
        body = await ask.get("/workloads")
        assert body["total"] == 2
        other, job = body["workloads"]
        assert other == {
            "workload": "other",
            "runs": 1,
            "state": "crashed",
            "started": START + 200,
            "active": START + 201,
        }
        assert (job["workload"], job["runs"], job["state"], job["started"]) == ("job", 2, "running", START)
        assert [one["workload"] for one in (await ask.get("/workloads?q=JO"))["workloads"]] == ["job"]
        page = await ask.get("/workloads?limit=1&offset=1")
        assert ([one["workload"] for one in page["workloads"]], page["total"]) == (["job"], 2)


async def test_runs_with_how_far_they_are(url: str) -> None:
    """The last begun comes first, each with its last step and the last value of its loss."""
    async with asking(url) as ask:
        body = await ask.get("/runs")
        assert (ids(body), body["total"]) == (["r3", "r2", "r1"], 3)
        empty, second, first = body["runs"]
        assert (empty["state"], empty["step"], empty["last_loss"]) == ("crashed", None, None)
        assert (second["state"], second["step"]) == ("running", 19)
        assert second["last_loss"] == {"name": "train/loss", "value": 0.025, "step": 19}
        assert (first["state"], first["exit_code"], first["step"]) == ("finished", 0, STEPS - 1)
        assert first["tags"] == ["good", "big"]
        assert first["last_loss"] == {"name": "train/loss", "value": 2.0 / STEPS, "step": STEPS - 1}


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("q=SECOND", ["r2"]),
        ("q=%25", []),
        ("project=llama", ["r2", "r1"]),
        ("group=g", ["r1"]),
        ("workload=job&state=running", ["r2"]),
        ("tag=good", ["r2", "r1"]),
        ("tag=good&tag=big", ["r1"]),
        ("config.lr=0.2", ["r2"]),
        ("config.opt.name=adam", ["r1"]),
        ("config.opt.betas=[0.9,0.99]", ["r1"]),
        ("config.opt.name=adam&config.lr=0.2", []),
        ("limit=1&offset=1", ["r2"]),
        ("offset=7", []),
    ],
)
async def test_runs_are_found(url: str, query: str, found: list[str]) -> None:
    """Each filter narrows the list, and several of them more so."""
    async with asking(url) as ask:
        assert ids(await ask.get(f"/runs?{query}")) == found


async def test_one_run(url: str) -> None:
    """A run is told with its sessions, its config and its summary; what is no number in them is spelled out."""
    async with asking(url) as ask:
        run = await ask.get("/runs/r1")
        assert (run["id"], run["step"], run["last_loss"]["name"]) == ("r1", STEPS - 1, "train/loss")
        assert [(one["rank"], one["rows"], one["exit_code"]) for one in run["sessions"]] == [(0, STEPS, 0), (1, 5, 0)]
        config = await ask.get("/runs/r1/config")
        assert config == {
            "lr": 0.1, "opt": {"name": "adam", "betas": [0.9, 0.99]}, "big": 2**70, "odd": "NaN"
        }  # fmt: skip
        assert await ask.get("/runs/r1/summary") == {"best": 0.05}
        assert await ask.get("/runs/r3/summary") == {}


async def test_events_page_by_page(url: str) -> None:
    """Events come by time; `next` leads on to every other one, once."""
    async with asking(url) as ask:
        whole = await ask.get("/runs/r1/events")
        assert whole["next"] is None
        assert [one["kind"] for one in whole["events"]] == ["config", "alert", "summary", "finish", "finish"]
        found, path = [], "/runs/r1/events?limit=2"
        while True:
            page = await ask.get(path)
            found += page["events"]
            if page["next"] is None:
                break
            path = f"/runs/r1/events?limit=2&after={page['next']}"
        assert found == whole["events"]
        both = await ask.get("/runs/r1/events?kind=alert&kind=config")
        assert [one["kind"] for one in both["events"]] == ["config", "alert"]
        (alert,) = (await ask.get("/runs/r1/alerts"))["events"]
        assert (alert["data"]["title"], alert["step"], alert["rank"]) == ("loss is no number", 5, 0)


async def test_series(url: str) -> None:
    """Each metric of each rank, and of the host, in a stable order; what is infinite is spelled out."""
    async with asking(url) as ask:
        body = await ask.get("/runs/r1/series")
        named = [(one["name"], one["kind"], one["rank"], one["host"], one["count"]) for one in body["series"]]
        assert named == [
            ("run_id", "run", 0, "", STEPS),
            ("target_iteration", "run", 0, "", STEPS),
            ("train/loss", "run", 0, "", STEPS),
            ("train/loss", "run", 1, "", 5),
            ("val/acc", "run", 0, "", STEPS),
            ("gpu/0/util", "system", None, "node-0", 30),
        ]
        loss = body["series"][2]
        assert (loss["finite"], loss["max"], loss["goal"], loss["last_step"]) == (
            STEPS - 5,
            "Infinity",
            "min",
            STEPS - 1,
        )


async def test_curves(url: str) -> None:
    """One curve for each rank and host; all points where there is room for them, else buckets; by step or by time."""
    async with asking(url) as ask:
        body = await ask.get("/runs/r1/data?metric=train/loss&metric=gpu/0/util&axis=time")
        assert [(one["name"], one["rank"], one["host"], one["kind"]) for one in body["curves"]] == [
            ("train/loss", 0, "", "points"),
            ("train/loss", 1, "", "points"),
            ("gpu/0/util", None, "node-0", "points"),
        ]
        loss = body["curves"][0]
        assert (loss["values"][4:6], loss["values"][11]) == ([0.4, "NaN"], "Infinity")
        assert loss["times"] == [START + step for step in range(STEPS)]
        (curve,) = (await ask.get("/runs/r1/data?metric=val/acc&from=10&to=29&max_points=4&rank=0"))["curves"]
        assert (curve["kind"], curve["axis"], curve["count"]) == ("buckets", "step", 20)
        assert (min(curve["mins"]), max(curve["maxs"]), sum(curve["counts"])) == (0.10, 0.29, 20)
        only = await ask.get("/runs/r1/data?metric=train/loss&rank=1")
        assert [one["rank"] for one in only["curves"]] == [1]
        none = await ask.get("/runs/r2/data?metric=train/loss&rank=none")
        assert [one["rank"] for one in none["curves"]] == [None]
        assert (await ask.get("/runs/r1/data?metric=nothing"))["curves"] == []


async def test_points_that_were_let_go_of(url: str) -> None:
    """Their summaries are told in buckets; with `kept` there is nothing but the points that stay, one by one."""
    db = connect(url)
    put(Writer(db), run_session("r5", 0, "job", START), make_rows(600, {"train/loss": 0.25}, time=START))
    db.run("DELETE FROM blocks")
    db.close()
    async with asking(url) as ask:
        (curve,) = (await ask.get("/runs/r5/data?metric=train/loss"))["curves"]
        assert (curve["kind"], curve["count"]) == ("buckets", 600)
        (curve,) = (await ask.get("/runs/r5/data?metric=train/loss&kept=true"))["curves"]
        assert (curve["kind"], curve["steps"]) == ("points", list(range(512, 600)))


async def test_compare(url: str) -> None:
    """Two runs side by side: what their configs differ in, and whose best is best."""
    async with asking(url) as ask:
        body = await ask.get("/compare?runs=r1,r2")
        assert [run["id"] for run in body["runs"]] == ["r1", "r2"]
        assert body["config"]["lr"] == [0.1, 0.2]
        (loss,) = [one for one in body["metrics"] if one["name"] == "train/loss"]
        assert (loss["goal"], loss["winner"]) == ("min", 1)
        assert loss["best"] == [2.0 / STEPS, 0.025]
        assert await ask.get("/compare?runs=r1&runs=r2") == body
