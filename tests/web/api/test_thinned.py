"""Long runs in Lens's endpoints: an answer has a size, tells the whole range, and every row can still be asked for."""

from pathlib import Path

import pytest
from wayside.row import Row
from wayside_collector.store import Writer, connect
from wayside_collector.web.api import lens
from web.api.asking import asking
from web.api.history import START, put, run_session

STEPS = 3000


@pytest.fixture
def url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A run of more points than one answer has."""
    monkeypatch.setattr(lens, "MAX_POINTS", 1000)
    url = str(tmp_path / "store.db")
    db = connect(url)
    db.migrate()
    rows = [Row(n, START + n, n, True, False, ("a", "b"), (float(n), -float(n))) for n in range(STEPS)]
    put(Writer(db), run_session("long", None, "job", START), rows)
    db.close()
    return url


@pytest.mark.asyncio
async def test_a_long_run_is_thinned(url: str) -> None:
    """Real points from end to end, no more than the limit, and told as thinned; every row comes page by page."""
    async with asking(url) as ask:
        body = await ask.get("/workloads/job/metrics/data")
        assert body["thinned"] is True
        assert 500 < body["total_count"] == len(body["data"]) <= 1000
        assert all(abs(one["value"]) == one["iteration"] for one in body["data"])
        steps = [one["iteration"] for one in body["data"] if one["metric_name"] == "a"]
        assert (steps[0], steps[-1] > STEPS * 0.98) == (0, True)
        times = await ask.get("/workloads/job/metrics/iteration-times")
        assert times["thinned"] is True
        assert len({one["iteration"] for one in times["data"]}) == len(times["data"]) > 200
        found, path = [], "/workloads/job/metrics/data?metrics=a&limit=900"
        while True:
            page = await ask.get(path)
            assert "thinned" not in page
            found += [one["iteration"] for one in page["data"]]
            if "next" not in page:
                break
            path = f"/workloads/job/metrics/data?metrics=a&limit=900&after={page['next']}"
        assert found == list(range(STEPS))


@pytest.mark.asyncio
async def test_a_short_time_of_a_long_run_is_whole(url: str) -> None:
    """What a time range holds comes with every point as long as it fits, else thinned over that range alone."""
    async with asking(url) as ask:
        start = int(START * 1000) + 2000_000
        body = await ask.get(f"/workloads/job/metrics/data?start={start}&end={start + 99_000}")
        assert "thinned" not in body
        assert {one["iteration"] for one in body["data"]} == set(range(2000, 2100))
        body = await ask.get(f"/workloads/job/metrics/data?start={start - 900_000}&end={start + 900_000}")
        steps = [one["iteration"] for one in body["data"]]
        assert (body["thinned"], min(steps), max(steps) > 2850) == (True, 1100, True)
