"""PNG from bare pixels, by zlib alone; and what the first bytes of a picture's file say."""

import struct
import zlib
from typing import Optional, Tuple

_COLOUR = {1: 0, 3: 2, 4: 6}  # channels to PNG's colour type: grey, RGB, RGBA
_LEVEL = 4  # of compression: half the time of zlib's default, and some per cent larger
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_MAGIC = (
    (_SIGNATURE, "png"),
    (b"\xff\xd8\xff", "jpg"),
    (b"GIF87a", "gif"),
    (b"GIF89a", "gif"),
    (b"BM", "bmp"),
    (b"II*\0", "tif"),
    (b"MM\0*", "tif"),
)


def encode_png(pixels: bytes, width: int, height: int, channels: int) -> bytes:
    """A PNG of 8 bits a channel. pixels: rows from the top, each of `width * channels` bytes."""
    row = width * channels
    lines = bytearray()
    for start in range(0, height * row, row):
        lines += b"\0"  # no filter
        lines += pixels[start : start + row]
    header = struct.pack(">IIBBBBB", width, height, 8, _COLOUR[channels], 0, 0, 0)
    chunks = (_chunk(b"IHDR", header), _chunk(b"IDAT", zlib.compress(bytes(lines), _LEVEL)), _chunk(b"IEND", b""))
    return _SIGNATURE + b"".join(chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def format_of(data: bytes) -> Optional[str]:
    """The format of a picture by its first bytes; None where they are no picture's."""
    for magic, name in _MAGIC:
        if data.startswith(magic):
            return name
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "webp"
    return "svg" if b"<svg" in data[:1024] else None


def size_of(data: bytes) -> Optional[Tuple[int, int]]:
    """Width and height of a PNG, GIF or JPEG; None where they are not to be found."""
    if data.startswith(_SIGNATURE) and len(data) >= 24:
        width, height = struct.unpack_from(">II", data, 16)
        return width, height
    if data[:4] == b"GIF8" and len(data) >= 10:
        width, height = struct.unpack_from("<HH", data, 6)
        return width, height
    return _jpeg_size(data) if data.startswith(b"\xff\xd8\xff") else None


def _jpeg_size(data: bytes) -> Optional[Tuple[int, int]]:
    """From the frame header, which stands behind the tables."""
    at = 2
    while at + 9 <= len(data) and data[at] == 0xFF:
        marker, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack_from(">HH", data, at + 5)
            return width, height
        at += 2 + length
    return None
