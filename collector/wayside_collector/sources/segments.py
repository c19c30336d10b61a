"""Reading journals on disk: segments by number, what is committed in them, and whether their owner still lives.

Files are read with `pread`, never mapped: a peer that truncates its file must not be our SIGBUS. Nothing here decides
what the bytes mean; `sources/journal.py` does.
"""

import contextlib
import enum
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

    def unlink(self) -> None:
        """Remove the file, if it still is the one that was read. Raises OSError."""
        with journal_folder(self.path.parent) as folder:
            remove_same(folder, self.path.name, self.fd)

    def close(self) -> None:
        os.close(self.fd)


def open_segment(path: Path) -> OpenSegment | None:
    """A segment that has been begun; None for one only prepared, or gone. Raises wire.WireError for what is no
    segment, and OSError.
    """
    with journal_folder(path.parent) as folder:
        return read_segment(folder, path)


def read_segment(folder: int, path: Path) -> OpenSegment | None:
    """The same in a folder that is open."""
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
        segment = find_segment([journal], 0)
        if segment is None:
            return {}
        with contextlib.closing(segment):
            data = os.pread(segment.fd, wire.MAX_FRAME, wire.HEADER_SIZE)
        record = wire.read_json(data, wire.scan(data).spans[0])
    except (OSError, wire.WireError, IndexError):
        return {}
    return record if isinstance(record, dict) else {}


def find_segment(folders: list[Path], number: int) -> OpenSegment | None:
    """The begun segment with the lowest number that is at least `number`; of two copies the one with more in it.

    A file that is no segment is left where it is and not looked at again by this call.
    """
    best: OpenSegment | None = None
    for folder in folders:
        for found in _begun_segments(folder):
            if found.header.number < number or (best is not None and not _better(found, best)):
                found.close()
                continue
            if best is not None:
                best.close()
            best = found
    return best


def _begun_segments(folder: Path) -> Iterator[OpenSegment]:
    """Each that this folder's session has begun, opened."""
    with contextlib.suppress(OSError), journal_folder(folder) as opened:
        for name in sorted(name for name in os.listdir(opened) if name.endswith(".seg")):
            try:
                found = read_segment(opened, folder / name)
            except (OSError, wire.WireError):
                continue
            if found is None:
                continue
            if found.header.session.hex() == folder.name:
                yield found
            else:
                found.close()


def _better(one: OpenSegment, other: OpenSegment) -> bool:
    if one.header.number != other.header.number:
        return one.header.number < other.header.number
    return one.committed()[0] > other.committed()[0]


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
