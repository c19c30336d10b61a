"""The frame: a head, a body, the head again; and the walk over frames, which looks at nothing inside.

`wire` says what stands in the bodies. Everything here is also to be had as `wire.…`, the name the format goes by.
"""

import struct
import sys
from array import array
from typing import List, NamedTuple, Optional, Union

HELLO, SCHEMA, ROW, NAMED_ROW, EVENT, SEQ, ANSWER, STORED, ERROR = range(1, 10)

ALIGN = 8
MAX_FRAME = 4 << 20  #: bytes; one frame must fit a dirty git diff of 1 MiB, escaped, and stay far below a pod's memory

_HEAD = struct.Struct("<Q")
_EMPTY = 16  # a frame without a body: head and tail
ROW_EMPTY = 32  #: bytes of a row without points: head, time, step, tail
_MIN_RUN = 8  # rows alike before slices beat one look at each (bench/scan.py)

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


def body(data: Buffer, span: Span) -> bytes:
    """The bytes between head and tail of a single frame."""
    return bytes(memoryview(data)[span.start + 8 : span.start + span.size - 8])


def scan(data: Buffer, start: int = 0, end: Optional[int] = None) -> Scan:
    """Walk frames in `data[start:end]` by their lengths, checking each head against its tail; no value is decoded.

    `start` must be a multiple of eight. Stops before the first frame that is not whole (error None), at a head of
    zero (None: the writer has not been there), or at bytes that are no frame (error says which).
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
    if kind == ROW and length < ROW_EMPTY:
        return f"a row of {length} bytes"
    if kind in (NAMED_ROW, EVENT, SEQ, STORED) and length < ROW_EMPTY:
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
