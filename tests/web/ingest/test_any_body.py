"""Whatever is posted: an answer in JSON that is never our own failure, and a count of rows that is that of the disk."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sources.place import Place
from web.ingest.posting import Post, posting

NAMES = st.sampled_from(["loss", "lr", "", "x" * 1025, "\ud800", "\0", "a/b"]) | st.text(max_size=5)
NUMBERS = st.floats() | st.integers() | st.sampled_from([10**400, "NaN", "Infinity", "1", None, True, [], {}])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
STEPS = st.none() | st.integers() | st.floats() | st.just("3")
TIMES = st.none() | st.floats() | st.integers() | st.sampled_from([0, 1e9, 1e11, -1, "1e9"])
GOOD = st.fixed_dictionaries(
    {"metrics": st.dictionaries(st.sampled_from(["loss", "lr", "a/b"]), st.floats(), min_size=1, max_size=3)},
    optional={"step": st.integers(-5, 5), "time": st.floats(0, 1e10)},
)
ROWS = GOOD | st.fixed_dictionaries(
    {"metrics": st.dictionaries(NAMES, NUMBERS, max_size=4)},
    optional={"step": STEPS, "time": TIMES, "rank": JSON, "run": st.sampled_from(["r", "s"]), "name": JSON},
)
BODIES = st.one_of(
    JSON,
    GOOD,
    st.lists(GOOD, max_size=5),
    st.lists(ROWS | JSON, max_size=5),
    st.fixed_dictionaries({"rows": st.lists(ROWS, max_size=4)}, optional={"session": JSON, "seq": JSON, "rank": JSON}),
    st.fixed_dictionaries({"rows": st.lists(ROWS, max_size=4), "session": st.just("s"), "seq": st.integers(0, 9)}),
)
ENTRIES = st.fixed_dictionaries(
    {"name": st.sampled_from(["loss", "lr"]), "value": st.floats()},
    optional={"step": st.integers(-5, 5), "timestamp": st.floats(0, 1e10)},
) | st.fixed_dictionaries({"name": NAMES, "value": NUMBERS}, optional={"step": STEPS, "timestamp": TIMES, "tags": JSON})
LENS = st.fixed_dictionaries(
    {"workload_uid": st.sampled_from(["w", "w", "w", "", None, 7])},
    optional={
        "metrics": st.lists(ENTRIES, max_size=5) | st.lists(ENTRIES | JSON, max_size=5) | JSON,
        "logs": st.lists(st.fixed_dictionaries({"data": JSON}, optional={"step": STEPS}), max_size=3) | JSON,
        "evidence": st.fixed_dictionaries({}, optional={"wandb": JSON, "software": JSON, "system": JSON}) | JSON,
        "run_id": st.sampled_from(["", "r", "x" * 300, "\ud800"]),
        "detection": JSON,
        "hints": JSON,
    },
)


def alone(test: Callable[[Post], Awaitable[None]]) -> None:
    async def run() -> None:
        async with posting() as post:
            await test(post)

    asyncio.run(run())


def on_disk(place: Place) -> int:
    runs = {known.session.run.id for known in place.registry.all()}
    return sum(len(place.rows(run)) for run in runs)


@pytest.mark.timeout(120)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(BODIES, min_size=1, max_size=4))
def test_rows_that_are_answered_are_on_disk(bodies: list[Any]) -> None:
    """As many rows as were accepted, whatever stood in the bodies; no answer is a 500."""

    async def test(post: Post) -> None:
        accepted = 0
        for body in bodies:
            answer = await post("/v1/runs/r/log", body)
            assert answer.status in (200, 400, 409, 413, 422), answer
            accepted += answer.body.get("accepted", 0) if answer.status == 200 else 0
            assert (await post("/v1/runs/r/config", body)).status in (200, 400)
        assert on_disk(post.place) == accepted == post.place.intake.counters.received_rows

    alone(test)


@pytest.mark.timeout(120)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(st.sampled_from(["metrics", "logs", "detection", "batch"]), LENS), min_size=1, max_size=4))
def test_lens_s_endpoints_answer_whatever_comes(requests: list[tuple[str, Any]]) -> None:
    """200, or what the exporter is told in Lens's words, never a 500; and the points that it counts are on disk."""

    async def test(post: Post) -> None:
        points = 0
        for path, body in requests:
            answer = await post(f"/v1/wandb/{path}", body)
            assert answer.status in (200, 400, 422), answer
            assert set(answer.body) == {"meta", "data", "tracing"}
            points += answer.body["data"].get("count", 0) if path == "metrics" and answer.status == 200 else 0
        if all(path in ("metrics", "detection") for path, _ in requests):
            runs = {known.session.run.id for known in post.place.registry.all()}
            assert sum(len(row.names) for run in runs for row in post.rows(run)) == points

    alone(test)


@pytest.mark.timeout(120)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.binary(max_size=200), st.sampled_from(["/v1/runs/r/log", "/v1/runs", "/v1/wandb/metrics", "/v1/runs/r/alert"])
)
def test_bytes_that_are_nothing_are_answered(body: bytes, path: str) -> None:
    """With a status that blames the sender."""

    async def test(post: Post) -> None:
        assert (await post(path, body)).status in (200, 201, 400, 422)

    alone(test)
