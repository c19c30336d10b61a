"""The files of a journal: how a segment is made, and the lock that tells its owner's death.

A session's journal is a folder `<root>/journals/<session id>/` holding `lock` and the segments `<number of the
file>.seg`. The file's number is only a name: a segment's place in the sequence stands in its header, and a file whose
header is still zero was prepared and not yet used.

- Segments are allocated with `posix_fallocate` (writing into a hole of a full disk is SIGBUS), and never truncated,
  punched or used again, only unlinked.
- The lock is a POSIX lock (`fcntl.lockf`) on a file nothing else in the process opens: unlike `flock` and unlike an
  open socket it does not live on in forked workers, so it is gone exactly when the owner is.
- Modes are set by `chmod`, since the umask takes away the write bit that lets a collector of the same group tidy up.
"""

import contextlib
import mmap
import os
import stat
import sys
from typing import NamedTuple

if sys.platform != "win32":  # there nothing is journaled
    import fcntl

from .wire import HEADER_SIZE, MAGIC, POSITION_WORD, SEALED_WORD, SegmentHeader

SEGMENT_SIZE = 256 << 10  #: bytes: one lasts milliseconds in a tight loop, and costs little when a session logs rarely
FOLDER_MODE = 0o2770
FILE_MODE = 0o660
JOURNALS = "journals"
DROPPED = "dropped"

POSSIBLE = hasattr(os, "posix_fallocate")  #: whether this system can hold a journal: Linux; neither macOS nor Windows
_POPULATE = 0x8000 if sys.platform == "linux" else 0  # mmap.MAP_POPULATE, which Python names only from 3.10 on
_MAGIC_WORD = int.from_bytes(MAGIC, "little")


class Segment:
    """One mapped segment file. `words` are its u64 words: the committed position is `words[POSITION_WORD]`.

    first_seq, end_seq: the seqs it holds, `end_seq` known once it is sealed. begun, sealed: where it is in its life; a
    segment that is only prepared is neither.
    """

    __slots__ = ("begun", "end_seq", "fd", "first_seq", "map", "number", "path", "sealed", "size", "words")

    def __init__(self, folder: str, name: int, size: int = SEGMENT_SIZE) -> None:
        """Allocate and map a new file; raises OSError, leaving nothing behind."""
        self.path = os.path.join(folder, f"{name:08d}.seg")
        self.size = size
        self.number = self.first_seq = self.end_seq = -1
        self.begun = self.sealed = False
        self.fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)
        try:
            os.fchmod(self.fd, FILE_MODE)
            os.posix_fallocate(self.fd, 0, size)
            self.map = mmap.mmap(self.fd, size, flags=mmap.MAP_SHARED | _POPULATE)
        except BaseException:
            os.close(self.fd)
            os.unlink(self.path)
            raise
        self.words = memoryview(self.map).cast("Q")

    def begin(self, header: SegmentHeader, frames: bytes) -> None:
        """Write the header and the first frames; the magic goes last, since a file without it is not yet a segment.
        Cut short by an exception, it may be done again.
        """
        self.number, self.first_seq = header.number, header.first_seq
        packed = header._replace(position=HEADER_SIZE + len(frames)).pack()
        self.map[8:HEADER_SIZE] = packed[8:]
        self.map[HEADER_SIZE : HEADER_SIZE + len(frames)] = frames
        self.words[0] = _MAGIC_WORD
        self.begun = True

    @property
    def position(self) -> int:
        """Committed bytes; HEADER_SIZE or more once begun."""
        return self.words[POSITION_WORD] if not self.map.closed else int.from_bytes(os.pread(self.fd, 8, 8), "little")

    def read(self, start: int, end: int) -> bytes:
        """Bytes of the file."""
        return bytes(self.map[start:end]) if not self.map.closed else os.pread(self.fd, end - start, start)

    def seal(self, end_seq: int) -> None:
        """Declare the position final. Cut short by an exception, it may be done again."""
        self.end_seq = end_seq
        self.sealed = True
        self.words[SEALED_WORD] = 1

    def lies_in(self, folder: str) -> bool:
        """Whether its file is to be found in this folder: the name alone does not tell, when the folder was deleted and
        made again.
        """
        return os.path.dirname(self.path) == folder and os.fstat(self.fd).st_nlink > 0

    def unmap(self) -> None:
        """Give the mapping back; the file and its descriptor stay."""
        self.words.release()
        self.map.close()

    def move_to(self, folder: str) -> None:
        """Write the committed bytes to a new file of the same name in `folder`, read through the descriptor that
        outlives the deleted name; the mapping is given back. Raises OSError, and then nothing has changed.
        """
        data = self.read(0, self.position)
        path = os.path.join(folder, os.path.basename(self.path))
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)
        try:
            os.fchmod(fd, FILE_MODE)
            write_frames(fd, data, 0)
            if self.sealed:
                write_seal(fd)
        except BaseException:
            os.close(fd)
            os.unlink(path)
            raise
        if not self.map.closed:
            self.unmap()
        os.close(self.fd)
        self.fd, self.path = fd, path

    def close(self, *, unlink: bool) -> None:
        """Let the segment go, or leave its file for the collector."""
        if not self.map.closed:
            self.unmap()
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1
        if unlink:
            with contextlib.suppress(OSError):
                os.unlink(self.path)


def write_frames(fd: int, data: bytes, start: int) -> None:
    """Bring a plain copy of a segment from `start` on up to date, not sealed: the bytes first, the position that
    covers them last. Raises OSError, and may be done again.
    """
    position = (start + len(data)).to_bytes(8, "little")
    if start == 0:
        data = data[:8] + bytes(16) + data[24:]
    written = 0
    while written < len(data):
        written += os.pwrite(fd, data[written:], start + written)
    os.pwrite(fd, position, 8 * POSITION_WORD)


def write_seal(fd: int) -> None:
    """Declare a copy final."""
    os.pwrite(fd, b"\x01", 8 * SEALED_WORD)


def boot_id() -> bytes:
    """Sixteen bytes that change with each boot of the machine; zeros where the system does not tell."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return bytes.fromhex(file.read().strip().replace("-", ""))
    except (OSError, ValueError):
        return bytes(16)


def make_folder(root: str, session: str) -> "JournalFolder":
    """A new journal folder below `root`, locked by this process; raises OSError.

    It is built under a temporary name and renamed into place once the lock is held, so that a reader never meets a live
    journal whose lock is free.
    """
    journals = os.path.join(root, JOURNALS)
    final = os.path.join(journals, session)
    building = os.path.join(journals, f".{session}.{os.getpid()}")
    try:
        _make_building(root, building)
    except FileNotFoundError:  # somebody who left removed the folders just now, since they were empty
        _make_building(root, building)
    try:
        os.chmod(building, FOLDER_MODE)
        lock = os.open(os.path.join(building, "lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
        try:
            os.fchmod(lock, FILE_MODE)
            fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.write(lock, f"{os.getpid()}\n".encode())
            os.rename(building, final)
        except BaseException:
            os.close(lock)
            raise
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(os.path.join(building, "lock"))
        with contextlib.suppress(OSError):
            os.rmdir(building)
        raise
    return JournalFolder(final, lock)


def _make_building(root: str, building: str) -> None:
    make_own(root)
    make_own(os.path.dirname(building))
    os.mkdir(building, 0o770)


class DroppedFile:
    """`dropped` in a journal's folder: how many rows and points the session dropped so far, as two u64. A gap between
    two segments tells the same, but a process that is killed while it drops never begins the next segment.
    """

    def __init__(self, folder: str) -> None:
        """Allocate and map it; raises OSError."""
        fd = os.open(os.path.join(folder, DROPPED), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
        try:
            os.fchmod(fd, FILE_MODE)
            os.posix_fallocate(fd, 0, mmap.PAGESIZE)
            self._map = mmap.mmap(fd, mmap.PAGESIZE, flags=mmap.MAP_SHARED | _POPULATE)
        finally:
            os.close(fd)
        self._words = memoryview(self._map).cast("Q")

    def tell(self, rows: int, points: int) -> None:
        """The session's totals, each stored in one piece."""
        self._words[0] = rows
        self._words[1] = points

    def close(self) -> None:
        self._words.release()
        self._map.close()


class JournalFolder(NamedTuple):
    """A journal's folder and the descriptor that holds its lock."""

    path: str
    lock: int

    def remove(self) -> None:
        """Remove the folder, unless it holds a segment: that must not be without a lock and an account of drops."""
        with contextlib.suppress(OSError):
            if not {"lock", DROPPED}.issuperset(os.listdir(self.path)):
                return
            for name in os.listdir(self.path):
                os.unlink(os.path.join(self.path, name))
            os.rmdir(self.path)

    def release(self) -> None:
        """Let go of the lock."""
        with contextlib.suppress(OSError):
            os.close(self.lock)

    def exists(self) -> bool:
        """Whether the lock file is still there: a folder deleted under its owner is begun anew."""
        return os.fstat(self.lock).st_nlink > 0


def make_own(path: str) -> None:
    """A folder that is ours, or that its owner lets our group use; anything else is refused (a planted folder or
    link).
    """
    os.makedirs(os.path.dirname(path), exist_ok=True)
    try:
        os.mkdir(path, 0o770)
        os.chmod(path, FOLDER_MODE)
    except FileExistsError:
        found = os.lstat(path)
        if stat.S_ISLNK(found.st_mode) or not stat.S_ISDIR(found.st_mode):
            raise NotADirectoryError(f"{path} is not a folder") from None
        if not os.access(path, os.W_OK | os.X_OK):
            raise PermissionError(f"{path} cannot be written by this user") from None
        if found.st_uid not in (os.geteuid(), 0) and found.st_mode & stat.S_IWOTH and not found.st_mode & stat.S_ISVTX:
            raise PermissionError(f"{path} belongs to another user and anyone may write there") from None
