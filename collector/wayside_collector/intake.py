"""Between the sources and the spool: frames are walked, checked, numbered and cut into batches; no value is decoded.

A *stream* is frames of one session in order, from a journal's segment or from a socket. What was stored before is
refused as a double by its seq, whichever way it comes; a jump of the seq is booked as lost at the client. A frame
that is whole but makes no sense is left out and counted, and the next one is taken; where the bytes are no frames,
the stream ends there with an error.
"""

import asyncio
import contextlib
import hashlib
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from wayside import row, wire

from .registry import Known, Registry
from .session import Session, read_session
from .spool import Amount, Batch, Damaged, Loss, Spool, SpoolError

BATCH_SIZE = (
    512 << 10
)  #: bytes of rows in a batch: what a pump decodes at once costs it a few milliseconds and megabytes
MAX_SLOTS = 1 << 18  #: names in all schemas of a session together: about 20 MB of text at worst
MAX_SESSIONS = 10_000  #: sessions alive at once: a thousand processes a node, ten times over

log = logging.getLogger(__name__)


class Refused(Exception):
    """What a peer sent cannot be taken; the message is for the peer: what, where and what to do."""


@dataclass(slots=True)
class Counters:
    """What intake did, in rows and events unless said otherwise."""

    received_points: int = 0
    received_rows: int = 0
    received_events: int = 0
    doubles: int = 0
    malformed: int = 0
    lost_rows: int = 0
    lost_points: int = 0


@dataclass(slots=True)
class _Draft:
    """A batch being put together."""

    first_seq: int
    rows: bytearray = field(default_factory=bytearray)
    events: bytearray = field(default_factory=bytearray)
    rows_seq: int = -1  # the seq the next row has if no SEQ frame says otherwise
    events_seq: int = -1
    counts: list[int] = field(default_factory=lambda: [0, 0, 0])
    composition: dict[int, int] = field(default_factory=dict)
    defines: dict[int, bytes] = field(default_factory=dict)
    time: float = 0.0


class Inlet:
    """One session's way into the spool: what is stored of it, and the batches not yet handed in.

    client_id: what the session calls itself. base_seq, base_point: its numbers when it was last taken for dead; from
    there on it is a session of its own here, and is told and asked in its own numbers.

    next_seq, next_point: totals including what is drafted; `stored_seq` what is on disk. finished: a FINISH event was
    stored.
    """

    def __init__(self, known: Known, next_seq: int, next_point: int, counters: Counters) -> None:
        self.known = known
        self.key = known.key
        continues = known.session.continues
        self.client_id, self.base_seq, self.base_point = continues or (known.session.id, 0, 0)
        self.chain = "system" if known.session.kind == "system" else "scalars"
        self.next_seq = self.stored_seq = next_seq
        self.next_point = self._stored_point = next_point
        self.finished = False
        self.counters = counters
        self.losses: list[Loss] = []
        self.batches: list[Batch] = []
        self.problem: str | None = None
        self.turn = (
            asyncio.Lock()
        )  # one hand-over to the spool at a time: a later one must not succeed without the earlier
        self._slots = sum(len(names) for names in known.schemas.values())
        self._defined = set(known.schemas)
        self._stored_definitions = set(known.schemas)
        self._draft: _Draft | None = None
        self._finishing = False

    # --- one frame after the other ----------------------------------------------------------------

    def take(self, stream: "Stream", data: bytes, end: int | None = None) -> int:
        """Walk the stream's next bytes; returns how many were whole frames. Raises wire.WireError where they are
        none.
        """
        found = wire.scan(data, 0, end)
        for span in found.spans:
            try:
                self._take_span(stream, data, span)
            except wire.WireError as problem:
                self.counters.malformed += span.frames
                self.problem = str(problem)
                if span.type in (wire.ROW, wire.NAMED_ROW, wire.EVENT):
                    stream.seq += span.frames
        self._close_draft()
        if found.error is not None:
            raise wire.WireError(found.error)
        return found.end

    def _take_span(self, stream: "Stream", data: bytes, span: wire.Span) -> None:
        if span.type == wire.ROW:
            self._take_rows(stream, data, span)
        elif span.type == wire.EVENT:
            event = wire.read_event(data, span, stream.seq)
            self._finishing = self._finishing or event.kind == row.FINISH
            self._put_event(stream, data, span)
        elif span.type == wire.NAMED_ROW:
            width = len(wire.read_named_row(data, span, stream.seq).names)
            self._put_rows(stream, data, span, width, -1)
        elif span.type == wire.SCHEMA:
            self._define(stream, data, span)
        elif span.type == wire.SEQ:
            stream.seq, stream.point = wire.read_pair(data, span)
        elif span.type != wire.HELLO:
            raise wire.WireError(f"a frame of type {span.type} at byte {span.start} is none a client sends")

    def _define(self, stream: "Stream", data: bytes, span: wire.Span) -> None:
        names = wire.read_schema(data, span)
        known = self.known.schemas.get(span.schema)
        if known is None:
            if self._slots + len(names) > MAX_SLOTS or len(self.known.schemas) >= wire.MAX_SCHEMAS:
                raise wire.WireError(f"more than {MAX_SLOTS} names or {wire.MAX_SCHEMAS} schemas in one session")
            self._slots += len(names)
            self.known.schemas[span.schema] = names
        elif known != names:
            raise wire.WireError(f"schema {span.schema} is defined twice with different names")
        if span.schema not in self._defined:
            draft = self._open_draft()
            draft.defines[span.schema] = bytes(memoryview(data)[span.start : span.end])
            self._defined.add(span.schema)
        stream.schemas.add(span.schema)

    def _take_rows(self, stream: "Stream", data: bytes, span: wire.Span) -> None:
        if span.schema not in stream.schemas:
            raise wire.WireError(
                f"a row at byte {span.start} of schema {span.schema}, which this stream has not defined"
            )
        width = len(self.known.schemas[span.schema])
        if span.size != 32 + 8 * width:
            raise wire.WireError(f"a row of {span.size} bytes at byte {span.start} of a schema with {width} names")
        self._put_rows(stream, data, span, width, span.schema)

    def _put_rows(self, stream: "Stream", data: bytes, span: wire.Span, width: int, schema: int) -> None:
        skip = self._arrive(stream, span.frames, width)
        start = span.start + skip * span.size
        frames = span.frames - skip
        while frames:
            draft = self._open_draft(data, start)
            fits = max(1, (BATCH_SIZE - len(draft.rows)) // span.size)
            take = min(frames, fits)
            if draft.rows_seq != self.next_seq:
                draft.rows += wire.seq_frame(self.next_seq, self.next_point)
            draft.rows += memoryview(data)[start : start + take * span.size]
            self.next_seq += take
            self.next_point += take * width
            draft.rows_seq = self.next_seq
            draft.counts[0] += take * width
            draft.counts[1] += take
            draft.composition[schema] = draft.composition.get(schema, 0) + take
            start += take * span.size
            frames -= take
            if len(draft.rows) + span.size > BATCH_SIZE:
                self._close_draft()

    def _put_event(self, stream: "Stream", data: bytes, span: wire.Span) -> None:
        if self._arrive(stream, 1, 0):
            return
        draft = self._open_draft(data, span.start)
        if draft.events_seq != self.next_seq:
            draft.events += wire.seq_frame(self.next_seq, self.next_point)
        draft.events += memoryview(data)[span.start : span.end]
        self.next_seq += 1
        draft.events_seq = self.next_seq
        draft.counts[2] += 1
        if len(draft.events) > BATCH_SIZE:
            self._close_draft()

    def _arrive(self, stream: "Stream", frames: int, width: int) -> int:
        """Number what arrived; returns how many of the frames are doubles. A jump of the seq is booked as lost."""
        seq, point = stream.seq - self.base_seq, stream.point - self.base_point
        stream.seq += frames
        stream.point += frames * width
        if seq < self.next_seq:
            doubles = min(frames, self.next_seq - seq)
            self.counters.doubles += doubles
            return doubles
        if seq > self.next_seq:
            points = max(0, point - self.next_point)
            self.losses.append(Loss(self.key, self.next_seq, seq, points, "client", time.time()))
            self._close_draft()
            self.next_seq, self.next_point = seq, point
        return 0

    def book_loss(self, rows: int, points: int) -> None:
        """Rows the client dropped and no later frame tells of."""
        self._close_draft()
        self.losses.append(Loss(self.key, self.next_seq, self.next_seq + rows, points, "client", time.time()))
        self.next_seq += rows
        self.next_point += points

    def _open_draft(self, data: bytes | None = None, start: int = 0) -> _Draft:
        if self._draft is None:
            self._draft = _Draft(self.next_seq)
        if data is not None and not self._draft.time:
            self._draft.time = _time_at(data, start)
        return self._draft

    def _close_draft(self) -> None:
        draft, self._draft = self._draft, None
        if draft is None:
            return
        self.batches.append(
            Batch(
                self.key,
                draft.first_seq,
                self.next_seq,
                self.next_point,
                bytes(draft.rows),
                bytes(draft.events),
                Amount(*draft.counts),
                tuple(draft.composition.items()),
                draft.time,
                draft.defines,
                self.chain,
            )
        )

    @property
    def told_seq(self) -> int:
        """Everything below it is on disk, in the session's own numbers."""
        return self.stored_seq + self.base_seq

    def stream(self) -> "Stream":
        """A stream that goes on where this session is."""
        return Stream(self.next_seq + self.base_seq, self.next_point + self.base_point)

    # --- what the spool says
    # -------------------------------------------------------------------------------------------

    def hand_over(self) -> tuple[list[Batch], list[Loss]]:
        """What is to be stored now; `stored` or `not_stored` must follow."""
        handed = self.batches, self.losses
        self.batches, self.losses = [], []
        return handed

    def stored(self, batches: Sequence[Batch], losses: Sequence[Loss]) -> None:
        """What was handed over is on disk."""
        for batch in batches:
            self.counters.received_points += batch.amount.points
            self.counters.received_rows += batch.amount.rows
            self.counters.received_events += batch.amount.events
            self.stored_seq, self._stored_point = batch.next_seq, batch.next_point
            self._stored_definitions.update(batch.defines)
        for loss in losses:
            self.stored_seq = max(self.stored_seq, loss.next_seq)
            self.counters.lost_rows += loss.next_seq - loss.first_seq
            self.counters.lost_points += loss.points
        self.finished = self.finished or self._finishing

    def not_stored(self) -> None:
        """It is not, nor will be what was drafted since: as if none of it had come."""
        self._draft = None
        self.batches, self.losses = [], []
        self._defined = set(self._stored_definitions)
        self.next_seq, self.next_point = self.stored_seq, self._stored_point
        self._finishing = self.finished


@dataclass(slots=True)
class Stream:
    """Where a stream of frames is: the seq and point total of its next row or event, and the schemas it has defined."""

    seq: int = 0
    point: int = 0
    schemas: set[int] = field(default_factory=set)


class Intake:
    """Begins sessions, and hands what their inlets hold to the spool. On the event loop."""

    def __init__(
        self, spool: Spool, registry: Registry, on_session: Callable[[Known], None] = lambda known: None
    ) -> None:
        self.spool = spool
        self.registry = registry
        self.counters = Counters()
        self._on_session = on_session
        self._inlets: dict[str, Inlet] = {}
        self._said: set[str] = set()
        self._storing: set[asyncio.Task[None]] = set()

    async def begin(self, record: dict[str, Any], journals: Sequence[str] = ()) -> Inlet:
        """The inlet of a session, by its record; raises Refused when the record makes no sense, SpoolError when it
        cannot be kept.
        """
        session = _checked(record)
        inlet = self._inlets.get(session.id)
        if inlet is not None and inlet.known.ended is None:
            return inlet
        if inlet is None and len(self._inlets) >= MAX_SESSIONS:
            raise Refused(f"{MAX_SESSIONS} sessions are open, the limit; end some, or run another collector")
        fields = {key: value for key, value in record.items() if key != "journal"}
        fields.update(self._continuation(session.id))
        before = self.registry.by_id(fields["session"])
        over = before is not None and before.ended is not None
        frame = wire.json_frame(wire.HELLO, fields)
        begun = self.spool.begin_session(fields["session"], frame, session.started or time.time(), journals)
        stored = await asyncio.wrap_future(begun)
        known = self.registry.add(stored)
        inlet = self._inlets.get(session.id)
        if inlet is None or inlet.known is not known:  # else it was begun twice at once, and the other was faster
            inlet = self._inlets[session.id] = Inlet(known, stored.next_seq, stored.next_point, self.counters)
            inlet.finished = over
            self._on_session(known)
        return inlet

    def _continuation(self, id: str) -> dict[str, Any]:
        """What a session is called here: its own id, or another one when we wrote its end and it is not dead after
        all. Its next row would have the number of that end, and be refused as a double.
        """
        name, seq, point = id, 0, 0
        known = self.registry.by_id(id)
        while known is not None and known.ended is not None and known.finish is not None:
            seq, point = seq + known.finish[0], point + known.finish[1]
            name = hashlib.sha256(f"{id} {seq}".encode()).hexdigest()[:32]
            known = self.registry.by_id(name)
        return {"session": name, "continues": [id, seq, point]} if name != id else {"session": id}

    def resume(self) -> list[tuple[Inlet, tuple[str, ...]]]:
        """Inlets of the sessions that were open when the collector last stopped, with their journals' folders."""
        found: list[tuple[Inlet, tuple[str, ...]]] = []
        for stored in self.spool.sessions():
            if stored.ended is None:
                inlet = Inlet(self.registry.of(stored.key), stored.next_seq, stored.next_point, self.counters)
                inlet.finished = self._holds_finish(stored.key)
                self._inlets[inlet.client_id] = inlet
                found.append((inlet, stored.journals))
        return found

    def _holds_finish(self, key: int) -> bool:
        """Whether the last event stored of a session is its finish: it was all but ended when we stopped."""
        last = self.spool.query("SELECT max(id) FROM batches WHERE session = ? AND events > 0", key)[0][0]
        for batch in self.spool.batches(last - 1, 1, key) if last is not None else ():
            with contextlib.suppress(Damaged, OSError, wire.WireError):
                data = self.spool.read(batch.events) if batch.events is not None else b""
                events = [span for span in wire.scan(data).spans if span.type == wire.EVENT]
                return bool(events) and wire.read_event(data, events[-1], 0).kind == row.FINISH
        return False

    async def store(self, inlets: Sequence[Inlet]) -> None:
        """Everything these inlets hold is on disk when this returns; raises SpoolError, and then nothing of it is.

        Whoever is cancelled here leaves the hand-over to finish by itself, so that no inlet is left in doubt.
        """
        if any(inlet.batches or inlet.losses for inlet in inlets):
            task = asyncio.get_running_loop().create_task(self._store(sorted(inlets, key=lambda inlet: inlet.key)))
            self._storing.add(task)
            task.add_done_callback(self._settled)
            await asyncio.shield(task)

    async def _store(self, inlets: Sequence[Inlet]) -> None:
        async with contextlib.AsyncExitStack() as turns:
            for inlet in inlets:
                await turns.enter_async_context(inlet.turn)
            handed = [(inlet, *inlet.hand_over()) for inlet in inlets]
            batches = [batch for _, found, _ in handed for batch in found]
            losses = [loss for _, _, found in handed for loss in found]
            try:
                if batches or losses:
                    await asyncio.wrap_future(self.spool.append(batches, losses))
            except SpoolError:
                for inlet, _, _ in handed:
                    inlet.not_stored()
                raise
            for inlet, mine, lost in handed:
                inlet.stored(mine, lost)
                self._say_problems(inlet)

    def _settled(self, task: "asyncio.Task[None]") -> None:
        self._storing.discard(task)
        if not task.cancelled():
            task.exception()  # whoever waited has it; when nobody did, the inlets know

    async def settle(self) -> None:
        """Wait for every hand-over that is under way."""
        if self._storing:
            await asyncio.wait(list(self._storing))

    async def end(self, inlet: Inlet, *, reason: str = "crashed") -> None:
        """The session is over and all of it is stored; one that never said so gets a finish of ours."""
        if inlet.known.ended is not None:
            return
        now = time.time()
        finish = None
        if not inlet.finished:
            finish = inlet.next_seq, inlet.next_point
            inlet.take(inlet.stream(), wire.event_frame(now, None, row.FINISH, {"exit_code": None, "reason": reason}))
            await self.store([inlet])
        await asyncio.wrap_future(self.spool.end_session(inlet.key, now, finish))
        inlet.known.ended, inlet.known.finish = now, finish
        self._inlets.pop(inlet.client_id, None)
        log.info("session %s of run %s ended", inlet.known.session.id[:8], inlet.known.session.run.id)

    def find(self, client_id: str) -> Inlet | None:
        """The inlet of an open session, by what it calls itself."""
        return self._inlets.get(client_id)

    def alive(self) -> list[Inlet]:
        return list(self._inlets.values())

    def _say_problems(self, inlet: Inlet) -> None:
        """Each session's first malformed frame is told; the counter has the rest."""
        if inlet.problem is not None and inlet.known.session.id not in self._said:
            self._said.add(inlet.known.session.id)
            log.warning("session %s sent what cannot be kept, left out: %s", inlet.known.session.id[:8], inlet.problem)
        inlet.problem = None


def _checked(record: dict[str, Any]) -> Session:
    import msgspec

    try:
        session = read_session(record)
    except msgspec.ValidationError as problem:
        raise Refused(f"the session record is not understood: {problem}; see docs/wire-protocol.md") from None
    if len(session.session) != 32 or not all(digit in "0123456789abcdef" for digit in session.session):
        raise Refused("the session record's `session` must be 32 lower-case hexadecimal digits")
    if not session.run.id or len(session.run.id) > 256:
        raise Refused("the session record's `run.id` must be 1 to 256 characters")
    return session


def _time_at(data: bytes, start: int) -> float:
    import struct

    value: float = struct.unpack_from("<d", data, start + 8)[0]
    return value
