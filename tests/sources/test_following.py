"""Reading one journal: what does not land on its position is held, then set aside; what a peer does to its file never
harms the reader.
"""

import os
from pathlib import Path

import pytest
from sources.place import RECORD, Place, opened_place
from wayside import wire
from wayside.journal import Journal
from wayside.packing import Frame
from wayside.roots import Root
from wayside.segments import JOURNALS
from wayside_collector.sources.following import HOLD
from wayside_collector.testing import FakeClock

ID = str(RECORD["session"])
RUN = str(RECORD["run"]["id"])
NAMES = tuple(f"m{number}" for number in range(50))
ROW = wire.row_size(len(NAMES))


class Live:
    """The journal of a session that is alive, as files that a test may change as it likes."""

    def __init__(self, place: Place, *, names: tuple[str, ...] = NAMES, boot: bytes | None = None) -> None:
        self.place = place
        journal = Journal(Root(str(place.folder / "made"), True), ID, wire.json_frame(wire.HELLO, RECORD))
        for step in range(10):
            assert journal.append(Frame(names, (step + 0.5,) * len(names), 1e9, step, wire.COMMIT, b""))
        assert journal.segment is not None
        self.data = bytearray(journal.segment.read(0, journal.segment.size))
        self.end = journal.segment.position
        journal.close()
        if boot is not None:
            header = wire.read_segment_header(bytes(self.data))._replace(boot=boot)
            self.data[: wire.HEADER_SIZE] = header.pack()
        self.folder = place.folder / JOURNALS / ID
        self.folder.mkdir(parents=True)
        self.path = self.folder / "00000000.seg"
        self.write(self.end)

    def write(self, position: int) -> None:
        """The file, with this committed position."""
        self.data[8:16] = position.to_bytes(8, "little")
        self.path.write_bytes(self.data)

    async def follow(self) -> None:
        self.place.journals.follow(await self.place.intake.begin(RECORD), [self.folder])

    async def look(self) -> int:
        """How many rows are stored after a look at everything."""
        while await self.place.journals.look():
            pass
        return len(self.place.rows(RUN))


@pytest.mark.asyncio
async def test_a_position_within_a_frame_is_waited_for() -> None:
    """What the position does not cover whole is held; once it does, it is taken, and nothing is lost or doubled."""
    clock = FakeClock(100.0)
    async with opened_place(clock) as place:
        live = Live(place)
        live.write(live.end - 24)
        await live.follow()
        assert await live.look() == 9
        clock.forward(HOLD - 1)
        assert await live.look() == 9
        live.write(live.end)
        assert await live.look() == 10
        assert place.journals.set_aside == place.intake.counters.malformed == 0


@pytest.mark.asyncio
async def test_what_never_lands_is_set_aside() -> None:
    """After a while the rest of the segment is kept for a person to look at, counted, and what follows is taken."""
    clock = FakeClock(100.0)
    async with opened_place(clock) as place:
        live = Live(place)
        live.data[live.end - 3 * ROW : live.end - 3 * ROW + 8] = b"\xff" * 8  # the head of the eighth row
        live.write(live.end)
        await live.follow()
        assert await live.look() == 7
        clock.forward(HOLD + 1)
        assert await live.look() == 7
        (aside,) = (place.folder / "damaged").iterdir()
        assert aside.read_bytes() == bytes(live.data[: live.end])
        assert (place.journals.set_aside, place.intake.counters.malformed) == (1, 1)
        more = wire.row_frame(0, 1e9, 10, (0.5,) * len(NAMES))
        live.data[live.end : live.end + len(more)] = more
        live.write(live.end + len(more))
        assert await live.look() == 8


@pytest.mark.asyncio
async def test_a_length_of_zero_stops_the_walk() -> None:
    """A position beyond what was written, over zeros: the walk stops where they begin."""
    clock = FakeClock(100.0)
    async with opened_place(clock) as place:
        live = Live(place)
        live.write(live.end + 4096)
        await live.follow()
        assert await live.look() == 10
        clock.forward(HOLD + 1)
        assert await live.look() == 10
        assert place.journals.set_aside == 1


@pytest.mark.asyncio
@pytest.mark.parametrize("size", [0, 60, 200, 4096])
async def test_a_file_that_is_cut_short_is_no_end_of_ours(size: int) -> None:
    """The journal is read and never mapped: a peer that cuts its file costs its own rows, and nothing is raised."""
    clock = FakeClock(100.0)
    async with opened_place(clock) as place:
        live = Live(place)
        live.write(live.end - 5 * ROW)
        await live.follow()
        assert await live.look() == 5
        os.truncate(live.path, size)
        assert not _maps(live.path)
        await live.look()
        clock.forward(HOLD + 1)
        await live.look()
        assert place.journals.last_error is None
        assert len(place.rows(RUN)) == 5


@pytest.mark.asyncio
@pytest.mark.parametrize("ours", [False, True], ids=["another boot", "this boot"])
async def test_pages_that_were_never_written_out_are_refused(ours: bool) -> None:
    """After a power loss the position may reach further than the pages that came to the disk: a page of zeros within a
    row of an earlier boot is no row, whole as its ends are, and is set aside with what follows. In this boot zeros
    are what was logged.
    """
    clock = FakeClock(100.0)
    async with opened_place(clock) as place:
        names = tuple(f"m{number}" for number in range(1500))  # three pages a row
        live = Live(place, names=names, boot=None if ours else b"another boot yes")
        page = (live.end - 4 * wire.row_size(len(names))) // 4096 + 2  # the first that lies whole in the seventh row
        live.data[page * 4096 : (page + 1) * 4096] = bytes(4096)
        live.write(live.end)
        await live.follow()
        assert await live.look() == (10 if ours else 6)
        clock.forward(HOLD + 1)
        assert await live.look() == (10 if ours else 6)
        assert place.journals.set_aside == (0 if ours else 1)
        assert all(row.values == (row.seq + 0.5,) * len(names) for row in place.rows(RUN)[:6])


@pytest.mark.asyncio
async def test_two_copies_are_one_journal() -> None:
    """A segment that lies in memory and on disk, one copy behind the other: each row once."""
    clock = FakeClock(100.0)
    async with opened_place(clock) as place:
        live = Live(place)
        kept = place.folder / "kept" / JOURNALS / ID
        kept.mkdir(parents=True)
        live.write(live.end - 5 * ROW)
        (kept / "00000000.seg").write_bytes(live.data)
        live.write(live.end)
        inlet = await place.intake.begin(RECORD)
        for folders in ([kept], [live.folder, kept], [kept, live.folder]):  # it moved, and was said hello of anew
            place.journals.follow(inlet, folders)
            await live.look()
        assert [row.seq for row in place.rows(RUN)] == list(range(10))
        assert place.intake.counters.received_rows == 10


def _maps(path: Path) -> bool:
    return str(path) in Path("/proc/self/maps").read_text()
