"""JSON lines: what a line may be, what its sender is told, and what becomes of the sessions behind it."""

import asyncio
import json
import math
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from sources.place import FailingSpool, Peer, Place, opened_place, until
from wayside.row import FINISH, Event
from wayside_collector.sources import json_lines, leaving
from wayside_collector.sources.json_lines import LineError, parse_line


@pytest_asyncio.fixture
async def place() -> AsyncIterator[Place]:
    async with opened_place() as found, found.listening():
        yield found


async def say(peer: Peer, *lines: object) -> None:
    for line in lines:
        await peer.send((line if isinstance(line, bytes) else json.dumps(line).encode()) + b"\n")


async def problem(peer: Peer) -> str:
    """The next error line."""
    found: dict[str, Any] = json.loads(await peer.line())
    assert set(found) == {"error"}
    return str(found["error"])


@pytest.mark.asyncio
async def test_a_line_is_a_row(place: Place) -> None:
    """Only `metrics` is required; step, time, run and rank are taken; the session ends with the connection."""
    peer = await place.connect()
    await say(peer, {"metrics": {"loss": 0.5}}, {"metrics": {"loss": 1, "lr": 2}, "step": 3.0, "time": 1e9, "rank": 1})
    await say(peer, {"metrics": {"a": "NaN", "b": "-Infinity"}, "run": "other"}, b'{"metrics": {"c": NaN}}')
    await peer.close()
    await until(lambda: len(place.rows("json")) == 3 and place.registry.alive() == [], "stored and ended")
    assert {row.names for row in place.rows("json")} == {("loss",), ("loss", "lr"), ("c",)}
    (wide,) = [row for row in place.rows("json") if len(row.names) == 2]
    assert (wide.step, wide.time, wide.values) == (3, 1e9, (1.0, 2.0))
    (other,) = place.rows("other")
    assert math.isnan(other.values[0])
    assert other.values[1] == -math.inf
    ends = [record for record in place.records("other") if isinstance(record, Event)]
    assert [(end.kind, end.data) for end in ends] == [(FINISH, {"exit_code": 0})]
    assert {known.session.origin for known in place.registry.all()} == {"json"}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"{", "not JSON"),
        (b"[1]", "object"),
        (b"loss=0.5", "not JSON"),
        (b"\xff{}", "not JSON"),
        (b"{}", "metrics"),
        (b'{"metrics": 5}', "metrics"),
        (b'{"metrics": {"a": "high"}}', "'a'"),
        (b'{"metrics": {"a": null}}', "'a'"),
        (b'{"metrics": {"": 1}}', "1 to 1024 characters"),
        (b'{"metrics": {"%s": 1}}' % (b"n" * 1025), "1 to 1024 characters"),
        (b'{"metrics": {"a": 1' + b"0" * 400 + b"}}", "too large"),
        (b'{"metrics": {"a": 1' + b"0" * 5000 + b"}}", "not JSON"),
        (b'{"metrics": {"a": 1}, "step": 1.5}', "step"),
        (b'{"metrics": {"a": 1}, "step": 1e30}', "step"),
        (b'{"metrics": {"a": 1}, "step": Infinity}', "step"),
        (b'{"metrics": {"a": 1}, "step": %d}' % (1 << 63), "step"),
        (b'{"metrics": {"a": 1}, "time": -1}', "time"),
        (b'{"metrics": {"a": 1}, "time": NaN}', "time"),
        (b'{"metrics": {"a": 1}, "run": ""}', "run"),
        (b'{"metrics": {"a": 1}, "run": "%s"}' % (b"r" * 129), "run"),
        (b'{"metrics": {"a": 1}, "rank": -1}', "rank"),
        (b'{"metrics": {"a": 1}, "loss": 1}', "loss"),
        (b'{"metrics": ' + b'{"a":' * 2000 + b"1" + b"}" * 2001, "not JSON"),
    ],
    ids=lambda value: None if isinstance(value, str) else "",
)
def test_a_bad_line_is_told_what_is_wrong_with_it(line: bytes, said: str) -> None:
    """What, where and what to do: a text that names the field, and shows what a line is like."""
    with pytest.raises(LineError, match="metrics") as refused:
        parse_line(line)
    assert said in str(refused.value)
    assert len(str(refused.value)) < 400


@pytest.mark.asyncio
async def test_a_bad_line_does_not_end_the_connection(place: Place) -> None:
    """It is answered with an error line and counted, and the lines around it are stored."""
    peer = await place.connect()
    await say(peer, {"metrics": {"a": 1}}, b"{nonsense", b"", {"metrics": {"a": 2}})
    assert "not JSON" in await problem(peer)
    await until(lambda: len(place.rows("json")) == 2, "both stored")
    assert place.socket.refusals.counts() == {("socket", "line"): 1}
    await peer.close()


@pytest.mark.parametrize("at", [0, 1], ids=["the first", "a later one"])
@pytest.mark.asyncio
async def test_a_line_that_is_too_long_costs_itself_only(place: Place, at: int) -> None:
    """It is passed over as it comes, never held; its sender is told, and the very next line is taken."""
    peer = await place.connect()
    lines: list[object] = [{"metrics": {"a": 1}}, {"metrics": {"a": 2}}]
    lines.insert(at, b'{"metrics": {"' + b"x" * (3 * json_lines.MAX_LINE) + b'": 1}}')
    await say(peer, *lines)
    assert "the limit" in await problem(peer)
    await until(lambda: [row.values for row in place.rows("json")] == [(1.0,), (2.0,)], "both others")
    await peer.close()


@pytest.mark.asyncio
async def test_too_many_runs_on_one_connection(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the limit a further run is refused; those that are there go on."""
    monkeypatch.setattr(json_lines, "MAX_RUNS", 3)
    peer = await place.connect()
    await say(peer, *({"metrics": {"a": 1}, "run": f"r{number}"} for number in range(4)))
    assert "more than 3 runs on one connection" in await problem(peer)
    await say(peer, {"metrics": {"a": 2}, "run": "r0"})
    await until(lambda: len(place.rows("r0")) == 2, "r0's second row")
    assert place.rows("r3") == []
    await peer.close()


@pytest.mark.asyncio
async def test_names_that_change_with_every_line(place: Place) -> None:
    """Beyond the schemas that one session may have, names are written out with each row: nothing is lost."""
    peer = await place.connect()
    await say(peer, *({"metrics": {f"m{number}": number}} for number in range(300)))
    await until(lambda: len(place.rows("json")) == 300, "all")
    assert [row.names for row in place.rows("json")] == [(f"m{number}",) for number in range(300)]
    await peer.close()


@pytest.mark.asyncio
async def test_the_last_line_may_lack_its_end(place: Place) -> None:
    """A program that was killed while writing: a whole object counts, a part of one does not."""
    for text in (b'{"metrics": {"a": 1}}', b'{"metrics": {"a": 2'):
        peer = await place.connect()
        await peer.send(text)
        await peer.close()
    await until(lambda: place.socket.connections == 0, "both gone")
    assert [row.values for row in place.rows("json")] == [(1.0,)]


@pytest.mark.asyncio
async def test_who_reads_no_answers_is_not_read_from(place: Place) -> None:
    """A peer that sends bad lines for ever and reads nothing is held back by its own full buffers."""
    peer = await place.connect()
    peer.reader._transport.pause_reading()  # type: ignore[attr-defined]
    sent = 0

    async def flood() -> None:
        nonlocal sent
        while True:
            await peer.send(b"{bad\n" * 1000)
            sent += 1000

    task = asyncio.ensure_future(flood())
    neighbour = await place.connect()
    before = -1
    while sent != before:
        before = sent
        for _ in range(20):
            await say(neighbour, {"metrics": {"a": 1}, "run": "neighbour"})
            await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert place.socket.refusals.counts()["socket", "line"] < sent
    await until(lambda: place.rows("neighbour"), "the neighbour's rows")
    peer.writer.transport.abort()


@pytest.mark.asyncio
async def test_what_the_spool_cannot_take_is_told_and_its_session_ends_later(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The line is answered with an error, the next one is taken with the next number; and a connection that closes
    while nothing can be stored leaves no session open for ever.
    """
    monkeypatch.setattr(leaving, "GONE_AFTER", 0.02)
    spool = FailingSpool(place)
    peer = await place.connect()
    await say(peer, {"metrics": {"a": 1}})
    await until(lambda: len(place.rows("json")) == 1, "the first")
    spool.fails = True
    await say(peer, {"metrics": {"a": 2, "b": 2}})
    assert "no room" in await problem(peer)
    spool.fails = False
    await say(peer, {"metrics": {"a": 3, "b": 3}})
    await until(lambda: [row.values for row in place.rows("json")] == [(1.0,), (3.0, 3.0)], "the third")
    assert place.intake.counters.lost_rows == 0
    spool.fails = True
    await peer.close()
    await until(lambda: place.socket.connections == 0, "gone")
    assert len(place.registry.alive()) == 1
    spool.fails = False
    await until(lambda: place.registry.alive() == [], "ended")


@pytest.mark.asyncio
async def test_lines_that_come_together_are_stored_together(place: Place) -> None:
    """A sender at a thousand lines a second is not held back by a commit for each of them."""
    spool = FailingSpool(place)
    peer = await place.connect()
    await peer.send(b"".join(b'{"metrics": {"a": %d}}\n' % number for number in range(1000)))
    await until(lambda: len(place.rows("json")) == 1000, "all")
    assert [row.values[0] for row in place.rows("json")] == list(range(1000))
    assert spool.asked < 100


@pytest.mark.asyncio
async def test_each_line_that_could_not_be_stored_is_answered(place: Place) -> None:
    """The sender can tell how many of those that came together are lost, and none of them arrives later."""
    spool = FailingSpool(place)
    spool.fails = True
    peer = await place.connect()
    await say(peer, {"metrics": {"a": 1}}, {"metrics": {"a": 2}}, b"{bad", {"metrics": {"a": 3}})
    said = [await problem(peer) for _ in range(4)]
    assert ["no room" in text for text in said].count(True) == 3
    spool.fails = False
    await say(peer, {"metrics": {"a": 4}})
    await until(lambda: place.rows("json"), "the last")
    assert [row.values for row in place.rows("json")] == [(4.0,)]
