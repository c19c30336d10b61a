"""What is kept below WAYSIDE_DIR while there is no collector: whole, within its limits, let go when it is stored."""

import os
import shutil
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from standins.journal_reading import read_journal, read_segments
from waiting import until
from wayside import wire
from wayside.handover import Plan
from wayside.journal import Journal
from wayside.kept import KEPT_SHARE, Keeper
from wayside.link import Link
from wayside.packing import Frame
from wayside.roots import FOLDER_LIMIT, SESSION_LIMIT, Root
from wayside.segments import SEGMENT_SIZE

SESSION = "0123456789abcdef" * 2
HELLO = wire.json_frame(wire.HELLO, {"session": SESSION})
PLENTY = 1 << 40


def row(step: int) -> Frame:
    return Frame(("a", "b"), (float(step), 0.5), 1.0, step, 1, b"")


@pytest.fixture
def journal(memory: Path) -> Iterator[Journal]:
    """A journal in memory that nobody reads."""
    made = Journal(Root(str(memory), True), SESSION, HELLO)
    yield made
    made.close()


def fill(journal: Journal, segments: int) -> None:
    """Append until so many segments are sealed."""
    step = journal.seq
    while len(journal.shelf.sealed) < segments:
        journal.append(row(step))
        step += 1


def free_bytes(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    class Found:
        f_bavail = size // 4096
        f_frsize = 4096

    monkeypatch.setattr(os, "statvfs", lambda path: Found)


# --- moving --------------------------------------------------------------------------------------------------------


def test_what_moves_to_disk_is_whole(journal: Journal, tmp_path: Path) -> None:
    """Sealed segments and the copy of the last one hold every row, and the files in memory are gone."""
    keeper = Keeper(str(tmp_path), SESSION, PLENTY)
    fill(journal, 3)
    while journal.shelf.sealed:
        journal.shelf.hand_to(keeper.keep)
    assert journal.segment is not None
    keeper.follow(journal.segment)
    found = read_journal(Path(keeper.path))
    assert found.seqs == list(range(journal.seq))
    assert [segment.header.sealed for segment in read_segments(Path(keeper.path))] == [True, True, True, False]
    assert len(read_segments(Path(journal.shelf.folder.path))) == 1
    keeper.close()


def test_what_is_stored_is_let_go(journal: Journal, tmp_path: Path) -> None:
    """Kept segments go with the rows a collector has, and the folder with the last of them."""
    keeper = Keeper(str(tmp_path), SESSION, PLENTY)
    fill(journal, 3)
    while journal.shelf.sealed:
        journal.shelf.hand_to(keeper.keep)
    ends = [kept.end_seq for kept in keeper.segments]
    keeper.let_go(ends[1] - 1)
    assert [kept.end_seq for kept in keeper.segments] == ends[1:]
    keeper.let_go(ends[-1])
    assert (list(keeper.segments), keeper.bytes, read_segments(Path(keeper.path))) == ([], 0, [])
    keeper.close()
    assert list((tmp_path / "journals").iterdir()) == []


# --- limits --------------------------------------------------------------------------------------------------------


def test_a_session_keeps_at_most_its_limit(journal: Journal, tmp_path: Path) -> None:
    """What would pass it is refused with the variable's name, stays in memory whole, and is taken when there is room
    again.
    """
    keeper = Keeper(str(tmp_path), SESSION, 2 * SEGMENT_SIZE)
    fill(journal, 4)
    journal.shelf.hand_to(keeper.keep)
    journal.shelf.hand_to(keeper.keep)
    before = journal.shelf.held
    with pytest.raises(OSError, match="WAYSIDE_KEPT_LIMIT"):
        journal.shelf.hand_to(keeper.keep)
    assert journal.shelf.held == before
    assert keeper.bytes <= 2 * SEGMENT_SIZE
    assert len(read_segments(Path(keeper.path))) == 2
    keeper.let_go(keeper.segments[0].end_seq)
    journal.shelf.hand_to(keeper.keep)
    assert len(keeper.segments) == 2
    keeper.close()


def test_a_session_keeps_at_most_half_of_what_is_free(
    journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However high its limit is: as much as it holds stays free."""
    keeper = Keeper(str(tmp_path), SESSION, PLENTY)
    fill(journal, 3)
    journal.shelf.hand_to(keeper.keep)
    free_bytes(monkeypatch, KEPT_SHARE * 2 * SEGMENT_SIZE - SEGMENT_SIZE)
    journal.shelf.hand_to(keeper.keep)
    free_bytes(monkeypatch, 2 * SEGMENT_SIZE)
    with pytest.raises(OSError, match="half of what is free"):
        journal.shelf.hand_to(keeper.keep)
    assert len(keeper.segments) == 2
    keeper.close()


# --- a journal that lies on disk by itself ---------------------------------------------------------------------------


class Offline:
    """A link without any collector, its journal below WAYSIDE_DIR: no memory-backed folder was to be had."""

    def __init__(self, root: Path, limit: int = PLENTY, addresses: Sequence[str] = ()) -> None:
        self.told: dict[str, str] = {}
        self.journal = Journal(Root(str(root), False), SESSION, HELLO)
        hello: dict[str, Any] = {"session": SESSION}
        plan = Plan(hello, list(addresses), str(root), limit, False, None, dict, self.told.setdefault)
        self.link = Link(self.journal, plan)

    def fill(self, size: int) -> None:
        """Log so many bytes of rows, as fast as the link prepares segments."""
        step = self.journal.seq
        begun = self.journal.points
        while (self.journal.points - begun) * 24 < size:
            if self.journal.segment is None or self.journal.segment.position > SEGMENT_SIZE // 2:
                until(self._has_room, "room in the journal", every=0.002)
            self.journal.append(row(step))
            step += 1

    def _has_room(self) -> bool:
        segment, shelf = self.journal.segment, self.journal.shelf
        return bool(shelf._prepared and not shelf._prepared[-1].begun) or (
            segment is not None and segment.position < SEGMENT_SIZE // 2
        )


def test_on_a_disk_a_session_is_not_bound_to_what_memory_allows(tmp_path: Path) -> None:
    """Offline and without memory-backed storage, more than SESSION_LIMIT is kept, and few files are open."""
    before = len(os.listdir("/proc/self/fd"))
    offline = Offline(tmp_path)
    offline.fill(SESSION_LIMIT + 4 * SEGMENT_SIZE)
    assert offline.journal.dropped_rows == 0
    assert len(os.listdir("/proc/self/fd")) - before < 40  # of some seventy segments
    offline.link.finish()
    found = read_journal(tmp_path / "journals" / SESSION)
    assert found.seqs == list(range(offline.journal.seq))
    assert (tmp_path / "journals" / SESSION / "lock").exists()
    assert offline.told == {}


def test_on_a_disk_the_limit_holds_all_the_same(tmp_path: Path) -> None:
    """Beyond WAYSIDE_KEPT_LIMIT the journal fills up, rows are dropped and counted, and the user is told once."""
    offline = Offline(tmp_path, limit=4 * SEGMENT_SIZE)
    deadline = time.monotonic() + 15
    step = 0
    while not offline.journal.dropped_rows:
        for _ in range(1000):
            offline.journal.append(row(step))
            step += 1
        time.sleep(0.001)
        assert time.monotonic() < deadline
    offline.link.finish()
    assert len([told for told in offline.told.values() if "WAYSIDE_KEPT_LIMIT" in told]) == 1
    found = read_journal(tmp_path / "journals" / SESSION)
    dropped = int.from_bytes((tmp_path / "journals" / SESSION / "dropped").read_bytes()[:8], "little")
    assert len(found.seqs) + dropped == step


def test_old_journals_on_a_disk_are_no_reason_to_keep_nothing(tmp_path: Path) -> None:
    """The limit for all journals of a folder is one of memory: on a disk earlier runs may have left more than that."""
    old = tmp_path / "journals" / ("f" * 32)
    old.mkdir(parents=True)
    with (old / "00000000.seg").open("wb") as file:
        file.truncate(FOLDER_LIMIT + 1)
    journal = Journal(Root(str(tmp_path), False), SESSION, HELLO)
    assert journal.append(row(0))
    assert journal.dropped_rows == 0
    journal.close()


def test_a_deleted_folder_is_told_and_begun_anew(tmp_path: Path, memory: Path) -> None:
    """What was kept in place and deleted is told with its number of rows; the journal goes on where there is room."""
    offline = Offline(tmp_path, addresses=[str(memory / "none.sock")])
    offline.fill(3 * SEGMENT_SIZE)
    until(lambda: len(offline.link._keeper.segments) >= 2, "two segments on disk")
    kept = tmp_path / "journals" / SESSION
    lost = sum(segment.end_seq - segment.first_seq for segment in offline.link._keeper.segments)
    shutil.rmtree(kept)
    until(lambda: "relocated" in offline.told, "the notice")
    assert f"was deleted, and with it {lost} rows" in offline.told["kept"]
    offline.journal.append(row(-7))
    offline.link.finish()
    found = [row.step for root in (tmp_path, memory) for row in read_journal(root / "journals" / SESSION).rows]
    assert found[-1] == -7
