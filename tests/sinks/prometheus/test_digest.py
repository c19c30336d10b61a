"""What a slice of rows comes to."""

import math

from hypothesis import given
from hypothesis import strategies as st
from wayside.row import Row
from wayside_collector.sinks.prometheus.digest import SLICE_POINTS, SLICE_RECORDS, digest, slices
from wayside_collector.testing import make_event, make_rows

NAMES = (("a",), ("b", "a"), ("c",), ())
FLOATS = st.floats(allow_nan=True, allow_infinity=True)


@st.composite
def rows(draw: st.DrawFn) -> list[Row]:
    shapes = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=12))
    made = []
    for seq, names in enumerate(shapes):
        values = tuple(draw(FLOATS) for _ in names)
        made.append(Row(seq, float(seq), draw(st.none() | st.integers(0, 9)), True, False, names, values))
    return made


@given(rows())
def test_a_digest_is_what_reading_every_row_would_give(made: list[Row]) -> None:
    """Skipping rows that a later one of the same names covers loses neither a value, a step nor a NaN."""
    latest: dict[str, float] = {}
    nonfinite: dict[str, int] = {}
    step = None
    for row in made:
        step = step if row.step is None else row.step
        for name, value in row.metrics.items():
            latest[name] = value
            if not math.isfinite(value):
                nonfinite[name] = nonfinite.get(name, 0) + 1
    found = digest(made)
    assert {name: repr(value) for name, value in found.latest.items()} == {k: repr(v) for k, v in latest.items()}
    assert found.nonfinite == nonfinite
    assert found.step == step
    assert found.points == sum(len(row.values) for row in made)
    assert found.time == made[-1].time


def test_finite_values_whose_sum_overflows_are_finite() -> None:
    """1e308 twice sums to infinity, and is still no infinity that anyone logged."""
    assert digest(make_rows(1, {"a": 1e308, "b": 1e308})).nonfinite == {}


def test_slices_hold_every_record_once_and_stay_small() -> None:
    """The event loop runs between two slices, so one is bounded in records and, for wide rows, in points."""
    narrow = [*make_rows(2 * SLICE_RECORDS + 5), make_event("alert", {}, seq=9_999_999)]
    found = list(slices(narrow))
    assert [record for part in found for record in part] == narrow
    assert max(map(len, found)) <= SLICE_RECORDS
    wide = make_rows(10, {f"m{i}": 0.0 for i in range(SLICE_POINTS // 2)})
    assert [len(part) for part in slices(wide)] == [2, 2, 2, 2, 2]
    assert list(slices([])) == []
