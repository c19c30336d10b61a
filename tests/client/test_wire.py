"""The wire format: what is written is read, what is damaged is refused where the damage is, and nothing hangs."""

import json
import math
import struct

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from wayside import wire
from wayside.row import Event, Row

NAMES = st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12), unique=True, max_size=6)
FLOATS = st.floats(allow_nan=True, allow_infinity=True, width=64)
STEPS = st.none() | st.integers(-(1 << 63) + 1, (1 << 63) - 1)
FLAGS = st.sampled_from([0, wire.COMMIT, wire.AUTO_STEP, wire.COMMIT | wire.AUTO_STEP])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)


def same(one: object, other: object) -> bool:
    """Equality in which NaN is NaN."""
    return repr(one) == repr(other)


def only_span(data: bytes) -> wire.Span:
    found = wire.scan(data)
    assert found.error is None
    assert found.end == len(data)
    assert len(found.spans) == 1
    return found.spans[0]


def read_all(data: bytes) -> list[object]:
    """Everything a stream holds, decoded; what cannot be decoded is a WireError in its place."""
    found: list[object] = []
    schemas: dict[int, tuple[str, ...]] = {}
    for span in wire.scan(data).spans:
        try:
            if span.type == wire.SCHEMA:
                schemas[span.schema] = wire.read_schema(data, span)
            elif span.type == wire.ROW:
                found.extend(wire.read_rows(data, span, schemas.get(span.schema, ()), len(found)))
            elif span.type == wire.NAMED_ROW:
                found.append(wire.read_named_row(data, span, len(found)))
            elif span.type == wire.EVENT:
                found.append(wire.read_event(data, span, len(found)))
            elif span.type in (wire.SEQ, wire.STORED):
                found.append(wire.read_pair(data, span))
            elif span.type in (wire.HELLO, wire.ANSWER, wire.ERROR):
                found.append(wire.read_json(data, span))
        except wire.WireError as problem:
            found.append(problem)
    return found


def sample_stream() -> bytes:
    """Every type of frame, rows of two schemas among them, in runs long and short."""
    frames = [
        wire.json_frame(wire.HELLO, {"session": "0" * 32, "run": {"id": "r1"}}),
        wire.schema_frame(0, ["train/loss", "lr"]),
        *[wire.row_frame(0, 1000.0 + step, step, [1.0 / (step + 1), 3e-4]) for step in range(40)],
        wire.schema_frame(1, ["val/loss"]),
        wire.row_frame(1, 1041.0, 40, [math.nan], wire.COMMIT | wire.AUTO_STEP),
        wire.row_frame(0, 1042.0, None, [math.inf, -math.inf], 0),
        wire.named_row_frame(1043.0, 41, {"a": 1.5, "b": math.nan}),
        wire.event_frame(1044.0, 41, "config", {"set": {"lr": 3e-4}, "remove": []}),
        wire.seq_frame(60, 100),
        *[wire.row_frame(step % 2, 1050.0 + step, step, [0.5] * (2 - step % 2)) for step in range(20)],
        wire.stored_frame(7),
        wire.json_frame(wire.ANSWER, {"versions": [1]}),
        wire.json_frame(wire.ERROR, {"error": "no"}),
    ]
    return b"".join(frames)


@given(NAMES, st.data(), STEPS, FLAGS, st.integers(0, 65535))
def test_rows_come_back_as_they_went(
    names: list[str], data: st.DataObject, step: int | None, flags: int, n: int
) -> None:
    """A row's time, step, flags, names and values are read as they were written, NaN and infinities too."""
    values = data.draw(st.lists(FLOATS, min_size=len(names), max_size=len(names)))
    time = data.draw(st.floats(0, 1e11))
    stream = wire.schema_frame(n, names) + wire.row_frame(n, time, step, values, flags)
    schema, row = wire.scan(stream).spans
    assert schema.schema == row.schema == n
    assert wire.read_schema(stream, schema) == tuple(names)
    (found,) = wire.read_rows(stream, row, tuple(names), 7)
    expected = Row(7, time, step, bool(flags & 1), bool(flags & 2), tuple(names), tuple(values))
    assert same(found, expected)


@given(
    st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12), FLOATS), STEPS, FLAGS
)
def test_named_rows_come_back_as_they_went(metrics: dict[str, float], step: int | None, flags: int) -> None:
    """The same for rows that carry their names."""
    data = wire.named_row_frame(12.5, step, metrics, flags)
    found = wire.read_named_row(data, only_span(data), 3)
    names, values = tuple(metrics), tuple(metrics.values())
    assert same(found, Row(3, 12.5, step, bool(flags & 1), bool(flags & 2), names, values))


@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=8), JSON), STEPS)
def test_events_come_back_as_they_went(data: dict[str, object], step: int | None) -> None:
    """An event's kind, step and data are read as they were written; `kind` among the data is the event's own."""
    frame = wire.event_frame(1.5, step, "config", data)
    data.pop("kind", None)
    assert wire.read_event(frame, only_span(frame), 9) == Event(9, 1.5, step, "config", data)


@given(st.integers(0, (1 << 64) - 1), st.integers(0, (1 << 64) - 1))
def test_numbers_come_back_as_they_went(seq: int, point: int) -> None:
    """SEQ and STORED hold any number of 64 bits."""
    assert wire.read_pair(wire.seq_frame(seq, point), only_span(wire.seq_frame(seq, point))) == (seq, point)
    assert wire.read_pair(wire.stored_frame(seq), only_span(wire.stored_frame(seq)))[0] == seq


def test_lone_surrogates_do_not_stop_a_frame() -> None:
    """Text that is no Unicode crosses with a question mark in its place, in every kind of frame."""
    bad = "a\ud800b"
    frame = wire.event_frame(0.0, None, "text", {"values": {bad: bad}})
    assert wire.read_event(frame, only_span(frame), 0).data == {"values": {"a?b": "a?b"}}
    frame = wire.schema_frame(0, [bad])
    assert wire.read_schema(frame, only_span(frame)) == ("a?b",)
    frame = wire.named_row_frame(0.0, None, {bad: 1.0})
    assert wire.read_named_row(frame, only_span(frame), 0).metrics == {"a?b": 1.0}
    frame = wire.json_frame(wire.HELLO, {"name": bad})
    assert wire.read_json(frame, only_span(frame)) == {"name": "a?b"}


def test_a_frame_over_the_limit_is_not_written() -> None:
    """The longest frame is MAX_FRAME bytes; one byte more is refused by its writer."""
    assert len(wire.frame(wire.EVENT, bytes(wire.MAX_FRAME - 16))) == wire.MAX_FRAME
    with pytest.raises(wire.WireError, match="longer than the limit"):
        wire.frame(wire.EVENT, bytes(wire.MAX_FRAME - 15))


def test_a_stream_fed_byte_by_byte_is_read_the_same() -> None:
    """Whatever piece of a stream is there, its whole frames are found, and never more than is whole."""
    stream = sample_stream()
    whole = wire.scan(stream)
    boundaries = {0} | {span.start + span.size * n for span in whole.spans for n in range(1, span.frames + 1)}
    buffer, frames = b"", []
    for index in range(len(stream)):
        buffer += stream[index : index + 1]
        found = wire.scan(buffer)
        assert found.error is None
        consumed = index + 1 - len(buffer) + found.end
        assert consumed in boundaries
        frames += [(span.type, span.schema, span.size) for span in found.spans for _ in range(span.frames)]
        buffer = buffer[found.end :]
    assert buffer == b""
    assert frames == [(span.type, span.schema, span.size) for span in whole.spans for _ in range(span.frames)]


def plain_walk(data: bytes) -> tuple[list[tuple[int, int]], int, bool]:
    """The walk as the format's description has it, one frame after the other: (start, head) of each."""
    found, at = [], 0
    while at + 8 <= len(data):
        (word,) = struct.unpack_from("<Q", data, at)
        length, kind = word & 0xFFFFFFFF, word >> 32 & 0xFF
        if word == 0:
            break
        least = 32 if kind in (wire.ROW, wire.NAMED_ROW, wire.EVENT, wire.SEQ, wire.STORED) else 16
        if length % 8 or not least <= length <= wire.MAX_FRAME:
            return found, at, True
        if at + length > len(data) - len(data) % 8:
            break
        if struct.unpack_from("<Q", data, at + length - 8)[0] != word:
            return found, at, True
        found.append((at, word))
        at += length
    return found, at, False


def expanded(found: wire.Scan) -> list[tuple[int, int]]:
    """The frames of a scan, one by one."""
    return [
        (span.start + span.size * n, wire.head(span.size, span.type, span.flags, span.schema))
        for span in found.spans
        for n in range(span.frames)
    ]


ROWS = st.builds(
    lambda schema, flags, count: [wire.row_frame(schema, 1.0, 2, [0.5] * schema, flags)] * count,
    st.integers(0, 3),
    st.sampled_from([0, 1]),
    st.integers(1, 40),
)
OTHERS = st.builds(lambda seq: [wire.seq_frame(seq, seq)], st.integers(0, 9))


@given(st.lists(ROWS | OTHERS, max_size=12), st.integers(0, 64))
def test_walking_in_bulk_is_walking_one_by_one(groups: list[list[bytes]], cut: int) -> None:
    """Rows alike in runs of any length, mixed with others and cut anywhere: the quick walk finds the same frames."""
    data = b"".join(frame for group in groups for frame in group)
    data = data[: len(data) - cut]
    found = wire.scan(data)
    assert (expanded(found), found.end, found.error is not None) == plain_walk(data)


@given(st.data())
def test_a_damaged_byte_is_found_where_it_is(data: st.DataObject) -> None:
    """One byte changed anywhere: what stands before it is read as before, and the structure after it is the same, or
    the walk ends with an error or a missing end at the damaged frame.
    """
    stream = bytearray(sample_stream())
    at = data.draw(st.integers(0, len(stream) - 1))
    stream[at] ^= data.draw(st.integers(1, 255))
    before, found = wire.scan(sample_stream()), wire.scan(stream)
    frames, damaged = expanded(before), expanded(found)
    hit = max(start for start, _ in frames if start <= at)
    if found.end == before.end:
        assert found.error is None
        assert damaged == frames
    else:
        assert found.end == hit
        assert damaged == [frame for frame in frames if frame[0] < hit]
    read_all(bytes(stream))


@given(st.binary(max_size=400))
@example(struct.pack("<Q", wire.head(32, wire.ROW)) * 4)
@example(struct.pack("<Q", wire.head(1 << 31, wire.EVENT)))
def test_any_bytes_are_walked(data: bytes) -> None:
    """Rubbish is an error or a missing end, never a crash, and the plain walk agrees."""
    found = wire.scan(data)
    assert (expanded(found), found.end, found.error is not None) == plain_walk(data)
    read_all(data)


@given(st.sampled_from(range(12)), st.binary(max_size=120), st.integers(0, 255), st.integers(0, 65535), st.booleans())
def test_any_body_is_read_or_refused(kind: int, body: bytes, flags: int, schema: int, text: bool) -> None:
    """A whole frame with rubbish in it is read or is a WireError, whatever reader it is given to."""
    data = wire.frame(kind, (json.dumps(body.hex()).encode() if text else body).ljust(16), flags, schema)
    for span in wire.scan(data).spans:
        readers = (
            lambda span=span: wire.read_json(data, span),
            lambda span=span: wire.read_json(data, span, 16),
            lambda span=span: wire.read_schema(data, span),
            lambda span=span: list(wire.read_rows(data, span, ("a", "b"), 0)),
            lambda span=span: wire.read_named_row(data, span, 0),
            lambda span=span: wire.read_event(data, span, 0),
            lambda span=span: wire.read_pair(data, span),
        )
        for read in readers:
            try:
                read()
            except wire.WireError:
                continue
    read_all(data)


@pytest.mark.parametrize("text", [b"[" * 100_000, b'{"a":' * 50_000, b"1" * 50_000, b"\xff\xfe" * 500, b""])
def test_hostile_json_is_a_wire_error(text: bytes) -> None:
    """Nested beyond any depth, endless digits, no UTF-8: refused as any other frame that makes no sense."""
    data = wire.frame(wire.EVENT, bytes(16) + text)
    with pytest.raises(wire.WireError):
        wire.read_event(data, only_span(data), 0)


@pytest.mark.parametrize("inside", ['{"a":%s}', "[%s]"])
def test_what_is_nested_has_a_depth(inside: str) -> None:
    """An event of MAX_DEPTH objects or lists in one another is read; one more is refused, however short the text."""
    for depth in (wire.MAX_DEPTH - 1, wire.MAX_DEPTH):
        value = "1"
        for _ in range(depth):
            value = inside % value
        data = wire.frame(wire.EVENT, bytes(16) + b'{"kind":"x","data":%b}' % value.encode())
        if depth < wire.MAX_DEPTH:
            assert wire.read_event(data, only_span(data), 0).data == {"data": json.loads(value)}
        else:
            with pytest.raises(wire.WireError, match="more than 64 deep"):
                wire.read_event(data, only_span(data), 0)


@pytest.mark.parametrize(
    "names",
    ['{"a": 1}', '["a", 1]', '["a", ""]', '["a", "a"]', json.dumps(["x" * 1025]), json.dumps(["x"] * 65537), "1"],
)
def test_a_schema_is_a_list_of_names(names: str) -> None:
    """Anything but different, non-empty texts within the limits is refused."""
    data = wire.frame(wire.SCHEMA, names.encode())
    with pytest.raises(wire.WireError):
        wire.read_schema(data, only_span(data))


@pytest.mark.parametrize(
    "metrics",
    [
        "[]",
        '{"a": null}',
        '{"a": "1"}',
        '{"": 1}',
        '{"a": [1]}',
        '{"a": 1e999999, "b": {}}',
        '{"a": 1' + "0" * 400 + "}",
    ],
)
def test_a_named_row_holds_names_and_numbers(metrics: str) -> None:
    """Anything else in it is refused."""
    data = wire.frame(wire.NAMED_ROW, bytes(16) + metrics.encode())
    with pytest.raises(wire.WireError):
        wire.read_named_row(data, only_span(data), 0)


def test_a_row_must_fit_its_schema() -> None:
    """A row of another width than its schema is refused."""
    data = wire.row_frame(0, 0.0, 0, [1.0, 2.0])
    with pytest.raises(wire.WireError, match="does not fit its schema"):
        list(wire.read_rows(data, only_span(data), ("a",), 0))


def test_a_head_of_zero_ends_a_walk() -> None:
    """Where the writer has not been there is nothing, and no error."""
    row = wire.row_frame(0, 0.0, 0, [1.0])
    assert wire.scan(row + bytes(64)) == wire.Scan([wire.Span(wire.ROW, 1, 0, 0, 40, 1)], 40, None)


def test_frames_are_found_behind_an_offset_and_before_an_end() -> None:
    """`start` and `end` bound the walk, and the spans count from the beginning of the data."""
    row = wire.row_frame(0, 0.0, 0, [1.0])
    found = wire.scan(row * 5, 40, 160)
    assert [(span.start, span.frames) for span in found.spans] == [(40, 3)]
    assert found.end == 160
    assert wire.scan(row * 5, 40, 159).end == 120


HEADER = wire.SegmentHeader(4096, True, 3, 1000, 12000, bytes(range(16)), bytes(range(16, 32)))


def test_a_segment_header_comes_back_as_it_went() -> None:
    """128 bytes, with the magic first and everything else behind it."""
    packed = HEADER.pack()
    assert len(packed) == wire.HEADER_SIZE
    assert packed.startswith(wire.MAGIC)
    assert wire.read_segment_header(packed) == HEADER
    assert struct.unpack_from("<Q", packed, 8 * wire.POSITION_WORD) == (4096,)
    assert struct.unpack_from("<Q", packed, 8 * wire.SEALED_WORD) == (1,)


@pytest.mark.parametrize("at", [*range(8), *range(24, 84)])
def test_a_damaged_segment_header_is_refused(at: int) -> None:
    """Any bit flipped in what does not change while the segment is written: not a header."""
    for bit in range(8):
        packed = bytearray(HEADER.pack())
        packed[at] ^= 1 << bit
        with pytest.raises(wire.WireError):
            wire.read_segment_header(packed)


def test_a_short_segment_header_is_refused() -> None:
    """A file cut off within its header is not a segment."""
    for size in range(84):
        with pytest.raises(wire.WireError):
            wire.read_segment_header(HEADER.pack()[:size])


def test_totals_are_counted_from_frames() -> None:
    """Rows and events count, gaps that a SEQ frame tells too, and everything else does not."""
    assert wire.totals(sample_stream(), 5, 50) == (80, 100 + 10 * 2 + 10)
    before_gap = sample_stream()[: sample_stream().index(wire.seq_frame(60, 100))]
    assert wire.totals(before_gap, 5, 50) == (5 + 40 + 2 + 1 + 1, 50 + 80 + 1 + 2 + 2)


def test_lone_surrogates_that_others_spell_out_become_question_marks() -> None:
    """JSON can spell half of a character, which no database and no page can hold; whole ones come through."""
    data = wire.frame(wire.SCHEMA, rb'["a\ud800b", "\ud83d\ude80", "plain"]')
    assert wire.read_schema(data, wire.scan(data).spans[0]) == ("a?b", "\U0001f680", "plain")
