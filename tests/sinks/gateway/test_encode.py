"""From rows to lots and back: whatever they hold, in whatever pieces."""

import asyncio
import contextlib
import math
import struct

import hypothesis.strategies as st
import msgspec
import pytest
from hypothesis import given, settings
from wayside import wire
from wayside.row import Event, Row
from wayside_collector.delivery.selection import decode as decode_frames
from wayside_collector.delivery.selection import merge
from wayside_collector.intake.inlet import Counters
from wayside_collector.intake.relayed import RelayedInlet
from wayside_collector.registry import Known
from wayside_collector.relay import Delivery, Lot, Sender, Unreadable, decode, encode
from wayside_collector.sinks.base import Part
from wayside_collector.sinks.gateway.encode import Bad, Packed, bundles, pack
from wayside_collector.testing import make_event, make_rows, make_session

NAMES = st.lists(st.text("ab/é\x00", min_size=1, max_size=3), unique=True, max_size=4).map(tuple)
TIMES = st.floats(0, 1e10)
STEPS = st.none() | st.integers(-(1 << 63) + 1, (1 << 63) - 1)


@st.composite
def records(draw: st.DrawFn) -> list[Row | Event]:
    """A session's, with jumps in their numbers."""
    found: list[Row | Event] = []
    seq = 0
    for jump, names in draw(st.lists(st.tuples(st.sampled_from([0, 0, 0, 1, 50]), NAMES | st.none()), max_size=20)):
        seq += jump
        at, step = draw(TIMES), draw(STEPS)
        if names is None:
            found.append(Event(seq, at, step, draw(st.text(max_size=3)), {"set": {"a": draw(st.text(max_size=3))}}))
        else:
            values = tuple(draw(st.floats()) for _ in names)
            found.append(Row(seq, at, step, draw(st.booleans()), draw(st.booleans()), names, values))
        seq += 1
    return found


def bits(record: Row | Event) -> tuple[object, ...]:
    """All of it, NaN included."""
    values = struct.pack(f"{len(record.values)}d", *record.values) if isinstance(record, Row) else b""
    return (*record[:6], values)


def read_back(packed: list[Packed]) -> list[tuple[object, ...]]:
    """Through the other side's inlet, every batch decoded."""
    known = Known(1, make_session())
    inlet = RelayedInlet(known, 0, 0, Counters())
    for one in packed:
        lot = decode(encode(Delivery(Sender("a" * 32), lots=[one.lot]))).lots[0]
        inlet.take_lot(asyncio.run(inlet.fit(lot.names, lot.frames)))
    batches, losses = inlet.hand_over()
    assert losses == []
    assert inlet.counters.malformed == inlet.counters.doubles == 0
    found: list[tuple[object, ...]] = []
    for batch in batches:
        parts = [decode_frames(known, part, batch.first_seq) for part in (batch.rows, batch.events)]
        found += [bits(record) for record in merge(*parts)]
        assert batch.amount.rows == len(parts[0])
    return found


@settings(deadline=None, max_examples=150)
@given(records(), st.sampled_from([1, 200, 1 << 20]))
def test_there_and_back(some: list[Row | Event], size: int) -> None:
    """Every row and event comes out as it went in, to the bit, however the lots are cut."""
    bad: list[Bad] = []
    packed = list(pack([Part(make_session(), some)], size, bad))
    assert bad == []
    assert [ref[1] for one in packed for ref in one.refs] == [record.seq for record in some]
    assert read_back(packed) == [bits(record) for record in some]


def test_what_fits_no_frame_is_told_and_left_out() -> None:
    """The others go."""
    some = [*make_rows(1), make_event("text", {"values": {"t": "x" * wire.MAX_FRAME}}, seq=1), *make_rows(1, seq=2)]
    bad: list[Bad] = []
    (one,) = pack([Part(make_session(id="5" * 32), some)], 1 << 20, bad)
    assert [ref[1] for ref in one.refs] == [0, 2]
    assert bad[0].ref == ("5" * 32, 1)
    assert "limit" in bad[0].reason


def test_bundles_keep_to_their_size() -> None:
    """Lots go together up to a size and a number; one that is larger goes alone; none is lost, the order stays."""
    sizes = [10, 10, 90, 200, 5, 5, 5, 5]
    lots = [Packed(str(place), "r", Lot({}), [], size) for place, size in enumerate(sizes)]
    found = [[one.size for one in bundle] for bundle in bundles(lots, 100, 3)]
    assert found == [[10, 10], [90], [200], [5, 5, 5], [5]]


@settings(deadline=None, max_examples=300)
@given(st.binary(max_size=200))
def test_any_bytes_are_a_body_or_none(body: bytes) -> None:
    """Nothing but Unreadable is raised."""
    with contextlib.suppress(Unreadable):
        decode(body)


@pytest.mark.parametrize("version", [0, 2, 99])
def test_another_version_is_told_from_nonsense(version: int) -> None:
    """It says which this gateway reads."""
    with pytest.raises(Unreadable, match=r"reads 1: install") as problem:
        decode(encode(Delivery(Sender("a" * 32), version)))
    assert problem.value.known


def test_fields_of_a_newer_sender_are_passed_over() -> None:
    """As long as the version is the same."""
    body = {
        "sender": {"id": "a" * 32, "mood": 1},
        "version": 1,
        "lots": [{"record": {}, "weather": "fine"}],
        "more": {},
    }
    assert decode(msgspec.msgpack.encode(body)).lots == [Lot({})]


@settings(deadline=None, max_examples=300)
@given(st.binary(max_size=300).map(lambda data: data.ljust(-(-len(data) // 8) * 8, b"\0")), st.integers(0, 400))
def test_damaged_frames_break_nothing(noise: bytes, place: int) -> None:
    """A lot is taken, or refused by a WireError, and a good one after it is taken whole."""
    bad: list[Bad] = []
    (one,) = pack([Part(make_session(), make_rows(4, {"a": math.nan, "b": 1.0}))], 1 << 20, bad)
    frames = bytearray(one.lot.frames)
    at = min(place, len(frames) - 1)
    frames[at : at + len(noise)] = noise
    inlet = RelayedInlet(Known(1, make_session()), 0, 0, Counters())
    with contextlib.suppress(wire.WireError):
        inlet.take_lot(asyncio.run(inlet.fit(one.lot.names, bytes(frames))))
    inlet.hand_over()
    inlet.not_stored()
    inlet.take_lot(asyncio.run(inlet.fit(one.lot.names, one.lot.frames)))
    assert sum(batch.amount.rows for batch in inlet.hand_over()[0]) == 4
