"""Where a journal goes while there is no collector: plain files below WAYSIDE_DIR, on any filesystem.

Sealed segments move there, and of the segment being written a copy follows, a second behind. `wayside-collector sync`
delivers them later; a collector that comes back in time reads them where they lie, or has them sent over the socket.
"""

import contextlib
import os
from collections import deque
from typing import Deque, List, NamedTuple, Optional

from .segments import FILE_MODE, JOURNALS, JournalFolder, Segment, make_folder, write_frames, write_seal

KEPT_SHARE = 2  #: a session keeps at most half of what is free: as much as it holds stays free, however many there are


class KeptSegment(NamedTuple):
    """A sealed segment that lies below WAYSIDE_DIR."""

    path: str
    number: int
    first_seq: int
    end_seq: int
    size: int

    @property
    def position(self) -> int:
        """Committed bytes, all of the file."""
        return self.size

    def read(self, start: int, end: int) -> bytes:
        """Bytes of the file; raises OSError."""
        with open(self.path, "rb") as file:
            file.seek(start)
            return file.read(end - start)


class Keeper:
    """Moves one session's segments to disk, at most `limit` bytes of them. Only the link's thread uses it; each method
    may raise OSError and be called again.
    """

    def __init__(self, root: str, session: str, limit: int) -> None:
        self._root = root
        self._session = session
        self._limit = limit
        self.path = os.path.join(root, JOURNALS, session)  # where it will be, once something had to be kept
        self._folder: Optional[JournalFolder] = None
        self._tail: Optional[Segment] = None
        self._tail_fd = -1
        self._tail_end = 0
        self.segments: Deque[KeptSegment] = deque()
        self.bytes = 0

    def keep(self, segment: Segment) -> KeptSegment:
        """Write a sealed segment to disk and let its own file go."""
        self._make_folder()
        self._ask_for(segment.position)
        self.follow(segment)
        write_seal(self._tail_fd)
        os.fsync(self._tail_fd)
        kept = KeptSegment(self._copy_path(segment), segment.number, segment.first_seq, segment.end_seq, self._tail_end)
        self._close_tail()
        segment.close(unlink=True)
        self.segments.append(kept)
        self.bytes += kept.size
        return kept

    def take_over(self, segment: Segment) -> None:
        """Keep a sealed segment of a journal that lies below WAYSIDE_DIR by itself, where it is."""
        self._ask_for(segment.size)
        self.segments.append(
            KeptSegment(segment.path, segment.number, segment.first_seq, segment.end_seq, segment.position)
        )
        self.bytes += segment.position
        segment.close(unlink=False)

    def follow(self, segment: Segment) -> None:
        """Bring the copy of a segment up to its committed position: the bytes first, the position after them."""
        self._make_folder()
        if self._tail is not segment:
            self._close_tail()
            flags = os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
            self._tail_fd = os.open(self._copy_path(segment), flags, FILE_MODE)
            self._tail, self._tail_end = segment, 0
        position = segment.position
        if position <= self._tail_end:
            return
        write_frames(self._tail_fd, segment.read(self._tail_end, position), self._tail_end)
        self._tail_end = position

    def _make_folder(self) -> None:
        if self._folder is None:
            self._folder = make_folder(self._root, self._session)

    def _ask_for(self, size: int) -> None:
        """Whether there is room for so many bytes more; raises OSError."""
        found = os.statvfs(self._root)
        free = found.f_bavail * found.f_frsize
        if self.bytes + size > min(self._limit, (free + self.bytes) // KEPT_SHARE):
            raise OSError(
                f"this session keeps {self.bytes} bytes there and may keep no more: at most {self._limit} "
                f"(WAYSIDE_KEPT_LIMIT), and half of what is free; what the journal cannot hold is dropped, and counted"
            )

    def forget_copy(self) -> None:
        """A collector has the journal again: the copy of the segment being written is of no use."""
        if self._tail is not None:
            path = self._copy_path(self._tail)
            self._close_tail()
            with contextlib.suppress(OSError):
                os.unlink(path)

    def let_go(self, seq: int) -> None:
        """Unlink what is on the collector's disk."""
        while self.segments and self.segments[0].end_seq <= seq:
            kept = self.segments.popleft()
            self.bytes -= kept.size
            with contextlib.suppress(OSError):
                os.unlink(kept.path)

    def look(self) -> List[KeptSegment]:
        """What is gone, if the folder was deleted meanwhile: it is made anew when something must be kept again."""
        if self._folder.exists() if self._folder is not None else self._newest_exists():
            return []
        self._close_tail()
        if self._folder is not None:
            self._folder.release()
            self._folder = None
        gone = list(self.segments)
        self.segments.clear()
        self.bytes = 0
        return gone

    def _newest_exists(self) -> bool:
        return not self.segments or os.path.exists(self.segments[-1].path)

    def close(self) -> None:
        """Let go of the folder; what is in it stays, an empty folder goes."""
        self._close_tail()
        if self._folder is not None:
            folder, self._folder = self._folder, None
            if not self.segments:
                folder.remove()
            folder.release()

    def abandon(self) -> None:
        """In a forked child: close what was inherited."""
        self._close_tail()
        if self._folder is not None:
            self._folder.release()

    def _close_tail(self) -> None:
        if self._tail_fd >= 0:
            os.close(self._tail_fd)
        self._tail, self._tail_fd, self._tail_end = None, -1, 0

    def _copy_path(self, segment: Segment) -> str:
        assert self._folder is not None
        return os.path.join(self._folder.path, f"{segment.number:08d}.seg")
