"""Who may ask: readers everything, those of a namespace its runs alone, writers and strangers nothing."""

from pathlib import Path

import msgspec
import pytest
from wayside_collector.configuration.access import Outside, PublicSection
from wayside_collector.store import Writer, connect
from wayside_collector.testing import make_rows
from wayside_collector.web.api.routes import ENDPOINTS, STREAMS
from web.api.asking import asking
from web.api.history import START, filled, put, run_session

pytestmark = pytest.mark.asyncio
READER, WRITER, TEAM = "r" * 20, "w" * 20, "t" * 20


@pytest.fixture
def url(tmp_path: Path) -> str:
    """With a run `theirs` of the namespace `team` beside the others."""
    url = filled(tmp_path)
    db = connect(url)
    theirs = msgspec.structs.replace(run_session("theirs", None, "team-job", START + 500), namespace="team")
    put(Writer(db), theirs, make_rows(3, seq=1))
    db.close()
    return url


@pytest.fixture
def outside(tmp_path: Path) -> Outside:
    file = tmp_path / "tokens"
    file.write_text(f"reader {READER}\nwriter {WRITER}\nreader {TEAM} namespace=team\n")
    return Outside("127.0.0.1:0", PublicSection(token_file=str(file)))


def bearer(token: str) -> dict[str, dict[str, str]]:
    return {"headers": {"Authorization": f"Bearer {token}"}}


async def test_every_path_wants_a_reader(url: str, outside: Outside) -> None:
    """No path of the API answers a stranger or a writer; health alone is everybody's."""
    async with asking(url, outside=outside) as ask:
        paths = [prefix + one for prefix in ("/api/v1", "/v1") for one in (*(e.path for e in ENDPOINTS), *STREAMS)]
        for path in (*paths, "/api/docs", "/api/openapi.json"):
            where = ask.served.public + path.replace("{id}", "r1").replace("{uid}", "job")
            assert await ask.served.status(where) == 401, path
            assert await ask.served.status(where, **bearer(WRITER)) == 403, path
        assert await ask.served.status(f"{ask.served.public}/health") == 200


async def test_a_namespace_sees_its_own_runs(url: str, outside: Outside) -> None:
    """A token of a namespace finds its runs and workloads, and of all others nothing, not even that they are there."""
    async with asking(url, outside=outside) as ask:

        async def get(path: str, token: str, status: int = 200) -> object:
            async with ask.served.asking.get(f"{ask.served.public}/v1{path}", **bearer(token)) as answer:
                assert answer.status == status, path
                return await answer.json()

        def ids(body: object) -> list[str]:
            return [one["id"] for one in body["runs"]]  # type: ignore[index]

        assert ids(await get("/runs", READER)) == ["theirs", "r3", "r2", "r1"]
        assert ids(await get("/runs", TEAM)) == ["theirs"]
        assert [one["workload"] for one in (await get("/workloads", TEAM))["workloads"]] == ["team-job"]  # type: ignore[index]
        for path in ("", "/config", "/summary", "/events", "/alerts", "/series", "/data?metric=train/loss", "/live"):
            await get(f"/runs/r1{path}", TEAM, 404)
        await get("/runs/theirs/series", TEAM)
        await get("/compare?runs=theirs,r1", TEAM, 404)
        assert (await get("/workloads/job/metrics/sources", TEAM))["data_sources"] == []  # type: ignore[index]
        assert (await get("/workloads/job/metrics/data", TEAM))["data"] == []  # type: ignore[index]
        assert (await get("/training/job/data", TEAM))["data"]["points"] == []  # type: ignore[index]
        own = await get("/workloads/team-job/metrics/data", TEAM)
        assert len(own["data"]) == 3  # type: ignore[index]


async def test_a_stranger_s_page_reads_nothing(url: str, tmp_path: Path) -> None:
    """No answer says `*`: only origins that the configuration names may read, and on `listen` none."""
    named = Outside("127.0.0.1:0", PublicSection(anonymous="reader", origins=("https://dash.example",)))
    async with asking(url, outside=named) as ask:
        for base in (ask.served.local, ask.served.public):
            for origin in ("https://evil.example", "https://dash.example"):
                where = f"{base}/v1/workloads/job/metrics/sources"
                async with ask.served.asking.get(where, headers={"Origin": origin}) as answer:
                    allowed = answer.headers.get("Access-Control-Allow-Origin")
                    good = base == ask.served.public and origin == "https://dash.example"
                    assert allowed == (origin if good else None)
                    assert "Accept-Encoding" in answer.headers["Vary"]
