"""The webhook sink against a stand-in: who is told what, how often, and what becomes of what is not taken."""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from standins.webhook_server import WAY, Reply, WebhookServer
from wayside.row import ABOUT, ALERT, CONFIG, FINISH, Event
from wayside_collector.sinks.base import Context, Parcel, Part, Reject, Retry
from wayside_collector.sinks.webhook import WebhookOptions, WebhookSink
from wayside_collector.sinks.webhook.send import MAX_TOLD, takes
from wayside_collector.testing import make_event, make_session

NOW = 1_767_225_600.0
SESSION = make_session("r1", rank=0)
ALL = ("alert", "started", "finished", "crashed")


class Bench:
    """A sink, the server it tells, and what is kept of it."""

    def __init__(self, server: WebhookServer, **options: Any) -> None:
        self.server = server
        self.counted: Counter[str] = Counter()
        self.state: dict[str, bytes] = {}
        self.options = WebhookOptions(**{"endpoint": server.url, **options})
        self.sink = WebhookSink(self.options, environ={})

    async def open(self) -> None:
        count = lambda name, by: self.counted.update({name: by})  # noqa: E731
        await self.sink.open(Context("chat", Path("."), dict(self.state), count))

    async def send(self, *parts: Part) -> None:
        changes = await self.sink.send(Parcel(list(parts)))
        self.state.update({key: value for key, value in changes.items() if value is not None})

    def titles(self) -> list[str]:
        return [message["title"] for message in self.server.messages]


@asynccontextmanager
async def bench(**options: Any) -> AsyncIterator[Bench]:
    async with WebhookServer() as server:
        made = Bench(server, **options)
        await made.open()
        yield made
        await made.sink.close()


def alert(seq: int, title: str = "careful", level: str = "WARN", time: float = NOW, **data: Any) -> Event:
    return make_event(ALERT, {"title": title, "text": "it hurts", "level": level, **data}, seq=seq, time=time, step=7)


def part(*events: Event, rank: int | None = 0, primary: bool = True, **session: Any) -> Part:
    known = SESSION if (rank, session) == (0, {}) else make_session("r1", rank=rank, **session)
    return Part(known, list(events), (), primary)


@pytest.mark.asyncio
async def test_an_alert_arrives_whole():
    """Level, title, text, run, step and time as they were said, and an id by which it is known again."""
    async with bench(page="https://wayside.example/") as b:
        await b.send(part(alert(3)))
        (message,) = b.server.messages
    assert message == {
        "event": "alert",
        "level": "WARN",
        "title": "careful",
        "text": "it hurts",
        "run": "r1",
        "name": "r1",
        "project": "demo",
        "rank": 0,
        "host": "host-a",
        "step": 7,
        "time": "2026-01-01T00:00:00.000Z",
        "url": "https://wayside.example/runs/r1",
        "id": f"{SESSION.id}:3",
    }


def test_what_is_told_follows_from_the_options():
    """Kinds of event and levels that were not asked for are not for this sink at all."""
    finish, crash = make_event(FINISH, {"exit_code": 0}, seq=1), make_event(FINISH, {"exit_code": None}, seq=1)
    about, config = make_event(ABOUT, {}, seq=0), make_event(CONFIG, {"set": {}}, seq=0)
    events = [alert(0, level="INFO"), alert(0, level="ERROR"), alert(0, level="odd"), finish, crash, about, config]

    def taken(**options: Any) -> list[bool]:
        return [takes(event, WebhookOptions(endpoint="http://x/", **options)) for event in events]

    assert taken() == [True, True, True, False, False, False, False]
    assert taken(min_level="WARN") == [False, True, False, False, False, False, False]
    assert taken(events=ALL, min_level="ERROR") == [False, True, False, True, True, True, False]
    assert taken(events=("crashed",)) == [False, False, False, False, True, False, False]


@pytest.mark.asyncio
async def test_a_title_is_not_said_again_within_the_wait():
    """By the alerts' own times, over all ranks of a run and over restarts; another run's is another matter."""
    async with bench(wait=60) as b:
        await b.send(part(alert(0), alert(1, time=NOW + 30), alert(2, "other", time=NOW + 30)))
        await b.send(part(alert(0, time=NOW + 40), rank=3))
        await b.sink.close()
        b.sink = WebhookSink(b.options, environ={})
        await b.open()
        await b.send(part(alert(3, time=NOW + 59), alert(4, time=NOW + 61)))
        await b.send(Part(make_session("r2"), [alert(0, time=NOW + 61)]))
        assert b.titles() == ["careful", "other", "careful", "careful"]
        assert b.counted == {"held": 3}


@pytest.mark.asyncio
async def test_an_alert_may_ask_for_a_longer_wait():
    """`wait_duration` of the call holds where it is longer than the option."""
    async with bench(wait=1) as b:
        await b.send(part(alert(0), alert(1, time=NOW + 30, wait=60), alert(2, time=NOW + 40)))
        assert [message["id"][-1] for message in b.server.messages] == ["0", "2"]


@pytest.mark.asyncio
async def test_a_run_is_told_of_once_and_not_once_a_rank():
    """Started by whichever rank is first, finished by the one that speaks, crashed by the first that does; a run that
    is started again has a new attempt and is told of anew.
    """
    async with bench(events=ALL, wait=0) as b:
        for rank in (1, 0):
            await b.send(part(make_event(ABOUT, {}, seq=0), rank=rank, primary=rank == 0))
        for rank in (1, 0):
            await b.send(part(make_event(FINISH, {"exit_code": 0}, seq=1), rank=rank, primary=rank == 0))
        for rank in (1, 0):
            crash = make_event(FINISH, {"exit_code": None, "reason": "crashed"}, seq=0)
            await b.send(part(make_event(ABOUT, {}, seq=0), crash, rank=rank, attempt="1"))
        assert [(message["event"], message["level"]) for message in b.server.messages] == [
            ("started", "INFO"),
            ("finished", "INFO"),
            ("started", "INFO"),
            ("crashed", "ERROR"),
        ]
        assert b.counted == {"held": 4}


@pytest.mark.asyncio
async def test_a_run_that_fails_says_its_exit_code():
    """An exit code that is not 0 is a failure, and told as such."""
    async with bench(events=ALL) as b:
        await b.send(part(make_event(FINISH, {"exit_code": 137}, seq=1)))
        (message,) = b.server.messages
    assert (message["event"], message["title"], message["exit_code"]) == ("crashed", "r1 has failed", 137)
    assert "137" in message["text"]


@pytest.mark.asyncio
async def test_what_is_refused_costs_nobody_else():
    """A message that is refused for good is named with the reason; those beside it are taken, and remembered."""
    async with bench() as b:
        b.server.script = [None, Reply(400, f"invalid_payload at {WAY}")]
        with pytest.raises(Reject) as caught:
            await b.send(part(alert(0, "a"), alert(1, "b"), alert(2, "c")))
        assert caught.value.rows == {(SESSION.id, 1)}
        assert "answered 400: invalid_payload at" in str(caught.value)
        assert set(b.titles()) == {"a", "c"}
        b.state.update(caught.value.changes)
        await b.open()
        await b.send(part(alert(3, "c", time=NOW + 1), alert(4, "b", time=NOW + 1)))
        assert b.counted == {"held": 1}
        assert b.titles() == ["a", "c", "b"]


@pytest.mark.asyncio
async def test_what_got_through_is_not_sent_again():
    """A server that is busy is asked again when it says, and what it took before stays delivered."""
    async with bench() as b:
        b.server.script = [None, Reply(429, "slow down", {"Retry-After": "30"})]
        with pytest.raises(Retry) as caught:
            await b.send(part(alert(0, "a"), alert(1, "b")))
        assert caught.value.delivered == {(SESSION.id, 0)}
        assert caught.value.not_before is not None
        assert not caught.value.uncertain


@pytest.mark.parametrize("form", ["slack", "mattermost"])
@pytest.mark.asyncio
async def test_what_was_answered_with_success_is_never_sent_again(form, caplog):
    """An answer that is not the chat's own counts as taken, logged once and counted each time; a page, which a proxy
    answers, makes a dead letter of the message.
    """
    async with bench(format=form, wait=0) as b:
        b.server.script = [Reply(200, '{"success":true}'), Reply(200, ""), Reply(200, "<html>log in</html>"), None]
        with pytest.raises(Reject, match=r"not as .* does: check the address: <html>log") as caught:
            await b.send(part(*(alert(seq, f"title {seq}") for seq in range(4))))
        assert caught.value.rows == {(SESSION.id, 2)}
        assert b.server.script == []
        assert b.counted == {"odd_answers": 2}
        assert caplog.text.count("it counts as taken") == 1


@pytest.mark.asyncio
async def test_a_start_is_told_before_the_first_alert():
    """A run's start is said before what it says first, also when its event comes later; not of a run that began before
    the sink, nor of one whose start no client tells.
    """
    async with bench(events=ALL, wait=0) as b:
        await b.sink.close()
        b.sink = WebhookSink(b.options, clock=lambda: NOW, environ={})
        await b.open()
        young = make_session("new", started=NOW + 1)
        finish = make_event(FINISH, {"exit_code": 0}, seq=3)
        await b.send(Part(young, [alert(1), make_event(ABOUT, {}, seq=2), finish]))
        assert b.titles() == ["new has started", "careful", "new has finished"]
        await b.send(Part(make_session("old", started=NOW - 1), [alert(1)]))
        await b.send(Part(make_session("posted", started=NOW + 1, origin="http"), [alert(1)]))
        assert b.titles()[3:] == ["careful", "careful"]
        assert b.counted == {"held": 1}


@pytest.mark.parametrize("status", [400, 403, 404, 410, 429, 500, 307])
@pytest.mark.asyncio
async def test_no_text_shows_the_address(status):
    """Whatever a server repeats, no text of ours holds more of a webhook's address than its host."""
    async with bench() as b:
        url = b.server.url
        b.server.script = [Reply(status, f"no {url} or {WAY} or {WAY.rpartition('/')[2]}", {"Location": url})]
        with pytest.raises((Reject, Retry)) as caught:
            await b.send(part(alert(0)))
    assert "SECRET" not in str(caught.value)
    assert "T00000000" not in str(caught.value)
    assert f"http://127.0.0.1:{b.server.port}/… answered {status}" in str(caught.value)
    with pytest.raises(Retry) as caught:
        await Bench(b.server).sink.send(Parcel([part(alert(0))]))
    assert "SECRET" not in str(caught.value)
    assert "SECRET" not in repr(b.options)


@pytest.mark.asyncio
async def test_the_address_is_read_from_its_file_anew(tmp_path):
    """A rotated address is taken up without a restart; a file that holds none is told by its name."""
    async with WebhookServer() as first, WebhookServer() as second:
        path = tmp_path / "address"
        path.write_text(first.url + "\n")
        b = Bench(first, endpoint="", endpoint_file=str(path))
        await b.open()
        await b.send(part(alert(0, "a")))
        path.write_text(second.url)
        await b.send(part(alert(1, "b")))
        path.write_text("ftp://nowhere")
        with pytest.raises(Retry, match="endpoint_file: what stands there must be an address"):
            await b.send(part(alert(2, "c")))
        await b.sink.close()
        assert [len(server.messages) for server in (first, second)] == [1, 1]


@pytest.mark.asyncio
async def test_headers_go_along():
    """Those of every HTTP sink, for services that want a token of their own."""
    async with bench(headers={"X-Token": "t" * 8}) as b:
        await b.send(part(alert(0)))
        assert b.server.headers[0]["X-Token"] == "t" * 8
        assert b.server.headers[0]["Content-Type"] == "application/json"


@pytest.mark.asyncio
async def test_what_was_told_is_bounded_and_survives_damage():
    """A thousand titles are remembered, the latest; what cannot be read of them is begun anew."""
    async with bench() as b:
        for number in range(MAX_TOLD + 5):
            b.sink._told[f"r1 alert {number}"] = NOW
        await b.send(part(alert(0)))
        assert len(b.sink._told) == MAX_TOLD
        for damaged in (b"", b"[]", b'{"a": "b"}', b"\xff"):
            b.state["told"] = damaged
            await b.open()
            assert b.sink._told == {}
