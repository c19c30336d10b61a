"""Reading one session's journal: segment after segment, as far as each is committed, into the session's inlet."""

import contextlib
import logging
from collections.abc import Callable
from pathlib import Path

from wayside import wire
from wayside.segments import boot_id

from ..intake import Inlet, Stream
from .quarantine import Quarantine
from .segments import OpenSegment, Segments, written_pages

HOLD = 5.0  #: seconds a walk may fail to reach the committed position before the rest is set aside
RETRY = 5.0  #: seconds before the next attempt at files that the system cannot read now: each may take it long

log = logging.getLogger(__name__)


class Followed:
    """A journal being read. orphan: its owner is dead, so what is stored is unlinked here. next_life, silent_since: of
    whoever asks whether the owner lives.
    """

    def __init__(
        self,
        inlet: Inlet,
        folders: list[Path],
        quarantine: Quarantine,
        clock: Callable[[], float],
        *,
        orphan: bool = False,
    ) -> None:
        self.inlet = inlet
        self.folders = folders
        self.orphan = orphan
        self.next_life = 0.0
        self.silent_since = 0.0
        self._quarantine = quarantine
        self._clock = clock
        self._boot = boot_id()
        self._segments = Segments(folders)
        self._segment: OpenSegment | None = None
        self._stream = Stream()
        self._number = 0
        self._done: list[OpenSegment] = []  # read to the end, not yet known to be stored
        self._held_since = 0.0
        self._missing_since = 0.0
        self._unreadable_until: float | None = None

    @property
    def has_done(self) -> bool:
        """Whether there are segments to let go once what was read is stored."""
        return bool(self._done)

    @property
    def read_to(self) -> int:
        """The number of the segment that would be read next."""
        return self._number

    @property
    def at_end(self) -> bool:
        """Whether everything there is was read, stored, and let go."""
        if self._segment is not None or self._done or self._unreadable_until is not None:
            return False
        try:
            found = self._segments.find(self._number)
        except OSError as problem:
            self._put_off(problem)
            return False
        if found is not None:
            found.close()
        return found is None

    def read(self, most: int) -> int:
        """Take frames, at most `most` bytes; returns how many bytes were taken. What the system cannot read now is told
        once, and tried again.
        """
        if self._unreadable_until is not None and self._clock() < self._unreadable_until:
            return 0
        taken, more = 0, True
        try:
            while more and taken < most:
                step, more = self._step(most - taken)
                taken += step
            self._unreadable_until = None
        except OSError as problem:
            self._put_off(problem)
        return taken

    def _step(self, most: int) -> tuple[int, bool]:
        """Take what one segment has; how many bytes, and whether there may be more."""
        segment = self._segment or self._next_segment()
        if segment is None:
            return 0, False
        step = 0
        position, sealed = segment.committed()
        if position > segment.read:
            step = self._take(segment, position, most)
            if not step or segment.read < position:
                return step, step > 0
        if not sealed and not self.orphan:
            return step, False
        if sealed or segment.committed()[0] <= segment.read:
            self._done.append(segment)
            self._segment = None
            self._number = segment.header.number + 1
        return step, True

    def _put_off(self, problem: OSError) -> None:
        if self._unreadable_until is None:
            self._quarantine.count += 1
            log.error("the journal %s cannot be read, tried again: %s", self.folders[0], problem)
        self._unreadable_until = self._clock() + RETRY
        if self._segment is not None:
            self._segment.close()  # NFS may want it opened anew; what was taken of it is refused as doubles
            self._segment = None

    def rewind(self) -> None:
        """What was read could not be stored: read it again from the oldest segment not yet let go."""
        self.close()
        self._number = 0

    def let_go(self) -> None:
        """All that was read is stored."""
        for segment in self._done:
            if self.orphan:
                with contextlib.suppress(OSError):
                    segment.unlink()
            segment.close()
        self._done.clear()

    def close(self) -> None:
        for segment in [*self._done, *([self._segment] if self._segment else [])]:
            segment.close()
        self._done, self._segment = [], None

    def _take(self, segment: OpenSegment, position: int, most: int) -> int:
        data = segment.bytes_to(position, most)
        end = written_pages(data, segment.read) if segment.header.boot != self._boot else len(data)
        try:
            step = self.inlet.take(self._stream, data, end - end % 8)
        except wire.WireError as problem:
            return self._hold(segment, position, str(problem))
        segment.read += step
        if step == 0 and len(data) < most:
            return self._hold(segment, position, "the committed bytes end within a frame")
        if step:
            self._held_since = 0.0
        return step

    def _hold(self, segment: OpenSegment, position: int, problem: str) -> int:
        """The walk did not reach the position: wait for it, then set the rest aside and go on after it."""
        now = self._clock()
        if not self._held_since:
            self._held_since = now
        if now - self._held_since < HOLD and not self.orphan:
            return 0
        rest = position - segment.read
        name = f"{self.inlet.known.session.id}-{segment.header.number:08d}-{segment.read}.seg"
        target = self._quarantine.take_bytes(segment.fd, position, name)
        self.inlet.counters.malformed += 1
        log.error("%d bytes of %s cannot be read (%s); set aside as %s", rest, segment.path, problem, target)
        segment.read = position
        self._held_since = 0.0
        return rest

    def _next_segment(self) -> OpenSegment | None:
        found = self._segments.find(self._number)
        if found is None:
            return None
        if not self.orphan and self._leaves_out(found.header):
            # Perhaps what is missing is on its way from one folder to the other, or in one that the owner's hello will
            # name: after a restart we may know the journal in memory only. What stays away is booked as lost.
            now = self._clock()
            self._missing_since = self._missing_since or now
            if now - self._missing_since < HOLD:
                found.close()
                return None
        self._missing_since = 0.0
        self._segment = found
        self._number = found.header.number
        self._stream = Stream(found.header.first_seq, found.header.first_point)
        return found

    def _leaves_out(self, header: wire.SegmentHeader) -> bool:
        """Whether something is missing before this segment that its owner did not drop."""
        if self._number:
            return header.number > self._number
        return header.first_seq > self.inlet.next_seq + self.inlet.base_seq
