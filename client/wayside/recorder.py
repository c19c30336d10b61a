"""The way of rows and events into a run's journal: one process's sessions, and `log()`.

`Recorder.log` is the hot path of the whole product, written out in one piece: a dictionary of plain floats is packed
into the journal's mapped segment in about a microsecond, without a system call (bench/log.py). Everything else, from
numpy scalars to a forked child's first row, takes the slow way below it.
"""

import os
import struct
import threading
import time
import weakref
from typing import Any, Dict, Mapping, Optional, Tuple

from . import row, wire
from .events import event_frame
from .handlers import raised_by_handler
from .journal import Journal
from .link import Link
from .notices import Notices
from .packing import Frame
from .sessions import Identity, Surroundings, begin_session
from .values import MAX_STEP, Taken, are_exact, as_step, problem_of, shown, take, truth

RETRY_PLACE = 10.0  #: seconds before a place for the journal is looked for again, after there was none

_FLOAT = frozenset((float,))
_COMMIT = wire.COMMIT << 40
_AUTO = wire.AUTO_STEP << 40
_AUTO_COMMIT = _AUTO | _COMMIT
_POSITION = wire.POSITION_WORD
_time = time.time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .late import LateRows
    from .media.writer import Writer

_recorders: "weakref.WeakSet[Recorder]" = weakref.WeakSet()


class Recorder:
    """One run's rows and events, as this process says them. notices: what the user was told of it."""

    def __init__(self, identity: Identity, surroundings: Surroundings) -> None:
        self.notices = Notices()
        self._identity = identity
        self._surroundings = surroundings
        self._journal: Optional[Journal] = None
        self._direct: Optional[Journal] = None  # the same, while no row before the next one waits for its numbers
        self._late: Optional[LateRows] = None
        self._media: Optional[Writer] = None  # what encodes and writes them, from the first one on
        self._link: Optional[Link] = None
        self._step = 0
        self._logged = False
        self._finished = False
        self._nowhere = 0  # rows and events that had no journal to go to
        self._beginning = threading.RLock()
        self._next_begin = 0.0
        self._begin_session()
        _recorders.add(self)

    def log(  # noqa: C901, PLR0915 -- one piece for speed: a call taken out of it costs a tenth of it (bench/log.py)
        self, data: Dict[str, Any], step: Optional[int] = None, commit: Optional[bool] = None
    ) -> None:
        """Log one row: names and numbers of this moment.

        data: names to numbers, scalar arrays or tensors, text, or dictionaries of these. step: a whole number;
        without one the run's own counter. commit: whether this closes the step, by default True without a step and
        False with one; every call is a row of its own in any case, and rows of one step are merged where they arrive.
        Never waits and never raises, except TypeError on a run's first call when `data` is no dictionary.
        """
        journal = self._direct
        if (
            journal is not None
            and type(data) is dict
            and (step is None or (type(step) is int and step >= 0))
            and (commit is None or type(commit) is bool)
        ):
            names, values = tuple(data), tuple(data.values())  # ours from here on, whoever changes the dictionary
            try:
                exact = _FLOAT.issuperset(map(type, values)) or are_exact(values)
                ready = journal.ready.get(names) if exact else None
            except Exception as problem:
                if raised_by_handler(problem):
                    raise
                ready = None  # the slow way asks for no hash
            if ready is not None:
                pack_into, size, head, width, segment, room, words, limit = ready
                written = False
                with journal.lock:
                    if not journal.writing:
                        try:
                            journal.writing = True
                            position = words[_POSITION] if segment is journal.segment else limit
                            end = position + size
                            if end <= limit:
                                if step is not None:
                                    at = step
                                    if commit:
                                        head |= _COMMIT
                                elif commit is False:
                                    at = self._step
                                    head |= _AUTO
                                else:
                                    self._step = (at := self._step) + 1  # ours from here on, whoever logs meanwhile
                                    head |= _AUTO_COMMIT
                                pack_into(room, position, head, _time(), at, *values, head)
                                if step is not None:
                                    following = step + 1 if commit else step
                                    if following > self._step:
                                        self._step = following
                                words[_POSITION] = end
                                journal.seq += 1
                                journal.points += width
                                written = True
                        except struct.error:
                            written = False  # the step needs more than 64 bits, or the dictionary changed meanwhile
                        except BaseException as problem:
                            journal.leave()
                            if not (journal.closed and isinstance(problem, ValueError)):  # a fork in the middle
                                raise
                        finally:
                            journal.writing = False
                        if journal.side:
                            journal.drain()
                if written:
                    return
        self._log_slowly(data, step, commit)

    def _log_slowly(self, data: Any, step: Any, commit: Any) -> None:
        if not self._surroundings.enabled:
            return
        first, self._logged = not self._logged, True
        now = _time()
        try:
            taken = take(data) if isinstance(data, Mapping) else None
        except Exception as problem:
            if raised_by_handler(problem):
                raise
            self.notices.refuse("unreadable", f"a row is not kept: its data cannot be read: {problem_of(problem)}")
            return
        if taken is None:
            message = f"log() takes a dictionary of names and numbers, not {type(data).__name__}"
            if first:
                raise TypeError(f"wayside.{message}")
            self.notices.refuse("not a dictionary", message)
            return
        for name, why in taken.refused:
            self.notices.refuse(why, f"{name!r} is not kept: {why} (told once, whichever names follow)")
        for name in taken.rounded:
            told = f"{name!r} is beyond 2**53 and is rounded to the nearest 64-bit float"
            self.notices.tell("rounded", f"{told} (told once, whichever names follow)")
        self._keep(taken, now, self._asked_step(step), truth(commit))

    def _keep(self, taken: Taken, now: float, step: Optional[int], commit: Optional[bool]) -> None:
        """A row and its texts into the journal, or behind the rows that wait for their numbers."""
        for _ in range(2):  # a fork or the end of the run may take the journal away in the middle
            journal = self._journal or self._begin_session()
            if journal is None:
                break
            late = self._late_rows(journal) if taken.coming else self._late
            with journal.lock:
                at, flags = self._take_step(step, commit)
                frame = text = None
                if taken.names or not (taken.texts or taken.media):
                    frame = Frame(taken.names, taken.values, now, at, flags, b"")
                if taken.texts:
                    text = event_frame(now, at, row.TEXT, {"values": taken.texts})
                if late is not None and (late or taken.coming):
                    self._direct = None
                    late.hold(frame, text, taken.coming)
                    kept = True
                else:
                    self._direct = journal
                    kept = all(journal.append(one) for one in (frame, text) if one is not None)
            if kept:
                if taken.media:  # without the lock: an import, a thread's start and a refusal take their time
                    from .media.writer import hand_over  # when first needed: most processes log numbers alone

                    hand_over(self, taken.media, now, at)
                return
        self._nowhere += 1

    def _late_rows(self, journal: Journal) -> "LateRows":
        """What holds the rows that wait for their numbers, made at the first of them."""
        late = self._late
        if late is None or late.journal is not journal:
            from .late import LateRows  # when first needed: most processes log no numbers of an accelerator

            made = LateRows(journal, self.notices.refuse, lambda: setattr(self, "_direct", journal))
            with self._beginning:
                late = self._late = made if self._late is late or self._late is None else self._late
        return late

    def _asked_step(self, step: Any) -> Optional[int]:
        """The step the user gave, None when there is none that can be kept."""
        if step is None:
            return None
        try:
            return as_step(step)
        except Exception as problem:
            if raised_by_handler(problem):
                raise
            why = f"step={shown(step)} is no whole number of 64 bits ({problem_of(problem)})"
            self.notices.refuse("not a step", f"{why}: the run's own counter is taken")
            return None

    def _take_step(self, step: Optional[int], commit: Optional[bool]) -> Tuple[int, int]:
        """The row's step and flags, and the counter moved on; the journal's lock is held."""
        if step is not None:
            following = step + 1 if commit else step
            if following > self._step:
                self._step = following
            return step, wire.COMMIT if commit else 0
        if commit is False:
            return min(self._step, MAX_STEP), wire.AUTO_STEP
        self._step = (step := self._step) + 1
        return min(step, MAX_STEP), wire.AUTO_STEP | wire.COMMIT

    def _event(self, kind: str, data: Dict[str, Any], exact: Optional[Dict[str, Any]] = None) -> None:
        now = _time()
        try:
            frame = event_frame(now, self._step, kind, data, exact)
        except (wire.WireError, ValueError, TypeError, RecursionError) as problem:
            self.notices.refuse(f"{kind} too large or not JSON", f"a {kind} could not be kept: {problem}")
            return
        for _ in range(2):  # as in `_keep`
            journal = self._journal or self._begin_session()
            if journal is None:
                break
            if journal.append(frame):
                return
        if self._surroundings.enabled:
            self._nowhere += 1

    # --- sessions ------------------------------------------------------------------------------------------------

    def _begin_session(self) -> Optional[Journal]:
        """A journal and a link of this process's own: at `init`, and at a forked child's first row."""
        if not self._surroundings.enabled:
            return None
        if self._finished:
            self.notices.tell("finished", f"run {self._identity.id} is finished: what is logged after that is not kept")
            return None
        with self._beginning:
            if self._journal is not None or time.monotonic() < self._next_begin:
                return self._journal
            self._next_begin = time.monotonic() + RETRY_PLACE  # also for a call from inside this one
            counts, tell = self._counts, self.notices.tell
            session = begin_session(self._identity, self._surroundings, counts, tell, self._told_config)
            if session is not None:
                self._journal, self._link = session
                self._direct = self._journal
        return self._journal

    def _told_config(self) -> Mapping[str, Any]:
        """The run's config as it is now."""
        return {}

    def _after_fork(self) -> None:
        """In a forked child: the journal, its lock and its link are the parent's."""
        if self._journal is not None:
            self._journal.abandon()
        if self._link is not None:
            self._link.abandon()
        self._journal = self._direct = self._link = self._late = self._media = None
        self._beginning = threading.RLock()  # another thread of the parent may have held it
        self._next_begin = 0.0
        self._nowhere = 0
        self.notices.begin_anew()
        self._surroundings = self._surroundings._replace(about=None, detect=None)  # the parent has said what it is

    # --- counters ------------------------------------------------------------------------------------------------

    def _counts(self) -> Dict[str, Any]:
        """What the client itself dropped or refused so far; empty when nothing was."""
        counts: Dict[str, Any] = {}
        if self.notices.refused:
            counts["refused"] = dict(self.notices.refused)
        if self.notices.unsaid:
            counts["unsaid"] = self.notices.unsaid
        if self._nowhere:
            counts["no_journal_rows"] = self._nowhere
        journal = self._journal
        if journal is not None and journal.dropped_rows:
            counts["dropped"] = {"rows": journal.dropped_rows, "points": journal.dropped_points}
        if journal is not None and journal.shelf.made_late:
            counts["segments_made_late"] = journal.shelf.made_late
        return counts


def _forget_parents_sessions() -> None:
    for recorder in list(_recorders):
        recorder._after_fork()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_forget_parents_sessions)
