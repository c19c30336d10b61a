"""The wire format: bytes in, rows out. Pure: nothing here reads, writes or waits.

The same frames fill a journal's segments, cross the socket, and lie in the collector's spool. All integers are
little-endian, every frame is a multiple of eight bytes long, and a frame is

    head  u64   bits 0-31 length of the whole frame in bytes · 32-39 type · 40-47 flags · 48-63 schema (rows) or 0
    body        by type, below; text is UTF-8 JSON padded with spaces to the next multiple of eight
    tail  u64   the head again, so that a torn frame is never taken for a whole one

    type            body
    1 HELLO         JSON object: the session record (who is speaking). First frame of a connection and of a segment
    2 SCHEMA        JSON array of names; the head's schema field is its number, valid in this stream from here on
    3 ROW           time f64 (Unix seconds) · step i64 · one f64 for each name of the schema
    4 NAMED_ROW     time f64 · step i64 · JSON object of name to number, with "NaN", "Infinity", "-Infinity" as text
    5 EVENT         time f64 · step i64 · JSON object with "kind"
    6 SEQ           seq u64 · point u64: the next row or event has this seq; `point` = the session's points before it
    7 ANSWER        JSON object: the collector's answer to a HELLO
    8 STORED        seq u64 · 0 u64: every row and event below this seq is on the collector's disk
    9 ERROR         JSON object {"error": what, where and what to do}; the collector closes after it

Rows and events are numbered by position: the first has the seq that a SEQ frame or the segment's header names (else
0), each next one more. STEP_NONE stands for no step. Flags of rows: COMMIT, AUTO_STEP (the run's own counter, not a
step of the user's).

A row of the same schema has the same head, so a walk checks thousands of rows with two slices and two comparisons
(`scan`, bench/scan.py).

A journal segment is a file: a header of 128 bytes (`SegmentHeader`), then frames. Its committed position is an
aligned u64.
"""

import json
import struct
import sys
import zlib
from array import array
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple, Union

from .row import Event, Row

VERSION = 1  #: raised only when bytes change; a HELLO names the versions its sender knows
VERSIONS = (1,)  #: what this module reads

HELLO, SCHEMA, ROW, NAMED_ROW, EVENT, SEQ, ANSWER, STORED, ERROR = range(1, 10)
COMMIT, AUTO_STEP = 1, 2

STEP_NONE = -(1 << 63)
ALIGN = 8
MAX_FRAME = 4 << 20  #: bytes; one frame must fit a dirty git diff of 1 MiB, escaped, and stay far below a pod's memory
MAX_NAME = 1024  #: bytes of one metric name in UTF-8: every store we feed takes less
MAX_WIDTH = 65536  #: points of one row, bounded by what a schema may cost in the collector's memory
MAX_SCHEMAS = 4096  #: schemas of one stream; beyond it a sender writes NAMED_ROW frames, so nothing is lost

_HEAD = struct.Struct("<Q")
_PREFIX = struct.Struct("<dq")  # time and step, the same in rows and events
_PAIR = struct.Struct("<QQ")
_EMPTY = 16  # a frame without a body: head and tail
_ROW_EMPTY = 32  # a row without points: head, time, step, tail
_MIN_RUN = 8  # rows alike before slices beat one look at each (bench/scan.py)

NON_FINITE = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}

Buffer = Union[bytes, bytearray, memoryview]


class WireError(ValueError):
    """Bytes that are not the protocol: what was found, and where."""


class Span(NamedTuple):
    """`frames` frames of `size` bytes each, one after the other from `start`; more than one only for rows of one
    schema.
    """

    type: int
    flags: int
    schema: int
    start: int
    size: int
    frames: int

    @property
    def end(self) -> int:
        return self.start + self.size * self.frames


class Scan(NamedTuple):
    """What a walk found: whole frames, how far they reach, and what is wrong there (None when only bytes are
    missing).
    """

    spans: List[Span]
    end: int
    error: Optional[str]


# --- writing ---------------------------------------------------------------------------------------------------------


def head(length: int, kind: int, flags: int = 0, schema: int = 0) -> int:
    """The first and last word of a frame of `length` bytes."""
    return length | kind << 32 | flags << 40 | schema << 48


def frame(kind: int, body: bytes, flags: int = 0, schema: int = 0) -> bytes:
    """A whole frame around `body`; raises WireError when it would be longer than MAX_FRAME."""
    padding = -len(body) % ALIGN
    length = len(body) + padding + _EMPTY
    if length > MAX_FRAME:
        raise WireError(f"a frame of {length} bytes is longer than the limit of {MAX_FRAME} bytes")
    word = _HEAD.pack(head(length, kind, flags, schema))
    return word + body + b" " * padding + word


def json_frame(kind: int, value: object) -> bytes:
    """A frame whose body is one JSON text: HELLO, ANSWER, ERROR."""
    return frame(kind, json.dumps(value, separators=(",", ":"), default=str).encode())


def schema_frame(number: int, names: Sequence[str]) -> bytes:
    return frame(
        SCHEMA, json.dumps(names, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "replace"), 0, number
    )


def row_struct(width: int) -> struct.Struct:
    """Packs a whole row frame of `width` points: head, time, step, values…, tail."""
    return struct.Struct(f"<Qdq{width}dQ")


def row_head(width: int, schema: int, flags: int) -> int:
    return head(_ROW_EMPTY + 8 * width, ROW, flags, schema)


def row_frame(schema: int, time: float, step: Optional[int], values: Sequence[float], flags: int = COMMIT) -> bytes:
    word = row_head(len(values), schema, flags)
    return row_struct(len(values)).pack(word, time, STEP_NONE if step is None else step, *values, word)


def named_row_frame(time: float, step: Optional[int], metrics: Dict[str, float], flags: int = COMMIT) -> bytes:
    spelled = {name: value if value - value == 0 else spell(value) for name, value in metrics.items()}
    text = json.dumps(spelled, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "replace")
    return frame(NAMED_ROW, _PREFIX.pack(time, STEP_NONE if step is None else step) + text, flags)


def event_frame(time: float, step: Optional[int], kind: str, data: Dict[str, Any]) -> bytes:
    text = json.dumps(dict(data, kind=kind), separators=(",", ":"), default=str, ensure_ascii=False).encode(
        "utf-8", "replace"
    )
    return frame(EVENT, _PREFIX.pack(time, STEP_NONE if step is None else step) + text)


def seq_frame(seq: int, point: int) -> bytes:
    return frame(SEQ, _PAIR.pack(seq, point))


def stored_frame(seq: int) -> bytes:
    return frame(STORED, _PAIR.pack(seq, 0))


def spell(value: float) -> str:
    """A non-finite number as text: "NaN", "Infinity" or "-Infinity"."""
    return "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"


# --- reading ---------------------------------------------------------------------------------------------------------


def scan(data: Buffer, start: int = 0, end: Optional[int] = None) -> Scan:
    """Walk frames in `data[start:end]` by their lengths, checking each head against its tail; no value is decoded.

    `start` and the data's address must be multiples of eight. Stops before the first frame that is not whole (error
    None), at a head of zero (None: the writer has not been there), or at bytes that are no frame (error says which).
    """
    stop = len(data) if end is None else end
    words = _words(data, start, stop)
    total = len(words)
    spans: List[Span] = []
    index = 0
    while index < total:
        word = words[index]
        if word == 0:
            break
        length = word & 0xFFFFFFFF
        error = _bad_head(word, length)
        if error is not None:
            return Scan(spans, start + index * 8, f"{error} at byte {start + index * 8}")
        stride = length >> 3
        if index + stride > total:
            break
        if words[index + stride - 1] != word:
            return Scan(spans, start + index * 8, f"a frame's end does not repeat its head at byte {start + index * 8}")
        count = 1
        kind = word >> 32 & 0xFF
        if kind == ROW and index + 2 * stride <= total and words[index + stride] == word:
            count = _run(words, index, stride, word, total)
        spans.append(Span(kind, word >> 40 & 0xFF, word >> 48, start + index * 8, length, count))
        index += stride * count
    return Scan(spans, start + index * 8, None)


def _words(data: Buffer, start: int, end: int) -> "array[int]":
    words = array("Q")
    words.frombytes(memoryview(data)[start : end - (end - start) % 8])
    if sys.byteorder == "big":
        words.byteswap()
    return words


def _bad_head(word: int, length: int) -> Optional[str]:
    if length & 7 or length < _EMPTY:
        return f"a frame length of {length}"
    if length > MAX_FRAME:
        return f"a frame of {length} bytes, longer than the limit of {MAX_FRAME}"
    kind = word >> 32 & 0xFF
    if kind == ROW and length < _ROW_EMPTY:
        return f"a row of {length} bytes"
    if kind in (NAMED_ROW, EVENT, SEQ, STORED) and length < _ROW_EMPTY:
        return f"a frame of type {kind} of {length} bytes"
    return None


def _run(words: "array[int]", index: int, stride: int, word: int, total: int) -> int:
    """How many frames with this very head stand one after the other from `index`: looked at in doubling slices."""
    count, take = 1, _MIN_RUN
    most = (total - index) // stride
    one = words[index : index + 1].tobytes()
    while count < most:
        take = min(take, most - count)
        first = index + count * stride
        last = first + take * stride
        same = one * take
        if words[first:last:stride].tobytes() != same or words[first + stride - 1 : last : stride].tobytes() != same:
            break
        count += take
        take *= 2
    while count < most:
        first = index + count * stride
        if words[first] != word or words[first + stride - 1] != word:
            break
        count += 1
    return count


def body(data: Buffer, span: Span) -> bytes:
    """The bytes between head and tail of a single frame."""
    return bytes(memoryview(data)[span.start + 8 : span.start + span.size - 8])


def read_json(data: Buffer, span: Span, skip: int = 0) -> Any:
    """The JSON text of a frame, after `skip` bytes of its body; raises WireError."""
    text = body(data, span)[skip:]
    try:
        return json.loads(text.decode("utf-8", "replace"))
    except ValueError as problem:
        raise WireError(f"a frame of type {span.type} at byte {span.start} holds no JSON: {problem}") from None


def read_pair(data: Buffer, span: Span) -> Tuple[int, int]:
    """The two numbers of a SEQ or STORED frame."""
    first, second = _PAIR.unpack_from(data, span.start + 8)
    return first, second


def read_schema(data: Buffer, span: Span) -> Tuple[str, ...]:
    """The names of a SCHEMA frame; raises WireError on anything but a list of non-empty text within the limits."""
    names = read_json(data, span)
    if not isinstance(names, list) or len(names) > MAX_WIDTH:
        raise WireError(f"a schema at byte {span.start} must be a list of at most {MAX_WIDTH} names")
    for name in names:
        if not isinstance(name, str) or not name or len(name) > MAX_NAME:
            raise WireError(f"a metric name must be text of 1 to {MAX_NAME} characters, not {name!r:.80}")
    if len(set(names)) != len(names):
        raise WireError(f"a schema at byte {span.start} names a metric twice")
    return tuple(names)


def read_rows(data: Buffer, span: Span, names: Tuple[str, ...], seq: int) -> Iterator[Row]:
    """The rows of a span of ROW frames of one schema, the first with this seq."""
    commit = bool(span.flags & COMMIT)
    auto = bool(span.flags & AUTO_STEP)
    layout = struct.Struct(f"<8xdq{len(names)}d8x")
    if layout.size != span.size:
        raise WireError(
            f"a row of {span.size} bytes at byte {span.start} does not fit its schema of {len(names)} names"
        )
    for fields in layout.iter_unpack(memoryview(data)[span.start : span.end]):
        step = fields[1]
        yield Row(seq, fields[0], None if step == STEP_NONE else step, commit, auto, names, fields[2:])
        seq += 1


def read_named_row(data: Buffer, span: Span, seq: int) -> Row:
    """The row of a NAMED_ROW frame; raises WireError when its metrics are not names and numbers."""
    time, step = _PREFIX.unpack_from(data, span.start + 8)
    metrics = read_json(data, span, _PREFIX.size)
    if not isinstance(metrics, dict):
        raise WireError(f"a row at byte {span.start} must hold an object of names and numbers")
    values = tuple(number(name, value) for name, value in metrics.items())
    commit, auto = bool(span.flags & COMMIT), bool(span.flags & AUTO_STEP)
    return Row(seq, time, None if step == STEP_NONE else step, commit, auto, tuple(metrics), values)


def number(name: str, value: object) -> float:
    """A JSON value as a metric's number, "NaN" and the infinities by name; raises WireError."""
    if not name or len(name) > MAX_NAME:
        raise WireError(f"a metric name must be text of 1 to {MAX_NAME} characters, not {name!r:.80}")
    if isinstance(value, (int, float)):
        try:
            return float(value)
        except OverflowError:
            raise WireError(f"metric {name!r:.80} is too large for a 64-bit float") from None
    if isinstance(value, str) and value in NON_FINITE:
        return NON_FINITE[value]
    raise WireError(f'metric {name!r:.80} must be a number, "NaN", "Infinity" or "-Infinity", not {value!r:.80}')


def read_event(data: Buffer, span: Span, seq: int) -> Event:
    """The event of an EVENT frame; raises WireError."""
    time, step = _PREFIX.unpack_from(data, span.start + 8)
    value = read_json(data, span, _PREFIX.size)
    if not isinstance(value, dict) or not isinstance(value.get("kind"), str):
        raise WireError(f'an event at byte {span.start} must be an object with a "kind"')
    kind = value.pop("kind")
    return Event(seq, time, None if step == STEP_NONE else step, kind, value)


# --- segments --------------------------------------------------------------------------------------------------------

MAGIC = b"WAYSIDE\x01"
HEADER_SIZE = 128
POSITION_WORD = 1  # index of the committed position among the segment's u64 words
SEALED_WORD = 2
_HEADER = struct.Struct("<8sQQQQQ16s16sI")


class SegmentHeader(NamedTuple):
    """The first 128 bytes of a segment.

    position: committed bytes from the start of the file, the only field that changes while the owner writes, stored
    as one aligned u64 after the bytes it covers. sealed: whether the position is final. number: place among the
    session's segments, from 0. first_seq, first_point: the session's running totals at the segment's first frame,
    those dropped before it included, so that a reader can tell what is missing. boot: the machine's boot id, since
    pages of a mapped file that were never written out read as zero after a power loss. session: the session's id.
    """

    position: int
    sealed: bool
    number: int
    first_seq: int
    first_point: int
    boot: bytes
    session: bytes

    def pack(self) -> bytes:
        fixed = struct.pack("<QQQ16s16s", self.number, self.first_seq, self.first_point, self.boot, self.session)
        return _HEADER.pack(MAGIC, self.position, int(self.sealed), *self[2:7], zlib.crc32(fixed)).ljust(
            HEADER_SIZE, b"\0"
        )


def read_segment_header(data: Buffer) -> SegmentHeader:
    """Parse and check a segment's first bytes; raises WireError when they are not a header this version reads."""
    if len(data) < _HEADER.size:
        raise WireError(f"a segment of {len(data)} bytes has no header")
    magic, position, sealed, number_, first_seq, first_point, boot, session, crc = _HEADER.unpack_from(data)
    if magic != MAGIC:
        raise WireError(f"not a journal segment of a known version: it begins with {bytes(magic)!r}")
    fixed = struct.pack("<QQQ16s16s", number_, first_seq, first_point, boot, session)
    if zlib.crc32(fixed) != crc:
        raise WireError("the segment's header fails its checksum")
    return SegmentHeader(position, bool(sealed), number_, first_seq, first_point, boot, session)
