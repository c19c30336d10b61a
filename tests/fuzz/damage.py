"""Inputs for fuzzing: bytes damaged in the ways files and peers damage them, and any JSON."""

import struct
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

NASTY = [0, 1, 7, 8, 16, 31, 0xFF, 1 << 31, (1 << 31) - 8, (1 << 32) - 1, 1 << 50, 1 << 62, 1 << 63, (1 << 64) - 1]
NUMBERS = st.integers() | st.sampled_from([*NASTY, 10**400, -(10**400)]) | st.floats() | st.just(1e400)
TEXT = st.text(st.characters(), max_size=12) | st.sampled_from(["", "\0", "\ud800", "x" * 3000, "NaN", "../../etc"])
JSON: SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=8,
)


@st.composite
def damaged(draw: st.DrawFn, base: bytes) -> bytes:
    """The bytes with a few places changed: flipped, cut out, doubled, moved, or a word replaced by a nasty one."""
    data = bytearray(base)
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, max(0, len(data) - 1)))
        how = draw(st.sampled_from(["flip", "word", "nan", "cut", "zero", "double", "insert", "end"]))
        length = draw(st.integers(0, 64)) * draw(st.sampled_from([1, 8]))
        if how == "flip" and data:
            data[at] ^= draw(st.integers(1, 255))
        elif how in ("word", "nan"):
            word = struct.pack("<Q", draw(st.sampled_from(NASTY)))
            at -= at % 8
            data[at : at + 8] = word if how == "word" else struct.pack("<d", float("nan"))
        elif how == "cut":
            del data[at : at + length]
        elif how == "zero":
            data[at : at + length] = bytes(len(data[at : at + length]))
        elif how == "double":
            data[at:at] = data[at : at + length]
        elif how == "insert":
            data[at:at] = draw(st.binary(max_size=64))
        elif how == "end":
            del data[at:]
    return bytes(data)
