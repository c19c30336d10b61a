"""What reading a request takes: a small one that says little, over and over, takes no more than a full one."""

import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest
from wayside_collector.web.ingest.rows import MAX_ROWS, Unfit, parse

ROOM = 32 << 20  #: bytes


def peak(read: Callable[[], Any]) -> int:
    """Bytes that were held at once while it read."""
    tracemalloc.start()
    try:
        read()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_lines_beyond_the_limit_are_not_read() -> None:
    """A body of four megabytes in lines of one character is refused before any of them is looked at."""

    def read() -> None:
        with pytest.raises(Unfit, match="more than 10000 rows") as refused:
            parse(b"1\n" + b"x\n" * (1 << 21), {}, "r1")
        assert refused.value.status == 413

    assert peak(read) < ROOM


def test_as_many_lines_as_may_be_are_read() -> None:
    """Blank lines count for nothing, and the limit itself is within it."""
    line = b' {"metrics": {"a": 1}}\r\n \n'
    assert len(parse(line * MAX_ROWS, {}, "r1").rows) == MAX_ROWS
