"""Histograms: counts between edges, computed where they are made, of at most MAX_BINS bins."""

import sys
from bisect import bisect_right
from typing import Any, Iterable, List, Optional, Sequence, Tuple

from .medium import Encoded, Medium, finite

MAX_BINS = 512  #: W&B's own limit


class Histogram(Medium):
    """A distribution (`wandb.Histogram`): of a sequence, array or tensor, or as `np.histogram` gives it.

    bins: the edges; histogram: the counts between them, one less. A tensor on the GPU is waited for: made in a training
    step, that is a synchronisation. Values that are not finite are left out.
    """

    MAX_LENGTH = MAX_BINS
    _type = "histogram"

    def __init__(
        self,
        sequence: Optional[Sequence[Any]] = None,
        np_histogram: Optional[Tuple[Sequence[Any], Sequence[Any]]] = None,
        num_bins: int = 64,
    ) -> None:
        """Raises ValueError for more than 512 bins, and for counts and edges that do not fit."""
        if np_histogram is not None:
            if len(np_histogram) != 2:
                raise ValueError("np_histogram must be a pair: counts and the edges between which they were counted")
            counts, edges = (_numbers(part) for part in np_histogram)
        elif sequence is None:
            raise ValueError("a Histogram needs a sequence of numbers, or np_histogram=(counts, edges)")
        else:
            if not 1 <= num_bins <= MAX_BINS:
                raise ValueError(f"num_bins is {num_bins}: a histogram has 1 to {MAX_BINS} bins")
            counts, edges = _count(sequence, num_bins)
        if len(counts) > MAX_BINS:
            raise ValueError(f"The maximum length of a histogram is {MAX_BINS}")
        if len(counts) + 1 != len(edges):
            raise ValueError("len(bins) must be len(histogram) + 1")
        self.histogram = [int(count) if float(count).is_integer() else float(count) for count in counts]
        self.bins = edges

    def _held(self) -> int:
        return 100 * len(self.bins)

    def _encode(self) -> Encoded:
        return Encoded(
            {
                "values": {
                    "edges": [finite(edge) for edge in self.bins],
                    "counts": [finite(count) for count in self.histogram],
                }
            }
        )


def _numbers(values: Any) -> List[Any]:
    return list(values.tolist() if hasattr(values, "tolist") else values)


def _count(sequence: Any, bins: int) -> Tuple[List[Any], List[float]]:
    numpy = sys.modules.get("numpy")
    if hasattr(sequence, "detach"):  # torch
        sequence = sequence.detach().cpu().float()
        sequence = sequence.reshape(-1).numpy() if numpy is not None else sequence.reshape(-1).tolist()
    if numpy is None:
        return count_between(map(float, _numbers(sequence)), bins)
    values = numpy.asarray(sequence, dtype=float).reshape(-1)
    counts, edges = numpy.histogram(values[numpy.isfinite(values)], bins=bins)
    return counts.tolist(), edges.tolist()


def count_between(values: Iterable[float], bins: int) -> Tuple[List[int], List[float]]:
    """Counts in so many equal bins between the least and the greatest finite value, as numpy makes them."""
    found = [value for value in values if value - value == 0]
    low, high = (min(found), max(found)) if found else (0.0, 1.0)
    if low == high:
        low, high = low - 0.5, high + 0.5
    edges = [low + (high - low) * index / bins for index in range(bins)] + [high]
    counts = [0] * bins
    for value in found:
        counts[min(bins - 1, bisect_right(edges, value) - 1)] += 1
    return counts, edges
