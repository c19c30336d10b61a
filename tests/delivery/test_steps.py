"""Rows of one session merged by step."""

import pytest
from delivery.virtual import T0
from wayside.row import Row
from wayside_collector.delivery import steps
from wayside_collector.delivery.steps import StepMerger
from wayside_collector.sinks.base import Step


def row(seq: int, step: int | None, value: float = 0.0, *, name: str = "a", commit: bool = False) -> Row:
    return Row(seq, T0 + seq, step, commit, False, (name,), (value,))


def add(merger: StepMerger, *rows: Row) -> list[Step]:
    return [step for each in rows for step in merger.add(each, each.time)]


def test_rows_of_one_step_are_one_record() -> None:
    """All their names, the last value of each, all their seqs, the time of the first and the last, every point."""
    merger = StepMerger()
    assert add(merger, row(0, 5, 1.0), row(1, 5, 2.0, name="b"), row(2, 5, 3.0)) == []
    assert merger.open_seqs == [0, 1, 2]
    assert add(merger, row(3, 6)) == [Step((0, 1, 2), T0, T0 + 2, 5, {"a": 3.0, "b": 2.0}, 3, False)]
    assert (merger.closed, merger.open_seqs) == (5, [3])


def test_a_commit_closes_its_step_at_once() -> None:
    """And a row that follows of the same step is late."""
    merger = StepMerger()
    assert [step.seqs for step in add(merger, row(0, 1), row(1, 1, commit=True))] == [(0, 1)]
    (late,) = add(merger, row(2, 1, 9.0))
    assert (late.late, late.step, late.seqs, late.metrics) == (True, 1, (2,), {"a": 9.0})


def test_a_row_behind_the_open_step_goes_on_by_itself() -> None:
    """It is late, and the open step stays open."""
    merger = StepMerger()
    (late,) = add(merger, row(0, 7), row(1, 3))
    assert (late.step, late.late) == (3, True)
    assert merger.open_seqs == [0]


def test_a_row_without_a_step_is_a_step_of_its_own() -> None:
    """The next number, at once; and it closes what was open."""
    merger = StepMerger()
    assert [(step.step, step.seqs) for step in add(merger, row(0, None), row(1, 4), row(2, None), row(3, None))] == [
        (0, (0,)),
        (4, (1,)),
        (5, (2,)),
        (6, (3,)),
    ]


def test_what_was_closed_before_a_restart_stays_closed() -> None:
    """A row of such a step is late, one of the next is not."""
    merger = StepMerger(closed=10)
    (late,) = add(merger, row(0, 10))
    assert late.late
    assert add(merger, row(1, 11)) == []
    assert [step.step for step in merger.close()] == [11]
    assert merger.close() == []


def test_an_open_step_grows_stale() -> None:
    """So many seconds after its last row, and not before."""
    merger = StepMerger()
    assert merger.stale_at(30.0) is None
    merger.add(row(0, 1), T0)
    merger.add(row(1, 1), T0 + 20)
    assert merger.stale_at(30.0) == T0 + 50
    assert merger.close_stale(T0 + 49, 30.0) == []
    assert [step.seqs for step in merger.close_stale(T0 + 50, 30.0)] == [(0, 1)]


def test_a_step_that_never_closes_is_closed_at_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """A script that logs an epoch's million rows under one step: so many are merged, and what follows is late."""
    monkeypatch.setattr(steps, "MAX_STEP_ROWS", 4)
    merger = StepMerger()
    found = add(merger, *(row(seq, 7, float(seq)) for seq in range(6)))
    assert [(step.seqs, step.late) for step in found] == [((0, 1, 2, 3), False), ((4,), True), ((5,), True)]
    assert merger.open_seqs == []
