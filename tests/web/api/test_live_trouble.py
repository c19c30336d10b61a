"""Live updates of a store that fails for some, or hangs: what was found is told, and no two looks meet in a feed."""

import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from sources.place import until
from wayside_collector.store import Reader, StoreError, Writer, connect
from wayside_collector.testing import make_event, make_rows
from wayside_collector.web.api.readers import Limits
from web.api.asking import Asking, asking
from web.api.history import START, filled, put, run_session
from web.api.test_live import R2, listening

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(60)]

R4 = run_session("r4", None, "job", START + 300)


class Ailing:
    """A reader of a store that has trouble with some runs. failing: their ids. hanging: the one it waits for, until
    `free` is set. looked_at: by live updates, in order. asked: questions so far.
    """

    def __init__(self, ask: Asking) -> None:
        self.failing: set[str] = set()
        self.hanging = ""
        self.free = threading.Event()
        self.looked_at: list[str] = []
        self.asked = 0
        self._plain = ask.readers.ask
        ask.readers.ask = self._ask  # type: ignore[method-assign]

    async def _ask(self, question: Any, **options: Any) -> Any:
        self.asked += 1
        return await self._plain(lambda reader: question(_Through(self, reader)), **options)


class _Through:
    """The reader, seen through its troubles."""

    def __init__(self, ailing: Ailing, reader: Reader) -> None:
        self._ailing = ailing
        self._reader = reader

    def within(self, namespace: str | None) -> "_Through":
        return _Through(self._ailing, self._reader.within(namespace))

    def touched(self, id: str) -> float:
        self._ailing.looked_at.append(id)
        if id == self._ailing.hanging:
            self._ailing.free.wait(30)
        if id in self._ailing.failing:
            raise StoreError("it cannot be read")
        return self._reader.touched(id)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reader, name)


@pytest.fixture
def url(tmp_path: Path) -> str:
    return filled(tmp_path)


@pytest_asyncio.fixture
async def ask(url: str) -> AsyncIterator[Asking]:
    """It looks twenty times a second, and gives a question up after three."""
    async with asking(url, limits=Limits(deadline=3.0), interval=0.05) as one:
        yield one


@pytest.fixture
def writer(url: str) -> Iterator[Writer]:
    db = connect(url)
    yield Writer(db)
    db.close()


async def test_one_that_cannot_be_read_costs_the_others_nothing(ask: Asking, writer: Writer) -> None:
    """The alert and the end of a run arrive though the one that is looked at after it fails each time; that one is
    told of when it can be read again.
    """
    ailing = Ailing(ask)
    put(writer, R4, make_rows(1, seq=1))
    async with listening(ask, "/runs/r2/live") as good, listening(ask, "/runs/r4/live") as bad:
        for stream in (good, bad):
            assert (await stream.next() or ("", {}))[0] == "update"
        ailing.failing.add("r4")
        put(writer, R4, make_rows(1, seq=2, step=9))
        put(writer, R2, [make_event("alert", {"title": "t"}, seq=200, time=START + 126)])
        assert [(await good.next() or ("", {}))[0] for _ in range(2)] == ["update", "alert"]
        put(writer, R2, [make_event("finish", {"exit_code": 3}, seq=201, time=START + 127)])
        assert [(await good.next() or ("", {}))[0] for _ in range(2)] == ["update", "end"]
        assert await good.next() is None
        ailing.failing.clear()
        assert (await bad.next() or ("", {}))[1]["run"]["step"] == 9


async def test_no_look_begins_before_the_last_has_ended(ask: Asking, writer: Writer) -> None:
    """A look that is given up goes on in its thread: until it is through, the feeds are nobody else's; then live
    updates go on.
    """
    ailing = Ailing(ask)
    put(writer, R4, make_rows(1, seq=1))
    async with listening(ask, "/runs/r2/live") as first, listening(ask, "/runs/r4/live") as hanging:
        for stream in (first, hanging):
            assert (await stream.next() or ("", {}))[0] == "update"
        ailing.hanging = "r4"
        try:
            ailing.looked_at.clear()
            await until(lambda: "r4" in ailing.looked_at, "a look that hangs")
            ailing.looked_at.clear()
            asked = ailing.asked
            await until(lambda: ailing.asked >= asked + 3, "looks after the one that was given up")
            assert ailing.looked_at == []
        finally:
            ailing.hanging = ""
            ailing.free.set()
        put(writer, R4, make_rows(1, seq=2, step=9))
        assert (await hanging.next() or ("", {}))[1]["run"]["step"] == 9
