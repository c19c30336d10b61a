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

import struct
from typing import Any, Dict, Iterator, Optional, Sequence, Tuple

from .frame import (
    ALIGN,
    ANSWER,
    ERROR,
    EVENT,
    HELLO,
    MAX_FRAME,
    NAMED_ROW,
    ROW,
    ROW_EMPTY,
    SCHEMA,
    SEQ,
    STORED,
    Buffer,
    Scan,
    Span,
    WireError,
    body,
    frame,
    head,
    scan,
)
from .header import (
    HEADER_SIZE,
    MAGIC,
    POSITION_WORD,
    SEALED_WORD,
    SegmentHeader,
    read_segment_header,
)
from .row import Event, Row

VERSION = 1  #: raised only when bytes change; a HELLO names the versions its sender knows
VERSIONS = (1,)  #: what this module reads

COMMIT, AUTO_STEP = 1, 2

STEP_NONE = -(1 << 63)
MAX_NAME = 1024  #: characters of one metric name: every store we feed takes less
MAX_WIDTH = 65536  #: points of one row, bounded by what a schema may cost in the collector's memory
MAX_SCHEMAS = 4096  #: schemas of one session; beyond it a sender writes NAMED_ROW frames, so nothing is lost
MAX_SLOTS = 1 << 18  #: names in all schemas of a session together, for the same reason: some 20 MB of ordinary names
MAX_DEPTH = 64  #: objects and lists in one another: four times what our client writes, and no reader's stack overflows

NON_FINITE = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}

_PREFIX = struct.Struct("<dq")  # time and step, the same in rows and events
_PAIR = struct.Struct("<QQ")

__all__ = [
    "ALIGN", "ANSWER", "AUTO_STEP", "COMMIT", "ERROR", "EVENT", "HEADER_SIZE", "HELLO", "MAGIC", "MAX_DEPTH",
    "MAX_FRAME", "MAX_NAME", "MAX_SCHEMAS", "MAX_SLOTS", "MAX_WIDTH", "NAMED_ROW",
    "NON_FINITE", "POSITION_WORD", "ROW", "SCHEMA", "SEALED_WORD", "SEQ", "STEP_NONE", "STORED", "VERSION", "VERSIONS",
    "Buffer", "Scan", "SegmentHeader", "Span", "WireError", "as_number", "body", "check_depth", "checked_names",
    "event_frame", "frame", "head", "json_frame",
    "named_row_frame", "read_event", "read_json", "read_named_row", "read_pair", "read_rows", "read_schema",
    "read_segment_header", "row_frame", "row_head", "row_size", "row_struct", "scan", "schema_frame", "seq_frame",
    "spell", "stored_frame", "totals",
]  # fmt: skip

# --- writing ---------------------------------------------------------------------------------------------------------


def json_frame(kind: int, value: object) -> bytes:
    """A frame whose body is one JSON text: HELLO, ANSWER, ERROR."""
    return frame(kind, _json(value))


def schema_frame(number: int, names: Sequence[str]) -> bytes:
    return frame(SCHEMA, _json(names), 0, number)


def row_size(width: int) -> int:
    """Bytes of a row frame of `width` points."""
    return ROW_EMPTY + 8 * width


def row_struct(width: int) -> struct.Struct:
    """Packs a whole row frame of `width` points: head, time, step, values…, tail."""
    return struct.Struct(f"<Qdq{width}dQ")


def row_head(width: int, schema: int, flags: int) -> int:
    return head(row_size(width), ROW, flags, schema)


def row_frame(schema: int, time: float, step: Optional[int], values: Sequence[float], flags: int = COMMIT) -> bytes:
    word = row_head(len(values), schema, flags)
    return row_struct(len(values)).pack(word, time, STEP_NONE if step is None else step, *values, word)


def named_row_frame(time: float, step: Optional[int], metrics: Dict[str, float], flags: int = COMMIT) -> bytes:
    spelled = {name: value if value - value == 0 else spell(value) for name, value in metrics.items()}
    return frame(NAMED_ROW, _PREFIX.pack(time, STEP_NONE if step is None else step) + _json(spelled), flags)


def event_frame(time: float, step: Optional[int], kind: str, data: Dict[str, Any]) -> bytes:
    text = _json(dict(data, kind=kind))
    return frame(EVENT, _PREFIX.pack(time, STEP_NONE if step is None else step) + text)


def seq_frame(seq: int, point: int) -> bytes:
    return frame(SEQ, _PAIR.pack(seq, point))


def stored_frame(seq: int) -> bytes:
    return frame(STORED, _PAIR.pack(seq, 0))


def spell(value: float) -> str:
    """A non-finite number as text: "NaN", "Infinity" or "-Infinity"."""
    return "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"


def _json(value: object) -> bytes:
    import json  # when first needed: importing the client must cost next to nothing

    text = json.dumps(value, separators=(",", ":"), default=str, ensure_ascii=False)
    return text.encode("utf-8", "replace")  # a lone surrogate cannot cross


# --- reading ---------------------------------------------------------------------------------------------------------


def read_json(data: Buffer, span: Span, skip: int = 0) -> Any:
    """The JSON text of a frame, after `skip` bytes of its body; raises WireError."""
    import json

    text = body(data, span)[skip:]
    try:
        value = json.loads(text.decode("utf-8", "replace"))
        if text.count(b"{") + text.count(b"[") > MAX_DEPTH:
            check_depth(value)
        # Half of a character, which JSON can spell and no database and no page can hold, becomes a question mark.
        return json.loads(_json(value)) if b"\\ud" in text.lower() else value
    except (ValueError, RecursionError) as problem:
        raise WireError(f"a frame of type {span.type} at byte {span.start} holds no JSON we take: {problem}") from None


def check_depth(value: object) -> None:
    """Raises WireError where objects and lists are more than MAX_DEPTH deep in one another."""
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        held = [one for one in level if isinstance(one, (dict, list, tuple))]
        if not held:
            return
        level = [inner for one in held for inner in (one.values() if isinstance(one, dict) else one)]
    raise WireError(f"objects and lists are more than {MAX_DEPTH} deep in one another: make it flatter")


def read_pair(data: Buffer, span: Span) -> Tuple[int, int]:
    """The two numbers of a SEQ or STORED frame."""
    first, second = _PAIR.unpack_from(data, span.start + 8)
    return first, second


def read_schema(data: Buffer, span: Span) -> Tuple[str, ...]:
    """The names of a SCHEMA frame; raises WireError on anything but a list of non-empty text within the limits."""
    return checked_names(read_json(data, span), f"a schema at byte {span.start}")


def checked_names(names: object, place: str) -> Tuple[str, ...]:
    """The names of a schema; raises WireError likewise, which says where they stand."""
    if not isinstance(names, (list, tuple)) or len(names) > MAX_WIDTH:
        raise WireError(f"{place} must be a list of at most {MAX_WIDTH} names")
    for name in names:
        if not isinstance(name, str) or not name or len(name) > MAX_NAME:
            raise WireError(f"a metric name must be text of 1 to {MAX_NAME} characters, not {name!r:.80}")
    if len(set(names)) != len(names):
        raise WireError(f"{place} names a metric twice")
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
    values = tuple(as_number(name, value) for name, value in metrics.items())
    commit, auto = bool(span.flags & COMMIT), bool(span.flags & AUTO_STEP)
    return Row(seq, time, None if step == STEP_NONE else step, commit, auto, tuple(metrics), values)


def as_number(name: str, value: object) -> float:
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


def totals(data: Buffer, seq: int, points: int, start: int = 0) -> Tuple[int, int]:
    """The session's seq and points after the frames of a stream, from those before it."""
    widths: Dict[int, int] = {}
    for span in scan(data, start).spans:
        if span.type == SCHEMA:
            widths[span.schema] = len(read_schema(data, span))
        elif span.type == SEQ:
            seq, points = read_pair(data, span)
        elif span.type == ROW:
            seq += span.frames
            points += span.frames * widths.get(span.schema, 0)
        elif span.type == NAMED_ROW:
            seq += 1
            points += len(read_named_row(data, span, 0).names)
        elif span.type == EVENT:
            seq += 1
    return seq, points
