"""The readers' pool: bounded, with a deadline, nobody starves, and a store that went away is let go of."""

import asyncio
import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from wayside_collector.store import Reader, StoreError
from wayside_collector.web.api.readers import Limits, Readers, Unavailable
from web.api.asking import asking
from web.api.history import filled

pytestmark = pytest.mark.asyncio
PATIENCE = 15.0


@pytest.fixture
def url(tmp_path: Path) -> str:
    return filled(tmp_path)


async def until(ask: Callable[[], Any]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not ask():  # noqa: ASYNC110 - what is waited for has no event: it is seen from outside
            await asyncio.sleep(0.01)


def held(gate: threading.Event) -> Callable[[Reader], int]:
    """A question that waits in its thread until the gate opens."""

    def question(reader: Reader) -> int:
        assert gate.wait(PATIENCE)
        return reader.runs().total

    return question


async def test_long_questions_leave_a_thread_for_short_ones(url: str) -> None:
    """With heavy questions in all the places they may have, a light one is answered at once."""
    gate = threading.Event()
    readers = Readers(lambda: url, Limits(threads=2, heavy=1))
    async with readers.opened():
        heavy = [asyncio.create_task(readers.ask(held(gate), heavy=True)) for _ in range(5)]
        await asyncio.sleep(0)
        assert await readers.ask(lambda reader: reader.runs().total) == 3
        assert not any(task.done() for task in heavy)
        gate.set()
        assert await asyncio.gather(*heavy) == [3] * 5


async def test_a_deadline_frees_the_thread(url: str) -> None:
    """A question that takes too long is refused and given up; the next one is answered by the same thread."""
    began = threading.Event()
    ended: list[BaseException] = []

    def endless(reader: Reader) -> None:
        began.set()
        try:
            while True:
                reader.runs()
        except StoreError as problem:
            ended.append(problem)
            raise

    readers = Readers(lambda: url, Limits(threads=1, heavy=1, deadline=0.5))
    async with readers.opened():
        with pytest.raises(Unavailable, match=r"within 0\.5 s"):
            await readers.ask(endless)
        assert began.is_set()
        assert await readers.ask(lambda reader: reader.runs().total) == 3
        assert "given up" in str(ended[0]) or "interrupted" in str(ended[0])


async def test_too_many_who_wait_are_refused(url: str) -> None:
    """Beyond the limit a question is refused at once, with 503 and when to come again."""
    gate = threading.Event()
    async with asking(url, limits=Limits(threads=1, heavy=1, waiting=2)) as ask:
        waiting = [asyncio.create_task(ask.readers.ask(held(gate))) for _ in range(2)]
        await asyncio.sleep(0)
        status, headers, body = await ask.raw("/runs")
        assert (status, headers["Retry-After"]) == (503, "1")
        assert b"ask again" in body
        gate.set()
        await asyncio.gather(*waiting)
        assert (await ask.get("/runs"))["total"] == 3


async def test_who_goes_away_frees_his_place(url: str) -> None:
    """A question whose asker was cancelled keeps its thread no longer than it must, and no other loses its place."""
    gate = threading.Event()
    readers = Readers(lambda: url, Limits(threads=1, heavy=1))
    async with readers.opened():
        first = asyncio.create_task(readers.ask(held(gate)))
        second = asyncio.create_task(readers.ask(lambda reader: reader.runs().total))
        third = asyncio.create_task(readers.ask(lambda reader: reader.runs().total))
        await asyncio.sleep(0.05)
        first.cancel()
        second.cancel()
        gate.set()
        assert await third == 3
        with pytest.raises(asyncio.CancelledError):
            await first


async def test_a_store_that_is_replaced_or_gone(url: str, tmp_path: Path) -> None:
    """Another file in its place is what is asked from then on; without any there is nothing, and it is no error."""
    other = filled_with_nothing_of(tmp_path / "other", url)
    async with asking(url) as ask:
        assert (await ask.get("/runs"))["total"] == 3
        os.rename(url, tmp_path / "aside.db")
        assert await ask.get("/runs") == {"runs": [], "total": 0}
        assert "no run" in (await ask.get("/runs/r1", 404))["error"]
        assert (await ask.get("/workloads/job/metrics/sources"))["data_sources"] == []
        shutil.copy(other, url)
        assert (await ask.get("/runs"))["total"] == 3


def filled_with_nothing_of(folder: Path, url: str) -> Path:
    """A copy of a store, whole."""
    folder.mkdir()
    return Path(shutil.copy(url, folder / "copy.db"))


async def test_idle_readers_are_closed(url: str) -> None:
    """Who was not needed for a moment holds no file, so that a store that was moved away gives its room back."""
    readers = Readers(lambda: url, Limits(idle=0.1))
    async with readers.opened():
        await readers.ask(lambda reader: reader.runs())
        await until(lambda: not open_files(url))
        assert (await readers.ask(lambda reader: reader.runs())).total == 3
    await until(lambda: not open_files(url))


def open_files(url: str) -> list[str]:
    """Which of this process's descriptors are of the store."""
    found = []
    for entry in Path("/proc/self/fd").iterdir():
        try:
            found.append(str(entry.readlink()))
        except FileNotFoundError:  # closed in this moment
            continue
    return [name for name in found if name.startswith(url)]


async def test_what_cannot_be_asked(tmp_path: Path) -> None:
    """No store, one that is damaged, one of a server that is away: 503 and in words, and Lens's own codes."""
    async with asking(None) as ask:
        assert "sinks: {store: {}}" in (await ask.get("/runs", 503))["error"]
        body = await ask.get("/workloads/job/metrics/sources?envelope=true")
        assert body["meta"]["code"] == 5003
        assert "store" in (await ask.get("/live", 503))["error"]
    broken = tmp_path / "broken.db"
    broken.write_bytes(b"this is no database" * 1000)
    async with asking(str(broken)) as ask:
        assert "not a database" in (await ask.get("/runs", 503))["error"]
        assert "not a database" in (await ask.get("/workloads/job/metrics/sources", 500))["error"]
        assert (await ask.get("/workloads/job/metrics/sources?envelope=1"))["meta"]["code"] == 5002
    away = "postgresql://me:s3cret@127.0.0.1:1/db?connect_timeout=1"
    async with asking(away) as ask:
        text = (await ask.get("/runs", 503))["error"]
        assert "PostgreSQL" in text
        assert "s3cret" not in text
