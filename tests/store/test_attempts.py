"""Steps that were done again after a restart."""

import pytest
from store.test_reading import START, put, run_session
from wayside_collector.store import Reader, Writer
from wayside_collector.store.attempts import Stay, count_repeated
from wayside_collector.testing import make_rows


@pytest.mark.parametrize(
    ("stays", "repeated"),
    [
        ([], 0),
        ([Stay(0, 0.0, 10.0, 0, 999)], 0),
        ([Stay(0, 0.0, 10.0, 0, 999), Stay(0, 11.0, 20.0, 900, 1500)], 100),
        ([Stay(0, 11.0, 20.0, 900, 1500), Stay(0, 0.0, 10.0, 0, 999)], 100),  # in whatever order they are told
        ([Stay(0, 0.0, 10.0, 0, 99), Stay(0, 11.0, 12.0, 50, 59), Stay(0, 13.0, 20.0, 50, 200)], 60),
        ([Stay(0, 0.0, 10.0, 0, 99), Stay(0, 11.0, 20.0, 100, 200)], 0),
        ([Stay(0, 0.0, 10.0, 0, 99), Stay(0, 5.0, 20.0, 0, 99)], 0),  # beside each other
        ([Stay(0, 0.0, 10.0, 0, 99), Stay(1, 11.0, 20.0, 0, 99)], 0),  # another rank
        ([Stay(rank, 0.0, 10.0, 0, 99) for rank in range(4)] + [Stay(2, 11.0, 20.0, 90, 99)], 10),
        ([Stay(None, 0.0, 10.0, 0, 99), Stay(None, 10.0, 20.0, 99, 120)], 1),
    ],
)
def test_what_is_counted(stays: list[Stay], repeated: int) -> None:
    """Steps from where a later session of a rank began to where an earlier one had come; all ranks go back together."""
    assert count_repeated(stays) == repeated


def test_a_run_that_was_started_again(writer: Writer, reader: Reader) -> None:
    """Its second attempt begins at the last checkpoint; how many rows are in blocks already does not matter."""
    put(writer, run_session("a", 0), *make_rows(1300, {"loss": 0.5}))
    assert reader.repeated_steps("a") == 0
    again = run_session("a", 0, started=START + 5000)
    put(writer, again, *make_rows(900, {"loss": 0.4}, step=1200, time=START + 5000))
    assert reader.repeated_steps("a") == 100
    put(writer, run_session("b", 0))
    assert reader.repeated_steps("b") == 0
