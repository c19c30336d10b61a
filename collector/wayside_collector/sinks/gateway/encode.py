"""From parcels to lots: rows and events of one session as frames again, by value what they were. Pure.

The pump has decoded them, since a sink's options and its dead letters are about rows; to pack them anew costs less than
that did (bench/gateway.py), and small batches become one run of frames.
"""

import struct
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import msgspec
from wayside import wire
from wayside.row import Event, Row

from ...relay import Lot
from ..base import Part, Ref

MAX_NAMES = 256  #: sets of names of a lot: a session whose names change with every row gets several lots


class Packed(NamedTuple):
    """A lot, its session and run, and what is in it. size: bytes, roughly."""

    session: str
    run: str
    lot: Lot
    refs: list[Ref]
    size: int


class Bad(NamedTuple):
    """A record that no frame holds, and why."""

    ref: Ref
    reason: str


class _Draft:
    """A lot being put together."""

    def __init__(self) -> None:
        self.names: dict[tuple[str, ...], int] = {}
        self.layouts: list[struct.Struct] = []
        self.frames = bytearray()
        self.refs: list[Ref] = []
        self.next_seq = -1
        self.said = 0  # bytes of the names

    def put(self, session: str, record: Row | Event) -> None:
        """Raises wire.WireError."""
        frame = self._row(record) if isinstance(record, Row) else _event(record)
        if record.seq != self.next_seq:
            self.frames += wire.seq_frame(record.seq, 0)
        self.frames += frame
        self.next_seq = record.seq + 1
        self.refs.append((session, record.seq))

    def _row(self, row: Row) -> bytes:
        number = self.names.get(row.names)
        if number is None:
            number = self.names[row.names] = len(self.names)
            self.said += sum(map(len, row.names)) + 2 * len(row.names)
            self.layouts.append(wire.row_struct(len(row.names)))
        flags = (wire.COMMIT if row.commit else 0) | (wire.AUTO_STEP if row.auto_step else 0)
        word = wire.row_head(len(row.values), number, flags)
        step = wire.STEP_NONE if row.step is None else row.step
        return self.layouts[number].pack(word, row.time, step, *row.values, word)

    @property
    def size(self) -> int:
        return len(self.frames) + self.said


def _event(event: Event) -> bytes:
    return wire.event_frame(event.time, event.step, event.kind, event.data)


def _as_it_is(event: Event) -> Event:
    return event


def pack(
    parts: Iterable[Part], size: int, bad: list[Bad], carried: Callable[[Event], Event] = _as_it_is
) -> Iterator[Packed]:
    """Lots of these parts, in their order, each closed once it has `size` bytes; what fits no frame is told in
    `bad`. carried: an event as it goes.
    """
    for part in parts:
        session = part.session.id
        record = msgspec.to_builtins(part.session)
        draft = _Draft()
        for one in part.records:
            if not isinstance(one, Row | Event):
                raise TypeError(f"a {type(one).__name__} is for sinks that merge steps")
            try:
                draft.put(session, one if isinstance(one, Row) else carried(one))
            except wire.WireError as problem:
                bad.append(Bad((session, one.seq), str(problem)))
            if draft.size >= size or len(draft.names) >= MAX_NAMES:
                yield _closed(part, record, draft)
                draft = _Draft()
        if draft.refs:
            yield _closed(part, record, draft)


def _closed(part: Part, record: dict[str, object], draft: _Draft) -> Packed:
    lot = Lot(record, [list(names) for names in draft.names], bytes(draft.frames))
    return Packed(part.session.id, part.session.run.id, lot, draft.refs, draft.size)


def bundles(packed: Iterable[Packed], size: int, most: int) -> Iterator[list[Packed]]:
    """Lots for one request each: at most `most`, of `size` bytes together, or a single one that is larger."""
    bundle: list[Packed] = []
    held = 0
    for one in packed:
        if bundle and (held + one.size > size or len(bundle) >= most):
            yield bundle
            bundle, held = [], 0
        bundle.append(one)
        held += one.size
    if bundle:
        yield bundle
