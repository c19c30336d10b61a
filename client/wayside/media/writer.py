"""The writer: one background thread of a run, begun at its first medium, that encodes what `log()` left in its queue.

The queue is bounded in bytes and in number; when it is full a medium is refused, counted and told once, and `log()`
goes on. A medium never crowds out rows: small ones go into the journal only while that is less than half full, larger
ones to a file in the media folder, and what must go into the journal waits for room there.
"""

import base64
import hashlib
import threading
import time
from collections import deque
from typing import Any, Callable, Deque, Dict, List, NamedTuple, Optional

from .. import row, wire
from ..handlers import raised_by_handler
from ..masking import known_secrets, mask_values
from ..packing import Frame
from ..roots import room
from ..values import problem_of
from .medium import MAX_FILE, Encoded, Medium, Refused
from .place import Place
from .recognise import Found

QUEUE_LIMIT = 64 << 20  #: bytes that wait to be encoded: twenty pictures of full HD, bare
MAX_WAITING = 4096  #: media that wait: the layers of a large watched model, twice
MAX_INLINE = 64 << 10  #: bytes of an encoded medium that travel in its event; larger ones are files
PATIENCE = 30.0  #: seconds a medium waits for room in the journal, which then belongs to rows alone
LAST_PATIENCE = 2.0  #: the same while a run ends: where somebody reads the journal, it is empty long before
LOOK = 0.02  #: seconds between two looks whether there is room

Append = Callable[[Frame], bool]


class Waiting(NamedTuple):
    """A medium in the queue, with the time and step of its call."""

    found: Found
    time: float
    step: Optional[int]
    held: int


class Writer:
    """Encodes and writes one session's media. refuse: counts what is not kept and tells the user, once a reason."""

    def __init__(
        self, journal: Any, place: Place, refuse: Callable[[str, str], None], stored: Callable[[], int]
    ) -> None:
        """stored: below which of the session's rows and events all are on the collector's disk."""
        self._journal = journal
        self._place = place
        self._refuse = refuse
        self._stored = stored
        self._queue: Deque[Waiting] = deque()
        self._held = 0
        self._changed = threading.Condition()
        self._busy = self._stopping = self._hurried = False
        self._thread: Optional[threading.Thread] = None
        self._crowded_since = 0.0  # when the journal was found to have no room, and has had none since

    # --- from the training's threads -------------------------------------------------------------------------------

    def put(self, found: Found, now: float, step: Optional[int]) -> None:
        """Leave a medium for the thread, or refuse it. Never waits for more than the thread's hold of the queue."""
        held = found.medium._held()
        with self._changed:
            why = self._why_not(held)
            if not why:
                self._queue.append(Waiting(found, now, step, held))
                self._held += held
                self._changed.notify_all()
        if why:
            self._refuse_one(found, why)

    def _why_not(self, held: int) -> str:
        """Why a medium cannot be left for the thread, which is begun if need be; empty where it can."""
        if self._stopping:
            return "the run has finished"
        if self._held + held > QUEUE_LIMIT or len(self._queue) >= MAX_WAITING:
            limits = f"{QUEUE_LIMIT >> 20} MiB or {MAX_WAITING} media wait to be encoded"
            return f"{limits}, and no more may: log fewer or smaller ones"
        if self._thread is None:
            thread = threading.Thread(target=self._run, name="wayside-media", daemon=True)
            try:
                thread.start()
            except RuntimeError as problem:
                return f"no thread could be started for it ({problem})"
            self._thread = thread
        return ""

    def finish(self, timeout: float) -> None:
        """Wait until all is written, but not longer than so; what then still waits is refused."""
        thread = self._thread
        if thread is threading.current_thread():  # an object that is encoded ends the run
            timeout = 0.0
        deadline = time.monotonic() + timeout
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
            while (self._queue or self._busy) and time.monotonic() < deadline:
                self._changed.wait(deadline - time.monotonic())
            self._hurried = True
            late = list(self._queue)
            self._queue.clear()
        for waiting in late:
            self._refuse_one(waiting.found, f"it was not encoded within {timeout:.0f} s of the run's end")
        if thread is not None and thread is not threading.current_thread():
            thread.join(LOOK)
        self._place.leave()

    def _refuse_one(self, found: Found, why: str) -> None:
        self._refuse(f"media: {why}", f"{found.name!r} ({found.medium._type}) is not kept: {why}")

    # --- the thread ------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while True:
            with self._changed:
                self._busy = False
                self._changed.notify_all()
                while not self._queue:
                    if self._stopping:
                        return
                    self._changed.wait()
                waiting = self._queue.popleft()
                self._busy = True
            try:
                self._write(waiting)
            except Refused as problem:
                self._refuse_one(waiting.found, str(problem))
            except Exception as problem:  # noqa: BLE001 -- PIL, numpy and a user's objects may fail in any way
                self._refuse_one(waiting.found, f"it could not be encoded: {problem_of(problem)}")
            finally:
                self._place.take_back()
                with self._changed:
                    self._held -= waiting.held

    def _write(self, waiting: Waiting) -> None:
        found = waiting.found
        encoded = found.medium._encode()
        if encoded.points:
            names = tuple(f"{found.name}/{name}" for name, _ in encoded.points)
            values = [value for _, value in encoded.points]
            self._journal.append(Frame(names, values, waiting.time, waiting.step or 0, 0, b""))
        said = {"name": found.name, **self._say(found.medium, encoded)}
        if found.of:
            said.update(index=found.nth, of=found.of)
        frame = wire.event_frame(waiting.time, waiting.step, row.MEDIA, said)
        self._wait_for_room(len(frame))
        if not self._journal.append(Frame(None, (), waiting.time, waiting.step, 0, frame)):
            raise Refused("the run has finished")
        self._place.said(self._journal.seq)
        self._place.let_go(self._stored())

    def _say(self, medium: Medium, encoded: Encoded) -> Dict[str, Any]:
        """A medium as its event has it, but for its name; bytes that are not inline are in a file when this returns."""
        about = {"type": medium._type, **mask_values(encoded.about, known=known_secrets())}
        rows: List[List[Any]] = about.get("values", {}).get("rows", [])
        for cells in rows:
            for index, cell in enumerate(cells):
                if isinstance(cell, Medium):
                    cells[index] = {"media": self._say(cell, cell._encode())}
        return {**about, **self._say_bytes(encoded)} if encoded.data is not None else about

    def _say_bytes(self, encoded: Encoded) -> Dict[str, Any]:
        data = encoded.data or b""
        if len(data) > MAX_FILE:
            raise Refused(f"encoded it is larger than {MAX_FILE >> 20} MiB")
        said: Dict[str, Any] = {"format": encoded.format, "size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        if len(data) <= MAX_INLINE and self._has_room(2 * len(data)):
            return dict(said, base64=base64.b64encode(data).decode("ascii"))
        try:
            return dict(said, file=self._place.write(data, encoded.format))
        except OSError as problem:
            raise Refused(f"its file could not be written: {problem.strerror or problem}") from problem

    def _wait_for_room(self, size: int) -> None:
        """What found none for so long is not waited for again before there was some: nobody reads the journal."""
        since = time.monotonic()
        while not self._has_room(size):
            self._crowded_since = self._crowded_since or since
            patience = LAST_PATIENCE if self._stopping else PATIENCE
            if self._hurried or time.monotonic() > self._crowded_since + patience:
                raise Refused("the journal has no room beside its rows")
            time.sleep(LOOK)
        self._crowded_since = 0.0

    def _has_room(self, size: int) -> bool:
        """Whether the journal, with so many bytes more, would be less than half full still; or not full, at the end of
        the run, when no rows come any more.
        """
        shelf = self._journal.shelf
        share = 1 if self._stopping else 2
        try:
            filled: int = shelf.filled
            return share * (filled + size) <= room(shelf.folder.path, shelf.held)
        except OSError:
            return False


def hand_over(recorder: Any, media: List[Found], now: float, step: Optional[int]) -> None:
    """Media of one `log()` call to the run's writer, which is begun if need be; the list is empty afterwards. Nothing
    of theirs reaches the caller.
    """
    found, media[:] = list(media), []
    try:
        with recorder._beginning:
            writer = recorder._media or _begin(recorder)
        for one in found:
            writer.put(one, now, step)
    except Exception as problem:
        if raised_by_handler(problem):
            raise
        recorder.notices.refuse("media", f"media are not kept: {problem_of(problem)}")


def _begin(recorder: Any) -> Writer:
    journal, link = recorder._journal or recorder._begin_session(), recorder._link
    if journal is None:
        raise Refused("there is no place for a journal")
    place = Place(recorder._surroundings.fields["media_root"], journal.session)
    stored = (lambda: link.handover.stored) if link is not None else (lambda: 0)
    recorder._media = writer = Writer(journal, place, recorder.notices.refuse, stored)
    return writer
