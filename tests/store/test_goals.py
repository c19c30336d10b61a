"""Whether less or more of a metric is better."""

import pytest
from wayside_collector.store.goals import goal_of, is_hidden


@pytest.mark.parametrize(
    ("name", "goal"),
    [
        ("loss", "min"), ("train/loss", "min"), ("lm_loss", "min"), ("val_loss", "min"), ("val/acc", "max"),
        ("eval_accuracy", "max"), ("top1_acc", "max"), ("f1", "max"), ("perplexity", "min"), ("eval/ppl", "min"),
        ("rouge1", "max"), ("rougeL", "max"), ("tokens_per_sec", "max"), ("throughput", "max"), ("rewards/mean", None),
        ("reward", "max"), ("lr", None), ("epoch", None), ("grad_norm", None), ("mapping", None), ("trace", None),
        ("Val/Loss", "min"), ("", None),
    ],
)  # fmt: skip
def test_names_tell(name: str, goal: str | None) -> None:
    """The usual names of losses, errors and scores; nothing is guessed of others."""
    assert goal_of(name, []) == goal


def test_what_the_run_said_counts_more() -> None:
    """define_metric with a goal or a summary, by name or pattern, the last that says it."""
    definitions = [{"name": "val/*", "summary": "max"}, {"name": "val/loss", "goal": "maximize"}, {"name": "val/*"}]
    assert goal_of("val/loss", definitions) == "max"
    assert goal_of("val/other", definitions) == "max"
    assert goal_of("train/loss", definitions) == "min"
    assert goal_of("val/loss", [*definitions, {"name": "val/loss", "summary": "min,mean"}]) == "min"
    assert goal_of("speed", [{"name": None}, {"summary": "max"}]) is None


def test_the_run_hides() -> None:
    """By name or pattern, the last that says it; a definition that does not say it changes nothing."""
    definitions = [
        {"name": "debug/*", "hidden": True},
        {"name": "debug/loss", "hidden": False},
        {"name": "debug/*", "goal": "min"},
    ]
    assert [is_hidden(name, definitions) for name in ("debug/a", "debug/loss", "loss")] == [True, False, False]
    assert not is_hidden("loss", [{"hidden": True}, {"name": "loss", "hidden": "yes"}])
