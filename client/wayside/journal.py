"""A session's journal: where every row and event goes, as a frame in a mapped segment, before `log()` returns.

Writing is a few stores into memory the kernel owns: no system call, no hand-off to a thread, and the GIL is never
given up. What is committed survives the death of the process. Each of these was seen to fail without it:

- The committed position is stored last, as one aligned u64, through a memoryview of u64 words. `struct.pack_into`
  would zero its target first, and a reader or a SIGKILL would find the zero.
- `log()` may be entered again in the middle (a signal handler, `__del__`, the collector of garbage) and may be left by
  an exception: hence a lock its own thread may take twice, the mark `writing`, a bounded queue `side` that the outer
  call writes out, and `put_right`, which finds out anew where things stand.
- Values are plain floats before the lock is taken. Nothing a user's object does can happen inside.

The hot path, the one row of plain floats, is written out in `recorder.Recorder.log`; everything else is here.
"""

import threading
from collections import deque
from typing import Callable, Deque, Dict, List, Optional, Tuple

from . import wire
from .packing import Frame, Ready, make_ready, pack_named_row, pack_row
from .roots import Root
from .segments import SEGMENT_SIZE, Segment, boot_id
from .shelf import NewFolder, Shelf

SIDE_LIMIT = 1024  #: calls that may wait in `side`: far more than any handler logs, and small

_SEQ_SIZE = 32  # bytes of a SEQ frame, which may have to come before a row


class Journal:
    """Append-only frames of one session.

    ready: names to how a row of them is packed, for schemas already announced in the current segment. seq, points:
    running totals, dropped ones included. dropped_rows, dropped_points: those among them that are nowhere. writing: a
    call is inside. left: one was left by an exception, so that the totals must be put right before they are used
    again. closed: nothing is taken any more. session: its id. shelf: the segments that are not being written.
    """

    def __init__(self, root: Root, session: str, hello: bytes) -> None:
        """A new journal below `root` with its first segment begun; raises OSError."""
        self.lock = threading.RLock()
        self.writing = self.left = self.closed = False
        self.side: Deque[Frame] = deque()
        self.ready: Dict[Tuple[str, ...], Ready] = {}
        self.seq = self.points = 0
        self.dropped_rows = self.dropped_points = 0
        self.side_dropped_rows = self.side_dropped_points = 0  # not yet within seq and points
        self.shelf = Shelf(root, session)
        self.segment: Optional[Segment] = None
        self.session = session
        self._hello = hello
        self._widest = SEGMENT_SIZE - wire.HEADER_SIZE - len(hello)  # frames that fit an ordinary segment
        self._boot = boot_id()
        self._schemas: Dict[Tuple[str, ...], int] = {}
        self._slots = 0  # names in all of them
        self._begun: Optional[Segment] = None  # the latest, whatever became of it
        self._draining: Optional[Tuple[Frame, int]] = None  # of `side`, and the seq before it
        self._room_for(0)  # the record is kept far smaller than a segment (sessions.py)

    def append(self, frame: Frame) -> bool:
        """Write a row or an event, from any thread, and again from inside another call; False once closed."""
        with self.lock:
            if self.closed:
                return False
            if self.writing:
                if len(self.side) < SIDE_LIMIT:
                    self.side.append(frame)
                else:
                    self.side_dropped_rows += 1
                    self.side_dropped_points += len(frame.values)
                return True
            try:
                self.writing = True
                if self.left:
                    self.put_right()
                self._write(frame)
            except BaseException:
                self.leave()
                raise
            finally:
                self.writing = False
            if self.side or self.side_dropped_rows:
                self.drain()
        return True

    def drain(self) -> None:
        """Write what came in while another call was writing; the lock is held."""
        while self.side or self.side_dropped_rows:
            try:
                self.writing = True
                if self.left:
                    self.put_right()
                if self.side:
                    self._draining = (self.side[0], self.seq)
                    self._write(self.side[0])
                    self.side.popleft()
                else:
                    self._drop_beside()
            except BaseException:
                self.leave()
                raise
            finally:
                self.writing = False

    def _drop_beside(self) -> None:
        rows, points = self.side_dropped_rows, self.side_dropped_points
        self._drop(rows, points)
        self.side_dropped_rows -= rows
        self.side_dropped_points -= points
        if self.segment is not None:
            self._put(wire.seq_frame(self.seq, self.points))  # without room, the next header tells it

    def _write(self, frame: Frame) -> None:
        encoded = frame.encoded if frame.names is None else self._encode_row(frame, frame.names)
        if self._put(encoded):
            self.seq, self.points = self.seq + 1, self.points + len(frame.values)
        else:
            self._drop(1, len(frame.values))

    def _encode_row(self, frame: Frame, names: Tuple[str, ...]) -> bytes:
        """A row for the segment it will lie in: by its schema, announced there, or with its names written out."""
        need = wire.row_size(len(names)) + _SEQ_SIZE
        if need > self._widest:
            return pack_named_row(frame, names)
        self._room_for(need)  # first: a schema announced in one segment says nothing in the next
        ready = self.ready.get(names) or self._announce(names, need)
        return pack_named_row(frame, names) if ready is None else pack_row(frame, ready)

    def _announce(self, names: Tuple[str, ...], need: int) -> Optional[Ready]:
        """Announce these names in the current segment, with room for a row of them; None: rows must carry them."""
        number = self._schemas.get(names, len(self._schemas))
        known = number < len(self._schemas)
        if not known and (number >= wire.MAX_SCHEMAS or self._slots + len(names) > wire.MAX_SLOTS):
            return None
        schema = wire.schema_frame(number, names)
        if len(schema) + need > self._widest or not self._room_for(len(schema) + need):
            return None
        if not known:
            self._slots += len(names)
            self._schemas[names] = number  # before it is written: a number once used must not be given to other names
        segment = self.segment
        if segment is None or not self._put(schema):
            return None
        ready = self.ready[names] = make_ready(names, number, segment)
        return ready

    def _put(self, encoded: bytes) -> bool:
        """Store whole frames after the committed ones; False when there is no room and none can be made."""
        segment = self.segment if self._room_for(len(encoded)) else None
        if segment is None:
            return False
        position = segment.words[wire.POSITION_WORD]
        end = position + len(encoded)
        segment.map[position:end] = encoded
        segment.words[wire.POSITION_WORD] = end
        return True

    def _room_for(self, size: int) -> bool:
        """Whether the current segment has room for so many bytes, if need be a new one."""
        segment = self.segment
        if segment is not None:
            if segment.words[wire.POSITION_WORD] + size <= segment.size:
                return True
            # Even when there is no next one: what is dropped from here on then stands between two segments.
            self._seal(segment)
        following = self.shelf.take(wire.HEADER_SIZE + len(self._hello) + size)
        if following is None:
            return False
        number = 0 if self._begun is None else self._begun.number + 1
        session = bytes.fromhex(self.session)
        following.begin(wire.SegmentHeader(0, False, number, self.seq, self.points, self._boot, session), self._hello)
        self._begun = following
        self.ready = {}
        self.segment = following
        return True

    def _seal(self, segment: Segment) -> None:
        self.segment = None  # first: nothing may be written behind a position that was declared final
        self.ready = {}
        segment.seal(self.seq)
        self.shelf.sealed.append(segment)

    def _drop(self, rows: int, points: int) -> None:
        self.seq, self.points, self.dropped_rows, self.dropped_points = (
            self.seq + rows,
            self.points + points,
            self.dropped_rows + rows,
            self.dropped_points + points,
        )
        self.shelf.tell_dropped(self.dropped_rows, self.dropped_points)

    def leave(self) -> None:
        """A call was left half-way. Without a segment no other call writes before `put_right`, which could not tell
        whose row it was that is there.
        """
        self.left = True
        self.segment = None

    def put_right(self) -> None:
        """Find out where things stand after a call was left half-way. Cut short itself, it is done again."""
        begun = self._begun
        if begun is None or self.closed:
            return
        if begun.sealed:
            if begun not in self.shelf.sealed and begun.fd >= 0:
                begun.seal(begun.end_seq)
                self.shelf.sealed.append(begun)
        else:
            if self.segment is not begun:
                self.ready = {}
                self.segment = begun
            data = begun.read(0, begun.position)
            header = wire.read_segment_header(data)
            self.seq, self.points = wire.totals(data, header.first_seq, header.first_point, wire.HEADER_SIZE)
        if self._draining is not None:
            frame, seq = self._draining
            if self.side and self.side[0] is frame and self.seq > seq:
                self.side.popleft()  # it had been written when the exception came
            self._draining = None
        self.left = False

    # --- the link's side -----------------------------------------------------------------------------------------

    def live(self) -> List[Segment]:
        """Segments that hold rows not yet let go, in order; the last may be the current one. Takes no lock: the
        current one is looked at first, so that one sealed meanwhile is found among the sealed.
        """
        current = self.segment
        found = list(self.shelf.sealed)
        if current is not None and current not in found:
            found.append(current)
        return found

    def rescue(self) -> None:
        """Write out what a call left in `side` because it was interrupted where nothing could run any more."""
        if self.side or self.side_dropped_rows or self.writing or self.left:
            self._inside(self.drain)

    def relocate(self, root: Root) -> None:
        """Go on in a new folder below `root`, after the old one was deleted; what is sealed must follow
        (`Shelf.move_strays`). Raises OSError; then the journal stays where it was.
        """
        place, old = self.shelf.new_folder(root), self.shelf.folder
        if self._inside(lambda: self._move_in(place)):
            old.release()
        else:
            place.leave()

    def _move_in(self, place: NewFolder) -> None:
        self._seal_current()
        self.shelf.move_in(place)

    def seal(self) -> None:
        """Seal the current segment: its reader need not wait for more."""
        self._inside(self._seal_current)

    def _seal_current(self) -> None:
        if self.segment is not None:
            self._seal(self.segment)

    def close(self) -> None:
        """Take nothing more; what was not let go stays for the collector."""
        if self._inside(self._close):
            self.shelf.close()

    def _close(self) -> None:
        self.drain()
        self._seal_current()
        self.closed = True

    def _inside(self, work: Callable[[], None]) -> bool:
        """Do the link's work with the lock held, as if it were a call: what is logged meanwhile waits in `side`.

        False when the lock is not to be had: a call that was torn away without giving it back must not hang the link.
        """
        if not self.lock.acquire(timeout=1.0):
            return False
        try:
            self.left = self.left or self.writing  # the mark of a call that is no more: none can be inside now
            self.writing = True
            if self.left:
                self.put_right()
            work()
        finally:
            self.writing = False
            self.lock.release()
        return True

    def abandon(self) -> None:
        """In a forked child: drop everything inherited from the parent, without touching its files. A call that this
        very fork interrupted finds the journal closed.
        """
        self.closed = True
        self.ready = {}
        current, self.segment = self.segment, None
        if current is not None and current not in self.shelf.sealed:
            current.close(unlink=False)
        self.shelf.abandon()
