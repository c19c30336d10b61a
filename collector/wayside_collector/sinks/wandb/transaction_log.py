"""Reads a run's `.wandb` file, the SDK's transaction log, while it is being written or after a crash. Pure: bytes in.

The file begins with `:W&B`, the magic 0xBEE1 and a version, 7 bytes; then LevelDB's log format: blocks of 32 KiB, in
them fragments of a 7-byte head (crc32 of kind and body, length, kind) and a body. A record is one whole fragment or a
first, middles and a last; each is a protobuf `Record` of the SDK. The SDK has no reader of its own any more (since
0.30). `wandb sync` refuses a file that ends within a record, so a torn end must be cut off: `Log.whole` says where.
"""

import struct
import zlib

BLOCK = 32768
_FILE = struct.Struct("<4sHB")
_HEAD = struct.Struct("<IHB")
_MAGIC = (b":W&B", 0xBEE1)
_FULL, _FIRST, _MIDDLE, _LAST = 1, 2, 3, 4


class LogError(ValueError):
    """The bytes are no transaction log, or damaged: what was found, and where."""


class Log:
    """One file, as far as it was read: `feed` it the bytes from `position` on, in pieces of any size.

    whole: up to which byte it holds whole records.
    """

    def __init__(self) -> None:
        self.whole = 0
        self._next = 0  # where the next fragment begins, as an offset in the file
        self._base = 0  # the offset of the buffer's first byte
        self._buffer = b""
        self._parts: list[bytes] = []

    @property
    def position(self) -> int:
        """Bytes of the file that were fed."""
        return self._base + len(self._buffer)

    def feed(self, data: bytes) -> list[bytes]:
        """The records that became whole, each once. Raises LogError at bytes that are none."""
        self._buffer += data
        if self._next == 0:
            if len(self._buffer) < _FILE.size:
                return []
            if _FILE.unpack_from(self._buffer)[:2] != _MAGIC:
                raise LogError(f"not a .wandb file: it begins with {self._buffer[: _FILE.size]!r}")
            self._next = self.whole = _FILE.size
        records = []
        while (fragment := self._fragment()) is not None:
            kind, body = fragment
            if kind in (_FULL, _FIRST):
                self._parts = []
            self._parts.append(body)
            if kind in (_FULL, _LAST):
                records.append(b"".join(self._parts))
                self._parts = []
                self.whole = self._next
        cut = min(self._next, self.position)
        self._buffer = self._buffer[cut - self._base :]
        self._base = cut
        return records

    def _fragment(self) -> tuple[int, bytes] | None:
        """The next fragment's kind and body, or None when it is not all there yet."""
        left = BLOCK - self._next % BLOCK
        start = self._next + (left if left < _HEAD.size else 0)  # a block's end too short for a head is padding
        offset = start - self._base
        if offset + _HEAD.size > len(self._buffer):
            return None
        crc, size, kind = _HEAD.unpack_from(self._buffer, offset)
        body = self._buffer[offset + _HEAD.size : offset + _HEAD.size + size]
        if len(body) < size or (crc, size, kind) == (0, 0, 0):
            return None
        if kind not in (_FULL, _FIRST, _MIDDLE, _LAST) or zlib.crc32(body, zlib.crc32(bytes((kind,)))) != crc:
            raise LogError(f"a damaged record at byte {start}")
        self._next = start + _HEAD.size + size
        return kind, body
