"""Wire version 1, byte by byte, as `docs/wire-protocol.md` has it: what was ever released is read for ever.

Nothing here may be changed. When a test of this file fails, the format has changed, and is a new version with a file of
its own beside this one.
"""

import math
import re
import struct
import zlib
from pathlib import Path
from typing import Any

import pytest
from wayside import wire
from wayside.row import Event, Row

PAGE = Path(__file__).parents[2] / "docs" / "wire-protocol.md"


def bytes_of(text: str) -> bytes:
    """Hexadecimal digits, eight bytes a line; what stands after # is for people."""
    return bytes.fromhex("".join(line.partition("#")[0] for line in text.splitlines()))


HELLO = bytes_of("""
    60000000 01 00 0000  # 96 bytes, type 1
    7b2273657373696f  # {"sessio
    6e223a2230303131  # n":"0011
    3232333334343535  # 22334455
    3636373738383939  # 66778899
    6161626263636464  # aabbccdd
    65656666222c2272  # eeff","r
    756e223a7b226964  # un":{"id
    223a227231227d2c  # ":"r1"},
    2276657273696f6e  # "version
    73223a5b315d7d20  # s":[1]}
    60000000 01 00 0000
""")
SCHEMA = bytes_of("""
    20000000 02 00 0201  # 32 bytes, type 2, schema 258
    5b226c6f7373222c  # ["loss",
    226c72225d202020  # "lr"]
    20000000 02 00 0201
""")
ROW = bytes_of("""
    30000000 03 01 0201  # 48 bytes, type 3, commit, schema 258
    000020406e55da41  # 2026-01-01T00:00:00.5Z
    0300000000000000  # step 3
    000000000000e03f  # 0.5
    00000000000000c0  # -2
    30000000 03 01 0201
""")
ROW_WITHOUT_STEP = bytes_of("""
    30000000 03 02 0201  # auto step, no commit
    000020406e55da41
    0000000000000080  # no step
    000000000000f07f  # infinity
    000000000000f0ff  # -infinity
    30000000 03 02 0201
""")
NAMED_ROW = bytes_of("""
    38000000 04 01 0000  # 56 bytes, type 4, commit
    000020406e55da41
    feffffffffffffff  # step -2
    7b226c6f7373223a  # {"loss":
    302e352c2261223a  # 0.5,"a":
    224e614e227d2020  # "NaN"}
    38000000 04 01 0000
""")
EVENT = bytes_of("""
    40000000 05 00 0000  # 64 bytes, type 5
    000020406e55da41
    0000000000000080
    7b22657869745f63  # {"exit_c
    6f6465223a302c22  # ode":0,"
    6b696e64223a2266  # kind":"f
    696e697368227d20  # inish"}
    40000000 05 00 0000
""")
SEQ = bytes_of("""
    20000000 06 00 0000  # 32 bytes, type 6
    e803000000000000  # the next has seq 1000
    e02e000000000000  # 12,000 points before it
    20000000 06 00 0000
""")
ANSWER = bytes_of("""
    40000000 07 00 0000  # 64 bytes, type 7
    7b2276657273696f  # {"versio
    6e73223a5b315d2c  # ns":[1],
    226a6f75726e616c  # "journal
    223a226f6b222c22  # ":"ok","
    73746f726564223a  # stored":
    377d202020202020  # 7}
    40000000 07 00 0000
""")
STORED = bytes_of("""
    20000000 08 00 0000  # 32 bytes, type 8
    0700000000000000  # all below 7
    0000000000000000
    20000000 08 00 0000
""")
ERROR = bytes_of("""
    20000000 09 00 0000  # 32 bytes, type 9
    7b226572726f7222  # {"error"
    3a22c3a9227d2020  # :"é"}
    20000000 09 00 0000
""")
HEADER = bytes_of("""
    5741595349444501  # WAYSIDE, 1
    0010000000000000  # committed position 4096
    0100000000000000  # final
    0300000000000000  # the fourth segment
    e803000000000000  # its first row has seq 1000
    e02e000000000000  # 12,000 points before it
    0001020304050607  # boot id
    08090a0b0c0d0e0f
    1011121314151617  # session id
    18191a1b1c1d1e1f
    65729d0100000000  # checksum of bytes 24 to 79
""" + "0000000000000000\n" * 5)  # fmt: skip

TIME = 1767225600.5
NAMES = ("loss", "lr")
RECORD = {"session": "00112233445566778899aabbccddeeff", "run": {"id": "r1"}, "versions": [1]}

WRITTEN = [
    (HELLO, lambda: wire.json_frame(wire.HELLO, RECORD)),
    (SCHEMA, lambda: wire.schema_frame(258, NAMES)),
    (ROW, lambda: wire.row_frame(258, TIME, 3, (0.5, -2.0))),
    (ROW_WITHOUT_STEP, lambda: wire.row_frame(258, TIME, None, (math.inf, -math.inf), wire.AUTO_STEP)),
    (NAMED_ROW, lambda: wire.named_row_frame(TIME, -2, {"loss": 0.5, "a": math.nan})),
    (EVENT, lambda: wire.event_frame(TIME, None, "finish", {"exit_code": 0})),
    (SEQ, lambda: wire.seq_frame(1000, 12_000)),
    (ANSWER, lambda: wire.json_frame(wire.ANSWER, {"versions": [1], "journal": "ok", "stored": 7})),
    (STORED, lambda: wire.stored_frame(7)),
    (ERROR, lambda: wire.json_frame(wire.ERROR, {"error": "é"})),
]
KINDS = ["HELLO", "SCHEMA", "ROW", "ROW without step", "NAMED_ROW", "EVENT", "SEQ", "ANSWER", "STORED", "ERROR"]


def span_of(frame: bytes) -> wire.Span:
    (span,) = wire.scan(frame).spans
    assert span.end == len(frame)
    return span


@pytest.mark.parametrize(("frame", "write"), WRITTEN, ids=KINDS)
def test_frames_are_written_as_ever(frame: bytes, write: Any) -> None:
    """Each kind of frame, byte for byte."""
    assert write().hex(" ", 8) == frame.hex(" ", 8)


def test_frames_are_read_as_ever() -> None:
    """Each kind of frame says what it always said."""
    assert wire.read_json(HELLO, span_of(HELLO)) == RECORD
    assert span_of(SCHEMA).schema == span_of(ROW).schema == 258
    assert wire.read_schema(SCHEMA, span_of(SCHEMA)) == NAMES
    assert list(wire.read_rows(ROW, span_of(ROW), NAMES, 9)) == [Row(9, TIME, 3, True, False, NAMES, (0.5, -2.0))]
    (row,) = wire.read_rows(ROW_WITHOUT_STEP, span_of(ROW_WITHOUT_STEP), NAMES, 9)
    assert row == Row(9, TIME, None, False, True, NAMES, (math.inf, -math.inf))
    named = wire.read_named_row(NAMED_ROW, span_of(NAMED_ROW), 9)
    assert (named.seq, named.time, named.step, named.commit, named.auto_step) == (9, TIME, -2, True, False)
    assert named.metrics["loss"] == 0.5
    assert math.isnan(named.metrics["a"])
    assert wire.read_event(EVENT, span_of(EVENT), 9) == Event(9, TIME, None, "finish", {"exit_code": 0})
    assert wire.read_pair(SEQ, span_of(SEQ)) == (1000, 12_000)
    assert wire.read_json(ANSWER, span_of(ANSWER)) == {"versions": [1], "journal": "ok", "stored": 7}
    assert wire.read_pair(STORED, span_of(STORED)) == (7, 0)
    assert wire.read_json(ERROR, span_of(ERROR)) == {"error": "é"}


def test_a_segment_is_read_and_written_as_ever() -> None:
    """The header of a journal's segment, whose checksum is CRC-32 of bytes 24 to 79."""
    header = wire.SegmentHeader(4096, True, 3, 1000, 12_000, bytes(range(16)), bytes(range(16, 32)))
    assert header.pack() == HEADER
    assert wire.read_segment_header(HEADER) == header
    assert struct.unpack_from("<I", HEADER, 80) == (zlib.crc32(HEADER[24:80]),)


def test_a_stream_of_them_is_walked() -> None:
    """One after the other they are found where they begin, with type and flags."""
    frames = [frame for frame, _ in WRITTEN]
    found = wire.scan(b"".join(frames))
    assert (found.end, found.error) == (sum(map(len, frames)), None)
    assert [(span.type, span.flags) for span in found.spans] == [
        *[(1, 0), (2, 0), (3, 1), (3, 2), (4, 1), (5, 0), (6, 0), (7, 0), (8, 0), (9, 0)]
    ]


def test_the_page_names_the_types_and_limits() -> None:
    """`docs/wire-protocol.md` has every type with its number, where each field of a segment stands, and the limits."""
    page = PAGE.read_text()
    for name in ("HELLO", "SCHEMA", "ROW", "NAMED_ROW", "EVENT", "SEQ", "ANSWER", "STORED", "ERROR"):
        assert f"| {getattr(wire, name)} | {name} |" in page
    offsets = [int(line) for line in re.findall(r"^\| (\d+) \| (?:8 bytes|16 bytes|u64|u32|) ?\|", page, re.MULTILINE)]
    assert offsets == [0, 8, 16, 24, 32, 40, 48, 64, 80, wire.HEADER_SIZE]
    for limit in (f"{wire.MAX_FRAME >> 20} MiB", f"{wire.MAX_NAME:,} characters", f"{wire.MAX_WIDTH:,} points"):
        assert limit in page
    assert f"{wire.MAX_SCHEMAS:,} schemas" in page
    assert f"{wire.MAX_SLOTS:,} names" in page
    assert f"version {wire.VERSION}" in page
