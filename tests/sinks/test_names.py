"""Names and labels as Prometheus takes them."""

import pytest
from wayside_collector.sinks.names import candidates, claims, cut, escape, label_text, plain_name


@pytest.mark.parametrize(
    ("original", "exposed"),
    [
        ("train/loss", "wayside_train_loss"),
        ("train.loss", "wayside_train_loss"),
        ("loss", "wayside_loss"),
        ("memory/max_active(GiB)", "wayside_memory_max_active_GiB_"),
        ("Größe", "wayside_Gr__e"),
        ("0", "wayside_0"),
        ("a:b", "wayside_a_b"),
    ],
)
def test_every_other_character_becomes_an_underscore(original: str, exposed: str) -> None:
    """A name is the metric's own with a prefix, in [a-zA-Z0-9_]; the colon is Prometheus' own, for rules."""
    assert plain_name(original) == exposed


def test_the_suffix_of_a_collision_is_four_digits_of_sha1_then_more() -> None:
    """A suffix depends on the name as logged alone, so it is the same on every machine, and there is always one."""
    names = candidates("wayside_train_loss", "gauge", "train.loss")
    assert [next(names) for _ in range(3)] == [
        "wayside_train_loss",
        "wayside_train_loss_x1874",
        "wayside_train_loss_x18744ee1",
    ]
    assert len({next(names) for _ in range(50)}) == 50


def test_a_counter_keeps_its_ending_behind_the_suffix() -> None:
    """A counter's name ends in _total, with a suffix too; OpenMetrics demands it."""
    names = candidates("wayside_a_total", "counter", "a_total")
    next(names)
    assert next(names).startswith("wayside_a_x")
    assert next(names).endswith("_total")


def test_claims_are_what_openmetrics_lets_clash() -> None:
    """A counter takes its name without _total and with _created, an info its name without _info."""
    assert set(claims("wayside_a_total", "counter")) == {"wayside_a", "wayside_a_total", "wayside_a_created"}
    assert set(claims("wayside_a_info", "info")) == {"wayside_a", "wayside_a_info"}
    assert claims("wayside_a", "gauge") == ("wayside_a",)


def test_a_label_value_is_escaped() -> None:
    """Backslash, quote and line feed are escaped; NUL and lone surrogates, which no page can carry, are replaced."""
    assert escape('a\\b"c\nd') == 'a\\\\b\\"c\\nd'
    assert escape("a\x00b\ud800c") == "a\ufffdb\ufffdc"


def test_an_empty_label_is_left_out() -> None:
    """Prometheus takes an empty label for none; two lines must not differ by one alone."""
    assert label_text((("run", "r1"), ("rank", None), ("pod", "")), 256) == '{run="r1"} '
    assert label_text((), 256) == " "


def test_a_long_label_is_cut_and_stays_its_own() -> None:
    """A value over the limit ends in a hash of the whole, so two that begin alike do not become one series."""
    first, second = cut("x" * 300 + "1", 64), cut("x" * 300 + "2", 64)
    assert len(first) == len(second) == 64
    assert first != second
    assert cut("x" * 64, 64) == "x" * 64
