"""Steps as stretches: exact for any set of steps, small for even ones."""

import tracemalloc

from hypothesis import example, given, settings
from hypothesis import strategies as st
from wayside_collector.store.strides import MOST, Stretch, extend, uncovered

STEPS = st.one_of(
    st.sets(st.integers(-50, 200), max_size=60),
    st.builds(
        lambda first, by, n: set(range(first, first + by * n, by)),
        st.integers(-9, 99),
        st.integers(1, 9),
        st.integers(0, 30),
    ),
)


def held(stretches: list[Stretch]) -> list[int]:
    return sorted(step for one in stretches for step in range(one.first, one.last + 1, one.stride))


@settings(deadline=None)  # a busy machine is no mistake of the code
@given(st.lists(STEPS, max_size=8))
def test_any_steps_are_held_once(parcels: list[set[int]]) -> None:
    """Whatever comes, in whichever order and however often, each step is held by exactly one stretch."""
    known: list[Stretch] = []
    for steps in parcels:
        fresh = uncovered(steps, known)
        if fresh:
            before = max((one for one in known if one.first <= fresh[0]), default=None)
            known = [one for one in known if one is not before] + extend(before, fresh)
    assert held(known) == sorted(set().union(*parcels)) if parcels else not known
    assert all(one.steps == len(held([one])) for one in known)
    assert all(one.holds(step) for one in known for step in held([one]))


def test_one_early_step_costs_no_more_than_itself() -> None:
    """What is known between the least and the greatest step is never spelled out, however much it is."""
    end = 1_000_000
    known = extend(None, list(range(end)))
    tracemalloc.start()
    try:
        assert uncovered([3, end - 1, end], known) == [end]
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


@settings(deadline=None)  # a busy machine is no mistake of the code
@example(1, 16_388, 3)  # one step alone begins a stretch
@given(st.integers(1, 10), st.integers(1, 20_000), st.integers(1, 3000))
def test_even_steps_take_few_stretches(stride: int, count: int, parcel: int) -> None:
    """However they are cut into parcels, a million even steps are 250 stretches, none longer than the limit."""
    steps = list(range(0, stride * count, stride))
    known: list[Stretch] = []
    for begin in range(0, count, parcel):
        last = known.pop() if known else None
        known += extend(last, steps[begin : begin + parcel])
    assert held(known) == steps
    assert len(known) <= count // MOST + 2
    assert max(one.steps for one in known) <= MOST
