"""Live updates: what is stored reaches who listens, to the end of the run; who is slow is cut off, and costs nobody."""

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from wayside_collector.store import Writer, connect
from wayside_collector.store.database import Database
from wayside_collector.testing import make_event, make_rows
from wayside_collector.web.api import live
from web.api.asking import Asking, asking
from web.api.history import START, filled, put, rows, run_session

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(60)]
PATIENCE = 30.0


@pytest.fixture
def url(tmp_path: Path) -> str:
    return filled(tmp_path)


@pytest.fixture
def db(url: str) -> Iterator[Database]:
    found = connect(url)
    yield found
    found.close()


@pytest.fixture
def writer(db: Database) -> Writer:
    return Writer(db)


class Stream:
    """Server-sent events, one by one."""

    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        self.answer = answer

    async def next(self) -> tuple[str, Any] | None:
        """The next event and what it says; None at the end. Comments are passed over."""
        async with asyncio.timeout(PATIENCE):
            name, data = "", ""
            async for line in self.answer.content:
                text = line.decode().rstrip("\n")
                if text.startswith("event: "):
                    name = text.removeprefix("event: ")
                elif text.startswith("data: "):
                    data = text.removeprefix("data: ")
                elif not text and name:
                    return name, json.loads(data)
        return None


@contextlib.asynccontextmanager
async def listening(ask: Asking, path: str) -> AsyncIterator[Stream]:
    async with ask.served.asking.get(ask.base + path) as answer:
        assert (answer.status, answer.content_type) == (200, "text/event-stream")
        yield Stream(answer)


R2 = run_session("r2", None, "job", START + 100, name="second", project="llama", tags=("good",))


async def test_a_run_to_its_end(url: str, writer: Writer) -> None:
    """First how it stands, then what changes, its alerts, and in the end its state; after that the stream is over."""
    async with asking(url) as ask, listening(ask, "/runs/r2/live") as stream:
        name, first = await stream.next() or ("", {})
        assert (name, first["run"]["id"], first["run"]["step"]) == ("update", "r2", 19)
        assert first["points"]["train/loss"] == [19, START + 119, 0.025]
        assert set(first["points"]) == {"train/loss", "val/acc", "run_id", "target_iteration"}
        put(writer, R2, rows(20, 26, loss=0.5, time=START + 100))
        name, second = await stream.next() or ("", {})
        assert (name, second["run"]["step"]) == ("update", 25)
        assert second["points"]["train/loss"] == [25, START + 125, "NaN"]
        put(writer, R2, [make_event("alert", {"title": "t"}, seq=200, time=START + 126)])
        seen = [await stream.next() or ("", {}) for _ in range(2)]
        assert [name for name, _ in seen] == ["update", "alert"]
        assert (seen[0][1]["points"], seen[1][1]["data"]) == ({}, {"title": "t"})
        put(writer, R2, [make_event("finish", {"exit_code": 3}, seq=201, time=START + 127)])
        assert (await stream.next() or ("", {}))[0] == "update"
        assert await stream.next() == ("end", {"state": "failed", "exit_code": 3})
        assert await stream.next() is None


async def test_a_run_that_is_over(url: str) -> None:
    """Who comes late is told how it stands and that it is over."""
    async with asking(url) as ask, listening(ask, "/runs/r1/live") as stream:
        assert (await stream.next() or ("", {}))[0] == "update"
        assert await stream.next() == ("end", {"state": "finished", "exit_code": 0})
        assert await stream.next() is None
        assert "no run" in (await ask.get("/runs/none/live", 404))["error"]


async def test_the_list(url: str, writer: Writer) -> None:
    """Whoever watches the list is told of runs that change and of new ones, and of no others."""
    async with asking(url) as ask, listening(ask, "/live") as stream:
        name, body = await stream.next() or ("", {})
        assert name == "runs"
        put(writer, R2, rows(20, 22, loss=0.5, time=START + 100))
        name, body = await stream.next() or ("", {})
        assert [(run["id"], run["step"]) for run in body["runs"]] == [("r2", 21)]
        put(writer, run_session("r9", None, "new", START + 900), make_rows(1, seq=1))
        name, body = await stream.next() or ("", {})
        assert [(run["id"], run["workload"]) for run in body["runs"]] == [("r9", "new")]


async def test_many_listen_to_one_look(url: str, writer: Writer) -> None:
    """A hundred who listen to one run are all told, and the store is asked once for all of them."""
    asked = 0
    async with asking(url) as ask, contextlib.AsyncExitStack() as stack:
        streams = [await stack.enter_async_context(listening(ask, "/runs/r2/live")) for _ in range(90)]
        for stream in streams:
            assert (await stream.next() or ("", {}))[0] == "update"
        plain = ask.readers.ask

        async def counted(question: Any, **options: Any) -> Any:
            nonlocal asked
            asked += 1
            return await plain(question, **options)

        ask.readers.ask = counted  # type: ignore[method-assign]
        put(writer, R2, rows(20, 21, loss=0.5, time=START + 100))
        before = asyncio.get_running_loop().time()
        for stream in streams:
            while (await stream.next() or ("", {}))[1]["run"]["step"] != 20:
                continue  # who came while the first look went on was told of it twice
        assert asked <= (asyncio.get_running_loop().time() - before) / live.INTERVAL + 2


async def test_who_does_not_listen_is_cut_off(url: str, writer: Writer) -> None:
    """One that takes nothing loses its connection; another one hears everything meanwhile."""
    host = {f"{number}/{'x' * 1500}": float(number) for number in range(150)}  # a quarter megabyte an update
    wide = run_session("wide", None, "job", START)
    async with asking(url, interval=0.01) as ask:
        put(writer, wide, make_rows(1, host))
        port = int(ask.served.local.rpartition(":")[2])
        raw = socket.socket()
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)  # so that the kernel soon holds all it may
        raw.setblocking(False)
        await asyncio.get_running_loop().sock_connect(raw, ("127.0.0.1", port))
        _, deaf = await asyncio.open_connection(sock=raw, limit=1 << 12)
        deaf.write(b"GET /api/v1/runs/wide/live HTTP/1.1\r\nHost: localhost\r\n\r\n")
        async with listening(ask, "/runs/wide/live") as stream:
            for step in range(1, 4000):
                put(
                    writer,
                    wide,
                    make_rows(1, {name: value + step for name, value in host.items()}, seq=step, step=step),
                )
                assert (await stream.next() or ("", {}))[0] == "update"
                if ask.api.live.listeners < 2:
                    break
            assert ask.api.live.listeners == 1
        deaf.transport.abort()
