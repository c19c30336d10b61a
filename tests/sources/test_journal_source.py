"""The journal source: what is read when, what waits, and what becomes of what cannot be read."""

import asyncio
import errno
import os
import time
from pathlib import Path
from typing import Any

import pytest
from sources.place import RECORD, FailingSpool, Place, opened_place
from wayside import wire
from wayside.journal import Journal
from wayside.packing import Frame
from wayside.roots import Root
from wayside.segments import JOURNALS
from wayside_collector.intake import sessions as intakes
from wayside_collector.sources import journal as sources
from wayside_collector.sources import quarantine
from wayside_collector.spool import SpoolError
from wayside_collector.testing import FakeClock

ID = str(RECORD["session"])
RUN = str(RECORD["run"]["id"])


def write(folder: Path, rows: int, *, segments: int = 1, session: str = ID) -> Journal:
    """A journal with its owner alive, of so many rows in each of so many segments."""
    journal = Journal(Root(str(folder), True), session, wire.json_frame(wire.HELLO, {**RECORD, "session": session}))
    for number in range(segments):
        for step in range(rows):
            assert journal.append(a_row(number * rows + step))
        if number < segments - 1:
            journal.seal()
    (folder / JOURNALS / session / "lock").unlink()  # to this process its own lock would look free: the owner dead
    return journal


def a_row(step: int) -> Frame:
    return Frame(("loss",), (0.5,), 1e9, step, wire.COMMIT, b"")


@pytest.mark.asyncio
async def test_what_is_on_its_way_to_another_folder_is_waited_for() -> None:
    """After a restart the journal is known in memory only, while its first segment was just moved to disk: nothing is
    booked as lost before the owner's hello could name that folder.
    """
    clock = FakeClock(100.0)
    async with opened_place(clock) as place:
        journal = write(place.folder, 10, segments=3)
        memory = place.folder / JOURNALS / ID
        kept = place.folder / "kept" / JOURNALS / ID
        kept.mkdir(parents=True)
        (first, *_) = sorted(memory.glob("*.seg"))
        first.rename(kept / first.name)
        inlet = await place.intake.begin(RECORD)
        place.journals.follow(inlet, [memory])
        await place.journals.look()
        assert place.intake.counters.received_rows == place.intake.counters.lost_rows == 0
        place.journals.follow(inlet, [memory, kept])  # the hello came
        while await place.journals.look():
            pass
        assert (place.intake.counters.received_rows, place.intake.counters.lost_rows) == (30, 0)
        journal.close()


@pytest.mark.asyncio
async def test_what_stays_away_is_booked() -> None:
    """The same where nobody ever names it: after a while the rest is taken, and the gap is told as lost."""
    clock = FakeClock(100.0)
    async with opened_place(clock) as place:
        journal = write(place.folder, 10, segments=3)
        memory = place.folder / JOURNALS / ID
        sorted(memory.glob("*.seg"))[0].unlink()
        place.journals.follow(await place.intake.begin(RECORD), [memory])
        await place.journals.look()
        clock.forward(6.0)
        while await place.journals.look():
            pass
        assert (place.intake.counters.received_rows, place.intake.counters.lost_rows) == (20, 10)
        journal.close()


@pytest.mark.asyncio
async def test_too_many_sessions_let_an_orphan_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """A journal without owner that finds no room among the sessions stays where it is, and is taken when there is."""
    monkeypatch.setattr(intakes, "MAX_SESSIONS", 1)
    async with opened_place() as place:
        orphan = _leave(place, 5)
        other = await place.intake.begin({**RECORD, "session": "6" * 32})
        await place.journals.look_for_orphans()
        assert place.journals.set_aside == 0
        assert "the limit" in str(place.journals.last_error)
        assert orphan.exists()
        await place.intake.end(other)
        await _adopt(place, orphan)
        assert place.intake.counters.received_rows == 5


@pytest.mark.asyncio
async def test_what_is_no_journal_is_set_aside_within_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Journals that nothing can be made of are moved out of the way; beyond the limit they stay, and are counted."""
    monkeypatch.setattr(quarantine, "MAX_PIECES", 2)
    async with opened_place() as place:
        for number in range(4):
            folder = _leave(place, 1, session=f"{number:032x}", run={"id": ""})
        for _ in range(3):
            await place.journals.look_for_orphans()
        assert place.journals.set_aside == 4
        assert len(list((place.folder / "damaged").iterdir())) == 2
        assert len(list(folder.parent.iterdir())) == 2
        await _adopt(place, _leave(place, 3))
        assert place.intake.counters.received_rows == 3


def _leave(place: Place, rows: int, **record: Any) -> Path:
    """A journal whose owner is gone."""
    record = {**RECORD, **record}
    journal = Journal(Root(str(place.folder), True), record["session"], wire.json_frame(wire.HELLO, record))
    for step in range(rows):
        assert journal.append(a_row(step))
    journal.close()
    return place.folder / JOURNALS / str(record["session"])


async def _adopt(place: Place, folder: Path) -> None:
    async with asyncio.timeout(10):
        while folder.exists():  # noqa: ASYNC240 -- a folder in memory
            await place.journals.look_for_orphans()
            await place.journals.look()


@pytest.mark.asyncio
async def test_rows_before_damage_are_taken_once() -> None:
    """Bytes in a living journal that are no frames: what stands before them is stored once, however often they are
    looked at, and what is logged after them is stored when they were set aside.
    """
    clock = FakeClock(100.0)
    async with opened_place(clock) as place:
        journal = Journal(Root(str(place.folder), True), ID, wire.json_frame(wire.HELLO, RECORD))
        folder = place.folder / JOURNALS / ID
        for step in range(3):
            journal.append(a_row(step))
        segment = journal.segment
        assert segment is not None
        segment.map[segment.position : segment.position + 8] = b"\xff" * 8
        segment.words[wire.POSITION_WORD] += 8
        place.journals.is_connected = lambda inlet: True
        (folder / "lock").unlink()  # nobody can tell whether the owner lives; it is connected
        place.journals.follow(await place.intake.begin(RECORD), [folder])
        for _ in range(5):
            await place.journals.look()
        assert len(place.rows(RUN)) == 3
        clock.forward(6.0)
        await place.journals.look()
        journal.append(a_row(3))
        await place.journals.look()
        assert [row.step for row in place.rows(RUN)] == [0, 1, 2, 3]
        assert len(list((place.folder / "damaged").iterdir())) == 1
        journal.close()


@pytest.mark.asyncio
async def test_who_was_served_lets_the_others_come_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """With more to read than a look takes, a session that floods starves none."""
    monkeypatch.setattr(sources, "LOOK_SIZE", 4096)
    async with opened_place(FakeClock(100.0)) as place:
        written, inlets = [], []
        for session in (ID, "0" * 32):
            written.append(write(place.folder, 500, session=session))
            inlets.append(await place.intake.begin({**RECORD, "session": session}))
            place.journals.follow(inlets[-1], [place.folder / JOURNALS / session])
        for _ in range(4):
            await place.journals.look()
        first, second = (inlet.stored_seq for inlet in inlets)
        assert 0 < first == second < 500
        for journal in written:
            journal.close()


class Unreadable:
    """Reading these files fails, as of a disk that fails or a server that is away."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *paths: Path) -> None:
        self._inodes = {path.stat().st_ino for path in paths}
        self._pread = os.pread
        monkeypatch.setattr(os, "pread", self.pread)

    def pread(self, fd: int, size: int, offset: int) -> bytes:
        if os.fstat(fd).st_ino in self._inodes:
            raise OSError(errno.EIO, "Input/output error")
        return self._pread(fd, size, offset)

    def heal(self) -> None:
        self._inodes.clear()


@pytest.mark.asyncio
@pytest.mark.parametrize("begun", [False, True], ids=["before it is opened", "while it is read"])
async def test_a_file_that_cannot_be_read_now_stops_nobody(monkeypatch: pytest.MonkeyPatch, begun: bool) -> None:
    """One living journal on a failing disk: the others are read, it is told once and counted, and read later."""
    clock = FakeClock(100.0)
    async with opened_place(clock) as place:
        written = {session: write(place.folder, 3, session=session) for session in (ID, "0" * 32)}
        inlets = {}
        place.journals.is_connected = lambda inlet: True
        for session in written:
            inlets[session] = await place.intake.begin({**RECORD, "session": session})
            place.journals.follow(inlets[session], [place.folder / JOURNALS / session])
        if begun:
            await place.journals.look()
            for journal in written.values():
                journal.append(a_row(3))
        failing = Unreadable(monkeypatch, *(place.folder / JOURNALS / ID).glob("*.seg"))
        for _ in range(3):
            await place.journals.look()
            clock.forward(6.0)
        assert inlets["0" * 32].stored_seq == 3 + begun
        assert (inlets[ID].stored_seq, place.journals.set_aside) == (3 * begun, 1)
        failing.heal()
        await place.journals.look()
        assert inlets[ID].stored_seq == 3 + begun
        assert place.intake.counters.malformed == 0
        for journal in written.values():
            journal.close()


@pytest.mark.asyncio
@pytest.mark.parametrize("adopted", [False, True], ids=["not yet adopted", "adopted"])
async def test_a_dead_ones_file_that_cannot_be_read_now_is_not_removed(
    monkeypatch: pytest.MonkeyPatch, adopted: bool
) -> None:
    """The journal of a dead process waits until it can be read, is told once, and all of it arrives."""
    clock = FakeClock(time.time() + 100.0)
    async with opened_place(clock) as place:
        orphan = _leave(place, 5)
        if adopted:
            await place.journals.look_for_orphans()
        failing = Unreadable(monkeypatch, *orphan.glob("*.seg"))
        old = time.time() - 100
        os.utime(orphan, (old, old))
        for _ in range(3):
            await place.journals.look_for_orphans()
            await place.journals.look()
            clock.forward(6.0)
        assert (place.intake.counters.received_rows, place.journals.set_aside) == (0, 1)
        failing.heal()
        await _adopt(place, orphan)
        assert place.intake.counters.received_rows == 5


@pytest.mark.asyncio
async def test_a_session_whose_end_found_no_room_is_ended_later() -> None:
    """The disk is full at the moment an orphan was read to its end: nobody forgets that it has to be ended."""
    async with opened_place() as place:
        orphan = _leave(place, 5)
        spool = FailingSpool(place)
        await place.journals.look_for_orphans()
        inlet = place.intake.find(ID)
        assert inlet is not None
        place.journals.on_stored = lambda inlet: setattr(spool, "fails", True)
        with pytest.raises(SpoolError):
            await place.journals.look()
        with pytest.raises(SpoolError):
            await place.journals.look()
        spool.fails = False
        await _adopt(place, orphan)
        await place.journals.look()
        assert inlet.known.ended is not None
        assert (place.journals.idle, place.intake.counters.received_rows) == (True, 5)
