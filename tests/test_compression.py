"""Compressed bodies: what comes out is bounded, and never more than that is made."""

import gzip
import tracemalloc

import pytest
from wayside_collector.compression import DECOMPRESS, TooLong, zstd

LIMIT = 1 << 20
SIZE = 64 << 20


@pytest.mark.parametrize(("encoding", "compress"), [("gzip", gzip.compress), ("zstd", zstd.compress)])
def test_a_bomb_takes_no_memory(encoding: str, compress) -> None:  # type: ignore[no-untyped-def]
    """Decompressing stops at the limit: what lies beyond it is never made."""
    bomb = compress(bytes(SIZE))
    assert len(bomb) < SIZE // 100
    tracemalloc.start()
    try:
        with pytest.raises(TooLong):
            DECOMPRESS[encoding](bomb, LIMIT)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 16 * LIMIT
