"""Rows that wait for numbers from an accelerator, and the rows behind them, kept in the order they were logged.

A row is held until its numbers are there, and so is every row after it: whoever merges rows by step would else take the
held one for late. After HOLD seconds what is known of it is written at once, and what is not follows in a row of its
own with the same time, step and mark of commit. So at most HOLD seconds of rows are not in the journal yet, and none
where nothing is logged from an accelerator: then none of this is even imported.

The thread of this module is the only one that asks a framework whether a number is there. Rows are taken and written
with the journal's lock held, and no framework is asked under it.
"""

import queue
import threading
import time
from collections import deque
from typing import Callable, Deque, Dict, List, Optional, Union

from . import wire
from .importing import importing
from .journal import Journal
from .packing import Frame
from .tensors import Coming, stay_out_of_captures
from .values import problem_of, scalar

LOOK = 0.005  #: seconds between looks at what is coming: a small part of a training step
REST = 0.25  #: seconds between looks whether anything is
HOLD = 1.0  #: seconds a row is held, and what is logged after it: devices are behind their host by a few steps at most
MAX_HELD = 1024  #: rows held; beyond that the oldest is written as after HOLD
MAX_LATE = 1024  #: rows written but for what is coming; beyond that the oldest is given up
PATIENCE = 5.0  #: seconds the end of a run waits for what is coming

_GIVEN_UP = "not there in time"


class Held:
    """A row on its way, with the texts of the same call; row is None where there are texts alone."""

    __slots__ = ("coming", "row", "since", "text")

    def __init__(self, row: Optional[Frame], text: Optional[Frame], coming: Dict[str, Coming]) -> None:
        self.since = time.monotonic()
        self.row = row
        self.text = text
        self.coming = coming


class LateRows:
    """Of one journal. refuse: counts and tells what is not kept. resume: called, with the journal's lock held, when
    rows may go straight to the journal again. A thread is started at the first row.
    """

    def __init__(self, journal: Journal, refuse: Callable[[str, str], None], resume: Callable[[], None]) -> None:
        self.journal = journal
        self._refuse = refuse
        self._resume = resume
        self._held: Deque[Held] = deque()
        self._late: Deque[Held] = deque()
        self._given_up = 0  # numbers, not told yet
        self._stopping = False
        self._wake: queue.SimpleQueue[None] = queue.SimpleQueue()  # which may be entered again from inside
        self._thread: Optional[threading.Thread] = None

    def __bool__(self) -> bool:
        """Whether rows are held, so that those after them must be, too."""
        return bool(self._held)

    def hold(self, row: Optional[Frame], text: Optional[Frame], coming: Dict[str, Coming]) -> None:
        """Take a row whose numbers are coming, or one behind such a row; the journal's lock is held."""
        self._held.append(Held(row, text, coming))
        if self._thread is None:
            self._start()
        if len(self._held) > MAX_HELD or self._stopping:
            self._part(self._held.popleft())
        if self._wake.empty():
            self._wake.put(None)

    def finish(self) -> None:
        """Wait for what is coming, for at most PATIENCE seconds, and write the rest without it."""
        deadline = time.monotonic() + PATIENCE
        try:
            while (self._held or self._late) and not self._stopping and time.monotonic() < deadline:
                time.sleep(LOOK)
        finally:
            self._stopping = True
            with self.journal.lock:
                while self._held:
                    self._part(self._held.popleft())
                while self._late:
                    self._given_up += len(self._late.popleft().coming)
            self._tell_given_up()

    def _start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="wayside-late", daemon=True)
        try:
            self._thread.start()
        except RuntimeError:  # no thread can be started: nothing will ever be found complete
            self._stopping = True

    # --- the thread ----------------------------------------------------------------------------------------------

    def _run(self) -> None:
        with importing():
            stay_out_of_captures()
        while not self._stopping:
            try:
                self._wake.get(timeout=REST)
            except queue.Empty:
                continue
            while (self._held or self._late) and not self._stopping:
                self._look()
                time.sleep(LOOK)
        self._tell_given_up()

    def _look(self) -> None:
        """Write what is complete, in order, and what was held for long enough."""
        self._tell_given_up()
        for late in list(self._late):
            found = self._ask(late)
            if found is not None:
                with self.journal.lock:
                    if late in self._late:
                        self._late.remove(late)
                        self._write(late, found)
        while self._held:
            first = self._held[0]
            found = self._ask(first)
            if found is None and time.monotonic() < first.since + HOLD:
                return
            with self.journal.lock:
                if not self._held or self._held[0] is not first:
                    continue  # it was parted meanwhile, for want of room
                self._held.popleft()
                if found is None:
                    self._part(first)
                else:
                    self._write(first, found)
                if not self._held:
                    self._resume()

    def _ask(self, held: Held) -> Optional[Dict[str, float]]:
        """What has come, without what cannot be had; None while there is something to wait for."""
        found: Dict[str, float] = {}
        problems: Dict[str, str] = {}
        for name, coming in held.coming.items():
            try:
                if not coming.is_there():
                    return None
                found[name] = scalar(coming.value)
            except Exception as problem:  # noqa: BLE001 -- a framework raises anything, for a device that is lost, say
                problems[name] = problem_of(problem)
        for name, why in problems.items():
            self._refuse(why, f"{name!r} is not kept: {why} (told once, whichever names follow)")
        return found

    def _tell_given_up(self) -> None:
        if not self._given_up:
            return
        with self.journal.lock:  # under which it is counted
            given_up, self._given_up = self._given_up, 0
        for _ in range(given_up):
            told = "numbers on an accelerator had not been computed when they were needed, and are not kept"
            self._refuse(_GIVEN_UP, f"{told}; their rows are, without them")

    # --- into the journal, its lock held -------------------------------------------------------------------------

    def _write(self, held: Held, found: Dict[str, float]) -> None:
        """A row with what has come for it."""
        if held.row is not None:
            self.journal.append(filled(held.row, held.coming, found) if held.coming else held.row)
        if held.text is not None:
            self.journal.append(held.text)

    def _part(self, held: Held) -> None:
        """Write what is known of a row; what is coming follows in a row of its own."""
        row = held.row
        if row is None or row.names is None or not held.coming:
            self._write(held, {})
            return
        known = filled(row, held.coming, {})
        if known.names or held.text is not None:
            self._write(Held(known._replace(flags=row.flags & ~wire.COMMIT), held.text, {}), {})
        rest = row._replace(names=tuple(held.coming), values=(0.0,) * len(held.coming))
        self._late.append(Held(rest, None, held.coming))
        if len(self._late) > MAX_LATE:
            self._given_up += len(self._late.popleft().coming)


def filled(row: Frame, coming: Dict[str, Coming], found: Dict[str, float]) -> Frame:
    """The row with the numbers that were found in their places, and without those that were not."""
    names: List[str] = []
    values: List[float] = []
    for name, value in zip(row.names or (), row.values):
        number: Union[float, None] = found.get(name) if name in coming else value
        if number is not None:
            names.append(name)
            values.append(number)
    return row._replace(names=tuple(names), values=tuple(values))
