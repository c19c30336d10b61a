"""The numbers of precision-recall and ROC curves, in plain Python: classes against the rest, thresholds from the
highest score down, as scikit-learn computes them.
"""

from bisect import bisect_left
from typing import Any, Dict, Iterator, List, Optional, Sequence, Tuple

MAX_POINTS = 1000  #: of one curve: more than a screen has pixels


def precisions(
    y_true: Any, y_probas: Any, labels: Optional[Sequence[str]], wanted: Optional[Sequence[Any]], size: int
) -> List[List[Any]]:
    """Rows of class, precision and recall: precision never falls as recall does, at `size` even recalls."""
    rows = []
    gap = 1.0 / max(1, size - 1)
    recalls = [1.0] + [index * gap for index in range(size - 2, -1, -1)]
    for label, truth, scores in _each_class(y_true, y_probas, labels, wanted):
        counts = _counts(truth, scores)
        positives = max(1, counts[-1][0])
        recall = [0.0] + [true / positives for true, _ in counts]
        best = [1.0] + [true / (true + false) for true, false in counts]
        for index in range(len(best) - 2, -1, -1):  # from the highest recall down it may only grow
            best[index] = max(best[index], best[index + 1])
        for at in recalls:
            index = min(bisect_left(recall, at), len(best) - 1)
            rows.append([label, round(best[index], 3), round(at, 3)])
    return rows


def rates(
    y_true: Any, y_probas: Any, labels: Optional[Sequence[str]], wanted: Optional[Sequence[Any]]
) -> List[List[Any]]:
    """Rows of class, false and true positive rate; corners alone, as scikit-learn leaves out what is on a line."""
    rows = []
    for label, truth, scores in _each_class(y_true, y_probas, labels, wanted):
        counts = _counts(truth, scores)
        positives, negatives = max(1, counts[-1][0]), max(1, counts[-1][1])
        inner = [
            now
            for before, now, after in zip(counts, counts[1:], counts[2:])
            if (after[0] - now[0], after[1] - now[1]) != (now[0] - before[0], now[1] - before[1])
        ]
        kept = _thinned([(0, 0), *counts[:1], *inner, *counts[1:][-1:]])
        rows += [[label, round(false / negatives, 3), round(true / positives, 3)] for true, false in kept]
    return rows


def _each_class(
    y_true: Any, y_probas: Any, labels: Optional[Sequence[str]], wanted: Optional[Sequence[Any]]
) -> Iterator[Tuple[Any, List[bool], List[float]]]:
    if y_true is None or y_probas is None:
        raise ValueError("y_true and y_probas are needed")
    actual = _plain(y_true)
    scores = _plain(y_probas)
    classes = sorted(set(actual))
    if len(actual) != len(scores) or any(len(row) < len(classes) for row in scores):
        raise ValueError(f"y_probas needs a row of {len(classes)} scores for each of {len(actual)} labels")
    for index, one in enumerate(classes):
        if wanted is None or one in _plain(wanted):
            label = labels[one] if labels is not None and isinstance(one, int) else one
            yield label, [value == one for value in actual], [float(row[index]) for row in scores]


def _counts(truth: List[bool], scores: List[float]) -> List[Tuple[int, int]]:
    """True and false positives at each threshold, from the highest score down."""
    found: Dict[float, List[int]] = {}
    for is_one, score in zip(truth, scores):
        pair = found.setdefault(score, [0, 0])
        pair[0 if is_one else 1] += 1
    counts = []
    true = false = 0
    for score in sorted(found, reverse=True):
        true, false = true + found[score][0], false + found[score][1]
        counts.append((true, false))
    return counts


def _thinned(points: List[Tuple[int, int]]) -> List[Tuple[int, int]]:
    if len(points) <= MAX_POINTS:
        return points
    return [points[index * (len(points) - 1) // (MAX_POINTS - 1)] for index in range(MAX_POINTS)]


def _plain(values: Any) -> List[Any]:
    return list(values.tolist() if hasattr(values, "tolist") else values)
