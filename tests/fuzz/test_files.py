"""What lies on disk: segments of journals, and files of the spool. What is damaged there stops nobody, and what stands
beside it is read as it was written.
"""

import asyncio
import itertools
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from fuzz.damage import damaged
from fuzz.effort import EFFORTS, Effort, bounded
from hypothesis import strategies as st
from memory import make_folder
from spool.making import T0, begin, make_batch, opened, put
from standins.memory_spool import MemorySpool
from wayside import wire
from wayside.journal import Journal
from wayside.packing import Frame
from wayside.roots import Root
from wayside_collector.intake import Intake
from wayside_collector.registry import Registry
from wayside_collector.sources.journal import JournalSource
from wayside_collector.spool import Damaged, Spool
from wayside_collector.spool.files import read_blocks
from wayside_collector.testing import FakeClock

READ_FLOOR = 24 << 20  # what one look may hold at once, and the bytes of a file that says it is longer than it is
ROWS = 20


def write_journal(root: Path, number: int) -> Path:
    """A dead session's journal of one segment."""
    session = f"{number:032x}"
    record = {"session": session, "run": {"id": "r1"}, "started": T0}
    journal = Journal(Root(str(root), True), session, wire.json_frame(wire.HELLO, record))
    for step in range(ROWS - 1):
        journal.append(Frame(("a", "b")[: 1 + step % 2], (0.5, 0.25)[: 1 + step % 2], T0, step, wire.COMMIT, b""))
    journal.append(Frame(None, (), T0, None, 0, wire.event_frame(T0, None, "finish", {"exit_code": 0})))
    journal.close()
    return Path(journal.shelf.folder.path)


@pytest.fixture
def folder() -> Iterator[Path]:
    path = make_folder("fuzz-")
    yield path
    shutil.rmtree(path)


@pytest.mark.parametrize("effort", EFFORTS)
def test_journal_segments(effort: Effort, folder: Path) -> None:
    """A damaged journal is read as far as it can be, its rest set aside, and the folder goes or is left alone; the
    journal beside it is stored whole.
    """
    (segment,) = write_journal(folder / "made", 1).glob("*.seg")
    whole = segment.read_bytes()
    used = wire.read_segment_header(whole).position
    write_journal(folder / "made", 2)
    rounds = itertools.count()

    def check(data: bytes) -> None:
        root = folder / str(next(rounds))
        shutil.copytree(folder / "made", root, copy_function=os.link)
        (target,) = (root / "journals" / f"{1:032x}").glob("*.seg")
        target.unlink()
        target.write_bytes(data + bytes(4096))
        spool = MemorySpool()
        with bounded(len(data), READ_FLOOR):
            asyncio.run(read(spool, root))
        assert len(spool.records(spool.key_of(f"{2:032x}") or 0)) == ROWS
        for row in spool.sessions():
            spool.records(row.key)
        shutil.rmtree(root)

    async def read(spool: MemorySpool, root: Path) -> None:
        clock = FakeClock(1000.0)
        intake = Intake(spool, Registry())  # type: ignore[arg-type]
        source = JournalSource(intake, [root], lambda record: True, root / "damaged", clock)
        for _ in range(4):
            clock.forward(20)
            await source.look_for_orphans()
            await source.look()
        assert source.idle

    effort.share(3).run(damaged(whole[:used]) | st.binary(max_size=200), check)


def as_file(folder: Path) -> tuple[Path, bytes]:
    """The rows' file of a spool with two sessions, the second one's batches around the first one's."""
    with opened(folder) as spool:
        keys = [begin(spool, number).key for number in (1, 2)]
        for turn, key in enumerate((keys[1], keys[0], keys[1])):
            put(spool, make_batch(key, 3 * (turn // 2), value=float(turn)))
    (path,) = folder.glob("scalars-*.spool")
    return path, path.read_bytes()


@pytest.mark.parametrize("effort", EFFORTS)
def test_spool_blocks(effort: Effort, folder: Path) -> None:
    """A damaged file of the spool is read to its end, and every block told to be whole is one that was written."""
    _, whole = as_file(folder / "spool")
    written = {held for _, block, held in read_blocks(whole) if block is not None}
    assert len(written) == 5

    def check(data: bytes) -> None:
        with bounded(len(data), 1 << 20):
            found = list(read_blocks(data))
        assert {held for _, block, held in found if block is not None} <= written
        offsets = [offset for offset, _, _ in found]
        assert offsets == sorted(set(offsets))

    effort.run(damaged(whole) | st.binary(max_size=400), check)


@pytest.mark.parametrize("effort", EFFORTS)
def test_salvage(effort: Effort, folder: Path) -> None:
    """A spool without a database and with a damaged file opens, what it tells to hold can be read or is told to be
    damaged, and it takes rows again.
    """
    path, whole = as_file(folder / "made")
    for database in (folder / "made").glob("spool.db*"):
        database.unlink()
    rounds = itertools.count()

    def check(data: bytes) -> None:
        place = folder / str(next(rounds))
        place.mkdir()
        (place / path.name).write_bytes(data)
        with opened(place) as spool:
            for batch in spool.batches(0, 100):
                _read(spool, batch)
            key = begin(spool, 3).key
            (stored,) = put(spool, make_batch(key, 0))
            assert stored.rows is not None
            assert spool.read(stored.rows)
        shutil.rmtree(place)

    effort.share(15).run(damaged(whole), check)


def _read(spool: Spool, batch: object) -> None:
    for extent in (batch.rows, batch.events):  # type: ignore[attr-defined]
        try:
            assert extent is None or spool.read(extent)
        except Damaged:
            continue
