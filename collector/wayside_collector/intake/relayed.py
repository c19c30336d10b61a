"""The way into the spool of a session that another collector feeds us.

What it jumps over is not lost: the other collector's options may leave rows out, or another replica of this gateway
has them. It says itself what its clients lost. The numbers of its schemas are given out here, since each lot brings
names of its own.
"""

import asyncio
import sys
from array import array
from collections.abc import Sequence
from typing import NamedTuple

from wayside import row, wire

from ..plausible import check_count
from ..registry import Known
from ..relay import MAX_BODY
from .inlet import Counters, Inlet, Stream

#: Bytes that the rows of a delivery may come to where names are written out: sixteen times what our sinks send at once.
MAX_WRITTEN = 2 * MAX_BODY
_THREAD = 64 << 10  # bytes to be written out from which on a thread does it: a millisecond

_TAKEN = frozenset({wire.ROW, wire.NAMED_ROW, wire.EVENT, wire.SEQ})


class Crowded(Exception):
    """There is no room for a lot beside those before it: it is for a later delivery."""


class Fitted(NamedTuple):
    """A lot as its session may take it. written: bytes of the rows whose names are written out, at most."""

    numbers: list[int | None]
    names: list[tuple[str, ...]]
    frames: bytes
    written: int


class RelayedInlet(Inlet):
    """See `Inlet`. finish_time: of its finish, by its own clock. taking: held from a lot's taking until it is stored,
    since what comes again meanwhile must not be told to be there.
    """

    def __init__(self, known: Known, next_seq: int, next_point: int, counters: Counters) -> None:
        super().__init__(known, next_seq, next_point, counters)
        self.finish_time: float | None = None
        self.taking = asyncio.Lock()
        self._numbers = {names: number for number, names in known.schemas.items()}
        self._next_number = max(known.schemas, default=-1) + 1
        self._given = self._slots  # names in all schemas, those included that are not taken yet

    async def fit(self, names: Sequence[Sequence[str]], frames: bytes, room: int = MAX_WRITTEN) -> Fitted:
        """Frames whose rows have the places of their names in their heads, with the session's own numbers there. Where
        it may have no more of those, names are written out, in `room` bytes at most. Raises wire.WireError for what
        makes no sense, and Crowded.
        """
        spans = _checked(frames, len(names))
        known = [wire.checked_names(some, f"names {place}") for place, some in enumerate(names)]
        numbers = [self._number(some) for some in known]
        size = written_size(spans, numbers, known)
        if size > MAX_WRITTEN:
            raise wire.WireError(
                f"its rows with their names written out come to {size} bytes, the limit is {MAX_WRITTEN}: it has all"
                f" the {wire.MAX_SCHEMAS} schemas or {wire.MAX_SLOTS} names it may have, use fewer or shorter names"
            )
        if size > room:
            raise Crowded(f"the delivery's rows with their names written out come to more than {MAX_WRITTEN} bytes")
        if size > _THREAD:
            fitted = await asyncio.to_thread(renumbered, frames, spans, numbers, known)
        else:
            fitted = renumbered(frames, spans, numbers, known)
        return Fitted(numbers, known, fitted, size)

    def take_lot(self, lot: Fitted) -> None:
        """Take all of it."""
        stream = Stream(self.next_seq, self.next_point, set(self._defined))
        defined = b"".join(
            wire.schema_frame(number, some)
            for number, some in zip(lot.numbers, lot.names, strict=True)
            if number is not None and number not in self._defined
        )
        self.take(stream, defined + lot.frames)

    def _number(self, names: tuple[str, ...]) -> int | None:
        """The session's own number of these names; None when it has as many schemas as it may have."""
        number = self._numbers.get(names)
        if number is None and self._next_number < wire.MAX_SCHEMAS and self._given + len(names) <= wire.MAX_SLOTS:
            number = self._numbers[names] = self._next_number
            self._next_number += 1
            self._given += len(names)
        return number

    def _arrive(self, stream: Stream, frames: int, width: int) -> int:
        """See `Inlet`; a jump is no loss here, and makes no new batch."""
        seq = stream.seq
        stream.seq += frames
        if seq < self.next_seq:
            doubles = min(frames, self.next_seq - seq)
            self.counters.doubles += doubles
            return doubles
        check_count(seq, self.next_point)
        self.next_seq = seq
        return 0

    def _put_event(self, stream: Stream, data: bytes, span: wire.Span) -> bool:
        new = super()._put_event(stream, data, span)
        event = wire.read_event(data, span, 0)
        if event.kind == row.FINISH:
            self.finish_time = event.time
        return new


def _checked(frames: bytes, names: int) -> list[wire.Span]:
    """The frames of a lot. Raises wire.WireError unless each is whole, of a kind that belongs there, and named."""
    found = wire.scan(frames)
    if found.end != len(frames):
        raise wire.WireError(found.error or f"a frame that is not whole at byte {found.end}")
    for span in found.spans:
        if span.type not in _TAKEN:
            raise wire.WireError(f"a frame of type {span.type} at byte {span.start} does not belong here")
        if span.type == wire.ROW and span.schema >= names:
            raise wire.WireError(f"a row at byte {span.start} of names {span.schema}, of which there are {names}")
    return found.spans


def written_size(spans: Sequence[wire.Span], numbers: Sequence[int | None], names: Sequence[tuple[str, ...]]) -> int:
    """Bytes, at most, of the rows without a number with their names written out."""
    each = {
        place: len(wire.named_row_frame(0.0, None, dict.fromkeys(names[place], -1.2345678901234567e-300)))
        for place in {span.schema for span in spans if span.type == wire.ROW and numbers[span.schema] is None}
    }
    return sum(span.frames * each.get(span.schema, 0) for span in spans if span.type == wire.ROW)


def renumbered(
    frames: bytes, spans: Sequence[wire.Span], numbers: Sequence[int | None], names: Sequence[tuple[str, ...]]
) -> bytes:
    """The frames with these numbers in their rows' heads; rows without a number with their names written out."""
    if all(number == place for place, number in enumerate(numbers)):
        return frames
    out: list[bytes] = []
    for span in spans:
        data = frames[span.start : span.end]
        number = numbers[span.schema] if span.type == wire.ROW else None
        if number is not None:
            out.append(_with_head(data, span, wire.head(span.size, span.type, span.flags, number)))
        elif span.type == wire.ROW:
            rows = wire.read_rows(frames, span, names[span.schema], 0)
            out += [wire.named_row_frame(one.time, one.step, one.metrics, span.flags) for one in rows]
        else:
            out.append(data)
    return b"".join(out)


def _with_head(data: bytes, span: wire.Span, word: int) -> bytes:
    """Rows of one head with another one: two strided slices, whatever their number."""
    words = array("Q", data)
    if sys.byteorder == "big":
        words.byteswap()
    stride = span.size // 8
    heads = array("Q", [word]) * span.frames
    words[::stride] = heads
    words[stride - 1 :: stride] = heads
    if sys.byteorder == "big":
        words.byteswap()
    return words.tobytes()
