"""Runs that are begun, told of and finished in requests; who may, and how many."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from wayside.row import ALERT, CONFIG, FINISH, SUMMARY
from wayside_collector.configuration.access import IngestSection, Outside, PublicSection
from wayside_collector.intake import sessions as intake
from wayside_collector.sources import posted
from web.ingest.posting import Post, posting

ROW = {"metrics": {"loss": 0.5}, "step": 1}


@pytest_asyncio.fixture
async def post() -> AsyncIterator[Post]:
    async with posting() as found:
        yield found


@pytest.mark.asyncio
async def test_a_run_is_what_was_said_at_its_beginning(post: Post) -> None:
    """Its id, project, name, tags and config; the rows that follow are its own, in the same session."""
    told = {"id": "r1", "project": "p", "name": "n", "group": "g", "tags": ["a", "b"], "workload": "w", "notes": "x"}
    answer = await post("/api/v1/runs", {**told, "config": {"lr": 0.1, "password": "hunter22"}})
    assert (answer.status, answer.body) == (201, {"run": "r1", "begun": True, "page": "/runs/r1"})
    await post("/api/v1/runs/r1/log", ROW)
    (known,) = post.place.registry.all()
    run = known.session.run
    assert (run.id, run.project, run.name, run.group, run.tags, run.notes) == ("r1", "p", "n", "g", ("a", "b"), "x")
    assert (known.session.workload, known.session.origin) == ("w", "http")
    assert post.events("r1", CONFIG) == [{"set": {"lr": 0.1, "password": "***"}, "remove": []}]
    assert len(post.rows("r1")) == 1


@pytest.mark.asyncio
async def test_a_run_without_an_id_gets_one(post: Post) -> None:
    """One that nobody else has."""
    ids = {(await post("/api/v1/runs", {})).body["run"] for _ in range(3)}
    assert len(ids) == 3
    assert (await post(f"/api/v1/runs/{ids.pop()}/log", ROW)).status == 200


@pytest.mark.asyncio
async def test_a_run_that_is_open_is_not_begun_again(post: Post) -> None:
    """The second time is answered with 200, and what it says of the config is taken."""
    await post("/api/v1/runs", {"id": "r1"})
    answer = await post("/api/v1/runs", {"id": "r1", "config": {"a": 1}})
    assert (answer.status, answer.body["begun"]) == (200, False)
    assert len(list(post.place.registry.all())) == 1
    assert post.events("r1", CONFIG) == [{"set": {"a": 1}, "remove": []}]


@pytest.mark.asyncio
async def test_config_summary_and_alerts_are_told(post: Post) -> None:
    """Each is an event of the run."""
    assert (await post("/api/v1/runs/r1/config", {"lr": {"max": 1}})).status == 200
    assert (await post("/api/v1/runs/r1/summary", {"best": 0.1})).status == 200
    assert (await post("/api/v1/runs/r1/alert", {"title": "t", "text": "x", "level": "WARN"})).status == 200
    assert post.events("r1", CONFIG) == [{"set": {"lr": {"max": 1}}, "remove": []}]
    assert post.events("r1", SUMMARY) == [{"set": {"best": 0.1}, "remove": []}]
    assert post.events("r1", ALERT) == [{"title": "t", "text": "x", "level": "WARN"}]
    assert len(list(post.place.registry.all())) == 1


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("path", "body", "status", "said"),
    [
        ("", {"id": "a/b"}, 422, "'/'"),
        ("", {"id": "x" * 129}, 422, "128"),
        ("", {"id": "."}, 422, "dots"),
        ("", {"tags": "a"}, 422, "tags"),
        ("", {"tags": ["a"] * 257}, 422, "tags"),
        ("", {"nmae": "a"}, 422, "nmae"),
        ("", [], 400, "object"),
        ("", {"config": 3}, 422, "config"),
        ("/r1/config", b"3", 400, "object"),
        ("/r1/config", b'{"a":' * 900 + b"1" + b"}" * 900, 422, "nested"),
        ("/r1/alert", {"text": "x"}, 422, "title"),
        ("/r1/alert", {"title": "x", "level": "LOUD"}, 422, "level"),
        ("/r1/finish", {"exit_code": "x"}, 422, "exit_code"),
        ("/r1/finish", {}, 404, "open"),
        ("/a%2Fb/log", ROW, 422, "'/'"),
    ],
)
async def test_what_cannot_be_taken_is_said(post: Post, path: str, body: Any, status: int, said: str) -> None:
    """With the field that is wrong."""
    answer = await post(f"/api/v1/runs{path}", body)
    assert answer.status == status
    assert said in answer.body["error"]


@pytest.mark.asyncio
async def test_a_run_that_is_finished_can_be_begun_again(post: Post) -> None:
    """All its sessions end with the exit code; rows that come later are a new session's."""
    await post("/api/v1/runs/r1/log", ROW)
    await post("/api/v1/runs/r1/log", {"session": "s", "seq": 0, "rank": 1, "rows": [ROW]})
    assert (await post("/api/v1/runs/r1/finish", {"exit_code": 3})).body == {"run": "r1", "ended": 2}
    assert post.events("r1", FINISH) == [{"exit_code": 3}] * 2
    assert post.place.registry.alive() == []
    assert (await post("/api/v1/runs/r1/finish")).status == 404
    assert (await post("/api/v1/runs/r1/log", ROW)).status == 200
    assert len(post.place.registry.alive()) == 1


@pytest.mark.asyncio
async def test_a_session_that_said_it_is_finished_stays_so(post: Post) -> None:
    """Its sender numbers its rows, and the finish has a number, too: more of them are refused, not taken as doubles."""
    body = {"session": "s", "seq": 0, "rows": [ROW]}
    await post("/api/v1/runs/r1/log", body)
    await post("/api/v1/runs/r1/finish")
    answer = await post("/api/v1/runs/r1/log", {**body, "seq": 1})
    assert answer.status == 409
    assert "another name" in answer.body["error"]
    assert post.place.registry.alive() == []
    assert (await post("/api/v1/runs/r1/log", {**body, "session": "s2"})).status == 200


@pytest.mark.asyncio
async def test_a_silent_run_is_over_and_comes_back(post: Post) -> None:
    """After half an hour without a word it ends as one that said nothing; its next rows are taken all the same."""
    body = {"session": "s", "seq": 0, "rows": [ROW, ROW]}
    await post("/api/v1/runs/r1/log", body)
    await post("/api/v1/runs/r2/log", ROW)
    post.clock.now += posted.SILENCE - 1
    await post("/api/v1/runs/r2/log", ROW)
    post.clock.now += 2
    await post.posted.end_silent()
    assert [known.session.run.id for known in post.place.registry.alive()] == ["r2"]
    assert post.events("r1", FINISH) == [{"exit_code": None, "reason": "silent"}]
    answer = await post("/api/v1/runs/r1/log", {**body, "seq": 1, "rows": [ROW, ROW]})
    assert (answer.body["accepted"], answer.body["doubles"], answer.body["next_seq"]) == (1, 1, 3)
    assert len(post.rows("r1")) == 3


@pytest.mark.asyncio
async def test_a_session_says_what_its_run_is_called_already(post: Post) -> None:
    """Rows of another session of a run that was begun here belong to its project."""
    await post("/api/v1/runs", {"id": "r1", "project": "p", "name": "n", "workload": "w"})
    await post("/api/v1/runs/r1/log", {"session": "s", "rows": [ROW]})
    sessions = [known.session for known in post.place.registry.all()]
    assert {(one.run.project, one.run.name, one.workload) for one in sessions} == {("p", "n", "w")}


@pytest.mark.asyncio
async def test_so_many_runs_may_be_begun_in_a_minute(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond it the answer is 429 with Retry-After; runs that are there go on, and a minute later there is room."""
    monkeypatch.setattr(posted, "MAX_BEGUN", 3)
    answers = await asyncio.gather(*(post(f"/api/v1/runs/r{n}/log", ROW) for n in range(5)))
    assert sorted(answer.status for answer in answers) == [200, 200, 200, 429, 429]
    late = next(answer for answer in answers if answer.status == 429)
    assert late.headers["Retry-After"] == "60"
    assert (await post("/api/v1/runs/r0/log", ROW)).status == 200
    post.clock.now += 61
    assert (await post("/api/v1/runs/r9/log", ROW)).status == 200


@pytest.mark.asyncio
async def test_so_many_runs_may_be_open(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that is finished makes room."""
    monkeypatch.setattr(posted, "MAX_POSTED", 2)
    assert [(await post(f"/api/v1/runs/r{n}/log", ROW)).status for n in range(3)] == [200, 200, 429]
    await post("/api/v1/runs/r0/finish")
    assert (await post("/api/v1/runs/r2/log", ROW)).status == 200


@pytest.mark.asyncio
async def test_where_no_session_has_room(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    """With as many sessions as a collector takes, whoever they are of, a new one is put off: 429."""
    monkeypatch.setattr(intake, "MAX_SESSIONS", 1)
    assert (await post("/api/v1/runs/r0/log", ROW)).status == 200
    answer = await post("/api/v1/runs/r1/log", ROW)
    assert (answer.status, answer.headers["Retry-After"]) == (429, "60")
    answer = await post("/v1/wandb/metrics", {"workload_uid": "w", "metrics": [{"name": "a", "value": 1}]})
    assert (answer.status, answer.body["meta"]["code"], answer.headers["Retry-After"]) == (429, 429, "60")
    assert (await post("/api/v1/runs/r0/log", ROW)).status == 200


@pytest.mark.asyncio
async def test_who_may_write(tmp_path: Path) -> None:
    """From elsewhere: whoever has a writer's token, or comes from a trusted network; a reader may not."""
    file = tmp_path / "tokens"
    file.write_text(f"writer {'w' * 20}\nreader {'r' * 20}\nwriter {'n' * 20} namespace=team-a\n")
    tokens = PublicSection(token_file=str(file))

    async def status(post: Post, token: str | None, path: str = "/api/v1/runs/r1/log") -> int:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return (await post(path, ROW, public=True, **headers)).status

    async with posting(Outside("127.0.0.1:0", tokens)) as post:
        assert [await status(post, token) for token in (None, "x" * 20, "r" * 20, "w" * 20)] == [401, 401, 403, 200]
        assert await status(post, "n" * 20) == 200
        exporters = [await status(post, None, path) for path in ("/v1/wandb/metrics", "/api/v1/wandb/detection")]
        assert exporters == [401, 401]
    async with posting(Outside("127.0.0.1:0", tokens, IngestSection(trusted=("127.0.0.0/8",)))) as post:
        assert await status(post, None) == 200
        answer = await post("/v1/wandb/metrics", {"workload_uid": "w", "metrics": []}, public=True)
        assert answer.status == 200


@pytest.mark.asyncio
async def test_a_namespace_s_token_writes_into_its_own_runs(tmp_path: Path) -> None:
    """The same run id is another run for each namespace, and for those who have none."""
    file = tmp_path / "tokens"
    file.write_text("".join(f"writer {letter * 20} namespace={letter}\n" for letter in "ab"))
    async with posting(Outside("127.0.0.1:0", PublicSection(token_file=str(file)))) as post:
        for letter in "ab":
            headers = {"Authorization": f"Bearer {letter * 20}"}
            rows = {"session": "s", "seq": 0, "rows": [ROW]}
            answer = await post("/api/v1/runs/r1/log", rows, public=True, **headers)
            assert answer.body["run"] == f"{letter}.r1"
            entry = {"name": "loss", "value": 1, "step": 1}
            body = {"workload_uid": "w", "run_id": "r2", "metrics": [entry]}
            await post("/v1/wandb/metrics", body, public=True, **headers)
        await post("/api/v1/runs/r1/log", ROW)
        sessions = [known.session for known in post.place.registry.all()]
        told = {(one.run.id, one.namespace) for one in sessions}
        assert told == {("a.r1", "a"), ("b.r1", "b"), ("a.r2", "a"), ("b.r2", "b"), ("r1", None)}
        assert all(len(post.rows(one.run.id)) == 1 for one in sessions)
