"""One session's way into the spool: its frames are checked, numbered and cut into batches; no value is decoded.

A *stream* is frames of one session in order, from a journal's segment or from a socket. What was stored before is
refused as a double by its seq, whichever way it comes; a jump of the seq is booked as lost at the client. A frame
that is whole but makes no sense is left out and counted, and the next one is taken; where the bytes are no frames,
the stream ends there with an error.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from wayside import row, wire

from ..media_events import UNKNOWN, names_files
from ..plausible import check_count, parted, time_of
from ..registry import Known
from ..spool import Batch, Loss
from .client_counts import add_refused
from .drafts import Draft, Stream

__all__ = ["BATCH_SIZE", "Counters", "Inlet", "Stream"]

#: Bytes of rows, and of events, in a batch, or one frame: a pump decodes it in a few milliseconds and megabytes.
BATCH_SIZE = 512 << 10


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
    media_files: int = 0  # taken into the spool
    media_lost: int = 0  # that could not be
    client_refused: dict[str, int] = field(default_factory=dict)  # points and events by reason, which never came


class Inlet:
    """One session's way into the spool: what is stored of it, and the batches not yet handed in.

    client_id: what the session calls itself. base_seq, base_point: its numbers when it was last taken for dead; from
    there on it is a session of its own here, and is told and asked in its own numbers.

    next_seq, next_point: totals including what is drafted; `stored_seq` what is on disk. finished: a FINISH event was
    stored. finish: where one of ours was put in. setbacks: how often what was taken was not stored. claims: by seq,
    the events among the batches whose files are to be taken before they are stored. sender: who is at the other end.
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
        self.finish: tuple[int, int] | None = None
        self.setbacks = 0
        self.counters = counters
        self.losses: list[Loss] = []
        self.batches: list[Batch] = []
        self.claims: dict[int, row.Event] = {}
        self.sender = UNKNOWN
        self.problem: str | None = None
        self._client_refused: dict[str, int] = {}
        # One hand-over to the spool at a time: a later one must not succeed without the earlier.
        self.turn = asyncio.Lock()
        self.ending = asyncio.Lock()  # ended twice at once it would get two finishes
        self._slots = sum(len(names) for names in known.schemas.values())
        self._defined = set(known.schemas)
        self._stored_definitions = set(known.schemas)
        self._draft: Draft | None = None
        self._finishing = False
        self._lost_by = "sender" if known.session.posted else "client"  # who posts has no journal that could be full

    # --- one frame after the other ----------------------------------------------------------------

    def take(self, stream: Stream, data: bytes, end: int | None = None) -> int:
        """Walk the stream's next bytes; returns how many were whole frames, which must not come again on this stream.
        Raises wire.WireError where the very first of them are none.
        """
        found = wire.scan(data, 0, end)
        for span in found.spans:
            for part in parted(data, span):
                try:
                    self._take_span(stream, data, part)
                except wire.WireError as problem:
                    self.counters.malformed += part.frames
                    self.problem = str(problem)
                    if part.type in (wire.ROW, wire.NAMED_ROW, wire.EVENT):
                        stream.seq += part.frames
        self._close_draft()
        if found.error is not None and not found.end:
            raise wire.WireError(found.error)
        return found.end

    def _take_span(self, stream: Stream, data: bytes, span: wire.Span) -> None:
        if span.type == wire.ROW:
            self._take_rows(stream, data, span)
        elif span.type == wire.EVENT:
            event = wire.read_event(data, span, stream.seq)
            self._finishing = self._finishing or event.kind == row.FINISH
            if names_files(event):
                self._put_claim(stream, data, span, event)
            elif self._put_event(stream, data, span) and event.kind == row.CLIENT:
                add_refused(self.counters.client_refused, event.data.get("refused"), self._client_refused)
        elif span.type == wire.NAMED_ROW:
            width = len(wire.read_named_row(data, span, stream.seq).names)
            if width > wire.MAX_WIDTH:
                raise wire.WireError(f"a row of {width} points at byte {span.start}; the limit is {wire.MAX_WIDTH}")
            self._put_rows(stream, data, span, width, -1)
        elif span.type == wire.SCHEMA:
            self._define(stream, data, span)
        elif span.type == wire.SEQ:
            seq, point = wire.read_pair(data, span)
            check_count(seq, point)
            stream.seq, stream.point = seq, point
        elif span.type != wire.HELLO:
            raise wire.WireError(f"a frame of type {span.type} at byte {span.start} is none a client sends")

    def _define(self, stream: Stream, data: bytes, span: wire.Span) -> None:
        names = wire.read_schema(data, span)
        known = self.known.schemas.get(span.schema)
        if known is None:
            if self._slots + len(names) > wire.MAX_SLOTS or len(self.known.schemas) >= wire.MAX_SCHEMAS:
                raise wire.WireError(f"more than {wire.MAX_SLOTS} names or {wire.MAX_SCHEMAS} schemas in one session")
            self._slots += len(names)
            self.known.schemas[span.schema] = names
        elif known != names:
            raise wire.WireError(f"schema {span.schema} is defined twice with different names")
        if span.schema not in self._defined:
            draft = self._open_draft()
            draft.defines[span.schema] = bytes(memoryview(data)[span.start : span.end])
            self._defined.add(span.schema)
        stream.schemas.add(span.schema)

    def _take_rows(self, stream: Stream, data: bytes, span: wire.Span) -> None:
        if span.schema not in stream.schemas:
            raise wire.WireError(
                f"a row at byte {span.start} of schema {span.schema}, which this stream has not defined"
            )
        width = len(self.known.schemas[span.schema])
        if span.size != wire.row_size(width):
            raise wire.WireError(f"a row of {span.size} bytes at byte {span.start} of a schema with {width} names")
        self._put_rows(stream, data, span, width, span.schema)

    def _put_rows(self, stream: Stream, data: bytes, span: wire.Span, width: int, schema: int) -> None:
        time_of(data, span.start)
        skip = self._arrive(stream, span.frames, width)
        start = span.start + skip * span.size
        frames = span.frames - skip
        while frames:
            if self._draft is not None and self._draft.rows and len(self._draft.rows) + span.size > BATCH_SIZE:
                self._close_draft()
            draft = self._open_draft(time_of(data, start))
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

    def _put_event(self, stream: Stream, data: bytes, span: wire.Span) -> bool:
        """Whether it is new."""
        at = time_of(data, span.start)
        if self._arrive(stream, 1, 0):
            return False
        if self._draft is not None and self._draft.events and len(self._draft.events) + span.size > BATCH_SIZE:
            self._close_draft()
        draft = self._open_draft(at)
        if draft.events_seq != self.next_seq:
            draft.events += wire.seq_frame(self.next_seq, self.next_point)
        draft.events += memoryview(data)[span.start : span.end]
        self.next_seq += 1
        draft.events_seq = self.next_seq
        draft.counts[2] += 1
        return True

    def _put_claim(self, stream: Stream, data: bytes, span: wire.Span, event: row.Event) -> None:
        """In a batch of its own, which is dropped with the event's files if it must."""
        self._close_draft()
        if self._put_event(stream, data, span):
            self._close_draft()
            self.claims[self.next_seq - 1] = event

    def _arrive(self, stream: Stream, frames: int, width: int) -> int:
        """Number what arrived; returns how many of the frames are doubles. A jump of the seq is booked as lost."""
        seq, point = stream.seq - self.base_seq, stream.point - self.base_point
        stream.seq += frames
        stream.point += frames * width
        if seq < self.next_seq:
            doubles = min(frames, self.next_seq - seq)
            self.counters.doubles += doubles
            return doubles
        if seq > self.next_seq:
            check_count(seq, point)
            points = max(0, point - self.next_point)
            self.losses.append(Loss(self.key, self.next_seq, seq, points, self._lost_by, time.time()))
            self._close_draft()
            self.next_seq, self.next_point = seq, point
        return 0

    def book_loss(self, rows: int, points: int) -> None:
        """Rows the client dropped and no later frame tells of."""
        check_count(self.next_seq + rows, self.next_point + points)
        self._close_draft()
        self.losses.append(Loss(self.key, self.next_seq, self.next_seq + rows, points, self._lost_by, time.time()))
        self.next_seq += rows
        self.next_point += points

    def _open_draft(self, at: float = 0.0) -> Draft:
        if self._draft is None:
            self._draft = Draft(self.next_seq)
        self._draft.time = self._draft.time or at
        return self._draft

    def _close_draft(self) -> None:
        draft, self._draft = self._draft, None
        if draft is None:
            return
        self.batches.append(draft.batch(self.key, self.next_seq, self.next_point, self.chain))

    @property
    def told_seq(self) -> int:
        """Everything below it is on disk, in the session's own numbers."""
        return self.stored_seq + self.base_seq

    def stream(self) -> Stream:
        """A stream that goes on where this session is."""
        return Stream(self.next_seq + self.base_seq, self.next_point + self.base_point)

    # --- what the spool says ---------------------------------------------------------------------

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
            if loss.next_seq > self.stored_seq:
                self.stored_seq = loss.next_seq
                self._stored_point += loss.points
            self.counters.lost_rows += loss.next_seq - loss.first_seq
            self.counters.lost_points += loss.points
        self.finished = self.finished or self._finishing

    def not_stored(self) -> None:
        """It is not, nor will be what was drafted since: as if none of it had come."""
        self.setbacks += 1
        self._draft = None
        self.batches, self.losses = [], []
        self.claims.clear()
        self._defined = set(self._stored_definitions)
        self.next_seq, self.next_point = self.stored_seq, self._stored_point
        self._finishing = self.finished
