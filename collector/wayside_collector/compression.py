"""gzip and zstd of bodies, with a limit on what comes out: a small body cannot become a large one. Pure."""

import gzip
import sys
import zlib
from collections.abc import Callable
from typing import Any

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

WINDOW_LOG = 23  #: 8 MiB of window, as RFC 9659 has it for HTTP: a zstd frame may ask for 2 GiB


class NotCompressed(ValueError):
    """It is not what it is said to be."""


class TooLong(ValueError):
    """More would come out than the limit."""


def gunzip(data: bytes, limit: int) -> bytes:
    member = zlib.decompressobj(wbits=31)
    try:
        return _ended(member.decompress(data, limit + 1), member, limit)
    except zlib.error as problem:
        raise NotCompressed(f"no gzip: {problem}") from None


def unzstd(data: bytes, limit: int) -> bytes:
    frame = zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: WINDOW_LOG})
    try:
        return _ended(frame.decompress(data, limit + 1), frame, limit)
    except zstd.ZstdError as problem:
        raise NotCompressed(f"no zstd: {problem}") from None


def _ended(found: bytes, read: Any, limit: int) -> bytes:
    """What came out of the one member or frame that a body is: thousands of tiny ones are only ever an attack."""
    if len(found) > limit:
        raise TooLong(f"it is longer than {limit} bytes, decompressed")
    if not read.eof:
        raise NotCompressed("it ends too early")
    if read.unused_data:
        raise NotCompressed("something follows its end")
    return found


def _zstd(data: bytes) -> bytes:
    return zstd.compress(data, 1)


def _gzip(data: bytes) -> bytes:
    return gzip.compress(data, compresslevel=1, mtime=0)


#: How to apply a Content-Encoding, fast rather than small: rows of floats give way little, whatever is done.
COMPRESS: dict[str, Callable[[bytes], bytes]] = {"gzip": _gzip, "zstd": _zstd, "none": lambda data: data}

#: How to undo a Content-Encoding, with a limit on what comes out. Raises NotCompressed or TooLong.
DECOMPRESS: dict[str, Callable[[bytes, int], bytes]] = {"gzip": gunzip, "x-gzip": gunzip, "zstd": unzstd}
