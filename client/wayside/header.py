"""The header of a journal segment: its first 128 bytes, checked by a checksum. Frames follow it (`wire`)."""

import struct
import zlib
from typing import NamedTuple

from .frame import Buffer, WireError

MAGIC = b"WAYSIDE\x01"
HEADER_SIZE = 128
POSITION_WORD = 1  #: index of the committed position among the segment's u64 words
SEALED_WORD = 2  #: index of the word that is not zero once the position is final

_HEADER = struct.Struct("<8sQQQQQ16s16sI")
_FIXED = struct.Struct("<QQQ16s16s")  # what never changes once written, and the checksum covers


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
        checksum = zlib.crc32(_FIXED.pack(*self[2:]))
        return _HEADER.pack(MAGIC, self.position, int(self.sealed), *self[2:], checksum).ljust(HEADER_SIZE, b"\0")


def read_segment_header(data: Buffer) -> SegmentHeader:
    """Parse and check a segment's first bytes; raises WireError when they are not a header this version reads."""
    if len(data) < _HEADER.size:
        raise WireError(f"a segment of {len(data)} bytes has no header")
    magic, position, sealed, *fixed, checksum = _HEADER.unpack_from(data)
    if magic != MAGIC:
        raise WireError(f"not a journal segment of a known version: it begins with {bytes(magic)!r}")
    if zlib.crc32(_FIXED.pack(*fixed)) != checksum:
        raise WireError("the segment's header fails its checksum")
    return SegmentHeader(position, bool(sealed), *fixed)
