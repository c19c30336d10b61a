"""Rows posted to `/api/v1/runs/{id}/log`: what a body may be, what is answered, and what is kept."""

import asyncio
import gzip
import json
import math
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from sources.place import FailingSpool
from wayside_collector.compression import zstd
from wayside_collector.plausible import MAX_COUNT
from wayside_collector.web.ingest import rows
from web.ingest.posting import Post, posting

LOG = "/api/v1/runs/r1/log"


@pytest_asyncio.fixture
async def post() -> AsyncIterator[Post]:
    async with posting() as found:
        yield found


def row(step: int, **more: Any) -> dict[str, Any]:
    return {"metrics": {"loss": 1 / (step + 1)}, "step": step, "time": 1e9 + step, **more}


def lines(*values: object) -> bytes:
    return b"\n".join(value if isinstance(value, bytes) else json.dumps(value).encode() for value in values)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "body",
    [[row(0), row(1)], {"rows": [row(0), row(1)]}, lines(row(0), row(1)), lines(b"", row(0), b"", row(1), b"")],
    ids=["array", "object", "lines", "lines with blanks"],
)
async def test_rows_come_in_any_of_three_forms(post: Post, body: object) -> None:
    """An array, an object with `rows` and JSON lines are the same rows, on disk when they are answered."""
    answer = await post(LOG, body)
    assert answer.status == 200
    assert answer.body == {"run": "r1", "accepted": 2, "doubles": 0, "next_seq": None, "refused": 0, "problems": []}
    found = [(one.time, one.step, one.metrics) for one in post.rows("r1")]
    assert found == [(1e9, 0, {"loss": 1.0}), (1e9 + 1, 1, {"loss": 0.5})]


@pytest.mark.asyncio
async def test_one_row_is_an_object(post: Post) -> None:
    """Only `metrics` is required; the time is that of arrival, and a step that nobody gave is none."""
    assert (await post("/v1/runs/r1/log", {"metrics": {"a": 1, "b": "NaN"}})).body["accepted"] == 1
    assert (await post(LOG, b'{\n "metrics": {"a": NaN, "b": -Infinity}\n}')).body["accepted"] == 1
    first, second = post.rows("r1")
    assert (first.step, first.metrics["a"], second.metrics["b"]) == (None, 1.0, -math.inf)
    assert math.isnan(first.metrics["b"])
    assert math.isnan(second.metrics["a"])
    assert first.time > 1.7e9


@pytest.mark.asyncio
async def test_good_rows_are_taken_and_bad_ones_named(post: Post) -> None:
    """Each refused row is told with its place and the reason, beside how many were taken."""
    bad = [{"metrics": {"a": "x"}}, 7, {"loss": 1}, {"metrics": {}}, row(1, run="other"), {**row(1), "step": 1.5}]
    answer = await post(LOG, [row(0, rank=1), *bad, row(9, rank=1), row(10, rank=3)])
    assert answer.status == 200
    assert (answer.body["accepted"], answer.body["refused"]) == (2, 7)
    assert [one["row"] for one in answer.body["problems"]] == [1, 2, 3, 4, 5, 6, 8]
    for one, said in zip(answer.body["problems"], ["'a'", "object", "metrics", "without", "other", "int", "rank 3"],
                         strict=True):  # fmt: skip
        assert said in one["error"]
    assert [one.step for one in post.rows("r1")] == [0, 9]


@pytest.mark.asyncio
async def test_a_bad_line_costs_itself(post: Post) -> None:
    """Of JSON lines, one that is no JSON is refused, and those behind it are taken."""
    answer = await post(LOG, lines(row(0), b"{torn", row(1)), Content_Type="application/x-ndjson")
    assert (answer.body["accepted"], answer.body["refused"]) == (2, 1)
    assert "not JSON" in answer.body["problems"][0]["error"]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (b"loss=0.5", 400, "not JSON"),
        (b"", 400, "not JSON"),
        (b"[1", 400, "not JSON"),
        ({"rows": [row(0)], "sesion": "a"}, 400, "sesion"),
        ({"rows": "a"}, 400, "array"),
        ({"rows": [row(0)], "seq": 3}, 400, "session"),
        ([{"metrics": {"a": "x"}}], 422, "'a'"),
        ([row(0)] * (rows.MAX_ROWS + 1), 413, "the limit is 10000"),
        (b" " * (4 << 20) + b"[]", 413, "longer than"),
        (b"[" * 100_000, 400, "not JSON"),
    ],
)
async def test_what_cannot_be_taken_is_answered_with_why(post: Post, body: object, status: int, said: str) -> None:
    """A status that says whose fault it is, what is wrong, and nothing stored; the next request is served."""
    answer = await post(LOG, body)
    assert answer.status == status
    assert said in answer.body["error"]
    assert post.rows("r1") == []
    assert (await post(LOG, row(0))).status == 200


@pytest.mark.asyncio
async def test_an_empty_array_is_nothing(post: Post) -> None:
    """It is taken, and begins no run; nor does a request all of whose rows are refused."""
    assert (await post(LOG, [])).body["accepted"] == 0
    assert (await post(LOG, [{"metrics": {"a": "x"}}])).status == 422
    assert list(post.place.registry.all()) == []


@pytest.mark.asyncio
@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"])
async def test_a_body_of_another_kind_is_answered_with_415(post: Post, kind: str) -> None:
    """Which kinds are taken is said."""
    answer = await post(LOG, row(0), Content_Type=kind)
    assert answer.status == 415
    assert "application/json" in answer.body["error"]


@pytest.mark.asyncio
@pytest.mark.parametrize(("encoding", "compress"), [("gzip", gzip.compress), ("zstd", zstd.compress)])
async def test_bodies_may_be_compressed(post: Post, encoding: str, compress: Any) -> None:
    """Thousands of rows in some kilobytes."""
    body = compress(json.dumps([row(step) for step in range(3000)]).encode())
    assert (await post(LOG, body, Content_Encoding=encoding)).body["accepted"] == 3000
    assert [one.step for one in post.rows("r1")] == list(range(3000))


@pytest.mark.asyncio
async def test_rows_of_a_session_are_numbered_by_its_sender(post: Post) -> None:
    """Sent again, in whole or in part, they are stored once; the answer says which number comes next."""
    first = {"session": "trainer", "seq": 0, "rows": [row(0), row(1), row(2)]}
    again = {"session": "trainer", "seq": 1, "rows": [row(1), row(2), row(3)]}
    answers = [(await post(LOG, body)).body for body in (first, first, again)]
    assert [(one["accepted"], one["doubles"], one["next_seq"]) for one in answers] == [(3, 0, 3), (0, 3, 3), (1, 2, 4)]
    assert [one.step for one in post.rows("r1")] == [0, 1, 2, 3]


@pytest.mark.asyncio
async def test_session_and_seq_may_stand_in_the_address(post: Post) -> None:
    """As they must for arrays and JSON lines."""
    for _ in range(2):
        answer = await post(f"{LOG}?session=s&seq=0&rank=2", lines(row(0), row(1)))
    assert (answer.body["doubles"], answer.body["next_seq"]) == (2, 2)
    (known,) = post.place.registry.all()
    assert known.session.rank == 2
    assert (await post(f"{LOG}?session=s&seq=x", [row(0)])).status == 400


@pytest.mark.asyncio
async def test_a_gap_is_booked_as_lost(post: Post) -> None:
    """Rows that were numbered and never came, or came and were refused, are the sender's losses."""
    await post(LOG, {"session": "s", "seq": 0, "rows": [row(0)]})
    await post(LOG, {"session": "s", "seq": 5, "rows": [row(5), {"metrics": {"a": "x"}}, row(7)]})
    answer = await post(LOG, {"session": "s", "seq": 8, "rows": [row(8), {"metrics": {"a": "x"}}]})
    assert answer.body["next_seq"] == 10
    assert [one.seq for one in post.rows("r1")] == [0, 5, 7, 8]
    assert post.place.intake.counters.lost_rows == 4 + 1 + 1
    assert {lost.reason for lost in post.place.spool.client_losses(10)} == {"sender"}, "there is no journal"
    answer = await post(LOG, {"session": "s", "seq": 10, "rows": [row(10)]})
    assert (answer.body["accepted"], post.place.intake.counters.lost_rows) == (1, 6)


@pytest.mark.asyncio
async def test_nothing_is_answered_200_that_is_not_on_disk(post: Post) -> None:
    """While the spool takes nothing the answer is 429 with Retry-After; what is sent again arrives once, in order."""
    spool = FailingSpool(post.place)
    await post(LOG, {"session": "s", "seq": 0, "rows": [row(0)]})
    spool.fails = True
    for seq in (1, 1):
        answer = await post(LOG, {"session": "s", "seq": seq, "rows": [row(1), row(2)]})
        assert answer.status == 429
        assert int(answer.headers["Retry-After"]) > 0
        assert "no room" in answer.body["error"]
    spool.fails = False
    answer = await post(LOG, {"session": "s", "seq": 1, "rows": [row(1), row(2)]})
    assert (answer.body["accepted"], answer.body["next_seq"]) == (2, 3)
    assert [one.step for one in post.rows("r1")] == [0, 1, 2]
    assert post.place.intake.counters.lost_rows == 0


@pytest.mark.asyncio
async def test_many_at_once_lose_nothing(post: Post) -> None:
    """Twenty senders into one run, and again under one session: each row is there once."""
    sending = [post(LOG, [row(step * 100 + n) for n in range(50)]) for step in range(20)]
    assert {answer.status for answer in await asyncio.gather(*sending)} == {200}
    assert len({one.step for one in post.rows("r1")}) == len(post.rows("r1")) == 1000
    again = [post("/v1/runs/r2/log", {"session": "s", "seq": 0, "rows": [row(0), row(1)]}) for _ in range(20)]
    answers = await asyncio.gather(*again)
    assert sum(answer.body["accepted"] for answer in answers) == 2
    assert len(post.rows("r2")) == 2


@pytest.mark.asyncio
async def test_names_that_change_with_every_row(post: Post) -> None:
    """A thousand different sets of names are kept, in one session and after it was gone on with."""
    for part in range(2):
        body = [{"metrics": {f"m{part}-{n}": n, "x": 1}, "step": n} for n in range(500)]
        assert (await post(LOG, body)).body["accepted"] == 500
    assert len({one.names for one in post.rows("r1")}) == 1000
    assert post.place.intake.counters.malformed == 0


@pytest.mark.asyncio
async def test_half_a_character_becomes_a_question_mark(post: Post) -> None:
    """JSON can spell what no database can hold."""
    assert (await post(LOG, b'{"metrics": {"a\\ud800": 1}}')).body["accepted"] == 1
    assert [one.metrics for one in post.rows("r1")] == [{"a?": 1.0}]
    answer = await post(LOG, b'{"metrics": {"a\\ud800": 1, "a\\ud801": 2}}')
    assert (answer.status, answer.body["refused"]) == (422, 1)


@pytest.mark.asyncio
async def test_doubles_and_refused_rows_are_counted(post: Post) -> None:
    """Beside those of the socket and the journals, where `/status` and `/metrics` have them."""
    for _ in range(2):
        await post(LOG, {"session": "s", "seq": 0, "rows": [row(0), row(1), {"metrics": {"a": "x"}}]})
    await post(LOG, [{"metrics": {"a": "x"}}])
    await post("/v1/wandb/metrics", {"workload_uid": "w", "metrics": [{"name": "a", "value": 1}, {"name": ""}]})
    counters = post.place.intake.counters
    assert (counters.doubles, counters.malformed, counters.received_rows) == (2, 4, 3)


@pytest.mark.asyncio
@pytest.mark.parametrize("seq", [1_767_225_600, MAX_COUNT - 1])
async def test_a_number_far_beyond_is_refused(post: Post, seq: int) -> None:
    """A clock's time is no number of rows: it is answered with what is wrong, nothing is stored or booked as lost, and
    the session goes on where it was.
    """
    await post(LOG, {"session": "s", "seq": 0, "rows": [row(0)]})
    answer = await post(LOG, {"session": "s", "seq": seq, "rows": [row(1), {"metrics": {"a": "x"}}]})
    assert answer.status == 422
    assert "next row is 1" in answer.body["error"]
    assert (await post(LOG, {"session": "s", "seq": 1, "rows": [row(1)]})).body["next_seq"] == 2
    assert [one.seq for one in post.rows("r1")] == [0, 1]
    assert post.place.intake.counters.lost_rows == 0
