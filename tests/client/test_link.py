"""The link's own work: segments ahead of the rows, a look at its folder, and what a fork leaves of it."""

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from standins.journal_reading import read_journal
from waiting import until
from wayside import wire
from wayside.handover import Plan
from wayside.journal import Journal
from wayside.link import Link
from wayside.packing import Frame
from wayside.roots import Root
from wayside.segments import SEGMENT_SIZE
from wayside.shelf import MAX_PREPARED

SESSION = "0123456789abcdef" * 2
HELLO = wire.json_frame(wire.HELLO, {"session": SESSION})
ROWS = SEGMENT_SIZE // wire.row_size(100) + 1  # fill a segment


def row(step: int) -> Frame:
    return Frame(tuple(f"m{number}" for number in range(100)), (0.5,) * 100, 1.0, step, 1, b"")


class Linked:
    """A journal in memory, and its link, whom no collector answers."""

    def __init__(self, memory: Path, overflow: Path) -> None:
        self.told: dict[str, str] = {}
        self.memory = memory
        self.journal = Journal(Root(str(memory), True), SESSION, HELLO)
        hello: dict[str, Any] = {"session": SESSION}
        plan = Plan(hello, [str(memory / "w.sock")], str(overflow), 1 << 30, False, None, dict, self.told.setdefault)
        self.link = Link(self.journal, plan)

    @property
    def folder(self) -> Path:
        return self.memory / "journals" / SESSION

    def prepared(self) -> int:
        return sum(path.read_bytes()[:8] == bytes(8) for path in self.folder.glob("*.seg"))

    def fill(self, segments: int) -> None:
        for step in range(segments * ROWS):
            self.journal.append(row(step))


@pytest.fixture
def linked(memory: Path, tmp_path: Path) -> Iterator[Linked]:
    found = Linked(memory, tmp_path / "overflow")
    yield found
    found.link.finish()


def test_more_segments_are_ready_the_faster_rows_come(linked: Linked) -> None:
    """One ahead at rest, three while rows come; more after a burst between two looks, and at most MAX_PREPARED."""
    most, deadline = 0, time.monotonic() + 15
    while most < 5:
        linked.fill(4)
        time.sleep(0.03)  # more than a tick: what it does then is asked, and if the burst fell apart, once more
        most = linked.prepared()
        assert time.monotonic() < deadline
    assert most <= MAX_PREPARED


def test_lost_rows_are_told_at_the_first_and_with_their_total_at_the_end(
    memory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever looks at the training's output sees that rows are lost, and at the end how many."""
    linked = Linked(memory, tmp_path / "overflow")
    try:
        monkeypatch.setattr(linked.journal.shelf, "take", lambda size: None)
        linked.fill(3)
        until(lambda: "dropped" in linked.told, "the notice")
        assert str(memory) in linked.told["dropped"]
        assert "lost" not in linked.told
    finally:
        linked.link.finish()
    assert linked.told["lost"].startswith(f"{linked.journal.dropped_rows} rows")


def test_sealed_segments_cost_no_mapped_memory(linked: Linked) -> None:
    """A mapped page counts against the trainer's memory: what is written to the end is given back soon."""
    linked.fill(4)

    def mapped() -> int:
        return Path("/proc/self/maps").read_text().count(f"{linked.folder}/")

    until(lambda: all(segment.map.closed for segment in list(linked.journal.shelf.sealed)), "their maps closed")
    assert mapped() <= 2 + MAX_PREPARED


def test_a_deleted_folder_is_noticed_within_moments(linked: Linked) -> None:
    """The link looks at its lock's last name each second; rows of before and after are in the new folder."""
    linked.fill(2)

    def is_deleted() -> bool:
        shutil.rmtree(linked.folder, ignore_errors=True)  # the link may prepare a segment there meanwhile
        return not os.path.exists(linked.folder)

    until(is_deleted, "the folder deleted", every=0.0)
    until(lambda: "relocated" in linked.told, "the notice")
    linked.journal.append(row(-1))

    def has_moved() -> bool:
        try:
            return not linked.journal.shelf.strays()
        except OSError:  # the link exchanges a segment's descriptor at this very moment
            return False

    until(has_moved, "the journal in its new folder")
    found = read_journal(linked.folder, Path(linked.link._keeper.path))
    assert found.seqs == list(range(2 * ROWS + 1))


def test_a_forked_child_leaves_no_trace(linked: Linked) -> None:
    """Dropping what was inherited closes descriptors and nothing else: lock, files and thread are the parent's. One
    file may be left open, which the link was just making.
    """
    linked.fill(2)
    before = {path.name: path.stat().st_ino for path in linked.folder.iterdir()}
    child = os.fork()
    if child == 0:
        linked.journal.abandon()
        linked.link.abandon()
        left = [os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd") if _is_link(fd)]
        ours = [os.path.basename(path) for path in left if path.startswith(str(linked.memory))]
        os._exit("lock" in ours or len(ours) > 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert before.items() <= {path.name: path.stat().st_ino for path in linked.folder.iterdir()}.items()
    linked.journal.append(row(-1))
    assert read_journal(linked.folder).seq == 2 * ROWS + 1


def _is_link(fd: str) -> bool:
    return os.path.lexists(f"/proc/self/fd/{fd}")
