"""The journal: every row is in a file when `log()` returns, numbered without a gap, within its limits."""

import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from standins.journal_reading import read_journal, read_segments
from wayside import wire
from wayside.journal import SIDE_LIMIT, Journal
from wayside.packing import Frame
from wayside.roots import SESSION_LIMIT, Root
from wayside.segments import DROPPED, SEGMENT_SIZE
from wayside.shelf import MAX_PREPARED, SPARE

SESSION = "0123456789abcdef" * 2
HELLO = wire.json_frame(wire.HELLO, {"session": SESSION})
NAMES = ("a", "b")
LOOKING = Path(__file__).parents[1] / "standins/looking.py"


def row(step: int, names: tuple[str, ...] = NAMES) -> Frame:
    return Frame(names, (float(step),) * len(names), 1.0, step, 1, b"")


def event(step: int, size: int = 10) -> Frame:
    return Frame(None, (), 1.0, step, 0, wire.event_frame(1.0, step, "text", {"values": {"t": "x" * size}}))


@pytest.fixture
def journal(memory: Path) -> Iterator[Journal]:
    """A journal in memory, with no link: a call that needs a segment makes it."""
    made = Journal(Root(str(memory), True), SESSION, HELLO)
    yield made
    made.close()


def folder(journal: Journal) -> Path:
    return Path(journal.shelf.folder.path)


def test_rows_and_events_are_in_the_file_at_once(journal: Journal) -> None:
    """Each append is to be read from the file when it returns, in order, numbered from 0."""
    for step in range(20):
        journal.append(row(step) if step % 3 else event(step))
        found = read_journal(folder(journal))
        assert found.seqs == list(range(step + 1))
        assert (found.seq, found.points) == (journal.seq, journal.points)
    assert [found.step for found in read_journal(folder(journal)).rows] == [n for n in range(20) if n % 3]


def test_each_segment_can_be_read_alone(journal: Journal) -> None:
    """Each has the session record, each schema before its first row, and the totals at its beginning."""
    names = [NAMES, ("c",), ("d", "e", "f")]
    for step in range(20_000):
        journal.append(row(step, names[step % 3]))
    segments = read_segments(folder(journal))
    assert len(segments) > 3
    seq = points = 0
    for number, segment in enumerate(segments):
        header = segment.header
        assert (header.number, header.first_seq, header.first_point) == (number, seq, points)
        assert header.sealed == (number < len(segments) - 1)
        frames = segment.frames()
        assert frames.records == [{"session": SESSION}]
        seq, points = frames.seq, frames.points
    assert (seq, points) == (journal.seq, journal.points) == (20_000, sum((2, 1, 3)[n % 3] for n in range(20_000)))
    assert [found.step for found in read_journal(folder(journal)).rows] == list(range(20_000))


def test_names_keep_their_number(journal: Journal) -> None:
    """A set of names has one schema number in all segments of a session."""
    for step in range(9000):
        journal.append(row(step, (f"m{step % 50}", "x", "y")))
    numbers: dict[tuple[str, ...], set[int]] = {}
    for segment in read_segments(folder(journal)):
        for span in wire.scan(segment.data, wire.HEADER_SIZE).spans:
            if span.type == wire.SCHEMA:
                numbers.setdefault(wire.read_schema(segment.data, span), set()).add(span.schema)
    assert len(numbers) == 50
    assert sorted(number for (number,) in numbers.values()) == list(range(50))


def test_too_many_sets_of_names_are_written_out(journal: Journal) -> None:
    """Beyond MAX_SCHEMAS rows carry their names: nothing is lost, and the old schemas still serve."""
    for step in range(wire.MAX_SCHEMAS + 50):
        journal.append(row(step, (f"m{step}",)))
    journal.append(row(-1, ("m0",)))
    found = read_journal(folder(journal))
    assert [row.step for row in found.rows] == [*range(wire.MAX_SCHEMAS + 50), -1]
    assert [row.names for row in found.rows[-2:]] == [(f"m{wire.MAX_SCHEMAS + 49}",), ("m0",)]


def test_as_many_names_as_a_collector_takes(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    """What goes beyond them has its names written out: a schema the collector refuses would cost all its rows."""
    monkeypatch.setattr(wire, "MAX_SLOTS", 10)
    for step in range(40):
        journal.append(row(step, tuple(f"m{step % 8}/{number}" for number in range(4))))
    found = read_journal(folder(journal))
    assert len(journal._schemas) == 2
    assert [one.step for one in found.rows] == list(range(40))


@pytest.mark.parametrize("width", [0, 1, 30_000, 31_500, 32_700, 33_000, wire.MAX_WIDTH])
def test_rows_of_any_width_are_kept(journal: Journal, width: int) -> None:
    """From none to the widest: what fits no ordinary segment gets one of its own, and ordinary rows follow."""
    names = tuple(f"m{n}" for n in range(width))
    journal.append(row(0))
    journal.append(row(1, names))
    journal.append(row(2))
    found = read_journal(folder(journal))
    assert [row.step for row in found.rows] == [0, 1, 2]
    assert found.rows[1].names == names
    assert found.rows[1].values == (1.0,) * width
    assert (found.seq, found.points) == (3, 4 + width)


def test_a_large_event_is_kept(journal: Journal) -> None:
    """One larger than a segment, too."""
    journal.append(event(0, 3_000_000))
    journal.append(row(1))
    found = read_journal(folder(journal))
    assert len(found.events[0].data["values"]["t"]) == 3_000_000
    assert found.rows[0].seq == 1


def test_the_position_is_never_seen_as_zero(journal: Journal) -> None:
    """Another process that looks all the time sees a position that only grows, and whole frames up to it."""
    with looked_at(folder(journal)):
        for step in range(150_000):
            journal.append(row(step))


@contextlib.contextmanager
def looked_at(folder: Path) -> Iterator[None]:
    """A process that looks at the journal there meanwhile, and fails for what no reader may see."""
    command = [sys.executable, str(LOOKING), str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as reader:
        assert reader.stdout is not None
        assert reader.stdout.readline() == "looking\n"
        yield
        (folder / "stop").touch()
        rest = reader.stdout.read()
    assert reader.returncode == 0, rest
    assert rest.startswith("done")
    (folder / "stop").unlink()


# --- limits --------------------------------------------------------------------------------------------------------


def fill(journal: Journal) -> int:
    """Append until something is dropped; how many rows were kept."""
    step = 0
    while not journal.dropped_rows:
        journal.append(row(step))
        step += 1
        assert step < 1_000_000
    return step - 1


def files_size(journal: Journal) -> int:
    return sum(path.stat().st_size for path in folder(journal).glob("*.seg"))


def test_a_session_holds_at_most_its_limit(journal: Journal) -> None:
    """16 MiB of files, prepared ones included; what comes after is dropped and counted exactly."""
    journal.shelf.prepare(MAX_PREPARED)
    kept = fill(journal)
    assert SESSION_LIMIT - SEGMENT_SIZE < files_size(journal) <= SESSION_LIMIT
    for step in range(99):
        journal.append(row(step))
    journal.shelf.prepare(MAX_PREPARED)
    assert files_size(journal) <= SESSION_LIMIT
    assert (journal.dropped_rows, journal.dropped_points) == (100, 200)
    assert (journal.seq, journal.points) == (kept + 100, 2 * kept + 200)
    assert read_journal(folder(journal)).seqs == list(range(kept))
    told = (folder(journal) / DROPPED).read_bytes()
    assert (int.from_bytes(told[:8], "little"), int.from_bytes(told[8:16], "little")) == (100, 200)


def test_a_gap_is_told_by_the_next_segment(journal: Journal) -> None:
    """Once there is room again the rows go on, and the totals say exactly how many rows and points are missing."""
    kept = fill(journal)
    for _ in range(41):
        journal.append(row(0))
    journal.append(event(0))
    journal.shelf.let_go(kept)
    journal.append(row(7))
    found = read_journal(folder(journal))
    assert [row.step for row in found.rows][-1] == 7
    assert (found.seq, found.points) == (journal.seq, journal.points)
    last = read_segments(folder(journal))[-1].header
    assert (last.first_seq, last.first_point) == (kept + 43, 2 * kept + 84)


def test_what_is_stored_is_unlinked(journal: Journal) -> None:
    """Sealed segments that hold nothing above the seq go, the others and the current one stay."""
    for step in range(30_000):
        journal.append(row(step))
    ends = [segment.end_seq for segment in journal.shelf.sealed]
    assert len(ends) > 3
    held = journal.shelf.held
    journal.shelf.let_go(ends[0] - 1)
    assert len(journal.shelf.sealed) == len(ends)
    journal.shelf.let_go(ends[1])
    assert len(journal.shelf.sealed) == len(ends) - 2
    assert journal.shelf.held == held - 2 * SEGMENT_SIZE == files_size(journal)
    journal.shelf.let_go(1 << 60)
    assert len(read_segments(folder(journal))) == 1
    assert read_journal(folder(journal)).seq == 30_000


def test_files_are_never_cut_or_used_again(journal: Journal) -> None:
    """Whatever happens, a segment's file keeps its size and its inode until it is unlinked."""
    sizes: dict[int, set[int]] = {}
    for step in range(40_000):
        journal.append(row(step))
        if step % 1000 == 0:
            for path in folder(journal).glob("*.seg"):
                found = path.stat()
                sizes.setdefault(found.st_ino, set()).add(found.st_size)
            journal.shelf.let_go(journal.seq - 5000)
    assert set().union(*sizes.values()) == {SEGMENT_SIZE}


def test_on_a_disk_a_call_makes_no_file(tmp_path: Path) -> None:
    """Allocating may wait for the disk: what finds no prepared segment is dropped, and the link prepares the next."""
    journal = Journal(Root(str(tmp_path), False), SESSION, HELLO)
    kept = fill(journal)
    assert files_size(journal) == SEGMENT_SIZE
    assert journal.shelf.made_late == 0
    journal.shelf.prepare(2)
    assert files_size(journal) == 3 * SEGMENT_SIZE
    journal.append(row(5))
    found = read_journal(folder(journal))
    assert found.gaps == [(kept, kept + 1)]
    assert found.lost_points == 2
    assert found.rows[-1].step == 5
    journal.close()


def test_the_last_words_find_room(tmp_path: Path) -> None:
    """How a run ended is kept even where the journal is full, on a disk as well."""
    for memory in (True, False):
        root = tmp_path / str(memory)
        journal = Journal(Root(str(root), memory), SESSION, HELLO)
        fill(journal)
        journal.shelf.spare = SPARE
        journal.append(event(1))
        assert [found.kind for found in read_journal(folder(journal)).events] == ["text"]
        journal.close()


def test_no_room_is_refused_before_anything_is_made(memory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a tenth of what is free is less than one segment, no journal is begun, and nothing is left there."""

    class Full:
        f_bavail = (SEGMENT_SIZE * 10 - 4096) // 4096
        f_frsize = 4096

    monkeypatch.setattr(os, "statvfs", lambda path: Full)
    with pytest.raises(OSError, match="a tenth of what is free"):
        Journal(Root(str(memory), True), SESSION, HELLO)
    assert list((memory / "journals").iterdir()) == []


def test_a_folder_has_a_limit_for_all(memory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where journals hold the folder's limit no other is begun, and those that are there get two segments at most."""
    monkeypatch.setattr("wayside.shelf.FOLDER_LIMIT", 10 * SEGMENT_SIZE)
    journals = [Journal(Root(str(memory), True), f"{number:032x}", HELLO) for number in range(3)]
    for journal in journals:
        for step in range(30_000):
            journal.append(row(step))
            if step % 500 == 0:
                journal.shelf.prepare(2)
    total = sum(map(files_size, journals))
    assert total <= 10 * SEGMENT_SIZE + 3 * 2 * SEGMENT_SIZE
    assert all(files_size(journal) >= 2 * SEGMENT_SIZE for journal in journals)
    with pytest.raises(OSError, match="the limit"):
        Journal(Root(str(memory), True), "f" * 32, HELLO)
    for journal in journals:
        journal.close()


def test_segments_are_prepared_ahead(journal: Journal) -> None:
    """As many as asked for, up to MAX_PREPARED, and calls use them instead of making their own."""
    journal.shelf.prepare(100)
    assert len(list(folder(journal).glob("*.seg"))) == 1 + MAX_PREPARED
    for step in range(25_000):
        journal.append(row(step))
    assert len(read_segments(folder(journal))) > 3
    assert journal.shelf.made_late == 0
    journal.shelf.prepare(1)
    assert len(list(folder(journal).glob("*.seg"))) == 1 + MAX_PREPARED


# --- re-entry ------------------------------------------------------------------------------------------------------


class Chatty:
    """A number of a row that logs when it is packed: what a signal handler or `__del__` does in the middle."""

    def __init__(self, journal: Journal, times: int) -> None:
        self.journal, self.times = journal, times

    def __float__(self) -> float:
        for step in range(self.times):
            self.journal.append(row(1000 + step))
        return 0.5


def test_a_call_inside_a_call_is_written_after_it(journal: Journal) -> None:
    """No row overtakes the one it came into, and none is lost."""
    journal.append(Frame(NAMES, (Chatty(journal, 3), 1.0), 1.0, 7, 1, b""))  # type: ignore[arg-type]
    journal.append(row(8))
    assert [found.step for found in read_journal(folder(journal)).rows] == [7, 1000, 1001, 1002, 8]


def test_calls_inside_a_call_have_a_limit(journal: Journal) -> None:
    """More than SIDE_LIMIT of them: the rest is dropped, and told as a gap that ends where rows go on."""
    journal.append(Frame(NAMES, (Chatty(journal, SIDE_LIMIT + 30), 1.0), 1.0, 7, 1, b""))  # type: ignore[arg-type]
    journal.append(row(8))
    found = read_journal(folder(journal))
    assert [row.step for row in found.rows] == [7, *range(1000, 1000 + SIDE_LIMIT), 8]
    assert found.gaps == [(1 + SIDE_LIMIT, 31 + SIDE_LIMIT)]
    assert found.lost_points == 60
    assert (journal.dropped_rows, journal.dropped_points) == (30, 60)
    assert (found.seq, found.points) == (journal.seq, journal.points)


# --- deleted, closed, inherited ------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["the same", "another"])
def test_a_deleted_folder_loses_nothing(journal: Journal, tmp_path: Path, place: str) -> None:
    """Rows of before, sealed and not, come back in the new folder, and those after it follow; also when that has the
    old one's name.
    """
    root = tmp_path / "new" if place == "another" else Path(journal.shelf.root.path)
    for step in range(15_000):
        journal.append(row(step))
    old = folder(journal)
    for path in old.iterdir():
        path.unlink()
    old.rmdir()
    assert not journal.shelf.folder.exists()
    journal.append(row(15_000))
    journal.relocate(Root(str(root), True))
    journal.append(row(15_001))
    assert len(journal.shelf.strays()) > 1
    journal.shelf.move_strays()
    assert journal.shelf.strays() == []
    found = read_journal(folder(journal))
    assert [row.step for row in found.rows] == list(range(15_002))
    assert folder(journal).parent == root / "journals"
    assert journal.shelf.held >= files_size(journal)
    journal.shelf.let_go(journal.seq)
    assert journal.shelf.held == files_size(journal)


def test_a_move_without_room_can_be_tried_again(journal: Journal, tmp_path: Path) -> None:
    """What could not be copied stays readable where it is, and goes the next time."""
    for step in range(15_000):
        journal.append(row(step))
    for path in folder(journal).iterdir():
        path.unlink()
    folder(journal).rmdir()
    with pytest.raises(OSError, match="File exists"):
        journal.relocate(Root("/dev/null/x", True))
    assert not journal.shelf.folder.exists()
    journal.relocate(Root(str(tmp_path / "new"), True))
    taken = folder(journal) / Path(journal.shelf.strays()[1].path).name
    taken.touch()
    with pytest.raises(FileExistsError):
        journal.shelf.move_strays()
    assert len(journal.shelf.strays()) == len(journal.shelf.sealed) - 1
    taken.unlink()
    journal.shelf.move_strays()
    assert [row.step for row in read_journal(folder(journal)).rows] == list(range(15_000))


def test_a_closed_journal_takes_nothing(memory: Path) -> None:
    """It says so, leaves its rows for the collector, sealed, without prepared files, and its lock is free."""
    journal = Journal(Root(str(memory), True), SESSION, HELLO)
    journal.append(row(0))
    journal.shelf.prepare(3)
    where = folder(journal)
    journal.close()
    assert not journal.append(row(1))
    (segment,) = read_segments(where)
    assert segment.header.sealed
    assert len(list(where.glob("*.seg"))) == 1
    assert [found.step for found in segment.frames().rows] == [0]
    journal.close()


def test_an_empty_journal_leaves_nothing(memory: Path) -> None:
    """When all is let go, closing removes the folder."""
    journal = Journal(Root(str(memory), True), SESSION, HELLO)
    journal.append(row(0))
    journal.seal()
    journal.shelf.let_go(1)
    journal.close()
    assert list((memory / "journals").iterdir()) == []


def test_an_inherited_journal_is_dropped_without_a_trace(journal: Journal) -> None:
    """As a forked child does: nothing of it is written or unlinked, no descriptor is kept, and it takes no more."""
    for step in range(9000):
        journal.append(row(step))
    journal.shelf.prepare(2)
    where = str(folder(journal))
    before = {path: path.read_bytes() for path in folder(journal).glob("*.seg")}
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        journal.abandon()
        opened = [os.readlink(f"/proc/self/fd/{fd}") for fd in range(256) if os.path.lexists(f"/proc/self/fd/{fd}")]
        mapped = Path("/proc/self/maps").read_text()
        told = (journal.append(row(1)), where in " ".join(opened), where in mapped)
        os.write(write, repr(told).encode())
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(read, 100).decode() == "(False, False, False)"
    os.close(read)
    os.close(write)
    assert {path: path.read_bytes() for path in folder(journal).glob("*.seg")} == before
    assert journal.append(row(9000))
    assert read_journal(folder(journal)).seq == 9001


def test_many_threads_share_one_sequence(journal: Journal) -> None:
    """Eight threads, rows and events: each has a seq of its own, none missing, and each thread's in order."""
    barrier = threading.Barrier(8)

    def work(thread: int) -> None:
        barrier.wait()
        for step in range(1500):
            journal.append(event(thread * 10_000 + step) if step % 50 == 0 else row(thread * 10_000 + step))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = read_journal(folder(journal))
    assert found.seqs == list(range(12_000))
    records = sorted([*found.rows, *found.events])
    for number in range(8):
        steps = [record.step for record in records if record.step // 10_000 == number]  # type: ignore[operator]
        assert steps == [number * 10_000 + step for step in range(1500)]


def test_the_link_never_waits_for_a_lock_that_nobody_gives_back(journal: Journal) -> None:
    """A thread torn away while it held the lock: what the link does returns, undone, and the files stay."""
    journal.append(row(0))
    taken = threading.Event()
    release = threading.Event()

    def hold() -> None:
        with journal.lock:
            taken.set()
            release.wait(60)

    thread = threading.Thread(target=hold)
    thread.start()
    taken.wait(60)
    journal.left = True
    journal.rescue()
    journal.seal()
    journal.close()
    assert not journal.closed
    release.set()
    thread.join()
    journal.rescue()
    assert not journal.left
    assert read_journal(folder(journal)).seq == 1
