"""A journal's files: allocated and never cut, with modes of their own, and a lock that dies with its owner."""

import errno
import mmap
import os
import resource
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from standins.journal_reading import read_segments
from wayside import wire
from wayside.segments import DROPPED, SEGMENT_SIZE, DroppedFile, Segment, boot_id, make_folder, write_frames, write_seal

SESSION = "0123456789abcdef" * 2
HEADER = wire.SegmentHeader(0, False, 4, 100, 1000, boot_id(), bytes.fromhex(SESSION))
ROW = wire.row_frame(0, 1.0, 2, [0.5])


@pytest.fixture
def umask() -> object:
    """The strictest umask there is."""
    before = os.umask(0o077)
    yield None
    os.umask(before)


def held_by_others(path: Path) -> bool:
    """Whether another process holds the lock: asked from one, since a process never conflicts with itself."""
    code = "import fcntl, sys; fcntl.lockf(open(sys.argv[1], 'r+'), fcntl.LOCK_EX | fcntl.LOCK_NB)"
    asked = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True)
    assert asked.returncode == 0 or "BlockingIOError" in asked.stderr, asked.stderr
    return asked.returncode != 0


def test_a_segment_is_really_allocated(tmp_path: Path) -> None:
    """Every block is there before the first byte is written: a hole on a full disk would be SIGBUS."""
    segment = Segment(str(tmp_path), 3)
    found = os.stat(segment.path)
    assert Path(segment.path).name == "00000003.seg"
    assert found.st_size == SEGMENT_SIZE
    assert found.st_blocks * 512 >= SEGMENT_SIZE
    segment.close(unlink=True)
    assert list(tmp_path.iterdir()) == []


def test_no_room_leaves_nothing_behind(tmp_path: Path) -> None:
    """Where the file cannot be allocated there is an OSError, no file, and no descriptor left open."""
    before = len(os.listdir("/proc/self/fd"))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large") as caught:
            Segment(str(tmp_path), 0)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, ignored)
    assert caught.value.errno == errno.EFBIG
    assert list(tmp_path.iterdir()) == []
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_segment_begins_with_its_magic_last(tmp_path: Path) -> None:
    """Until it is begun its first word is zero, whatever else is there; then it is a whole segment."""
    segment = Segment(str(tmp_path), 0)
    assert Path(segment.path).read_bytes() == bytes(SEGMENT_SIZE)
    assert read_segments(tmp_path) == []
    segment.begin(HEADER, ROW)
    (found,) = read_segments(tmp_path)
    assert found.header == HEADER._replace(position=wire.HEADER_SIZE + len(ROW))
    assert found.data[wire.HEADER_SIZE :] == ROW
    assert (segment.begun, segment.sealed, segment.number, segment.first_seq) == (True, False, 4, 100)
    assert segment.position == wire.HEADER_SIZE + len(ROW)
    segment.seal(101)
    assert read_segments(tmp_path)[0].header.sealed
    assert segment.end_seq == 101
    segment.close(unlink=True)


def test_a_segment_can_be_begun_and_sealed_again(tmp_path: Path) -> None:
    """What was cut short by an exception is done again with the same outcome."""
    segment = Segment(str(tmp_path), 0)
    for _ in range(2):
        segment.begin(HEADER, ROW)
        segment.seal(101)
    (found,) = read_segments(tmp_path)
    assert found.header == HEADER._replace(position=wire.HEADER_SIZE + len(ROW), sealed=True)
    segment.close(unlink=True)


def test_a_segment_is_read_without_its_mapping(tmp_path: Path) -> None:
    """Position and bytes are the same once the mapping is given back, and after the name is gone."""
    segment = Segment(str(tmp_path), 0)
    segment.begin(HEADER, ROW)
    mapped = (segment.position, segment.read(0, segment.position))
    segment.unmap()
    assert (segment.position, segment.read(0, segment.position)) == mapped
    os.unlink(segment.path)
    assert (segment.position, segment.read(0, segment.position)) == mapped
    segment.close(unlink=True)
    segment.close(unlink=True)


@pytest.mark.parametrize("sealed", [False, True])
@pytest.mark.parametrize("mapped", [False, True])
def test_a_deleted_segment_is_moved_with_all_it_holds(tmp_path: Path, mapped: bool, sealed: bool) -> None:
    """The committed bytes come back in another folder, sealed as they were."""
    old, new = tmp_path / "old", tmp_path / "new"
    old.mkdir()
    new.mkdir()
    segment = Segment(str(old), 0)
    segment.begin(HEADER, ROW * 5)
    if sealed:
        segment.seal(105)
    if not mapped:
        segment.unmap()
    os.unlink(segment.path)
    segment.move_to(str(new))
    (found,) = read_segments(new)
    assert found.header == HEADER._replace(position=wire.HEADER_SIZE + 5 * len(ROW), sealed=sealed)
    assert found.data[wire.HEADER_SIZE :] == ROW * 5
    assert segment.read(0, segment.position) == found.data
    assert list(old.iterdir()) == []
    segment.close(unlink=True)
    assert list(new.iterdir()) == []


def test_a_move_that_fails_changes_nothing(tmp_path: Path) -> None:
    """The segment still reads from its deleted file, and nothing half-done is left."""
    segment = Segment(str(tmp_path), 0)
    segment.begin(HEADER, ROW)
    with pytest.raises(FileNotFoundError):
        segment.move_to(str(tmp_path / "nowhere"))
    os.unlink(segment.path)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (16, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            segment.move_to(str(tmp_path))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, ignored)
    assert list(tmp_path.iterdir()) == []
    assert segment.read(wire.HEADER_SIZE, segment.position) == ROW
    segment.move_to(str(tmp_path))
    assert read_segments(tmp_path)[0].data[wire.HEADER_SIZE :] == ROW
    segment.close(unlink=True)


def test_a_copy_is_never_ahead_of_its_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy is written bytes first, position after them, sealed at the very end; in pieces as well."""
    segment = Segment(str(tmp_path), 0)
    segment.begin(HEADER, ROW * 2)
    segment.seal(102)
    data = segment.read(0, segment.position)
    copy = tmp_path / "copy"
    fd = os.open(copy, os.O_RDWR | os.O_CREAT)
    calls: list[tuple[bytes, int]] = []

    def write_some(fd: int, data: bytes, offset: int, write: Callable[[int, bytes, int], int] = os.pwrite) -> int:
        calls.append((data, offset))
        return write(fd, data[:50], offset)  # as a disk that takes a little at a time

    monkeypatch.setattr(os, "pwrite", write_some)
    middle = wire.HEADER_SIZE + len(ROW)
    write_frames(fd, data[:middle], 0)
    assert wire.read_segment_header(copy.read_bytes())[:2] == (middle, False)
    write_frames(fd, data[middle:], middle)
    assert wire.read_segment_header(copy.read_bytes())[:2] == (len(data), False)
    write_seal(fd)
    monkeypatch.undo()
    assert copy.read_bytes() == data
    assert [offset for _, offset in calls] == [0, 50, 100, 150, 8, middle, 8, 16]
    os.close(fd)
    segment.close(unlink=True)


@pytest.mark.usefixtures("umask")
def test_modes_are_the_groups_too(tmp_path: Path) -> None:
    """Under the strictest umask a collector of the same group can read and tidy up, and nobody else can."""
    folder = make_folder(str(tmp_path / "root"), SESSION)
    segment = Segment(folder.path, 0)
    dropped = DroppedFile(folder.path)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in Path(folder.path).iterdir()}
    assert modes == {"lock": 0o660, "00000000.seg": 0o660, DROPPED: 0o660}
    for path in (tmp_path / "root", tmp_path / "root/journals", Path(folder.path)):
        assert stat.S_IMODE(path.stat().st_mode) == 0o2770
    dropped.close()
    segment.close(unlink=True)
    folder.remove()
    folder.release()
    assert list((tmp_path / "root/journals").iterdir()) == []


def test_a_folder_appears_with_its_lock_held(tmp_path: Path) -> None:
    """It is built and locked under another name, which is no session's: no reader meets a live one without a lock."""
    code = """
import os, sys
from wayside.segments import make_folder
steps = []
def hear(event, values):
    if event in ("os.mkdir", "open", "fcntl.lockf", "os.rename"):
        steps.append((event, [os.path.basename(value) for value in values if isinstance(value, str)]))
sys.addaudithook(hear)
make_folder(sys.argv[1], sys.argv[2])
for event, names in steps:
    sys.stdout.write(f"{event} {' '.join(names)}\\n")
"""
    told = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path), SESSION], check=True, capture_output=True, text=True
    ).stdout.splitlines()
    building = told[-4].split()[1]
    assert building.startswith("." + SESSION)
    assert told[-4:] == [f"os.mkdir {building}", "open lock", "fcntl.lockf ", f"os.rename {building} {SESSION}"]


def test_a_session_has_one_folder(tmp_path: Path) -> None:
    """A second one of the same session is refused, and what was begun for it is gone."""
    folder = make_folder(str(tmp_path), SESSION)
    (Path(folder.path) / "x").touch()
    with pytest.raises(OSError, match="not empty"):
        make_folder(str(tmp_path), SESSION)
    assert [path.name for path in (tmp_path / "journals").iterdir()] == [SESSION]
    folder.release()


@pytest.mark.parametrize("kind", ["file", "link"])
def test_a_planted_root_is_refused(tmp_path: Path, kind: str) -> None:
    """Where a root should be and something else is, nothing is written."""
    root = tmp_path / "root"
    target = tmp_path / "elsewhere"
    target.mkdir()
    root.touch() if kind == "file" else root.symlink_to(target)
    with pytest.raises(OSError, match=r"is not a folder|File exists"):
        make_folder(str(root), SESSION)
    assert list(target.iterdir()) == []


def test_parents_are_made(tmp_path: Path) -> None:
    """WAYSIDE_DIR may name a folder that is several levels away."""
    folder = make_folder(str(tmp_path / "a/b/c"), SESSION)
    assert Path(folder.path) == tmp_path / "a/b/c/journals" / SESSION
    folder.release()


def test_the_lock_is_not_inherited(tmp_path: Path) -> None:
    """A forked child that outlives its parent does not hold the parent's lock; an open descriptor is not enough."""
    code = """
import os, sys, time
from wayside.segments import make_folder
folder = make_folder(sys.argv[1], sys.argv[2])
read, write = os.pipe()
if os.fork() == 0:
    os.close(write)
    os.read(read, 1)                      # the parent's end
    print("orphan", flush=True)
    sys.stdin.readline()
    os._exit(0)
print("parent", flush=True)
sys.stdin.readline()
os._exit(0)
"""
    command = [sys.executable, "-c", code, str(tmp_path), SESSION]
    lock = tmp_path / "journals" / SESSION / "lock"
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == "parent\n"
        assert held_by_others(lock)
        process.stdin.write("\n")
        process.stdin.flush()
        assert process.stdout.readline() == "orphan\n"
        assert process.wait(10) == 0
        assert not held_by_others(lock)
        process.stdin.write("\n")
        process.stdin.close()
        process.stdout.read()


def test_the_lock_outlives_descriptors_of_others(tmp_path: Path) -> None:
    """Reading a segment, listing the folder, asking for the lock from outside: none of it lets the lock go."""
    folder = make_folder(str(tmp_path), SESSION)
    segment = Segment(folder.path, 0)
    segment.begin(HEADER, ROW)
    read_segments(Path(folder.path))
    assert held_by_others(Path(folder.path) / "lock")
    segment.close(unlink=True)
    assert held_by_others(Path(folder.path) / "lock")
    folder.release()
    assert not held_by_others(Path(folder.path) / "lock")


def test_a_deleted_folder_is_noticed(tmp_path: Path) -> None:
    """By the lock file's last name, whoever removed it."""
    folder = make_folder(str(tmp_path), SESSION)
    assert folder.exists()
    os.unlink(Path(folder.path) / "lock")
    assert not folder.exists()
    folder.release()


def test_drops_are_told_in_a_file(tmp_path: Path) -> None:
    """Two numbers, each stored in one piece, that survive their owner."""
    dropped = DroppedFile(str(tmp_path))
    assert (tmp_path / DROPPED).read_bytes()[:16] == bytes(16)
    dropped.tell(3, 1 << 40)
    dropped.close()
    data = (tmp_path / DROPPED).read_bytes()
    assert len(data) == mmap.PAGESIZE
    assert (int.from_bytes(data[:8], "little"), int.from_bytes(data[8:16], "little")) == (3, 1 << 40)


def test_the_boot_id_is_the_machines() -> None:
    """Sixteen bytes, the same each time."""
    assert len(boot_id()) == 16
    assert boot_id() == boot_id() != bytes(16)
