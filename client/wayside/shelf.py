"""Where a session's segments lie when nobody writes them: prepared ones, and sealed ones until they are let go.

Allocating on a disk may wait for it, so there only the link makes segments; on memory-backed storage a `log()` that
finds none ready makes one itself (about 0.1 ms, counted in `made_late`). Every count here has one writer, so that
`held` needs no lock: `log()`, which holds the journal's, or the link.
"""

import errno
import itertools
from collections import deque
from typing import Callable, Deque, List, NamedTuple, Optional

from .roots import FOLDER_LIMIT, Root, held_below, room
from .segments import SEGMENT_SIZE, DroppedFile, JournalFolder, Segment, make_folder

MAX_PREPARED = 8  #: segments made ahead: 2 MiB, 25 ms of a tight loop, five times the GIL's switch interval

SPARE = 4 * SEGMENT_SIZE  #: bytes by which the last words of a run may pass the limit: how it ended must be told

_PAGE = 4096


class NewFolder(NamedTuple):
    """A new folder, with one segment prepared. dropped: its account of drops; None where there was no room for it."""

    root: Root
    folder: JournalFolder
    dropped: Optional[DroppedFile]
    segment: Segment

    def leave(self) -> None:
        """Give it back unused."""
        self.segment.close(unlink=True)
        if self.dropped is not None:
            self.dropped.close()
        self.folder.remove()
        self.folder.release()


class Shelf:
    """Segments of one session, in a folder of its own below one root.

    sealed: written to the end and not yet let go, oldest first. made_late: segments that `log()` had to make. spare:
    bytes by which the limits may be passed.
    """

    def __init__(self, root: Root, session: str) -> None:
        """Raises OSError where there is no room."""
        self.sealed: Deque[Segment] = deque()
        self.made_late = 0
        self._session = session
        self._names = itertools.count()
        self.spare = 0
        self._crowded = False  # all journals below the root hold FOLDER_LIMIT together
        self._prepared: Deque[Segment] = deque()
        self._odd: Optional[Segment] = None  # a larger one, for one large frame
        self._dropped: Optional[DroppedFile] = None
        self._dropped_so_far = (0, 0)
        self._late_bytes = self._ahead_bytes = self._gone_bytes = 0
        self.move_in(self.new_folder(root))

    @property
    def held(self) -> int:
        """Bytes of segments made and not yet gone."""
        return self._late_bytes + self._ahead_bytes - self._gone_bytes

    @property
    def filled(self) -> int:
        """The same without those that nothing was written to yet."""
        return self.held - SEGMENT_SIZE * sum(not segment.begun for segment in list(self._prepared))

    # --- log()'s side, under the journal's lock -------------------------------------------------------------------

    def take(self, size: int) -> Optional[Segment]:
        """A segment of at least `size` bytes, not begun, or None. The same one until it is begun, so that a call cut
        short by an exception leaves nothing behind.
        """
        if size > SEGMENT_SIZE:
            return self._take_odd(-(-size // _PAGE) * _PAGE)
        while self._prepared and self._prepared[0].begun:
            self._prepared.popleft()
        if not self._prepared and (self.root.memory or self.spare):
            made = self._make_late(SEGMENT_SIZE)
            if made is not None:
                self._prepared.append(made)
        return self._prepared[0] if self._prepared else None

    def _take_odd(self, size: int) -> Optional[Segment]:
        if self._odd is not None and not self._odd.begun:
            if self._odd.size >= size:
                return self._odd
            self._odd.close(unlink=True)
            self._late_bytes -= self._odd.size
        self._odd = self._make_late(size)
        return self._odd

    def _make_late(self, size: int) -> Optional[Segment]:
        if self._crowded and not self.spare:
            return None
        try:
            if self.held + size > room(self.folder.path, self.held) + self.spare:
                return None
            segment = Segment(self.folder.path, next(self._names), size)
        except OSError:
            return None
        self._late_bytes += size
        self.made_late += 1
        return segment

    def tell_dropped(self, rows: int, points: int) -> None:
        """The session has dropped so many in all."""
        self._dropped_so_far = (rows, points)
        if self._dropped is not None:
            self._dropped.tell(rows, points)

    # --- the link's side: before writing ---------------------------------------------------------------------------

    def prepare(self, count: int) -> None:
        """Make segments ahead until `count` are ready, or a limit is reached.

        A session may hold two segments whatever the others hold, so that many sessions in one folder starve none.
        """
        missing = min(count, MAX_PREPARED) - sum(not segment.begun for segment in list(self._prepared))
        if missing <= 0:
            return
        crowd = self.root.memory and self.held > 2 * SEGMENT_SIZE
        self._crowded = crowd and held_below(self.root.path) > FOLDER_LIMIT
        while missing > 0 and not self._crowded:
            try:
                if self.held + SEGMENT_SIZE > room(self.folder.path, self.held):
                    return
                segment = Segment(self.folder.path, next(self._names))
            except OSError:
                return
            self._ahead_bytes += SEGMENT_SIZE
            self._prepared.append(segment)
            missing -= 1

    def new_folder(self, root: Root) -> NewFolder:
        """A new folder below `root`, with a segment in it; raises OSError, also when a tenth of what is free there is
        less than one segment.
        """
        folder = make_folder(root.path, self._session)
        try:
            if room(root.path, 0) < SEGMENT_SIZE:
                raise OSError(errno.ENOSPC, "a tenth of what is free there is less than one segment of a journal")
            if root.memory and held_below(root.path) + SEGMENT_SIZE > FOLDER_LIMIT:
                raise OSError(errno.EDQUOT, f"the journals there hold {FOLDER_LIMIT >> 20} MiB, the limit")
            return NewFolder(root, folder, _dropped_file(folder.path), Segment(folder.path, next(self._names)))
        except BaseException:
            folder.remove()
            folder.release()
            raise

    def move_in(self, place: NewFolder) -> None:
        """Use this folder from now on; what is sealed elsewhere must follow (`move_strays`)."""
        self._discard(unlink=True)
        self.root, self.folder, self._dropped, segment = place
        self.tell_dropped(*self._dropped_so_far)
        self._prepared.append(segment)
        self._ahead_bytes += SEGMENT_SIZE

    # --- the link's side: after it -----------------------------------------------------------------------------------

    def let_go(self, seq: int) -> None:
        """Everything below `seq` is on the collector's disk: unlink the sealed segments that hold nothing else."""
        while self.sealed and self.sealed[0].end_seq <= seq:
            self.hand_to(lambda segment: segment.close(unlink=True))

    def hand_to(self, keep: Callable[[Segment], object]) -> None:
        """Give the oldest sealed segment to `keep`, which lets its file go; when that raises, it stays here."""
        segment = self.sealed[0]
        keep(segment)
        self.sealed.popleft()
        self._gone_bytes += segment.size

    def unmap(self) -> None:
        """Give back the mappings of sealed segments: a mapped page counts against the trainer's memory."""
        for segment in list(self.sealed):
            if not segment.map.closed:
                segment.unmap()

    def strays(self) -> List[Segment]:
        """Sealed segments whose files were deleted, perhaps with their folder, or lie in another folder."""
        return [segment for segment in list(self.sealed) if not segment.lies_in(self.folder.path)]

    def move_strays(self) -> None:
        """Copy them out of the deleted files; raises OSError, and may be called again."""
        for segment in self.strays():
            segment.move_to(self.folder.path)

    # --- the end -------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Give everything back; sealed segments stay for the collector, in a folder without an owner."""
        self._discard(unlink=True)
        for segment in self.sealed:
            segment.close(unlink=False)
        if not self.sealed:
            self.folder.remove()
        self.sealed.clear()
        self.folder.release()

    def abandon(self) -> None:
        """In a forked child: give back what was inherited, without touching the parent's files."""
        self._discard(unlink=False)
        for segment in self.sealed:
            segment.close(unlink=False)
        self.sealed.clear()
        self.folder.release()

    def _discard(self, *, unlink: bool) -> None:
        """Let go of what was never written, and of the account of drops."""
        for segment in [*self._prepared, *([self._odd] if self._odd is not None else [])]:
            if not segment.begun:
                segment.close(unlink=unlink)
                self._gone_bytes += segment.size
        self._prepared.clear()
        self._odd = None
        if self._dropped is not None:
            self._dropped.close()
            self._dropped = None


def _dropped_file(folder: str) -> Optional[DroppedFile]:
    try:
        return DroppedFile(folder)
    except OSError:
        return None
