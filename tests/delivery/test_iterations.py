"""The step of a row that was logged without one."""

import math

import pytest
from wayside.row import Row
from wayside_collector.delivery import iterations as iterations_module
from wayside_collector.delivery.iterations import MAX_DEFINED, Iterations
from wayside_collector.delivery.progress import Progress


def row(metrics: dict[str, float], seq: int = 0, *, step: int | None = None) -> Row:
    """Logged with a step, or under the run's own counter, which is the seq."""
    auto = step is None
    return Row(seq, 0.0, seq if step is None else step, auto, auto, tuple(metrics), tuple(metrics.values()))


def steps(iterations: Iterations, *rows: dict[str, float]) -> list[int | None]:
    return [iterations.resolve(row(metrics, 100 + seq)).step for seq, metrics in enumerate(rows)]


@pytest.mark.parametrize(
    ("metrics", "step"),
    [
        ({"train/loss": 1.0, "train/global_step": 500.0, "train/epoch": 0.5}, 500),  # Hugging Face
        ({"loss": 1.0, "epoch": 0.0, "trainer/global_step": 49.0}, 49),  # Lightning
        ({"iter": 2000.0, "train/loss": 1.0, "lr": 1e-4}, 2000),  # nanoGPT
        ({"batch/batch_step": 7.0, "batch/loss": 1.0}, 7),  # Keras
        ({"epoch/epoch": 3.0, "epoch/loss": 1.0}, 3),
        ({"training_iteration": 4.0, "score": 1.0}, 4),  # Ray Tune
        ({"epoch": 2.5, "loss": 1.0}, 100),  # no whole number
        ({"global_step": math.nan, "iter": 3.0}, 3),
        ({"global_step": math.inf, "loss": 3.0}, 100),
        ({"global_step": -1.0, "loss": 3.0}, 100),
        ({"loss": 1.0}, 100),
    ],
)
def test_a_step_that_stands_in_the_row(metrics: dict[str, float], step: int):
    """Under the names that frameworks use, the surest first; else the run's own counter counts."""
    assert steps(Iterations(), metrics) == [step]


def test_the_step_of_the_call_goes_before_all():
    """Whatever stands in the row, and with its commit as it was."""
    given = row({"global_step": 5.0, "loss": 1.0}, step=9)
    assert Iterations().resolve(given) is given


def test_a_step_that_is_found_stays_open():
    """The evaluation of a step comes in a call of its own, and belongs to it."""
    found = Iterations().resolve(row({"global_step": 5.0}))
    assert (found.step, found.commit) == (5, False)


def test_the_metric_that_define_metric_names():
    """By the metric's own name, else by the longest pattern; it goes before the names that are known."""
    iterations = Iterations()
    iterations.define({"name": "*", "step_metric": "train/global_step"})
    iterations.define({"name": "eval/*", "step_metric": "eval/step"})
    iterations.define({"name": "eval/slow", "step_metric": "minute"})
    assert steps(
        iterations,
        {"loss": 1.0, "train/global_step": 3.0, "global_step": 9.0},
        {"eval/loss": 1.0, "eval/step": 4.0, "global_step": 9.0},
        {"eval/slow": 1.0, "minute": 5.0},
    ) == [3, 4, 5]


def test_a_defined_step_that_is_not_in_the_row():
    """It is what it was last, as in W&B: TRL's timings belong to the step under way. Before it was ever logged, the
    run's own counter counts.
    """
    iterations = Iterations()
    iterations.define({"name": "*", "step_metric": "train/global_step"})
    assert steps(iterations, {"t": 1.0}, {"loss": 1.0, "train/global_step": 7.0}, {"t": 2.0}) == [100, 7, 7]


def test_epochs_that_do_not_tell_rows_apart():
    """A script that logs each batch with its epoch keeps every row, from the first that would overwrite another."""
    batches = [{"epoch": float(epoch), "loss": 1.0 / (1 + batch)} for epoch in range(2) for batch in range(3)]
    assert steps(Iterations(), *batches) == [0, 101, 102, 103, 104, 105]


def test_epochs_of_which_each_has_its_rows():
    """Training and evaluation of an epoch are one step, also where both have the epoch and an equal number."""
    rows: list[dict[str, float]] = []
    for epoch in (0.0, 1.0):
        rows += [{"epoch": epoch, "lr": 0.1, "loss": epoch}, {"epoch": epoch, "lr": 0.1, "val": epoch}]
    assert steps(Iterations(), *rows) == [0, 0, 1, 1]


def test_a_repeated_step_is_the_same_step():
    """A framework that evaluates twice at a step means that step, whatever the numbers."""
    assert steps(Iterations(), {"global_step": 5.0, "eval": 1.0}, {"global_step": 5.0, "eval": 2.0}) == [5, 5]


def test_what_outlives_a_restart():
    """Definitions, the last number of a defined step, and epochs that are no steps."""
    iterations = Iterations()
    iterations.define({"name": "*", "step_metric": "s"})
    steps(iterations, {"a": 1.0, "s": 7.0})
    steps(iterations, {"epoch": 1.0, "a": 1.0}, {"epoch": 1.0, "a": 2.0})
    again = Iterations(Progress.from_text(Progress(iterations=iterations.kept).to_text(())).iterations)
    assert steps(again, {"t": 1.0}) == [7]
    assert again.kept == iterations.kept
    assert "iterations" not in Progress().to_text(())


def test_definitions_without_a_step_or_end():
    """Those of summaries alone, and of another shape, are none; of endless ones the first are kept."""
    iterations = Iterations()
    for data in ({"name": "a", "summary": "min"}, {"name": 5, "step_metric": "s"}, {"step_metric": "s"}, {}):
        iterations.define(data)
    assert iterations.kept.defined == {}
    for number in range(MAX_DEFINED + 5):
        iterations.define({"name": f"m{number}", "step_metric": "s"})
    assert len(iterations.kept.defined) == MAX_DEFINED
    iterations.define({"name": "m0", "step_metric": "other"})
    assert iterations.kept.defined["m0"] == "other"


def test_very_many_names_are_looked_up_anew(monkeypatch: pytest.MonkeyPatch):
    """What is remembered of names is bounded, goes when something else is defined, and never changes an answer."""
    monkeypatch.setattr(iterations_module, "MAX_REMEMBERED", 2)
    found = Iterations()
    found.define({"name": "a/*", "step_metric": "a/step"})
    assert steps(found, {"a/1": 1.0, "a/2": 1.0, "a/3": 1.0, "a/step": 7.0}, {"b/1": 1.0}) == [7, 101]
    assert len(found._known) <= 2
    found.define({"name": "b/1", "step_metric": "a/step"})
    assert steps(found, {"b/1": 1.0}) == [7]
