"""Handing a session's rows over to a collector: finding it, the hello, what it says, and sending where it cannot read.

Used by the link's thread alone, which also decides what becomes of the rows while there is no collector.
"""

import os
import time
from typing import Any, Callable, Dict, List, NamedTuple, NoReturn, Optional, Union

from . import wire
from .journal import Journal
from .kept import Keeper, KeptSegment
from .peer import Answer, Peer, Refusal
from .segments import Segment
from .settings import SHARED_MEMORY

RECONNECT = 0.5  #: seconds between attempts to find a collector
REFUSED_RECONNECT = 10.0  #: seconds after a collector refused us: what it said will not change by asking often
SEND_AT_ONCE = 4 << 20  #: bytes sent at one look: what a collector says about them must be heard in between
ANSWER_TIMEOUT = 10.0  #: seconds a collector may take to answer the hello before the next address is tried


class Plan(NamedTuple):
    """What the link needs to know, fixed when the session begins.

    hello: the session record. addresses: sockets to try, in order; empty in offline mode. overflow: WAYSIDE_DIR.
    kept_limit: bytes that may be kept there. send: whether to send frames even to a collector that could read the
    journal. about: gathers what the run is (slow: git, packages). counts: what the client itself dropped or refused.
    tell: says something to the user, once for each key. shared_memory: where the journal may begin anew. detect: finds
    out which framework the run uses. debug: whether the lines of AMD's guide are said.
    """

    hello: Dict[str, Any]
    addresses: List[str]
    overflow: str
    kept_limit: int
    send: bool
    about: Optional[Callable[[], Dict[str, Any]]]
    counts: Callable[[], Dict[str, Any]]
    tell: Callable[[str, str], None]
    shared_memory: str = SHARED_MEMORY
    detect: Optional[Callable[[], Dict[str, Any]]] = None
    debug: bool = False


class Handover:
    """One session's dealings with collectors, one after the other.

    answer: the collector's latest; it stays when the connection is lost. refusal: why it would not take us. answered:
    whether there is a collector right now that has taken us. sends: whether it is sent frames. stored: every row below
    it is on the collector's disk. before_let_go: called before segments go, with who writes the files that the
    environment asks for where a collector has just said so.
    """

    def __init__(self, journal: Journal, keeper: Keeper, plan: Plan) -> None:
        self.answer: Optional[Answer] = None
        self.refusal: Optional[str] = None
        self.peer: Optional[Peer] = None
        self.answered = self.sends = False
        self.stored = 0
        self._journal = journal
        self._keeper = keeper
        self._plan = plan
        self._addresses = list(plan.addresses)  # the one to be tried next is the first
        self._sent_number, self._sent_end = -1, 0  # the segment being sent, and how far
        self._told_of_kept = False
        self._connected_at = self._next_attempt = 0.0
        self.before_let_go: Callable[[Optional[str]], None] = lambda output: None

    def talk(self) -> None:
        """Find a collector, hear it, send what is to be sent. Raises OSError or wire.WireError, and then
        `disconnect` must follow.
        """
        try:
            if self.peer is None:
                self._connect()
            if self.peer is not None:
                self._listen(self.peer)
                if self.answered and self.sends:
                    self._send_frames(self.peer)
        except ConnectionError:
            self.disconnect()  # it went away or refused us; both are told where they are news

    @property
    def met(self) -> bool:
        """Whether a collector ever took the connection."""
        return self._connected_at > 0.0

    def hurry(self) -> None:
        """Try to connect at the next `talk`, however recent the last attempt."""
        self._next_attempt = 0.0

    def waits_for_answer(self, seconds: float) -> bool:
        """Whether a collector took the connection less than so many seconds ago and has not answered."""
        return self.peer is not None and not self.answered and time.monotonic() < self._connected_at + seconds

    def _connect(self) -> None:
        now = time.monotonic()
        if now < self._next_attempt:
            return
        self._next_attempt = now + RECONNECT
        for address in self._addresses:
            try:
                self.peer = Peer(address, self._hello(address))
                self._connected_at = now
                return
            except (FileNotFoundError, ConnectionRefusedError, BlockingIOError):
                continue  # nobody is there, or more come at once than are taken
            except OSError as problem:
                self._say_unreachable(address, problem)

    def _say_unreachable(self, address: str, problem: OSError) -> None:
        from .probe import look_at  # which imports this module

        found = look_at(address)
        state, do = (str(problem), "") if found.connects else (found.state, found.do)
        hint = f"; {do}" if do else ""
        self._plan.tell(f"connect {address}", f"the collector's socket {address} {state}{hint} (tried again)")

    def _hello(self, address: str) -> Dict[str, Any]:
        path = self._journal.shelf.folder.path
        beside = os.path.dirname(os.path.realpath(address))
        self._told_of_kept = bool(self._keeper.segments)  # a collector that cannot read it there must be sent all
        journal: Dict[str, Any] = {"path": path, "relative": os.path.relpath(path, beside)}
        journal.update(kept=self._keeper.path, keeps=self._told_of_kept)
        hello = dict(self._plan.hello, versions=list(wire.VERSIONS), journal=None if self._plan.send else journal)
        media = os.path.relpath(hello.get("media_root", ".."), beside)
        return hello if media.startswith("..") else dict(hello, media_place=media)

    def disconnect(self) -> None:
        if self.peer is not None:
            self.peer.close()
            if not self.answered:  # another collector may listen on the next address
                self._addresses.append(self._addresses.pop(self._addresses.index(self.peer.address)))
        self.peer, self.answered = None, False
        self._sent_number, self._sent_end = -1, 0

    def _listen(self, peer: Peer) -> None:
        for message in peer.hear():
            if isinstance(message, Answer):
                self._hear_answer(message)
            elif isinstance(message, Refusal):
                self._be_refused(message.error, f"the collector refused this session: {message.error}")
            else:
                self._let_go(message.seq)
        if not self.answered and time.monotonic() > self._connected_at + ANSWER_TIMEOUT:
            raise TimeoutError(f"{peer.address} took the connection and does not answer")

    def _hear_answer(self, answer: Answer) -> None:
        self.answer = answer
        if answer.version is None:
            both = f"this client writes wire version {wire.VERSION}, the collector reads {list(answer.versions)}"
            self._be_refused(both, f"{both}; the journal waits until one of them is upgraded")
        self.answered = True
        self.refusal = None
        self._say_of_key(answer)
        self.sends = self._plan.send or not answer.readable
        self.before_let_go(answer.output or "there")
        self._let_go(answer.stored)
        self._keeper.forget_copy()
        if answer.readable and self._keeper.segments and not self._told_of_kept:
            raise ConnectionResetError("something was kept while the answer was awaited: the next hello says where")

    def _say_of_key(self, answer: Answer) -> None:
        if answer.wandb in (None, "key"):
            return
        from .for_wandb import key_advice

        advice = key_advice(answer.wandb, self._plan.hello, os.environ)
        if advice is not None:
            self._plan.tell("W&B key", advice)

    def _be_refused(self, reason: str, message: str) -> NoReturn:
        self.refusal = reason
        self._next_attempt = time.monotonic() + REFUSED_RECONNECT
        self._plan.tell(f"refused {reason}", message)
        raise ConnectionRefusedError(reason)

    def _let_go(self, seq: int) -> None:
        if seq > self._journal.seq and not self._journal.left:
            raise wire.WireError(f"the collector says it has stored {seq} rows, and {self._journal.seq} were written")
        self.before_let_go(None)
        self.stored = max(self.stored, seq)
        self._keeper.let_go(seq)
        self._journal.shelf.let_go(seq)

    def _send_frames(self, peer: Peer) -> None:
        """Send what is committed and not yet sent: what was kept on disk first, then the live segments."""
        segments: List[Union[KeptSegment, Segment]] = [*self._keeper.segments, *self._journal.live()]
        budget = SEND_AT_ONCE
        for segment in segments:
            if segment.number < self._sent_number:
                continue
            if segment.number != self._sent_number:
                self._sent_number, self._sent_end = segment.number, 0
            position = segment.position
            if position > self._sent_end:
                data = segment.read(self._sent_end, position)
                peer.send(data if self._sent_end else segment_frames(data))
                self._sent_end = position
                budget -= len(data)
            if budget <= 0:
                return


def segment_frames(data: bytes) -> bytes:
    """A segment's frames as a stream, begun with what its header says."""
    header = wire.read_segment_header(data)
    return wire.seq_frame(header.first_seq, header.first_point) + data[wire.HEADER_SIZE :]
