"""`wandb.plot`: the same tables and specifications as wandb's own, and curves as scikit-learn computes them."""

from typing import Any

import numpy as np
import pytest
import wandb
import wayside
from client.media.test_foreign import medium_of
from sklearn import metrics
from wayside.dropin.curves import MAX_POINTS, precisions, rates

RNG = np.random.default_rng(3)
ROWS: list[Any] = [[1, 2.0, "a"], [2, 1.0, "b"]]
XS, YS = [1, 2, 3], [[1, 2, 3], [3, 2, 1]]
LABELS = [int(one) for one in RNG.integers(0, 3, 60)]


def scores(labels: list[int], classes: int) -> Any:
    """Of a classifier that is often right."""
    found = RNG.random((len(labels), classes)).round(2)
    found[np.arange(len(labels)), labels] += 0.3
    return found / found.sum(axis=1, keepdims=True)


PROBAS = scores(LABELS, 3)

CHARTS: dict[str, Any] = {
    "line": lambda w, table: w.plot.line(table, "x", "y", stroke="c", title="T"),
    "scatter": lambda w, table: w.plot.scatter(table, "x", "y", title="T"),
    "bar": lambda w, table: w.plot.bar(table, "c", "y"),
    "histogram": lambda w, table: w.plot.histogram(table, "y", title="T"),
    "series": lambda w, table: w.plot.line_series(XS, YS, keys=["a", "b"], title="T", xname="step"),
    "series each": lambda w, table: w.plot.line_series([XS, [0, 1, 2]], YS),
    "confusion": lambda w, table: w.plot.confusion_matrix(
        y_true=LABELS, preds=LABELS[::-1], class_names=["a", "b", "c"]
    ),
    "confusion of scores": lambda w, table: w.plot.confusion_matrix(probs=PROBAS, y_true=LABELS),
    "any": lambda w, table: w.plot_table("me/mine/v0", table, {"x": "x"}, {"title": "T"}),
}


@pytest.mark.parametrize("name", CHARTS)
def test_a_chart_is_wandbs(name: str) -> None:
    """Table, specification, fields and texts."""
    found = []
    for library in (wandb, wayside):
        medium = medium_of(CHARTS[name](library, library.Table(columns=["x", "y", "c"], data=ROWS)))
        assert medium is not None
        found.append(medium._snapshot()._encode().about)
    assert found[0] == found[1]


def test_what_does_not_fit() -> None:
    """Is the exception that wandb raises."""
    with pytest.raises(wayside.Error, match=r"Expected `data_table` to be `wandb.Table`"):
        wayside.plot_table("x", "no table", {})  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="must match y-series"):
        wayside.plot.line_series([XS], YS)
    with pytest.raises(ValueError, match="Only one of"):
        wayside.plot.confusion_matrix(probs=PROBAS, preds=LABELS, y_true=LABELS)
    with pytest.raises(ValueError, match="must be equal"):
        wayside.plot.confusion_matrix(preds=[1], y_true=[1, 2])
    with pytest.raises(ValueError, match="exceeds the number of class names"):
        wayside.plot.confusion_matrix(preds=[5], y_true=[1], class_names=["a"])
    with pytest.raises(ValueError, match="a row of 3 scores for each"):
        wayside.plot.roc_curve(LABELS, PROBAS[:, :2])


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("size", [5, 60, 300])
def test_curves_are_scikit_learns(classes: int, size: int) -> None:
    """ROC corner by corner; precision, made monotonic, at even recalls as W&B draws it."""
    labels = [index % classes for index in range(size)]
    probas = scores(labels, classes)
    roc, pr = rates(labels, probas, None, None), precisions(labels, probas, None, None, 21)
    for one in range(classes):
        truth = np.array(labels) == one
        fpr, tpr, _ = metrics.roc_curve(truth, probas[:, one])
        assert np.allclose([[row[1], row[2]] for row in roc if row[0] == one], np.stack([fpr, tpr], 1), atol=6e-4)
        precision, recall, _ = metrics.precision_recall_curve(truth, probas[:, one])
        smooth = np.maximum.accumulate(precision)[::-1]
        recalls = np.linspace(0, 1, 21)[::-1]
        expected = smooth[np.searchsorted(recall[::-1], recalls, side="left")]
        found = np.array([[row[1], row[2]] for row in pr if row[0] == one])
        assert np.allclose(found[:, 1], recalls, atol=6e-4)
        assert np.allclose(found[1:-1, 0], expected[1:-1], atol=6e-4)


def test_curves_of_some_classes_by_name() -> None:
    """Only those asked for, under their labels."""
    rows = rates(LABELS, PROBAS, ["cat", "dog", "owl"], [0, 2])
    assert {row[0] for row in rows} == {"cat", "owl"}
    chart = wayside.plot.pr_curve(LABELS, PROBAS, labels=["cat", "dog", "owl"], interp_size=5)
    assert len(chart.table.data) == 15
    assert wayside.plot.roc_curve(LABELS, PROBAS).table.columns == ["class", "fpr", "tpr"]


def test_a_curve_has_so_many_points() -> None:
    """Of a large evaluation it is thinned, and keeps its ends."""
    labels = [int(one) for one in RNG.integers(0, 2, 20_000)]
    second = RNG.random(20_000)
    rows = rates(labels, np.stack([1 - second, second], 1), None, [1])
    assert len(rows) == MAX_POINTS
    assert (rows[0][1:], rows[-1][1:]) == ([0.0, 0.0], [1.0, 1.0])
