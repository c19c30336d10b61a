"""Histograms: what numpy counts, counted without it."""

import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from wayside.media.histogram import MAX_BINS, Histogram, count_between

FINITE = st.lists(st.integers(-(10**6), 10**6).map(lambda value: value / 128), min_size=1, max_size=200)


@given(FINITE, st.integers(1, 100))
def test_counts_without_numpy(values: list[float], bins: int) -> None:
    """Every value is counted once, between edges as numpy makes them; those on an edge may fall to either side."""
    counts, edges = count_between(values, bins)
    expected, expected_edges = np.histogram(values, bins=bins)
    assert sum(counts) == len(values)
    assert np.allclose(edges, expected_edges)
    assert np.abs(np.cumsum(counts) - np.cumsum(expected)).max() <= _on_edges(values, expected_edges)


def _on_edges(values: list[float], edges: Any) -> int:
    width = max(edges[-1] - edges[0], 1e-300)
    return sum(bool(np.min(np.abs(edges - value)) <= 1e-9 * width) for value in values)


@pytest.mark.parametrize(
    "values", [[1.0, 2.0, 2.0], np.array([1.0, 2.0, 2.0]), np.array([[1.0], [2.0], [2.0]]), (1, 2, 2)]
)
def test_of_lists_and_arrays(values: Any) -> None:
    """Counts and edges stand under wandb's names."""
    found = Histogram(values, num_bins=2)
    assert (found.histogram, found.bins) == ([1, 2], [1.0, 1.5, 2.0])
    assert found._encode().about == {"values": {"edges": [1.0, 1.5, 2.0], "counts": [1, 2]}}


def test_as_numpy_gives_it() -> None:
    """A pair of counts and edges is taken as it is, arrays or lists."""
    pair = np.histogram([1.0, 2.0, 3.0], bins=3)
    assert Histogram(np_histogram=pair).histogram == [1, 1, 1]
    assert Histogram(np_histogram=([0.5, 2], [0, 1, 2])).histogram == [0.5, 2]


def test_what_is_not_finite_is_left_out() -> None:
    """The others are counted."""
    assert sum(Histogram([1.0, float("nan"), float("inf"), 2.0]).histogram) == 2
    assert sum(count_between([1.0, float("nan"), float("-inf"), 2.0], 4)[0]) == 2


@pytest.mark.parametrize("values", [[], [5.0], [5.0, 5.0]])
def test_of_nothing_and_of_one_value(values: list[float]) -> None:
    """There are edges all the same, and no division by zero."""
    found = Histogram(values, num_bins=4)
    assert sum(found.histogram) == len(values)
    assert found.bins[0] < found.bins[-1]
    assert np.allclose(found.bins, count_between(values, 4)[1])


@pytest.mark.parametrize(
    ("named", "message"),
    [
        ({"sequence": [1], "num_bins": MAX_BINS + 1}, "1 to 512 bins"),
        ({"np_histogram": ([1] * 513, range(514))}, "maximum length of a histogram is 512"),
        ({"np_histogram": ([1, 2], [1, 2])}, r"len\(bins\) must be len\(histogram\) \+ 1"),
        ({"np_histogram": ([1, 2],)}, "must be a pair"),
        ({}, "needs a sequence"),
    ],
)
def test_bins_are_bounded(named: dict[str, Any], message: str) -> None:
    """And errors say what is wrong."""
    with pytest.raises(ValueError, match=message):
        Histogram(**named)


@pytest.mark.parametrize("pair", [([1], [0.0, float("inf")]), ([float("nan")], [0.0, 1.0])])
def test_what_is_not_finite_cannot_be_drawn(pair: Any) -> None:
    """Edges and counts have no word in JSON then: it is refused when it is encoded."""
    with pytest.raises(ValueError, match="not finite"):
        Histogram(np_histogram=pair)._encode()


def test_without_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that has loaded none counts the same."""
    values = [0.5, 1.0, 2.5, 2.5, 4.0]
    expected = Histogram(values, num_bins=5)
    with monkeypatch.context() as patch:
        patch.delitem(sys.modules, "numpy")
        found = Histogram(values, num_bins=5)
    assert found.histogram == expected.histogram
    assert np.allclose(found.bins, expected.bins)
