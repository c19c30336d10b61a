"""The link: a session's one background thread, between its journal and a collector.

It prepares segments ahead, says hello on the socket, and hands the journal over: the collector reads the segments
itself (`journal: ok`), or the link sends their frames on the socket (`journal: unreadable`, or
WAYSIDE_TRANSPORT=socket). Either way a segment is unlinked once the collector says its rows are stored. With no
collector the journal moves to WAYSIDE_DIR.

This is the one place of the client where errors of the socket and of files end: nothing escapes to the training
process.
"""

import contextlib
import os
import select
import threading
import time
from typing import Any, Callable, Dict, Optional

from . import row, wire
from .detection import Detection
from .handover import Handover, Plan
from .journal import Journal
from .kept import Keeper
from .output import Output
from .packing import Frame
from .roots import find_roots

TICK = 0.02  #: seconds between looks while rows flow: four segments of a tight loop
REST = 0.25  #: seconds between looks while nothing happens
OFFLINE_AFTER = 2.0  #: seconds without a collector before the journal moves to disk: a restart takes less
TAIL_INTERVAL = 1.0  #: seconds the copy on disk may be behind
LOOK_INTERVAL = 1.0  #: seconds between two looks whether the journal's folder is still there
COUNTS_INTERVAL = 10.0  #: seconds between two events with the client's counters
FINISH_TIMEOUT = 5.0  #: seconds `finish` waits for the journal to be handed over, where that is the link's work
ANSWER_PATIENCE = 1.0  #: seconds of these for an answer, before the journal is moved to disk
LEAST_WAIT = 0.2  #: seconds of these for the look at the framework, which takes a twentieth of that
ABOUT_TIMEOUT = 2.0  #: seconds `finish` waits for git to say what the run is
HEAD_START = 0.1  #: seconds `init` has before that is gathered: its imports hold the GIL for milliseconds at a time


class Link:
    """Runs until `finish`. handover: how things stand with the collector."""

    def __init__(self, journal: Journal, plan: Plan) -> None:
        """Start; raises OSError or RuntimeError where there can be no pipe or no thread."""
        self.journal = journal
        self.plan = plan
        self._keeper = Keeper(plan.overflow, plan.hello["session"], plan.kept_limit)
        self.handover = Handover(journal, self._keeper, plan)
        now = time.monotonic()
        self._last_collector = now
        self._next_tail = self._next_look = 0.0
        self._next_counts = now + COUNTS_INTERVAL
        self._counts: Dict[str, Any] = {}
        self._last_position = (-1, -1)
        self._ahead = 1  # segments to have prepared
        self._stopping = False
        self._wake_read, self._wake_write = os.pipe()
        self._thread = threading.Thread(target=self._run, name="wayside-link", daemon=True)
        # A thread of its own, gone in a moment: git may take seconds, and the journal cannot wait for it.
        self._settling = threading.Event()
        self._detection = Detection(plan.detect, self._event, plan.debug)
        self._output = Output.asked(plan.hello, plan.tell) if "primus" in plan.hello else None
        self.handover.before_let_go = self._write_output
        self._about = threading.Thread(target=self._say_about, name="wayside-about", daemon=True)
        try:
            if plan.about is not None:
                self._about.start()
            self._thread.start()
        except BaseException:
            self._close_pipe()
            raise

    # --- from other threads --------------------------------------------------------------------------------------

    def settle(self) -> None:
        """Wait until what the run is has been gathered, so that it stands before the finish: a few seconds at most."""
        deadline = time.monotonic() + ABOUT_TIMEOUT
        self._guard("detection", lambda: self._detection.settle(bool(self.journal.points)))
        if self.plan.about is not None:
            self._settling.set()
            self._about.join(ABOUT_TIMEOUT)
        self._detection.wait(max(LEAST_WAIT, deadline - time.monotonic()))

    def finish(self) -> None:
        """Hand over what the link itself must hand over, for at most FINISH_TIMEOUT seconds, and stop. What then is
        still in the journal stays there for the collector.
        """
        self._stopping = True
        with contextlib.suppress(OSError):
            os.write(self._wake_write, b"x")
        self._thread.join(FINISH_TIMEOUT + 1)

    def abandon(self) -> None:
        """In a forked child: drop what was inherited, without a word to the collector."""
        self._close_pipe()
        self._keeper.abandon()
        if self._output is not None:
            self._output.abandon()
        if self.handover.peer is not None:
            self.handover.peer.close()

    def _close_pipe(self) -> None:
        for descriptor in (self._wake_read, self._wake_write):
            with contextlib.suppress(OSError):
                os.close(descriptor)

    # --- the thread ----------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._stopping:
            busy = self._tick()
            self._wait(TICK if busy else REST)
        self._last_words()

    def _tick(self) -> bool:
        """One look at everything; whether rows flowed since the last."""
        journal = self.journal
        now = time.monotonic()
        segment = journal.segment
        position = (segment.number, segment.position) if segment is not None else (-1, 0)
        busy = position != self._last_position
        self._ahead = 1 + 2 * max(0, position[0] - self._last_position[0]) if busy else 1
        self._last_position = position
        self._guard("the journal", journal.rescue)
        self._guard("preparing the journal", self._prepare)
        if now >= self._next_look:
            self._next_look = now + LOOK_INTERVAL
            self._guard("the journal's folder", self._look)
        if journal.dropped_rows:
            where = f"the journal in {journal.shelf.root.path}"
            hint = "the total is told at the end; `wayside doctor` says what is wrong"
            self.plan.tell(
                "dropped", f"rows are lost: {where} has no room for them ({journal.dropped_rows} by now); {hint}"
            )
        if journal.points:
            self._guard("detection", lambda: self._detection.look(now))
        if now >= self._next_counts:
            self._next_counts = now + COUNTS_INTERVAL
            self._guard("counting", self._say_counts)
        self._guard("the files of this run", lambda: self._write_output(None))
        self._guard("the collector", self._talk)
        if not self.handover.answered and not self.handover.waits_for_answer(OFFLINE_AFTER):
            self._guard(f"keeping the journal in {self.plan.overflow} (WAYSIDE_DIR)", self._keep)
        return busy or bool(journal.shelf.sealed)

    def _guard(self, what: str, work: Callable[[], object]) -> None:
        """Do one piece of work; a failure ends here, is told once for each kind, and the work is tried again."""
        try:
            work()
        except Exception as problem:  # noqa: BLE001 -- the end of the road: this thread must outlive whatever comes
            shown = _said(problem) if isinstance(problem, (OSError, wire.WireError)) else repr(problem)
            self.plan.tell(f"{what} {type(problem).__name__}", f"{what}: {shown} (tried again)")

    def _prepare(self) -> None:
        self.journal.shelf.prepare(self._ahead)
        self.journal.shelf.unmap()

    def _look(self) -> None:
        """Whether the folders are still there; what was deleted under us is begun anew."""
        gone = self._keeper.look()
        if gone:
            rows = sum(segment.end_seq - segment.first_seq for segment in gone)
            self.plan.tell("kept", f"{self._keeper.path} was deleted, and with it {rows} rows that waited there")
        shelf = self.journal.shelf
        if not shelf.folder.exists():
            self.handover.disconnect()
            socket = self.plan.addresses[0] if self.plan.addresses else None
            for root in find_roots(socket, self.plan.overflow, self.plan.shared_memory):
                with contextlib.suppress(OSError):
                    self.journal.relocate(root)
                    self.plan.tell("relocated", f"the journal's folder was deleted; begun anew in {root.path}")
                    break
        shelf.move_strays()

    def _talk(self) -> None:
        if self.journal.shelf.strays():
            return  # a collector would miss them: first they must lie where it looks
        try:
            self.handover.talk()
        except BaseException:
            self.handover.disconnect()
            raise
        if self.handover.answered:
            self._last_collector = time.monotonic()

    def _keep(self) -> None:
        """Move sealed segments to disk, and a copy of the last one each second."""
        now = time.monotonic()
        journal = self.journal
        if self.plan.addresses and now < self._last_collector + OFFLINE_AFTER and not self._stopping:
            return
        self._write_output("there")
        lies_there = journal.shelf.root.path == os.path.realpath(self.plan.overflow)
        while journal.shelf.sealed:
            journal.shelf.hand_to(self._keeper.take_over if lies_there else self._keeper.keep)
        if lies_there:
            return
        if now >= self._next_tail or self._stopping:
            self._next_tail = now + TAIL_INTERVAL
            segment = journal.segment
            if segment is not None:
                self._keeper.follow(segment)

    def _write_output(self, who: Optional[str]) -> None:
        """Copy what is new for the files that the environment asks for, where this process writes them."""
        if self._output is None:
            return
        if who is not None:
            self._output.decide(who)
        self._output.follow([*self._keeper.segments, *self.journal.live()])

    # --- beside the rows, and the end ----------------------------------------------------------------------------

    def _event(self, kind: str, data: Dict[str, Any]) -> None:
        at = time.time()
        self.journal.append(Frame(None, (), at, None, 0, wire.event_frame(at, None, kind, data)))

    def _say_about(self) -> None:
        assert self.plan.about is not None
        self._settling.wait(HEAD_START)
        try:
            self._event(row.ABOUT, self.plan.about())
        except Exception as problem:  # noqa: BLE001 -- git and metadata of any package may fail in any way
            self.plan.tell("about", f"what this run is could not be gathered: {problem!r}")

    def _say_counts(self) -> None:
        counts = self.plan.counts()
        if counts != self._counts:
            self._counts = counts
            self._event(row.CLIENT, counts)

    def _wait(self, seconds: float) -> None:
        poll = select.poll()
        if not self._stopping:
            poll.register(self._wake_read, select.POLLIN)
        if self.handover.peer is not None:
            poll.register(self.handover.peer, select.POLLIN)
        with contextlib.suppress(OSError):
            poll.poll(seconds * 1000)

    def _last_words(self) -> None:
        """After `finish`: hand over what is the link's to hand over, then leave the rest to the collector."""
        self._guard("the journal", self.journal.rescue)
        self._guard("the journal", self.journal.seal)
        deadline = time.monotonic() + FINISH_TIMEOUT
        handover = self.handover
        handover.hurry()
        while time.monotonic() < deadline:
            self._guard("the collector", self._talk)
            if handover.answered and not handover.sends:
                break  # it reads the journal itself, now or later
            if not handover.answered and not handover.waits_for_answer(ANSWER_PATIENCE):
                self._guard(f"keeping the journal in {self.plan.overflow} (WAYSIDE_DIR)", self._keep)
                if handover.peer is None:
                    break
            if not self.journal.shelf.sealed and not self._keeper.segments:
                break
            self._wait(TICK)
        self._guard("the files of this run", lambda: self._write_output(None))
        if self._output is not None:
            self._output.close()
        self._tell_what_waits()
        self._guard("keeping the journal", self._keeper.close)
        self._guard("the journal", self.journal.close)
        lost = self.journal.dropped_rows + self.plan.counts().get("no_journal_rows", 0)
        if lost:
            self.plan.tell("lost", total_of(lost))
        self.handover.disconnect()
        self._close_pipe()

    def _tell_what_waits(self) -> None:
        """Where the end of the journal lies, when the collector that was here is gone: `init` did not say so."""
        rows = sum(kept.end_seq - kept.first_seq for kept in self._keeper.segments)
        if rows and self.handover.met and (self.handover.sends or not self.handover.answered):
            folder = self.plan.overflow
            waits = f"the collector is gone: the last {rows} rows and events of this process wait in {folder}"
            self.plan.tell("waits", f"{waits}; deliver them with `wayside-collector sync {folder}`")


def _said(problem: Exception) -> str:
    """What went wrong, in words: the system's own without its number."""
    if not isinstance(problem, OSError) or not problem.strerror:
        return str(problem)
    return f"{problem.strerror}: {problem.filename}" if problem.filename else problem.strerror


def total_of(lost: int) -> str:
    """What the user is told at the end of a run that lost rows."""
    return f"{lost} rows and events of this process are lost: there was no room in its journal, or no journal"
