"""Columns come back bit by bit as they were, and summaries are those of all values."""

import math
import struct
from array import array

from hypothesis import given, settings
from hypothesis import strategies as st
from wayside_collector.store.blocks import (
    Axes,
    Summary,
    merge,
    pack_axes,
    pack_values,
    summarize,
    unpack_axes,
    unpack_values,
)

FLOATS = st.floats(allow_nan=True, allow_infinity=True)
INTS = st.integers(-(1 << 63), (1 << 63) - 1)


def bits(values: "array[float] | list[float]") -> list[bytes]:
    return [struct.pack("<d", value) for value in values]


@settings(deadline=None)  # a busy machine is no mistake of the code
@given(st.lists(FLOATS, max_size=600))
def test_values_come_back_as_they_were(values: list[float]) -> None:
    """Every bit of every value, also of not-a-numbers and of zeros below zero."""
    assert bits(unpack_values(pack_values(values))) == bits(values)


@settings(deadline=None)  # a busy machine is no mistake of the code
@given(st.data(), st.integers(1, 40))
def test_axes_come_back_as_they_were(data: st.DataObject, rows: int) -> None:
    """Seqs, times and steps, evenly spaced or not, as far apart as 64 bits allow; steps may be missing."""
    even = st.builds(
        lambda first, by: list(range(first, first + by * rows, by)), INTS.map(lambda n: n // 2), st.integers(1, 1 << 50)
    )
    ints = st.one_of(st.lists(INTS, min_size=rows, max_size=rows), even.filter(lambda some: some[-1] < 1 << 63))
    seqs, steps = data.draw(ints), data.draw(st.one_of(ints, st.just([])))
    times = data.draw(st.lists(FLOATS, min_size=rows, max_size=rows))
    found = unpack_axes(pack_axes(Axes(seqs, array("d", times), steps)))
    assert list(found.seqs) == seqs
    assert list(found.steps) == steps
    assert bits(list(found.times)) == bits(times)


@settings(deadline=None)  # a busy machine is no mistake of the code
@given(st.lists(FLOATS, min_size=1, max_size=60))
def test_a_summary_is_that_of_all_values(values: list[float]) -> None:
    """min and max of what are numbers, infinite ones too; sum of the finite ones; first and last as they are."""
    found = summarize(values)
    numbers = [value for value in values if not math.isnan(value)]
    finite = [value for value in numbers if math.isfinite(value)]
    assert (found.points, found.finite) == (len(values), len(finite))
    if numbers:
        assert (found.min, found.max) == (min(numbers), max(numbers))
    else:
        assert math.isnan(found.min)
        assert math.isnan(found.max)
    assert bits([found.first, found.last]) == bits([values[0], values[-1]])


@settings(deadline=None)  # a busy machine is no mistake of the code
@given(st.lists(st.lists(FLOATS, min_size=1, max_size=20), min_size=1, max_size=9))
def test_summaries_together_are_the_summary_of_all(parts: list[list[float]]) -> None:
    """However values are cut: count, extremes, first and last are the same."""
    found, whole = merge([summarize(part) for part in parts]), summarize([value for part in parts for value in part])
    assert told(found) == told(whole)


def told(summary: Summary) -> tuple[object, ...]:
    numbers = (summary.min, summary.max, summary.first, summary.last)
    return summary.points, summary.finite, *("nan" if math.isnan(value) else value for value in numbers)


def test_even_steps_cost_nothing() -> None:
    """Seqs and steps that are evenly spaced take no room: with times of a regular clock, a block's axes are small."""
    times = array("d", [1_767_225_600.0 + 0.25 * row for row in range(512)])
    assert len(pack_axes(Axes(range(512), times, range(0, 5120, 10)))) < 200
