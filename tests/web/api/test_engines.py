"""A store in PostgreSQL answers every question with the same bytes as one on SQLite."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from standins.postgres_server import create_database, postgres
from wayside_collector.store import Writer, connect
from wayside_collector.testing import make_event
from web.api.asking import asking
from web.api.history import START, fill, filled, put, rows, run_session
from web.api.test_live import Stream

MS = int(START * 1000)
PATHS = (
    "/workloads",
    "/workloads?q=JOB",
    "/runs",
    "/runs?q=second&config.lr=0.2",
    "/runs?tag=good&limit=1&offset=1",
    "/runs/r1",
    "/runs/none",
    "/runs/r1/config",
    "/runs/r1/summary",
    "/runs/r1/events?limit=2",
    f"/runs/r1/events?after={START}~{'r1-0'.ljust(32, '0')}~0",
    "/runs/r1/alerts",
    "/runs/r1/series",
    "/runs/r1/data?metric=train/loss&metric=gpu/0/util&axis=time",
    "/runs/r1/data?metric=train/loss&max_points=3&from=2&to=30",
    "/compare?runs=r1,r2,r3",
    "/workloads/job/metrics/sources",
    "/workloads/job/metrics/available",
    "/workloads/job/metrics/data?limit=9",
    f"/workloads/job/metrics/data?start={MS}&end={MS + 9000}",
    "/workloads/job/metrics/iteration-times",
    f"/workloads/job/trainingPerformance?start={MS}&end={MS + 9000}",
    "/workload-diag/job/training-progress?page_num=2&page_size=7",
    "/training/job/available",
    "/training/job/data?page_size=5",
)


@pytest.fixture(scope="module")
def in_postgres() -> Iterator[str]:
    with postgres() as server:
        url = create_database(server, "api")
        fill(url)
        yield url


@pytest.mark.timeout(60)
@pytest.mark.asyncio
async def test_the_same_bytes(in_postgres: str, tmp_path: Path) -> None:
    """Every question, status and body."""
    async with asking(filled(tmp_path)) as here, asking(in_postgres) as there:
        for path in PATHS:
            status, _, body = await here.raw(path)
            found, _, other = await there.raw(path)
            assert (found, other) == (status, body), path
            assert status == (404 if "none" in path else 200), (path, body)


@pytest.mark.timeout(60)
@pytest.mark.asyncio
async def test_what_another_collector_writes_is_seen_live(in_postgres: str) -> None:
    """Who listens is told of rows that came by another way than this collector."""
    async with asking(in_postgres, interval=0.05) as ask:
        async with ask.served.asking.get(f"{ask.base}/runs/r4/live") as answer:
            assert answer.status == 404
        db = connect(in_postgres)
        session = run_session("r4", None, "job", START + 300)
        put(Writer(db), session, rows(0, 2, loss=1.0, time=START + 300))
        async with ask.served.asking.get(f"{ask.base}/runs/r4/live") as answer:
            stream = Stream(answer)
            assert (await stream.next() or ("", {}))[1]["run"]["step"] == 1
            put(Writer(db), session, [make_event("finish", {"exit_code": 0}, seq=50, time=START + 310)])
            assert (await stream.next() or ("", {}))[0] == "update"
            assert await stream.next() == ("end", {"state": "finished", "exit_code": 0})
        db.close()
