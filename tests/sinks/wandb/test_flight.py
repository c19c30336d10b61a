"""Numbering rows, and knowing which are on their way."""

from hypothesis import given
from hypothesis import strategies as st
from wayside_collector.sinks.wandb.flight import (
    MAX_STEP,
    STEP,
    Delivered,
    Flight,
    Line,
    Ranges,
    RunKey,
    number,
    row_values,
)

KEY = RunKey(None, "p", "r")


def line(seq: int, step: int | None = None, session: str = "s") -> Line:
    return Line(((session, seq),), step, 1000.0 + seq, {"x": float(seq)})


def numbers(steps: list[int | None], last: int = -1) -> list[tuple[int, bool]]:
    return [(n.step, n.restepped) for n in number([line(i, step) for i, step in enumerate(steps)], last)]


def test_a_step_that_grows_is_kept():
    """The user's step is W&B's as long as it is above the last one, gaps included."""
    assert numbers([0, 1, 7, 100]) == [(0, False), (1, False), (7, False), (100, False)]


def test_a_step_that_goes_back_becomes_the_next():
    """A run that goes on from a checkpoint loses no row: each gets the next free number."""
    assert numbers([5, 3, 4, 9], last=4) == [(5, False), (6, True), (7, True), (9, False)]


def test_a_row_without_a_step_is_numbered_and_not_restepped():
    """Who counts no steps cannot have them changed."""
    assert numbers([None, None, 1]) == [(0, False), (1, False), (2, True)]


def test_a_step_beyond_what_a_float_tells_apart_is_restepped():
    """W&B would merge steps that are the same 64-bit float."""
    assert numbers([MAX_STEP, MAX_STEP + 1, -3]) == [(0, True), (1, True), (2, True)]


@given(st.lists(st.one_of(st.none(), st.integers(-(2**62), 2**62)), max_size=50), st.integers(-1, 1000))
def test_numbers_always_grow(steps, last):
    """Whatever comes, W&B is given steps that grow, all above the last, since it drops others."""
    found = [n for n, _ in numbers(steps, last)]
    assert all(a < b for a, b in zip([last, *found], found, strict=False))


@given(st.lists(st.one_of(st.none(), st.integers(-5, 60)), max_size=40), st.integers(0, 40))
def test_numbering_in_two_parcels_is_numbering_in_one(steps, cut):
    """Where a parcel ends does not matter to the numbers."""
    lines = [line(i, step) for i, step in enumerate(steps)]
    first = number(lines[:cut], -1)
    last = first[-1].step if first else -1
    assert first + number(lines[cut:], last) == number(lines, -1)


def test_a_restepped_row_carries_its_own_step():
    """`wayside/step` holds the user's step where `_step` is another, and the row keeps its true time."""
    kept, moved = number([line(0, 5), line(1, 3)], -1)
    assert row_values(kept, every_row=False) == {"x": 0.0, "_timestamp": 1000.0}
    assert row_values(moved, every_row=False) == {"x": 1.0, "_timestamp": 1001.0, STEP: 3}
    assert row_values(kept, every_row=True)[STEP] == 5


def test_what_departs_is_aloft_until_it_lands():
    """Lines land up to the acknowledged step, samples up to the acknowledged count, each once."""
    flight = Flight()
    flight.depart(1, number([line(0, 0), line(1, 5)], -1), [("sys", 0), ("sys", 1)])
    assert ("s", 1) in flight
    assert ("sys", 0) in flight
    assert (flight.last, flight.samples, len(flight)) == (5, 2, 4)
    assert flight.land(4) + flight.land_samples(1) == [("s", 0), ("sys", 0)]
    assert ("s", 0) not in flight
    assert flight.land(4) + flight.land_samples(1) == []
    assert flight.land(5) + flight.land_samples(2) == [("s", 1), ("sys", 1)]
    assert len(flight) == 0


def test_a_restart_forgets_what_never_arrived():
    """What was aloft above the run's last step comes again by itself; it must not land by another's number."""
    flight = Flight()
    flight.depart(1, number([line(0, 0), line(1, 1)], -1), [("sys", 0)])
    flight.land(0)
    flight.restart(0, 0)
    assert ("s", 1) not in flight
    assert flight.land(100) + flight.land_samples(100) == []
    assert (flight.last, flight.samples) == (0, 0)


def test_the_oldest_batch_aloft_is_known():
    """The kept state may name only batches of which everything arrived and was reported."""
    flight = Flight()
    assert flight.oldest() is None
    flight.depart(3, number([line(0, 0)], -1), [])
    flight.depart(4, number([line(1, 1)], 0), [("sys", 0)])
    assert flight.oldest() == 3
    flight.land(0)
    assert flight.oldest() == 3
    flight.report({("s", 0)})
    assert flight.oldest() == 4
    flight.land_samples(1)
    flight.land(1)
    flight.restart(1, 1)
    assert flight.oldest() == 4
    flight.report({("sys", 0), ("s", 1)})
    assert flight.oldest() is None


def test_a_line_the_sdk_did_not_take_is_not_aloft():
    """A row or sample that was turned down is on its way no longer."""
    flight = Flight()
    flight.depart(1, number([line(0, 0), line(1, 1)], -1), [("sys", 0), ("sys", 1)])
    assert flight.take(0) == [("s", 0)]
    assert flight.take(0) == []
    assert flight.withdraw(("sys", 1))
    assert not flight.withdraw(("sys", 9))
    assert flight.land(5) + flight.land_samples(5) == [("s", 1), ("sys", 0)]


@given(st.lists(st.integers(0, 60)))
def test_ranges_are_a_set(numbers):
    """Ranges know exactly the numbers they were given, in as few ranges as there are runs of them."""
    ranges = Ranges()
    for one in numbers:
        ranges.add(one)
    there = set(numbers)
    assert {n for n in range(-1, 62) if n in ranges} == there
    assert len(ranges._starts) == sum(n - 1 not in there for n in there)


def test_delivered_forgets_the_session_longest_untouched():
    """The memory of delivered rows is bounded by sessions."""
    delivered = Delivered(limit=2)
    delivered.add(KEY, [("a", 0), ("b", 0)])
    delivered.add(KEY, [("a", 1)])
    delivered.add(KEY, [("c", 0)])
    assert delivered.has(KEY, ("a", 0))
    assert delivered.has(KEY, ("c", 0))
    assert not delivered.has(KEY, ("b", 0))
    assert not delivered.has(RunKey(None, "p", "other"), ("a", 0))
