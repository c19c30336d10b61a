"""Journals whose events name files: no other session waits for their files, and their own order stays."""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Sequence

import pytest
from sources.place import PATIENCE, RECORD, FailingSpool, Place, opened_place, until
from wayside import row, wire
from wayside.journal import Journal
from wayside.packing import Frame
from wayside.roots import Root
from wayside.row import Event
from wayside.segments import JOURNALS
from wayside_collector.intake import Inlet
from wayside_collector.intake.claims import NoClaims, Taken
from wayside_collector.sources import aside

pytestmark = pytest.mark.asyncio

ONE, TWO = "1" * 32, "2" * 32


class SlowClaims(NoClaims):
    """Files that take until `go` is set. begun, most: how many hand-overs began, and were at it at once."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.begun = self.most = self._now = 0
        self._counting = threading.Lock()

    def take(self, inlet: Inlet, events: Sequence[Event], held: int) -> list[Taken]:
        with self._counting:
            self.begun += 1
            self._now += 1
            self.most = max(self.most, self._now)
        assert self.go.wait(PATIENCE)
        with self._counting:
            self._now -= 1
        return super().take(inlet, events, held)


class Writer:
    """A session's journal, which the place follows."""

    def __init__(self, place: Place, session: str, run: str) -> None:
        self.record = {**RECORD, "session": session, "run": {"id": run}}
        self.journal = Journal(Root(str(place.folder), True), session, wire.json_frame(wire.HELLO, self.record))
        self.folder = place.folder / JOURNALS / session
        (self.folder / "lock").unlink()  # to this process its own lock would look free: the owner dead

    def row(self, step: int) -> None:
        assert self.journal.append(Frame(("loss",), (0.5,), 1e9, step, wire.COMMIT, b""))

    def picture(self, step: int) -> None:
        data = {"name": "a", "type": "image", "file": "x", "size": 1}
        assert self.journal.append(Frame(None, (), 1e9, step, 0, wire.event_frame(1e9, step, row.MEDIA, data)))


@contextlib.asynccontextmanager
async def two_sessions(runs: tuple[str, str] = ("r1", "r2")) -> AsyncIterator[tuple[Place, SlowClaims, Writer, Writer]]:
    async with opened_place() as place:
        claims = SlowClaims()
        place.intake.claims = claims
        writers = Writer(place, ONE, runs[0]), Writer(place, TWO, runs[1])
        for one in writers:
            place.journals.follow(await place.intake.begin(one.record), [one.folder])
        try:
            yield place, claims, *writers
        finally:
            claims.go.set()
            for one in writers:
                one.journal.close()


def steps(place: Place, run: str) -> list[int | None]:
    return [record.step for record in place.records(run)]


async def test_rows_of_others_do_not_wait_for_files() -> None:
    """They are stored while the files are taken; and what the session itself logs meanwhile stands behind them."""
    async with two_sessions() as (place, claims, one, two), place.listening():
        one.row(0)
        one.picture(1)
        await until(lambda: claims.begun == 1, "the files are being taken")
        one.row(2)
        for step in range(3):
            two.row(step)
            await until(lambda step=step: steps(place, "r2") == list(range(step + 1)), "its rows are stored")
        assert steps(place, "r1") == []
        claims.go.set()
        await until(lambda: steps(place, "r1") == [0, 1, 2], "all of it is stored, in its order")
        assert place.intake.counters.doubles == 0


async def test_what_could_not_be_stored_is_read_again() -> None:
    """A spool that takes nothing for a while: nothing is lost, nothing comes twice, and the rest goes on after it."""
    async with two_sessions() as (place, claims, one, two):
        claims.go.set()
        spool = FailingSpool(place)
        spool.fails = True
        async with place.listening():
            one.picture(0)
            await until(lambda: place.journals.last_error == "no room", "the failure is told")
            one.row(1)
            two.row(0)
            spool.fails = False
            await until(lambda: (steps(place, "r1"), steps(place, "r2")) == ([0, 1], [0]), "all of it is stored")
            await until(lambda: place.journals.last_error is None, "nothing is told any more")


async def test_a_stop_waits_for_what_is_under_way() -> None:
    """A hand-over cut short would leave it open what was stored."""
    async with two_sessions() as (place, claims, one, _):
        running = asyncio.create_task(place.journals.run())
        one.picture(0)
        await until(lambda: claims.begun == 1, "the files are being taken")
        place.journals.stop()
        await asyncio.wait([running], timeout=0.2)
        assert not running.done()
        claims.go.set()
        async with asyncio.timeout(PATIENCE):
            await running
        assert steps(place, "r1") == [0]


@pytest.mark.parametrize("runs", [("r1", "r1"), ("r1", "r2")])
async def test_files_of_one_run_are_taken_one_hand_over_after_the_other(runs: tuple[str, str]) -> None:
    """Each is measured against what the run holds already; another run's go on beside them."""
    async with two_sessions(runs) as (place, claims, one, two), place.listening():
        one.picture(0)
        await until(lambda: claims.begun == 1, "the first is at it")
        two.picture(0)
        if runs == ("r1", "r2"):
            await until(lambda: claims.begun == 2, "the second, too")
        else:
            await until(lambda: place.journals.aside == 2, "the second waits")
        claims.go.set()
        await until(lambda: place.intake.counters.received_events == 2, "both are stored")
        assert claims.most == len(set(runs))


async def test_so_many_are_stored_aside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Further ones are waited for: what looks take is held in memory."""
    monkeypatch.setattr(aside, "MAX_ASIDE", 1)
    async with two_sessions() as (place, claims, one, two):
        one.picture(0)
        two.picture(0)
        look = asyncio.create_task(place.journals.look())
        await until(lambda: claims.begun == 2, "both are at it")
        assert place.journals.aside == 1
        assert not look.done()
        claims.go.set()
        async with asyncio.timeout(PATIENCE):
            assert await look
        await until(lambda: place.intake.counters.received_events == 2, "both are stored")
