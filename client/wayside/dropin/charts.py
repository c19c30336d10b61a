"""`wandb.plot`: charts as tables with what is to be drawn of them. The names of W&B's own specifications are kept with
the table, so that W&B draws them; the collector's page shows the table.
"""

from typing import Any, Dict, Iterable, List, NamedTuple, Optional, Sequence

from ..media.medium import Encoded, Medium
from ..media.tables import Snapshot, Table
from .curves import precisions, rates
from .errors import Error


class _Spec(NamedTuple):
    """What is to be drawn of a table: the name of a specification, and which columns and texts it takes."""

    spec_name: str
    fields: Dict[str, Any]
    string_fields: Dict[str, Any]


class CustomChart(Medium):
    """A table and the name of the specification that draws it (`wandb.plot.CustomChart`)."""

    _type = "plot"

    def __init__(self, table: Table, spec: _Spec) -> None:
        if not isinstance(table, Table):
            raise Error(f"Expected `data_table` to be `wandb.Table` type, instead got {type(table).__name__}")
        self.table = table
        self.spec = spec

    def _snapshot(self) -> Medium:
        spec = self.spec
        plot = {"spec": spec.spec_name, "fields": dict(spec.fields), "strings": dict(spec.string_fields)}
        return Snapshot(self.table.columns, self.table.data, plot)

    def _encode(self) -> Encoded:
        return self._snapshot()._encode()


def plot_table(
    vega_spec_name: str,
    data_table: Table,
    fields: Dict[str, Any],
    string_fields: Optional[Dict[str, Any]] = None,
    split_table: bool = False,
) -> CustomChart:
    """A chart of a table by a specification that W&B knows. Raises Error for what is no table."""
    return CustomChart(data_table, _Spec(vega_spec_name, fields, string_fields or {}))


def line(
    table: Table, x: str, y: str, stroke: Optional[str] = None, title: str = "", split_table: bool = False
) -> CustomChart:
    """Lines through two columns, one for each value of `stroke`."""
    return plot_table("wandb/line/v0", table, {"x": x, "y": y, "stroke": stroke}, {"title": title})


def scatter(table: Table, x: str, y: str, title: str = "", split_table: bool = False) -> CustomChart:
    """Points at two columns."""
    return plot_table("wandb/scatter/v0", table, {"x": x, "y": y}, {"title": title})


def bar(table: Table, label: str, value: str, title: str = "", split_table: bool = False) -> CustomChart:
    """A bar for each row."""
    return plot_table("wandb/bar/v0", table, {"label": label, "value": value}, {"title": title})


def histogram(table: Table, value: str, title: str = "", split_table: bool = False) -> CustomChart:
    """The distribution of a column."""
    return plot_table("wandb/histogram/v0", table, {"value": value}, {"title": title})


def line_series(
    xs: Any,
    ys: Sequence[Iterable[Any]],
    keys: Optional[Sequence[str]] = None,
    title: str = "",
    xname: str = "x",
    split_table: bool = False,
) -> CustomChart:
    """Several lines, over one series of x or one each. Raises ValueError where their numbers differ."""
    if isinstance(xs[0], (str, bytes)) or not isinstance(xs[0], Iterable):
        xs = [xs] * len(ys)
    keys = keys or [f"line_{index}" for index in range(len(ys))]
    for what, given in (("x-series", xs), ("keys", keys)):
        if len(given) != len(ys):
            raise ValueError(f"Number of {what} ({len(given)}) must match y-series ({len(ys)}).")
    data = [[x, key, y] for xx, key, yy in zip(xs, keys, ys) for x, y in zip(xx, yy)]
    columns: List[Any] = ["step", "lineKey", "lineVal"]
    fields = {name: name for name in columns}
    return plot_table("wandb/lineseries/v0", Table(columns, data), fields, {"title": title, "xname": xname})


def confusion_matrix(
    probs: Any = None,
    y_true: Any = None,
    preds: Any = None,
    class_names: Optional[Sequence[str]] = None,
    title: str = "Confusion Matrix Curve",
    split_table: bool = False,
) -> CustomChart:
    """How often each class was taken for which. Raises ValueError for predictions that do not fit."""
    if probs is not None and preds is not None:
        raise ValueError("Only one of `probs` or `preds` should be provided, not both.")
    if probs is not None:
        preds = [max(range(len(row)), key=row.__getitem__) for row in map(list, probs)]
    actual, predicted = ([one.item() if hasattr(one, "item") else one for one in given] for given in (y_true, preds))
    if len(predicted) != len(actual):
        raise ValueError("The number of predictions and true labels must be equal.")
    classes = sorted(set(actual) | set(predicted)) if class_names is None else list(range(len(class_names)))
    names = class_names or [f"Class_{index + 1}" for index in range(len(classes))]
    if any(one not in classes for one in (*actual, *predicted)):
        raise ValueError("The number of unique classes exceeds the number of class names.")
    counts = {(a, p): 0.0 for a in classes for p in classes}
    for pair in zip(actual, predicted):
        counts[pair] += 1.0
    data = [[names[i], names[j], counts[a, p]] for i, a in enumerate(classes) for j, p in enumerate(classes)]
    columns: List[Any] = ["Actual", "Predicted", "nPredictions"]
    fields = {name: name for name in columns}
    return plot_table("wandb/confusion_matrix/v1", Table(columns, data), fields, {"title": title})


def pr_curve(  # noqa: PLR0913 -- wandb's own arguments
    y_true: Any = None,
    y_probas: Any = None,
    labels: Optional[Sequence[str]] = None,
    classes_to_plot: Optional[Sequence[Any]] = None,
    interp_size: int = 21,
    title: str = "Precision-Recall Curve",
    split_table: bool = False,
) -> CustomChart:
    """Precision over recall, class by class."""
    data = precisions(y_true, y_probas, labels, classes_to_plot, interp_size)
    strings = {"title": title, "x-axis-title": "Recall", "y-axis-title": "Precision"}
    fields = {"x": "recall", "y": "precision", "class": "class"}
    return plot_table("wandb/area-under-curve/v0", Table(["class", "precision", "recall"], data), fields, strings)


def roc_curve(
    y_true: Any,
    y_probas: Any = None,
    labels: Optional[Sequence[str]] = None,
    classes_to_plot: Optional[Sequence[Any]] = None,
    title: str = "ROC Curve",
    split_table: bool = False,
) -> CustomChart:
    """True over false positive rate, class by class."""
    data = rates(y_true, y_probas, labels, classes_to_plot)
    strings = {"title": title, "x-axis-title": "False positive rate", "y-axis-title": "True positive rate"}
    fields = {"x": "fpr", "y": "tpr", "class": "class"}
    return plot_table("wandb/area-under-curve/v0", Table(["class", "fpr", "tpr"], data), fields, strings)
