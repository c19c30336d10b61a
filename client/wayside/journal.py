"""A session's journal: where every row and event goes, as a frame in a mapped segment, before `log()` returns.

Writing is a few stores into memory the kernel owns: no system call, no hand-off to a thread, and the GIL is never
given up. What is committed survives the death of the process. What keeps that true (each was seen to fail without
it):

- The committed position is stored last, as one aligned u64, through a memoryview of u64 words. `struct.pack_into`
would zero its
  target first, and a reader or a SIGKILL would find the zero.
- `log()` may be entered again in the middle (a signal handler, `__del__`, the collector of garbage) and may be left
by an
  exception: hence a lock its own thread may take twice, the mark `writing`, a bounded queue `side` that the outer call
  writes out, and totals that are counted again from the segment when a call was left half-way.
- Values are plain floats before the lock is taken. Nothing a user's object does can happen inside.
- Nothing here waits for a disk: segments are prepared by the link (`prepare`); when none is ready a call makes one
itself, but only
  on memory-backed storage. Otherwise the row is dropped and counted, and the next segment's header tells the gap.

The hot path, the one row of plain floats, is written out in `runs.Run.log`; everything else is here.
"""

import itertools
import struct
import threading
from collections import deque
from typing import Any, Callable, Deque, Dict, List, NamedTuple, Optional, Sequence, Tuple

from . import wire
from .segments import (
    FOLDER_LIMIT,
    SEGMENT_SIZE,
    JournalFolder,
    Root,
    Segment,
    boot_id,
    held_below,
    make_folder,
    room,
)

SIDE_LIMIT = 1024  #: calls that may wait in `side`: far more than any handler logs, and small
MAX_PREPARED = 8  #: segments made ahead: 2 MiB, 25 ms of a tight loop, five times the GIL's switch interval
SPARE = 4 * SEGMENT_SIZE  #: bytes by which the last words of a run may pass the limit, which itself is kept within one

_SEQ_SIZE = 32  # bytes of a SEQ frame, which may have to come before a row

PackInto = Any  # struct.Struct.pack_into, whose type says less than its name


class Ready(NamedTuple):
    """How rows of one set of names are packed into the current segment."""

    pack_into: PackInto
    size: int
    head: int
    width: int


class Frame(NamedTuple):
    """A row or event on its way into the journal, by way of everything but the hot path. names is None for an event."""

    names: Optional[Tuple[str, ...]]
    values: Sequence[float]
    time: float
    step: Optional[int]
    flags: int
    encoded: bytes


class Journal:
    """Append-only frames of one session.

    ready: names to how a row of them is packed, for schemas already announced in the current segment. seq,
    points: running totals, dropped ones included.
    """

    def __init__(self, root: Root, session: str, hello: bytes) -> None:
        """A new journal below `root` with its first segment begun; raises OSError."""
        self.lock = threading.RLock()
        self.writing = False
        self.side: Deque[Frame] = deque()
        self.ready: Dict[Tuple[str, ...], Ready] = {}
        self.seq = self.points = 0
        self.dropped_rows = self.dropped_points = 0  # within seq and points; told by the gap they leave
        self.side_dropped_rows = self.side_dropped_points = 0  # not yet within seq and points
        self.closed = False
        self.made_late = 0  # segments a call had to make itself
        self.root = root
        self.sealed: Deque[Segment] = deque()  # let go by the link, oldest first
        self._session = bytes.fromhex(session)
        self._hello = hello
        self._boot = boot_id()
        self._schemas: Dict[Tuple[str, ...], int] = {}
        self._names = itertools.count()
        self._number = itertools.count()
        self._prepared: Deque[Segment] = deque()
        self._made_bytes = self._prepared_bytes = self._let_go_bytes = 0  # one writer each: log(), link, link
        self.folder: JournalFolder = make_folder(root.path, session)
        self.segment: Optional[Segment] = None
        self._begin(Segment(self.folder.path, next(self._names)))
        self._made_bytes += SEGMENT_SIZE

    # --- writing, under the lock ---------------------------------------------------------------------------------

    def append(self, frame: Frame, spare: int = 0) -> None:
        """Write a row or an event; from any thread, and again from inside another call. spare: bytes by which the
        journal may pass its limit for it: how a run ended must not be what did not fit.
        """
        with self.lock:
            if self.closed:
                return
            if self.writing:
                if len(self.side) < SIDE_LIMIT:
                    self.side.append(frame)
                else:
                    self.side_dropped_rows += 1
                    self.side_dropped_points += len(frame.values)
                return
            try:
                self.writing = True
                self._write(frame, spare)
            except BaseException:
                self.recount()
                raise
            finally:
                self.writing = False
            if self.side or self.side_dropped_rows:
                self.drain()

    def drain(self) -> None:
        """Write what came in while another call was writing; the lock is held."""
        while self.side or self.side_dropped_rows:
            try:
                self.writing = True
                if self.side_dropped_rows:
                    self._drop(self.side_dropped_rows, self.side_dropped_points)
                    self.side_dropped_rows = self.side_dropped_points = 0
                    self._put(wire.seq_frame(self.seq, self.points))  # without room, the next header tells it
                while self.side:
                    self._write(self.side.popleft())
            except BaseException:
                self.recount()
                raise
            finally:
                self.writing = False

    def _write(self, frame: Frame, spare: int = 0) -> None:
        encoded = frame.encoded if frame.names is None else self._encode_row(frame, frame.names)
        if self._put(encoded, spare):
            self.seq += 1
            self.points += len(frame.values)
        else:
            self._drop(1, len(frame.values))

    def _encode_row(self, frame: Frame, names: Tuple[str, ...]) -> bytes:
        """A row for the segment it will lie in: by its schema, announced there, or with its names written out."""
        layout = wire.row_struct(len(names))
        self._room_for(layout.size + _SEQ_SIZE)  # first: a schema announced in one segment says nothing in the next
        ready = self.ready.get(names) or self._announce(names, layout)
        if ready is None:
            return wire.named_row_frame(frame.time, frame.step, dict(zip(names, frame.values)), frame.flags)
        step = wire.STEP_NONE if frame.step is None else frame.step
        head = ready.head | frame.flags << 40
        return layout.pack(head, frame.time, step, *frame.values, head)

    def _announce(self, names: Tuple[str, ...], layout: struct.Struct) -> Optional[Ready]:
        """Write the schema of these names into the current segment, leaving room for a row of it; None when rows of
        them must carry their names.
        """
        number = self._schemas.get(names)
        if number is None:
            if len(self._schemas) >= wire.MAX_SCHEMAS:
                return None
            number = len(self._schemas)
        schema = wire.schema_frame(number, names)
        need = len(schema) + layout.size + _SEQ_SIZE
        if need > SEGMENT_SIZE - wire.HEADER_SIZE - len(self._hello) or not self._room_for(need):
            return None
        self._put(schema)
        self._schemas[names] = number
        ready = Ready(layout.pack_into, layout.size, wire.row_head(len(names), number, 0), len(names))
        self.ready[names] = ready
        return ready

    def _put(self, encoded: bytes, spare: int = 0) -> bool:
        """Store whole frames after the committed ones; False when there is no room and none can be made."""
        if not self._room_for(len(encoded), spare):
            return False
        segment = self.segment
        if segment is None:
            return False
        position = segment.words[wire.POSITION_WORD]
        end = position + len(encoded)
        segment.map[position:end] = encoded
        segment.words[wire.POSITION_WORD] = end
        return True

    def _room_for(self, size: int, spare: int = 0) -> bool:
        segment = self.segment
        if segment is not None and segment.words[wire.POSITION_WORD] + size <= segment.size:
            return True
        need = wire.HEADER_SIZE + len(self._hello) + size
        following = self._next(max(SEGMENT_SIZE, -(-need // 4096) * 4096), spare)
        if segment is not None:
            # Sealed even when there is no next one: what is dropped from here on then stands between two segments.
            segment.seal(self.seq)
            self.sealed.append(segment)
            self.segment = None
            self.ready = {}
        if following is None:
            return False
        self._begin(following)
        return True

    def _next(self, size: int, spare: int) -> Optional[Segment]:
        if size == SEGMENT_SIZE:
            try:
                return self._prepared.popleft()
            except IndexError:
                pass
        if not self.root.memory and size == SEGMENT_SIZE and not spare:
            return None  # allocating on a disk may wait for it: the link's work, not a training step's
        try:
            if self.held + size > room(self.folder.path, self.held) + spare:
                return None
            segment = Segment(self.folder.path, next(self._names), size)
        except OSError:
            return None
        self._made_bytes += size
        self.made_late += 1
        return segment

    def _begin(self, segment: Segment) -> None:
        header = wire.SegmentHeader(0, False, next(self._number), self.seq, self.points, self._boot, self._session)
        segment.begin(header, self._hello)
        self.ready = {}
        self.segment = segment

    def _drop(self, rows: int, points: int) -> None:
        self.seq += rows
        self.points += points
        self.dropped_rows += rows
        self.dropped_points += points
        if self.segment is None and self.sealed:
            words = self.sealed[-1].words
            words[wire.DROPPED_ROWS_WORD] += rows
            words[wire.DROPPED_POINTS_WORD] += points

    def recount(self) -> None:
        """Set the totals right after a call was left half-way; the lock is held."""
        segment = self.segment
        if segment is None:
            return
        position = segment.words[wire.POSITION_WORD]
        data = bytes(segment.map[:position])
        header = wire.read_segment_header(data)
        self.seq, self.points = count_frames(data, header.first_seq, header.first_point)

    # --- the link's side -----------------------------------------------------------------------------------------

    @property
    def held(self) -> int:
        """Bytes of segments made and not yet let go."""
        return self._made_bytes + self._prepared_bytes - self._let_go_bytes

    def prepare(self, count: int) -> int:
        """Make segments ahead until `count` are ready; the link's. Returns how many are, fewer when a limit is
        reached.
        """
        count = min(count, MAX_PREPARED)
        while len(self._prepared) < count:
            try:
                if self.held + SEGMENT_SIZE > room(self.folder.path, self.held):
                    break
                if self.held > SEGMENT_SIZE and held_below(self.root.path) > FOLDER_LIMIT:
                    break
                segment = Segment(self.folder.path, next(self._names))
            except OSError:
                break
            self._prepared_bytes += SEGMENT_SIZE
            self._prepared.append(segment)
        return len(self._prepared)

    def live(self) -> List[Segment]:
        """Segments that hold rows not yet let go, in order; the last may be the current one. Takes no lock: the
        current one is looked at first, so that one sealed meanwhile is found among the sealed.
        """
        current = self.segment
        found = list(self.sealed)
        if current is not None and current not in found:
            found.append(current)
        return found

    def let_go(self, seq: int) -> None:
        """Everything below `seq` is on the collector's disk: unlink the sealed segments that hold nothing else."""
        while self.sealed and self.sealed[0].end_seq <= seq:
            segment = self.sealed.popleft()
            self._let_go_bytes += segment.size
            segment.close(unlink=True)

    def hand_to(self, keep: Callable[[Segment], object]) -> None:
        """Give the oldest sealed segment to `keep`, which lets its file go; when that raises, it stays here."""
        segment = self.sealed[0]
        keep(segment)
        self.sealed.popleft()
        self._let_go_bytes += segment.size

    def unmap_sealed(self) -> None:
        """Give back the mappings of sealed segments: a mapped page counts against the trainer's memory. While there
        is no current one, the last stays mapped, since what is dropped is told in its header.
        """
        if all(segment.map.closed for segment in list(self.sealed)):
            return
        with self.lock:
            found = list(self.sealed)
            for segment in found if self.segment is not None else found[:-1]:
                if not segment.map.closed:
                    segment.unmap()

    def rescue(self) -> None:
        """Write out what a call left in `side` because it was interrupted where nothing could run any more; the
        link's.
        """
        if not (self.side or self.side_dropped_rows or self.writing) or not self.lock.acquire(timeout=1):
            return
        try:
            if self.writing:  # with the lock in our hands no call can be inside: one left without taking the mark away
                self.recount()
                self.writing = False
            self.drain()
        finally:
            self.lock.release()

    def relocate(self, root: Root) -> None:
        """Begin a new folder, after the old one was deleted: rows not yet let go are copied out of the deleted files.

        Raises OSError; then the journal stays where it was, and it is tried again.
        """
        with self.lock:
            folder = make_folder(root.path, self._session.hex())
            old = self.folder
            self.root, self.folder = root, folder
            for segment in self.sealed:
                segment.move_to(folder.path)
            for segment in self._prepared:
                segment.close(unlink=True)
                self._let_go_bytes += segment.size
            self._prepared.clear()
            if self.segment is not None:
                self.segment.seal(self.seq)
                self.segment.move_to(folder.path)
                self.sealed.append(self.segment)
                self.segment = None
                self.ready = {}
        old.release()

    def seal(self) -> None:
        """Seal the current segment: nothing more will be written."""
        with self.lock:
            if self.segment is not None:
                self.segment.seal(self.seq)
                self.sealed.append(self.segment)
                self.segment = None
                self.ready = {}

    def close(self, *, unlink: bool) -> None:
        """Give everything back: files stay for the collector unless `unlink`; prepared ones go in any case."""
        with self.lock:
            self.seal()
            self.closed = True
        for segment in self._prepared:
            segment.close(unlink=True)
        self._prepared.clear()
        empty = unlink or not self.sealed
        for segment in self.sealed:
            segment.close(unlink=unlink)
        self.sealed.clear()
        if empty:
            self.folder.remove()
        self.folder.release()

    def abandon(self) -> None:
        """Drop everything inherited from a parent process, without touching its files."""
        for segment in [*self.sealed, *self._prepared, *([self.segment] if self.segment else [])]:
            segment.close(unlink=False)
        self.folder.release()


def count_frames(data: bytes, seq: int, points: int) -> Tuple[int, int]:
    """The totals after a segment's frames, from those its header names."""
    widths: Dict[int, int] = {}
    for span in wire.scan(data, wire.HEADER_SIZE).spans:
        if span.type == wire.SCHEMA:
            widths[span.schema] = len(wire.read_schema(data, span))
        elif span.type == wire.SEQ:
            seq, points = wire.read_pair(data, span)
        elif span.type == wire.ROW:
            seq += span.frames
            points += span.frames * widths.get(span.schema, 0)
        elif span.type == wire.NAMED_ROW:
            seq += 1
            points += len(wire.read_named_row(data, span, 0).names)
        elif span.type == wire.EVENT:
            seq += 1
    return seq, points
