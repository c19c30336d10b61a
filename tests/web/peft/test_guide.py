"""PEFT Studio's guide: its requests as they stand there, and answers that its front end can read."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from wayside.row import CONFIG, FINISH, SUMMARY
from wayside_collector.sinks.wandb.options import WandbOptions
from wayside_collector.sources import posted
from wayside_collector.store.answers import Comparison
from web.peft.studying import Asked, Scenery, studying

CONFIGURE = b"""
{
  "enabled": true,
  "project_name": "peft-studio",
  "entity": "your-team",
  "api_key": "your-api-key",
  "tags": ["production"]
}
"""
START = b"""
{
  "job_id": "experiment_001",
  "model_name": "meta-llama/Llama-2-7b-hf",
  "dataset_name": "training_data.json",
  "use_case": "chatbot",
  "run_name": "llama2-chatbot-v1",
  "config": {
    "learning_rate": 0.0002,
    "batch_size": 4,
    "lora_r": 16
  }
}
"""
FINISH_BODY = b"""
{
  "final_loss": 0.5,
  "quality_score": 85.0,
  "total_steps": 1000
}
"""
JOB = {"model_name": "m", "dataset_name": "d", "use_case": "chat"}


@pytest_asyncio.fixture
async def scenery() -> Scenery:
    return Scenery()


@pytest_asyncio.fixture
async def ask(scenery: Scenery) -> AsyncIterator[Asked]:
    async with studying(scenery) as found:
        yield found


@pytest.mark.asyncio
async def test_the_guide_from_top_to_bottom(ask: Asked, scenery: Scenery) -> None:
    """Configure, start, log, look, finish: with the guide's own bodies, and addresses at W&B that lead somewhere."""
    answer = await ask("/api/wandb/configure", CONFIGURE)
    assert answer.status == 200
    assert answer.body == {
        "success": True,
        "enabled": True,
        "available": True,
        "project_name": "peft-studio",
        "message": "W&B integration configured",
    }
    assert scenery.keys == ["your-api-key"]
    url = "https://wandb.ai/your-team/peft-studio/runs/experiment_001"
    answer = await ask("/api/wandb/start-run", START)
    assert answer.body == {"success": True, "job_id": "experiment_001", "run_url": url, "message": "W&B run started"}
    told = {"enabled": True, "available": True, "project_name": "peft-studio", "entity": "your-team"}
    assert await ask.get("/api/wandb/status") == (200, {**told, "active_runs": ["experiment_001"], "sinks": {}})
    assert (await ask("/api/v1/runs/experiment_001/log", {"metrics": {"train/loss": 0.5}, "step": 1})).status == 200
    assert await ask.get("/api/wandb/run-url/experiment_001") == (200, {"job_id": "experiment_001", "run_url": url})
    answer = await ask("/api/wandb/finish-run/experiment_001?exit_code=0", FINISH_BODY)
    assert answer.body == {"success": True, "job_id": "experiment_001", "message": "W&B run finished"}
    assert await ask.get("/api/wandb/status") == (200, {**told, "active_runs": [], "sinks": {}})
    assert await ask.get("/api/wandb/run-url/experiment_001") == (200, {"job_id": "experiment_001", "run_url": url})


@pytest.mark.asyncio
async def test_a_job_is_a_run_like_any_other(ask: Asked) -> None:
    """Project, entity, name, tags, config and summary reach every sink; rows come in by the usual way."""
    await ask("/api/wandb/configure", CONFIGURE)
    await ask("/api/wandb/start-run", START)
    await ask("/api/v1/runs/experiment_001/log", [{"metrics": {"train/loss": 0.5}, "step": 1}])
    await ask("/api/wandb/finish-run/experiment_001?exit_code=1", FINISH_BODY)
    (known,) = ask.place.registry.all()
    run = known.session.run
    assert (run.project, run.entity, run.name) == ("peft-studio", "your-team", "llama2-chatbot-v1")
    assert run.tags == ("production", "chatbot", "meta-llama/Llama-2-7b-hf", "job_experime")
    (config,) = ask.events(run.id, CONFIG)
    assert config["set"]["lora_r"] == 16
    assert config["set"]["model_name"] == "meta-llama/Llama-2-7b-hf"
    first, last = ask.events(run.id, SUMMARY)
    assert first["set"]["use_case"] == "chatbot"
    assert last["set"] == {"final_loss": 0.5, "quality_score": 85.0, "total_steps": 1000}
    assert ask.events(run.id, FINISH) == [{"exit_code": 1}]
    assert [row.metrics for row in ask.rows(run.id)] == [{"train/loss": 0.5}]


@pytest.mark.asyncio
async def test_comparing_links_to_real_runs(ask: Asked, scenery: Scenery) -> None:
    """The guide's address, whose ids are those of runs that exist; and what our own store says of them."""
    scenery.answer = Comparison([], {}, [])
    await ask("/api/wandb/configure", CONFIGURE)
    for job in ("job1", "job2", "job3"):
        await ask("/api/wandb/start-run", {**JOB, "job_id": job})
    status, told = await ask.get("/api/wandb/compare?job_ids=job1,job2,job3")
    assert status == 200
    assert told["job_ids"] == ["job1", "job2", "job3"]
    assert told["comparison_url"] == "https://wandb.ai/your-team/peft-studio/table?runSets=job1,job2,job3"
    assert told["local_url"] == f"{ask.server.local}/compare?runs=job1,job2,job3"
    assert told["comparison"] == {"runs": [], "config": {}, "metrics": []}


@pytest.mark.asyncio
async def test_without_an_entity_no_address_is_made_up(ask: Asked, scenery: Scenery) -> None:
    """It is the key's own, which only W&B knows: until it has said so, the addresses are those of our own page."""
    for job in ("j1", "j2"):
        await ask("/api/wandb/start-run", {**JOB, "job_id": job})
    local = ask.server.local
    assert (await ask.get("/api/wandb/run-url/j1"))[1]["run_url"] == f"{local}/runs/j1"
    told = (await ask.get("/api/wandb/compare?job_ids=j1,j2"))[1]
    assert told["comparison_url"] == f"{local}/compare?runs=j1,j2"
    assert (told["comparison"], told["message"]) == (None, "there is no store to ask")
    scenery.own = "me"
    assert (await ask.get("/api/wandb/run-url/j1"))[1]["run_url"] == "https://wandb.ai/me/peft-studio/runs/j1"


@pytest.mark.asyncio
async def test_without_a_wandb_sink_jobs_are_kept_all_the_same(ask: Asked, scenery: Scenery) -> None:
    """`available` says so, and the message what to do; a key is not kept by anybody."""
    scenery.options = None
    answer = await ask("/api/wandb/configure", CONFIGURE)
    assert (answer.body["success"], answer.body["available"]) == (True, False)
    assert "sinks: {wandb: {}}" in answer.body["message"]
    assert scenery.keys == []
    answer = await ask("/api/wandb/start-run", START)
    assert answer.body["run_url"] == f"{ask.server.local}/runs/experiment_001"


@pytest.mark.asyncio
async def test_a_server_of_one_s_own_has_its_own_addresses(ask: Asked, scenery: Scenery) -> None:
    """base_url is where runs are seen, unless it is W&B's own API."""
    scenery.options = WandbOptions(base_url="https://wandb.corp/")
    await ask("/api/wandb/configure", {"entity": "team a"})
    answer = await ask("/api/wandb/start-run", START)
    assert answer.body["run_url"] == "https://wandb.corp/team%20a/peft-studio/runs/experiment_001"


@pytest.mark.asyncio
async def test_a_disabled_service_begins_nothing(ask: Asked) -> None:
    """With a status that says so; runs that are open go on and can be finished."""
    await ask("/api/wandb/start-run", START)
    await ask("/api/wandb/configure", {"enabled": False})
    answer = await ask("/api/wandb/start-run", {**JOB, "job_id": "j2"})
    assert (answer.status, answer.body["success"]) == (409, False)
    assert "disabled" in answer.body["detail"]
    status = (await ask.get("/api/wandb/status"))[1]
    assert (status["enabled"], status["active_runs"]) == (False, ["experiment_001"])
    assert (await ask("/api/wandb/finish-run/experiment_001", {})).body["success"] is True


@pytest.mark.asyncio
async def test_configuring_again_orphans_no_run(ask: Asked) -> None:
    """Runs that are open stay where they are; those begun from now on go to the new project."""
    await ask("/api/wandb/configure", CONFIGURE)
    await ask("/api/wandb/start-run", START)
    await ask("/api/wandb/configure", {"project_name": "other", "entity": "your-team"})
    await ask("/api/wandb/start-run", {**JOB, "job_id": "j2"})
    assert {known.session.run.project for known in ask.place.registry.alive()} == {"peft-studio", "other"}
    told = (await ask.get("/api/wandb/compare?job_ids=experiment_001,j2"))[1]
    assert told["comparison_url"].startswith(ask.server.local)  # W&B has no table of two projects


@pytest.mark.asyncio
async def test_what_is_sent_again_does_no_harm(ask: Asked) -> None:
    """A job that is started twice is one run, and one that was finished stays finished."""
    for message in ("W&B run started", "the run goes on already"):
        assert (await ask("/api/wandb/start-run", START)).body["message"] == message
    for message in ("W&B run finished", "the run was finished before"):
        assert (await ask("/api/wandb/finish-run/experiment_001", FINISH_BODY)).body["message"] == message
    assert ask.events("experiment_001", FINISH) == [{"exit_code": 0}]
    assert len(list(ask.place.registry.all())) == 1


@pytest.mark.asyncio
async def test_a_job_that_was_silent_can_be_finished(ask: Asked) -> None:
    """After half an hour it is taken for over; its finish is its last word all the same."""
    await ask("/api/wandb/start-run", START)
    ask.clock.now += posted.SILENCE + 1
    await ask.posted.end_silent()
    assert (await ask.get("/api/wandb/status"))[1]["active_runs"] == []
    await ask("/api/wandb/finish-run/experiment_001?exit_code=0", FINISH_BODY)
    assert {"exit_code": 0} in ask.events("experiment_001", FINISH)
    assert ask.place.registry.alive() == []


@pytest.mark.asyncio
async def test_a_job_that_logs_another_way_is_not_silent(ask: Asked) -> None:
    """Its training process may use our client under the job's id, and say nothing here for days."""
    await ask("/api/wandb/start-run", START)
    record: dict[str, Any] = {"session": "7" * 32, "run": {"id": "experiment_001"}, "started": 1e9}
    trainer = await ask.place.intake.begin(record)
    ask.clock.now += posted.SILENCE * 10
    await ask.posted.end_silent()
    assert (await ask.get("/api/wandb/status"))[1]["active_runs"] == ["experiment_001"]
    await ask.place.intake.end(trainer)
    await ask.posted.end_silent()
    assert (await ask.get("/api/wandb/status"))[1]["active_runs"] == []


@pytest.mark.asyncio
async def test_settings_outlast_the_collector(ask: Asked, scenery: Scenery) -> None:
    """All but the key, which is nowhere in what is kept."""
    await ask("/api/wandb/configure", CONFIGURE)
    assert scenery.kept is not None
    assert b"your-api-key" not in scenery.kept
    async with studying(Scenery(kept=scenery.kept)) as again:
        assert (await again.get("/api/wandb/status"))[1]["entity"] == "your-team"
    async with studying(Scenery(kept=b"damaged")) as again:
        assert (await again.get("/api/wandb/status"))[1]["project_name"] == "peft-studio"


@pytest.mark.asyncio
async def test_settings_that_cannot_be_kept_do_not_count(ask: Asked, scenery: Scenery) -> None:
    """With a full disk the answer says so, and neither settings nor key have changed; later they are taken."""
    scenery.full = True
    answer = await ask("/api/wandb/configure", CONFIGURE)
    assert (answer.status, answer.body["success"]) == (429, False)
    assert "the disk is full" in answer.body["detail"]
    assert (await ask.get("/api/wandb/status"))[1]["entity"] is None
    assert scenery.keys == []
    scenery.full = False
    assert (await ask("/api/wandb/configure", CONFIGURE)).status == 200
    assert (await ask.get("/api/wandb/status"))[1]["entity"] == "your-team"


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("path", "body", "status", "said"),
    [
        ("configure", b"{", 400, "not JSON"),
        ("configure", {"enabled": "maybe"}, 422, "enabled"),
        ("configure", {"project_name": ""}, 422, "project_name"),
        ("configure", {"api_key": "secret key 123456"}, 422, "api_key"),
        ("configure", {"api_key": "abc"}, 422, "api_key"),
        ("configure", {"api_key": 7}, 422, "api_key"),
        ("start-run", {"job_id": "j"}, 422, "model_name"),
        ("start-run", {**JOB, "job_id": "a/b"}, 422, "'/'"),
        ("start-run", {**JOB, "job_id": "j", "config": [1]}, 422, "config"),
        ("finish-run/nobody", {}, 404, "nobody"),
        ("finish-run/nobody?exit_code=x", {}, 422, "exit_code"),
        ("finish-run/nobody?exit_code=99999999999", {}, 422, "exit_code"),
        ("finish-run/nobody", [], 400, "object"),
    ],
)
async def test_what_makes_no_sense_is_said(ask: Asked, path: str, body: Any, status: int, said: str) -> None:
    """As FastAPI says it, `detail`, with what is wrong; never with a key in it."""
    answer = await ask(f"/api/wandb/{path}", body)
    assert (answer.status, answer.body["success"]) == (status, False)
    assert said in answer.body["detail"]
    key = body.get("api_key") if isinstance(body, dict) else None
    assert not isinstance(key, str) or key not in json.dumps(answer.body)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("query", "status"), [("", 400), ("?job_ids=a", 400), ("?job_ids=a,a", 400), ("?job_ids=a,b,c,d,e,f", 400),
                          ("?job_ids=a,b", 404)],
)  # fmt: skip
async def test_two_to_five_jobs_are_compared(ask: Asked, query: str, status: int) -> None:
    """Fewer or more are a mistake, and unknown ones are not found."""
    found, told = await ask.get(f"/api/wandb/compare{query}")
    assert (found, "detail" in told) == (status, True)


@pytest.mark.asyncio
async def test_the_address_of_an_unknown_job_is_404(ask: Asked) -> None:
    """In the guide's words: when unknown."""
    assert (await ask.get("/api/wandb/run-url/nobody"))[0] == 404
