"""Questions that make no sense are refused in words that say what, where and what to do."""

from pathlib import Path

import pytest
from wayside_collector.web.api import live
from web.api.asking import asking
from web.api.history import filled


@pytest.fixture
def url(tmp_path: Path) -> str:
    return filled(tmp_path)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/runs?limit=x", "limit: Expected `int`, got `str`; it is 'x'"),
        ("/runs?limit=0", "limit: Expected `int` >= 1; it is '0'"),
        ("/runs?limit=1&limit=2", "limit: is given 2 times, and may be once"),
        ("/runs?limits=1", "'limits': unknown parameter; known are config.KEY, group, limit, offset, project, q,"),
        ("/runs?config=1", "'config': unknown parameter"),
        ("/runs?config.lr=1&config.lr=2", "config.lr: is given 2 times"),
        ("/runs?state=dead", "state: must be one of: running, finished, failed, crashed; it is 'dead'"),
        ("/runs/r1/data?metric=a&rank=x", "rank: must be one of: a whole number, none; it is 'x'"),
        ("/runs/r1?x=1", "'x': unknown parameter; known are none"),
        ("/runs/r1/data", "metric: must be given"),
        ("/runs/r1/data?metric=a&from=nan", "from: must be given or left out; it is 'nan'"),
        ("/runs/r1/data?metric=a&from=1e999", "from: Number out of range"),
        ("/runs/r1/data?metric=a&rank=-1", "rank: Expected `int` >= 0"),
        ("/runs/r1/data?metric=a&max_points=20001", "max_points: Expected `int` <= 20000"),
        ("/runs/r1/data?" + "&".join(f"metric=m{n}" for n in range(51)), "metric: Expected `array` of length <= 50"),
        ("/runs/r1/events?after=x", "after: must be `next` of the answer before"),
        ("/compare?runs=r1", "runs: 2 to 5 different runs are compared, not 1: r1"),
        ("/compare?runs=r1,r1", "runs: 2 to 5 different runs"),
        ("/compare", "runs: must be given"),
        ("/workloads/job/metrics/data?limit=0", "limit: Expected `int` >= 1"),
        ("/workloads/job/metrics/data?after=x", "after: must be `next`"),
        ("/workload-diag/job/training-progress?page_num=0&envelope=false", "page_num: Expected `int` >= 1"),
    ],
)
async def test_what_makes_no_sense(url: str, path: str, text: str) -> None:
    """Each names the parameter, what it should be, and what it is."""
    async with asking(url) as ask:
        assert text in (await ask.get(path, 400))["error"]


@pytest.mark.asyncio
async def test_what_is_not_there(url: str) -> None:
    """A run that nobody knows is named, whatever its name looks like."""
    async with asking(url) as ask:
        for id in ("none", "%2e%2e%2fetc", "a%00b", "%F0%9F%9A%82", "x" * 1900):
            for path in (f"/runs/{id}", f"/runs/{id}/config", f"/runs/{id}/data?metric=a", f"/compare?runs=r1,{id}"):
                assert "there is no run" in (await ask.get(path, 404))["error"], path


@pytest.mark.asyncio
async def test_as_many_listen_as_may(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the limit who wants to listen is told to come later; and HEAD, which never listens, is answered."""
    monkeypatch.setattr(live, "MAX_LISTENERS", 1)
    async with asking(url) as ask, ask.served.asking.get(f"{ask.base}/runs/r2/live") as first:
        assert first.status == 200
        assert "listen already" in (await ask.get("/live", 503))["error"]
        async with ask.served.asking.head(f"{ask.base}/runs/r2/live") as answer:
            assert (answer.status, answer.content_type) == (503, "application/json")
    monkeypatch.setattr(live, "MAX_LISTENERS", 2)
    async with asking(url) as ask, ask.served.asking.head(f"{ask.base}/runs/r2/live") as answer:
        assert (answer.status, answer.content_type) == (200, "text/event-stream")
