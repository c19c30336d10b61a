"""Numbers that cannot be true never reach the spool, and cost nothing but the rows they stand in."""

import math

import pytest
from wayside import wire
from wayside_collector.intake.inlet import Counters, Inlet, Stream
from wayside_collector.plausible import MAX_COUNT
from wayside_collector.registry import Known
from wayside_collector.testing import make_session

SCHEMA = wire.schema_frame(0, ["loss"])


def make_inlet() -> Inlet:
    return Inlet(Known(7, make_session()), 0, 0, Counters())


def times_of(inlet: Inlet) -> list[float]:
    """The times of all rows it would hand over."""
    found: list[float] = []
    for batch in inlet.batches:
        for span in wire.scan(batch.rows).spans:
            if span.type == wire.ROW:
                found += [row.time for row in wire.read_rows(batch.rows, span, ("loss",), 0)]
    return found


@pytest.mark.parametrize("time", [math.nan, math.inf, -math.inf, -1.0, 1e300])
def test_a_time_that_is_none_costs_its_row_only(time: float) -> None:
    """In the middle of thousands alike, first, last, in a row with its names, and in an event."""
    inlet, stream = make_inlet(), Stream()
    rows = [wire.row_frame(0, 1e9 + step, step, [0.5]) for step in range(40)]
    for place in (0, 17, 39):
        rows[place] = wire.row_frame(0, time, place, [0.5])
    odd = [wire.named_row_frame(time, 1, {"a": 1.0}), wire.event_frame(time, None, "alert", {})]
    data = SCHEMA + b"".join(rows) + b"".join(odd)
    assert inlet.take(stream, data) == len(data)
    assert inlet.counters.malformed == 5
    assert times_of(inlet) == [1e9 + step for step in range(40) if step not in (0, 17, 39)]
    assert stream.seq == 42


@pytest.mark.parametrize("numbers", [(1 << 63, 0), ((1 << 64) - 1, (1 << 64) - 1), (5, MAX_COUNT + 1)])
def test_a_number_no_session_reaches_is_refused(numbers: tuple[int, int]) -> None:
    """SQLite could not hold it: the jump is left out, and the rows go on where they were."""
    inlet, stream = make_inlet(), Stream()
    inlet.take(stream, SCHEMA + wire.seq_frame(*numbers) + wire.row_frame(0, 1e9, 1, [0.5]))
    assert inlet.counters.malformed == 1
    assert (inlet.losses, inlet.next_seq) == ([], 1)


def test_a_header_that_no_session_reaches_costs_its_segment_only() -> None:
    """The same told by a segment's header, and by the account of drops."""
    inlet = make_inlet()
    inlet.take(Stream(1 << 62, 0), SCHEMA + wire.row_frame(0, 1e9, 1, [0.5]))
    assert (inlet.counters.malformed, inlet.losses, inlet.next_seq) == (1, [], 0)
    with pytest.raises(wire.WireError, match="no session"):
        inlet.book_loss(1 << 63, 0)
    assert inlet.losses == []


def test_points_lost_at_the_end_are_not_booked_twice() -> None:
    """A gap stored by itself, then a failed store: the next gap counts from where the first one ended."""
    inlet = make_inlet()
    inlet.book_loss(10, 30)
    inlet.stored(*inlet.hand_over())
    inlet.hand_over()
    inlet.not_stored()
    inlet.take(Stream(12, 35), SCHEMA + wire.row_frame(0, 1e9, 1, [0.5]))
    assert [(loss.first_seq, loss.next_seq, loss.points) for loss in inlet.losses] == [(10, 12, 5)]
