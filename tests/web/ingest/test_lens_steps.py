"""Steps of rows whose sender says 0: meant, a framework's counter, or counted; within a session's limits."""

from wayside import wire
from wayside_collector.web.ingest.lens_steps import Steps


def test_a_metric_that_comes_again_at_step_0_begins_the_count() -> None:
    """The first calls may be parts of one step; with the first metric that comes twice they are rows of their own."""
    steps = Steps()
    assert [steps.of(0, {name: 1.0}) for name in ("a", "b", "a", "c")] == [(0, False), (0, False), (1, True), (2, True)]
    assert steps.of(9, {"a": 1.0}) == (9, False)
    assert steps.of(0, {"a": 1.0}) == (10, True)


def test_names_that_never_come_again_begin_it_too() -> None:
    """A sender with fresh names in every call is counted from a session's limit of names on."""
    steps = Steps()
    width = 1 << 16
    calls = [{f"{call}/{i}": 1.0 for i in range(width)} for call in range(wire.MAX_SLOTS // width + 2)]
    found = [steps.of(0, values) for values in calls]
    assert found[:-1] == [(0, False)] * (len(calls) - 1)
    assert found[-1] == (1, True)
    assert steps.of(0, {"fresh": 1.0}) == (2, True)
