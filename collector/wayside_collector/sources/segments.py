"""Reading journals on disk: segments by number, what is committed in them, and whether their owner still lives.

Files are read with `pread`, never mapped: a peer that truncates its file must not be our SIGBUS. Nothing here decides
what the bytes mean; `sources/journal.py` does.
"""

import contextlib
import enum
import errno
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wayside import wire
from wayside.segments import DROPPED, JOURNALS

from ..spool.lock import is_held
from .confined import journal_folder, open_plain, remove_same

PAGE = 4096
#: Errors that say nothing about a file: what cannot be read now may be readable later, and is not taken for absent.
PASSING = frozenset({errno.EIO, errno.ESTALE, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ETIMEDOUT})
MAX_SEGMENT = 2 * wire.MAX_FRAME  #: bytes of a file: a segment holds 256 KiB, or one frame that is larger


class Owner(enum.Enum):
    """Whether the process that writes a journal lives; UNKNOWN where there is no lock to ask, or none that we may
    ask.
    """

    LIVES = enum.auto()
    DEAD = enum.auto()
    UNKNOWN = enum.auto()


def owner_of(folder: Path) -> Owner:
    """Whether a process holds the journal's lock."""
    try:
        with journal_folder(folder) as opened:
            fd = open_plain(opened, "lock", os.O_RDWR)
    except OSError:
        return Owner.UNKNOWN
    try:
        return Owner.LIVES if is_held(fd) else Owner.DEAD
    except OSError:
        return Owner.UNKNOWN
    finally:
        os.close(fd)


@dataclass(slots=True)
class OpenSegment:
    """A segment being read. read: bytes taken so far."""

    path: Path
    fd: int
    header: wire.SegmentHeader
    read: int = wire.HEADER_SIZE

    def committed(self) -> tuple[int, bool]:
        """The committed position, and whether it is final."""
        data = os.pread(self.fd, 16, 8)
        sealed = data[8:] != bytes(8)
        if sealed:
            data = os.pread(self.fd, 8, 8)  # again: a position read before the seal may not be the last
        return max(wire.HEADER_SIZE, int.from_bytes(data[:8], "little")), sealed

    def bytes_to(self, position: int, most: int) -> bytes:
        return os.pread(self.fd, min(position - self.read, most), self.read)

    def record(self) -> dict[str, Any]:
        """The session's record, which opens each segment. Raises OSError, and wire.WireError where it is none."""
        data = os.pread(self.fd, wire.MAX_FRAME, wire.HEADER_SIZE)
        spans = wire.scan(data).spans
        found = wire.read_json(data, spans[0]) if spans else None
        if not isinstance(found, dict):
            raise wire.WireError("no session record opens it")
        return found

    def unlink(self) -> None:
        """Remove the file, if it still is the one that was read. Raises OSError."""
        with journal_folder(self.path.parent) as folder:
            remove_same(folder, self.path.name, self.fd)

    def close(self) -> None:
        os.close(self.fd)


def read_segment(folder: int, path: Path) -> OpenSegment | None:
    """A segment that has been begun, in its opened folder; None for one only prepared, or gone. Raises wire.WireError
    for what is no segment, and OSError.
    """
    try:
        fd = open_plain(folder, path.name)
    except FileNotFoundError:
        return None
    try:
        if os.fstat(fd).st_size > MAX_SEGMENT:
            raise wire.WireError(f"more than {MAX_SEGMENT} bytes, which no segment has")
        head = os.pread(fd, wire.HEADER_SIZE, 0)
        if not head.strip(b"\0") or head[:8] == bytes(8):
            os.close(fd)
            return None
        return OpenSegment(path, fd, wire.read_segment_header(head))
    except BaseException:
        os.close(fd)
        raise


def read_record(journal: Path) -> dict[str, Any]:
    """The session record that opens a journal; empty where there is none that can be read."""
    try:
        segment = any_segment(journal)
        if segment is None:
            return {}
        with contextlib.closing(segment):
            return segment.record()
    except (OSError, wire.WireError):
        return {}


@contextlib.contextmanager
def _where_allowed() -> Iterator[None]:
    """What is not there, or not to be opened, is passed over. Raises OSError where nobody can tell (`PASSING`)."""
    try:
        yield
    except OSError as problem:
        if problem.errno in PASSING:
            raise


def any_segment(folder: Path) -> OpenSegment | None:
    """One that this folder's session has begun, whichever: each opens with the session's record. Raises OSError."""
    with _where_allowed(), journal_folder(folder) as opened:
        for name in _segment_names(opened):
            found = _read_ours(opened, folder / name)
            if found is not None:
                return found
    return None


class Segments:
    """One journal's, in the folders where they may lie. Each file is opened once to learn its number, which never
    changes: a journal may have been kept for days, in thousands of files.
    """

    def __init__(self, folders: list[Path]) -> None:
        self._folders = folders
        self._numbers: dict[Path, dict[str, int]] = {}  # folder to the segments begun there, by file name
        self._places: dict[int, list[Path]] = {}  # the same the other way round

    def find(self, number: int) -> OpenSegment | None:
        """The begun segment with the lowest number that is at least `number`; of two copies the one with more in it.

        A file that is no segment is left where it is. Raises OSError.
        """
        return self._find_sealed(number) or self._search(number)

    def _find_sealed(self, number: int) -> OpenSegment | None:
        """The one of just this number, where its place is known and no copy can hold more."""
        for path in self._places.get(number, ()):
            found = self._open(path, number)
            if found is not None:
                with contextlib.ExitStack() as unless_sealed:
                    unless_sealed.callback(found.close)
                    if found.committed()[1]:
                        unless_sealed.pop_all()
                        return found
        return None

    def _search(self, number: int) -> OpenSegment | None:
        self._look()
        fullest = (self._fullest(known) for known in sorted(self._places) if known >= number)
        return next((found for found in fullest if found is not None), None)

    def _fullest(self, number: int) -> OpenSegment | None:
        opened: list[OpenSegment] = []
        best: OpenSegment | None = None
        try:
            for path in self._places[number]:
                if (found := self._open(path, number)) is not None:
                    opened.append(found)
            best = max(opened, key=lambda segment: segment.committed()[0], default=None)
            return best
        finally:
            for found in opened:
                if found is not best:
                    found.close()

    def _look(self) -> None:
        """Learn the numbers of files that are new, and forget those of files that are gone."""
        before, self._numbers, self._places = self._numbers, {}, {}
        for folder in self._folders:
            numbers = self._numbers[folder] = _numbers_in(folder, before.get(folder, {}))
            for name, number in numbers.items():
                self._places.setdefault(number, []).append(folder / name)

    def _open(self, path: Path, number: int) -> OpenSegment | None:
        """What still has this number."""
        with _where_allowed(), journal_folder(path.parent) as opened:
            found = _read_ours(opened, path)
            if found is None or found.header.number == number:
                return found
            found.close()
            self._numbers.get(path.parent, {}).pop(path.name, None)  # another one by that name: learnt at the next look
        return None


def _numbers_in(folder: Path, known: dict[str, int]) -> dict[str, int]:
    """The segments begun in a folder, by file name."""
    numbers: dict[str, int] = {}
    with _where_allowed(), journal_folder(folder) as opened:
        for name in _segment_names(opened):
            number = known.get(name)
            if number is None and (found := _read_ours(opened, folder / name)) is not None:
                number = found.header.number
                found.close()
            if number is not None:
                numbers[name] = number
    return numbers


def _segment_names(opened: int) -> list[str]:
    return sorted(name for name in os.listdir(opened) if name.endswith(".seg"))


def holds_frames(folder: Path) -> bool:
    """Whether anything was ever written into a journal that still lies there; also where nobody can tell."""
    try:
        with journal_folder(folder) as opened:
            return any(_is_begun(opened, folder / name) for name in _segment_names(opened))
    except FileNotFoundError:
        return False
    except OSError:
        return True


def _is_begun(opened: int, path: Path) -> bool:
    try:
        found = read_segment(opened, path)
    except wire.WireError:
        return True  # it is no segment, but not empty either
    if found is not None:
        found.close()
    return found is not None


def _read_ours(opened: int, path: Path) -> OpenSegment | None:
    """A segment that the folder's session has begun; None for anything else."""
    with _where_allowed(), contextlib.suppress(wire.WireError):
        found = read_segment(opened, path)
        if found is None or found.header.session.hex() == path.parent.name:
            return found
        found.close()
    return None


def read_dropped(folder: Path) -> tuple[int, int]:
    """Rows and points a session dropped in all, as its owner told last; zeros when it did not."""
    try:
        with journal_folder(folder) as opened:
            fd = open_plain(opened, DROPPED)
    except OSError:
        return 0, 0
    try:
        data = os.pread(fd, 16, 0)
    except OSError:
        return 0, 0
    finally:
        os.close(fd)
    return int.from_bytes(data[:8], "little"), int.from_bytes(data[8:16], "little")


def written_pages(data: bytes, start: int) -> int:
    """How many of these bytes, which begin at `start` of a file, come before the first page that was never written out.

    After a power loss a mapped page that did not reach the disk reads as zeros, although the position says otherwise.
    """
    first = -start % PAGE
    for page in range(first, len(data) - PAGE + 1, PAGE):
        if not any(data[page : page + PAGE]):
            return page
    return len(data)


def journal_folders(root: Path) -> list[Path]:
    """Every session's journal below a root."""
    try:
        names = os.listdir(root / JOURNALS)
    except OSError:
        return []
    return [root / JOURNALS / name for name in sorted(names) if len(name) == 32]
