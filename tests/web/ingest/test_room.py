"""What reading a request takes: a small one that says little, over and over, takes no more than a full one."""

import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest
from wayside_collector.web.ingest.lens_form import MAX_ENTRIES, Malformed, read_logs, read_metrics
from wayside_collector.web.ingest.rows import MAX_ROWS, MAX_TOLD, Unfit, parse

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


@pytest.mark.parametrize(("read", "name"), [(read_metrics, "metrics"), (read_logs, "logs")])
def test_of_bad_entries_the_first_are_told(read: Callable[[Any], Any], name: str) -> None:
    """As many as may be are all counted, but only so many texts are kept; beyond the limit none is looked at."""
    good = {"name": "a", "value": 1, "data": {"a": 1}}

    def most() -> None:
        found = read({name: [good, *[0] * (MAX_ENTRIES - 1)]})
        assert (len(found.rows), found.refused, len(found.problems)) == (1, MAX_ENTRIES - 1, MAX_TOLD)
        assert found.problems[0].startswith(f"{name}[1]: an entry must be an object")

    def more() -> None:
        with pytest.raises(Malformed, match="the limit is 100000"):
            read({name: [0] * (2 << 20)})

    assert peak(most) < 4 << 20
    assert peak(more) < ROOM
