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
from typing import TYPE_CHECKING, Any, Callable, Dict, List, NamedTuple, Optional, Union

from . import row, wire
from .journal import Frame, Journal
from .kept import Keeper, KeptSegment
from .segments import Segment, find_roots

if TYPE_CHECKING:
    import socket

TICK = 0.02  #: seconds between looks while rows flow: four segments of a tight loop
REST = 0.25  #: seconds between looks while nothing happens
RECONNECT = 0.5  #: seconds between attempts to find a collector
OFFLINE_AFTER = 2.0  #: seconds without a collector before the journal moves to disk: a restart takes less
TAIL_INTERVAL = 1.0  #: seconds the copy on disk may be behind
COUNTS_INTERVAL = 10.0  #: seconds between two events with the client's counters
SEND_TIMEOUT = 5.0  #: seconds a send may block before the connection is given up
ANSWER_TIMEOUT = 10.0  #: seconds a collector may take to answer the hello before the next address is tried
FINISH_TIMEOUT = 5.0  #: seconds `finish` waits for the journal to be handed over, where that is the link's work
ABOUT_TIMEOUT = 2.0  #: seconds `finish` waits for git to say what the run is
MAX_RECEIVE = 64 << 10  #: bytes read at a time; answers are small


class Plan(NamedTuple):
    """What the link needs to know, fixed when the session begins.

    hello: the session record. addresses: sockets to try, in order; empty in offline mode. overflow: WAYSIDE_DIR.
    send: whether to send frames even to a collector that could read the journal. about: gathers what the run is
    (slow: git, packages). tell: says something to the user, once for each key.
    """

    hello: Dict[str, Any]
    addresses: List[str]
    overflow: str
    send: bool
    about: Optional[Callable[[], Dict[str, Any]]]
    counts: Callable[[], Dict[str, Any]]
    tell: Callable[[str, str], None]


class Link:
    """Runs until `finish`. `url` is where the collector's page is, once it has answered; `state` what the link is
    doing.
    """

    def __init__(self, journal: Journal, plan: Plan) -> None:
        self.journal = journal
        self.plan = plan
        self.url: Optional[str] = None
        self.state = "looking for a collector"
        self.stored = 0  # every row below it is on the collector's disk
        self._keeper = Keeper(plan.overflow, plan.hello["session"])
        self._socket: Optional[socket.socket] = None
        self._received = b""
        self._answered = False
        self._sends = False
        self._sent_number = -1  # of the segment being sent
        self._sent_end = 0
        self._connected_at = 0.0
        self._next_attempt = 0.0
        self._last_collector = time.monotonic()
        self._next_tail = self._next_look = 0.0
        self._next_counts = time.monotonic() + COUNTS_INTERVAL
        self._counts: Dict[str, Any] = {}
        self._last_position = (-1, -1)
        self._stopping = False
        self._wake_read, self._wake_write = os.pipe()
        self._thread = threading.Thread(target=self._run, name="wayside-link", daemon=True)
        self._thread.start()
        # A thread of its own, gone in a moment: git may take seconds, and the journal cannot wait for it.
        self._about = threading.Thread(target=self._say_about, name="wayside-about", daemon=True)
        self._about.start()

    # --- from other threads --------------------------------------------------------------------------------------

    def settle(self, timeout: float = ABOUT_TIMEOUT) -> None:
        """Wait until what the run is has been gathered, so that it stands before the finish."""
        self._about.join(timeout)

    def finish(self, timeout: float = FINISH_TIMEOUT) -> None:
        """Hand over what the link itself must hand over, for at most `timeout` seconds, and stop. What then is still
        in the journal stays there for the collector.
        """
        self._stopping = True
        with contextlib.suppress(OSError):
            os.write(self._wake_write, b"x")
        self._thread.join(timeout + 1)

    def abandon(self) -> None:
        """In a forked child: drop what was inherited, without a word to the collector."""
        for descriptor in (self._wake_read, self._wake_write):
            with contextlib.suppress(OSError):
                os.close(descriptor)
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.close()

    # --- the thread ----------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._stopping:
            busy = self._tick()
            self._wait(TICK if busy else REST)
        self._last_words()

    def _say_about(self) -> None:
        if self.plan.about is None:
            return
        try:
            self._event(row.ABOUT, self.plan.about())
        except Exception as problem:  # noqa: BLE001 -- git and metadata of any package may fail in any way
            self.plan.tell("about", f"what this run is could not be gathered: {problem}")

    def _tick(self) -> bool:
        """One look at everything; whether rows flowed since the last."""
        journal = self.journal
        now = time.monotonic()
        segment = journal.segment
        position = (segment.number, segment.position) if segment is not None else (-1, 0)
        used = max(0, position[0] - self._last_position[0])
        busy = position != self._last_position
        self._last_position = position
        journal.rescue()
        journal.prepare(1 + 2 * used if busy else 1)
        journal.unmap_sealed()
        if now >= self._next_look:
            self._next_look = now + 1.0
            self._guard(self._look_at_folder)
        if now >= self._next_counts:
            self._say_counts()
        self._guard(self._talk)
        return busy or bool(journal.sealed)

    def _guard(self, work: Callable[[], None]) -> None:
        """Run one piece of work; a failure of the socket or of a file ends here, is told once, and is tried again."""
        try:
            work()
        except (OSError, wire.WireError) as problem:
            if work == self._talk:
                self._disconnect()
            self.plan.tell(f"{work.__name__}:{type(problem).__name__}", f"{problem} (tried again)")

    def _look_at_folder(self) -> None:
        if self.journal.folder.exists():
            return
        self._disconnect()
        for root in find_roots(self.plan.addresses[0] if self.plan.addresses else None, self.plan.overflow):
            with contextlib.suppress(OSError):
                self.journal.relocate(root)
                self.plan.tell("relocated", f"the journal's folder was deleted; begun anew in {root.path}")
                return

    def _talk(self) -> None:
        if self._socket is None:
            self._connect()
        if self._socket is not None:
            self._receive()
        if self._socket is not None and self._answered:
            self._last_collector = time.monotonic()
            if self._sends:
                self._send_frames()
            return
        self._keep()

    # --- the socket ----------------------------------------------------------------------------------------------

    def _connect(self) -> None:
        now = time.monotonic()
        if now < self._next_attempt or not self.plan.addresses:
            return
        self._next_attempt = now + RECONNECT
        import socket

        for address in self.plan.addresses:
            connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
            try:
                connection.settimeout(SEND_TIMEOUT)
                connection.connect(address)
                connection.sendall(wire.json_frame(wire.HELLO, self._hello(address)))
            except OSError:
                connection.close()
                continue
            self._socket, self._answered, self._connected_at, self._received = connection, False, now, b""
            return

    def _hello(self, address: str) -> Dict[str, Any]:
        path = self.journal.folder.path
        journal = {
            "path": path,
            "relative": os.path.relpath(path, os.path.dirname(os.path.realpath(address))),
            "kept": self._keeper.path,
        }
        return dict(self.plan.hello, versions=list(wire.VERSIONS), journal=None if self.plan.send else journal)

    def _disconnect(self) -> None:
        if self._socket is not None:
            self._socket.close()
        self._socket, self._answered = None, False
        self._sent_number, self._sent_end = -1, 0
        self.state = "looking for a collector"

    def _receive(self) -> None:
        assert self._socket is not None
        if not self._answered and time.monotonic() > self._connected_at + ANSWER_TIMEOUT:
            raise OSError("the collector took the connection and does not answer")
        self._socket.setblocking(False)
        try:
            while True:
                data = self._socket.recv(MAX_RECEIVE)
                if not data:
                    self._disconnect()
                    return
                self._received += data
        except BlockingIOError:
            pass
        finally:
            if self._socket is not None:
                self._socket.settimeout(SEND_TIMEOUT)
        found = wire.scan(self._received)
        if found.error:
            raise wire.WireError(f"the collector speaks something else: {found.error}")
        for span in found.spans:
            self._hear(span)
        self._received = self._received[found.end :]

    def _hear(self, span: wire.Span) -> None:
        if span.type == wire.STORED:
            self._let_go(wire.read_pair(self._received, span)[0])
        elif span.type == wire.ANSWER:
            self._hear_answer(wire.read_json(self._received, span))
        elif span.type == wire.ERROR:
            message = wire.read_json(self._received, span).get("error")
            self.plan.tell(f"refused:{message}", f"the collector refused this session: {message}")

    def _hear_answer(self, answer: Dict[str, Any]) -> None:
        known = [version for version in answer.get("versions", ()) if version in wire.VERSIONS]
        if not known:
            self.plan.tell(
                "versions",
                f"this client writes wire version {wire.VERSION}, the collector reads {answer.get('versions')}; "
                "the journal waits until one of them is upgraded",
            )
            return
        self._answered = True
        self.url = answer.get("url")
        self._sends = self.plan.send or answer.get("journal") != "ok"
        self.state = "sending on the socket" if self._sends else "the collector reads the journal"
        self._let_go(int(answer.get("stored", 0)))
        if not self._sends and not self._keeper.segments:
            self._keeper.forget_copy()

    def _let_go(self, seq: int) -> None:
        self.stored = max(self.stored, seq)
        self._keeper.let_go(seq)
        self.journal.let_go(seq)

    def _send_frames(self) -> None:
        """Send what is committed and not yet sent: what was kept on disk first, then the live segments."""
        assert self._socket is not None
        segments: List[Union[KeptSegment, Segment]] = [*self._keeper.segments, *self.journal.live()]
        for segment in segments:
            if segment.number < self._sent_number:
                continue
            if segment.number != self._sent_number:
                self._sent_number, self._sent_end = segment.number, 0
            position = segment.position
            if position > self._sent_end:
                data = segment.read(self._sent_end, position)
                self._socket.sendall(data if self._sent_end else _segment_frames(data))
                self._sent_end = position

    # --- without a collector -------------------------------------------------------------------------------------

    def _keep(self) -> None:
        """Move sealed segments to disk, and a copy of the last one each second."""
        now = time.monotonic()
        journal = self.journal
        if os.path.dirname(os.path.dirname(journal.folder.path)) == os.path.realpath(self.plan.overflow):
            return  # the journal lies there already
        if self.plan.addresses and now < self._last_collector + OFFLINE_AFTER and not self._stopping:
            return
        self.state = f"keeping the journal in {self.plan.overflow}"
        while journal.sealed:
            journal.hand_to(self._keeper.keep)
        if now >= self._next_tail or self._stopping:
            self._next_tail = now + TAIL_INTERVAL
            segment = journal.segment
            if segment is not None:
                self._keeper.follow(segment)

    # --- counters and the end ------------------------------------------------------------------------------------

    def _event(self, kind: str, data: Dict[str, Any]) -> None:
        at = time.time()
        self.journal.append(Frame(None, (), at, None, 0, wire.event_frame(at, None, kind, data)))

    def _say_counts(self) -> None:
        self._next_counts = time.monotonic() + COUNTS_INTERVAL
        counts = self.plan.counts()
        if counts != self._counts:
            self._counts = counts
            self._event(row.CLIENT, counts)

    def _wait(self, seconds: float) -> None:
        poll = select.poll()
        if not self._stopping:
            poll.register(self._wake_read, select.POLLIN)
        if self._socket is not None:
            poll.register(self._socket, select.POLLIN)
        with contextlib.suppress(OSError):
            poll.poll(seconds * 1000)

    def _last_words(self) -> None:
        """After `finish`: hand over what is the link's to hand over, then leave the rest to the collector."""
        self.journal.rescue()
        self.journal.seal()
        deadline = time.monotonic() + FINISH_TIMEOUT
        self._next_attempt = 0.0
        while time.monotonic() < deadline:
            self._guard(self._talk)
            waiting = self._socket is not None and (not self._answered or self._sends)
            if not waiting or not (self.journal.sealed or self._keeper.segments):
                break
            self._wait(TICK)
        with contextlib.suppress(OSError):
            self._keeper.close()
        self.journal.close(unlink=False)
        self._disconnect()
        self.state = "finished"
        self.abandon()


def _segment_frames(data: bytes) -> bytes:
    """A segment's frames as a stream, begun with what its header says."""
    header = wire.read_segment_header(data)
    return wire.seq_frame(header.first_seq, header.first_point) + data[wire.HEADER_SIZE :]
