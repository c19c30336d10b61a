"""Tables: built as wandb's, and cut to their limits when they are logged."""

from typing import Any

import numpy as np
import pytest
import wayside
from client.conftest import Place
from client.media.heard import finished, media
from wayside import wire
from wayside.media.medium import Medium
from wayside.media.pictures import Image
from wayside.media.tables import MAX_COLUMNS, MAX_ROWS, MAX_TABLE, Table


def logged(table: Table) -> dict[str, Any]:
    return table._snapshot()._encode().about


def test_rows_and_columns() -> None:
    """Rows are added one by one or together; columns are added, computed and read."""
    table = Table(columns=["a", "b"], data=[[1, "x"]])
    table.add_data(2, None)
    table.add_column("c", [0.5, 1.5])
    table.add_computed_columns(lambda index, row: {"d": row["a"] * 10 + index})
    assert table.columns == ["a", "b", "c", "d"]
    assert table.data == [[1, "x", 0.5, 10], [2, None, 1.5, 21]]
    assert table.get_column("c") == [0.5, 1.5]
    assert table.get_column("a", convert_to="numpy").sum() == 3
    assert list(table.iterrows()) == [(0, [1, "x", 0.5, 10]), (1, [2, None, 1.5, 21])]
    assert logged(table)["values"] == {"columns": ["a", "b", "c", "d"], "rows": table.data}


def test_wandbs_default_columns() -> None:
    """Are those of no columns given; a first column makes the rows."""
    assert Table().columns == ["Input", "Output", "Expected"]
    table = Table(columns=[])
    table.add_column("a", [1, 2])
    assert table.data == [[1], [2]]


class Frame:
    """A DataFrame, by what is asked of it."""

    columns = ("a", "b")
    iloc = None

    def __getitem__(self, name: str) -> Any:
        return np.array([1, 2] if name == "a" else [0.5, np.nan])


@pytest.mark.parametrize("named", [{"dataframe": Frame()}, {"data": Frame()}])
def test_of_a_dataframe(named: dict[str, Any]) -> None:
    """Column by column, whichever argument it is given as."""
    table = Table(**named)
    assert logged(table)["values"] == {"columns": ["a", "b"], "rows": [[1, 0.5], [2, "NaN"]]}


@pytest.mark.parametrize(
    ("named", "problem"),
    [
        ({"columns": "ab"}, AssertionError),
        ({"columns": [1.5]}, AssertionError),
        ({"columns": ["a"], "data": "x"}, AssertionError),
        ({"columns": ["a"], "data": [[1, 2]]}, ValueError),
        ({"log_mode": "x"}, AssertionError),
    ],
)
def test_what_does_not_fit(named: dict[str, Any], problem: type[Exception]) -> None:
    """Is the exception that wandb raises."""
    with pytest.raises(problem):
        Table(**named)


def test_a_column_must_fit() -> None:
    """Its name is new, and it has a value for each row."""
    table = Table(columns=["a"], data=[[1]])
    for name, values in (("a", [1]), ("b", [1, 2]), ("b", 5)):
        with pytest.raises(AssertionError):
            table.add_column(name, values)
    assert table.data == [[1]]


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        (np.float32(0.5), 0.5),
        (np.int64(7), 7),
        (float("nan"), "NaN"),
        (True, True),
        ([1, 2], "[1, 2]"),
        ({"a": 1}, '{"a": 1}'),
        (1 << 70, 1 << 70),
    ],
)
def test_cells_are_plain(cell: Any, said: Any) -> None:
    """Numbers, texts, truth values and None; all else as text."""
    assert logged(Table(columns=["a"], data=[[cell]]))["values"]["rows"] == [[said]]


def test_rows_have_a_limit() -> None:
    """What is beyond is left out, and said."""
    about = logged(Table(columns=["a"], data=[[row] for row in range(MAX_ROWS + 3)]))
    assert len(about["values"]["rows"]) == MAX_ROWS
    assert about["rows_left_out"] == 3


def test_columns_have_a_limit() -> None:
    """The first are kept, with their cells."""
    about = logged(Table(columns=list(range(MAX_COLUMNS + 1)), data=[list(range(MAX_COLUMNS + 1))]))
    assert len(about["values"]["columns"]) == len(about["values"]["rows"][0]) == MAX_COLUMNS


@pytest.mark.parametrize("cell", ["é" * 1000, "\x00" * 1000, "x" * 5000, "x" * 50_000_000])
def test_bytes_have_a_limit(cell: str) -> None:
    """As JSON it is at most so large, whatever its texts are made of."""
    about = logged(Table(columns=["a", "b"], data=[[cell, row] for row in range(5000)]))
    rows = about["values"]["rows"]
    assert 0 < len(rows) < 5000
    assert len(rows) + about["rows_left_out"] == 5000
    assert MAX_TABLE / 2 < len(wire.json_frame(0, about)) < MAX_TABLE + 10_000


def test_a_text_has_a_limit() -> None:
    """A cell, a list as text and a column's name are cut."""
    about = logged(Table(columns=["c" * 5000], data=[["x" * 100_000], [list(range(100_000))]]))
    (first,), (second,) = about["values"]["rows"]
    assert (len(first), len(second), len(about["values"]["columns"][0])) == (65537, 65537, 1024)


def test_media_in_cells(place: Place) -> None:
    """A picture in a cell is told there as it would be by itself, and a table in a cell as text."""
    wayside.init()
    picture = Image(np.zeros((2, 2), dtype=np.uint8), caption="in a cell")
    wayside.log({"t": Table(columns=["n", "p"], data=[[1, picture], [2, Image(np.zeros((300, 300, 3)) + 0.5)]])})
    (told,) = media(finished(place))
    (_, first), (_, second) = told["values"]["rows"]
    assert first["media"]["caption"] == "in a cell"
    assert first["media"]["base64"]
    assert "name" not in first["media"]
    assert second["media"]["type"] == "image"


def test_what_waits_is_measured() -> None:
    """A table holds its texts and pictures while it waits."""
    table = Table(columns=["a"], data=[["x" * 1000], [Image(np.zeros((100, 100), dtype=np.uint8))]])
    snapshot: Medium = table._snapshot()
    assert snapshot._held() > 11_000
