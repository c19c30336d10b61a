"""Tables: columns and rows of plain values and media, cut to MAX_ROWS rows and MAX_TABLE bytes when they are logged."""

import json
from importlib import import_module
from typing import Any, Dict, Iterator, List, Optional, Sequence, Tuple

from ..keyvalues import plain
from ..told import told_once
from ..values import MAX_TEXT, text_of
from ..wire import MAX_NAME
from .medium import Encoded, Medium

MAX_ROWS = 10_000  #: of one logged table, as W&B shows them
MAX_TABLE = 1 << 20  #: bytes of a logged table as JSON: a quarter of a frame
MAX_COLUMNS = 1000  #: of a logged table


class Table(Medium):
    """Rows of values under named columns (`wandb.Table`); a cell may be a number, a text, None or a medium.

    `log()` keeps the table as it is then: adding to it and logging it again logs the whole of it anew. dtype, optional,
    allow_mixed_types and log_mode are accepted: a cell may be anything.
    """

    MAX_ROWS = MAX_ROWS
    MAX_ARTIFACT_ROWS = 200_000
    _type = "table"

    def __init__(  # noqa: PLR0913 -- wandb's own arguments
        self,
        columns: Optional[List[Any]] = None,
        data: Any = None,
        rows: Optional[List[Any]] = None,
        dataframe: Any = None,
        dtype: Any = None,
        optional: Any = True,
        allow_mixed_types: bool = False,
        log_mode: Optional[str] = "IMMUTABLE",
    ) -> None:
        """Raises AssertionError or ValueError where wandb does: for columns that are no list of texts or numbers, and
        rows that do not fit them.
        """
        if log_mode not in ("IMMUTABLE", "MUTABLE", "INCREMENTAL", None):
            raise AssertionError(f"Invalid log_mode: {log_mode}. Must be one of IMMUTABLE, MUTABLE, INCREMENTAL")
        frame = dataframe if dataframe is not None else data if hasattr(data, "iloc") else None
        if frame is not None:
            columns = list(frame.columns)
            data = zip(*(frame[name].tolist() for name in columns)) if columns else []
        else:
            data = data if data is not None else [] if rows is None else rows
            if not isinstance(data, list) and not hasattr(data, "tolist"):
                raise AssertionError("data argument expects a `list` object")
        columns = ["Input", "Output", "Expected"] if columns is None else columns
        if not isinstance(columns, list) or any(type(name) not in (str, int) for name in columns):
            raise AssertionError("columns argument expects list of strings or ints")
        self.columns: List[Any] = columns
        self.data: List[List[Any]] = []
        self.log_mode = log_mode
        for row in data:
            self.add_data(*row)

    def add_data(self, *data: Any) -> None:
        """Add a row; raises ValueError unless it has a value for each column."""
        if len(data) != len(self.columns):
            raise ValueError(f"This table expects {len(self.columns)} columns: {self.columns}, found {len(data)}")
        self.data.append(list(data))

    def add_row(self, *row: Any) -> None:
        """The old name of `add_data`."""
        self.add_data(*row)

    def add_column(self, name: str, data: Any, optional: bool = False) -> None:
        """Add a column: a list or array with a value for each row, or for each row to be where there is none yet."""
        values = data.tolist() if hasattr(data, "tolist") else data
        if not isinstance(name, str) or name in self.columns:
            raise AssertionError(f"a new column has a name of its own, which {name!r} is not")
        if not isinstance(values, list) or (self.columns and self.data and len(values) != len(self.data)):
            raise AssertionError(f"a column of this table is a list of {len(self.data)} values")
        self.columns.append(name)
        if not self.data:
            self.data.extend([] for _ in values)
        for row, value in zip(self.data, values):
            row.append(value)

    def add_computed_columns(self, fn: Any) -> None:
        """Add columns that `fn(index, row)` computes: it returns a dictionary of names to values."""
        found: Dict[str, List[Any]] = {}
        for index, row in enumerate(self.data):
            for name, value in fn(index, dict(zip(self.columns, row))).items():
                found.setdefault(name, []).append(value)
        for name, values in found.items():
            self.add_column(name, values)

    def get_column(self, name: Any, convert_to: Optional[str] = None) -> Any:
        """The values of a column, as a list, or as an array with convert_to="numpy"."""
        if convert_to not in (None, "numpy"):
            raise AssertionError("convert_to is None or 'numpy'")
        index = self.columns.index(name)
        values = [row[index] for row in self.data]
        if convert_to is None:
            return values
        return import_module("numpy").array(values)

    def get_dataframe(self) -> Any:
        """The table as a pandas DataFrame."""
        return import_module("pandas").DataFrame.from_records(self.data, columns=self.columns)

    def iterrows(self) -> Iterator[Tuple[int, List[Any]]]:
        """Each row with its number."""
        yield from enumerate(self.data)

    def get_index(self) -> List[int]:
        """The numbers of all rows."""
        return list(range(len(self.data)))

    def index_ref(self, index: int) -> int:
        """The number of a row."""
        return index

    def cast(self, col_name: Any, dtype: Any, optional: bool = False) -> Any:
        """Accepted: a column has no type of its own."""
        return dtype

    def set_pk(self, col_name: Any) -> None:
        """Accepted: tables are not joined."""
        told_once("Table keys", "Table.set_pk() and set_fk() are accepted and have no effect: tables are not joined")

    def set_fk(self, col_name: Any, table: Any, table_col: Any) -> None:
        """Accepted, as `set_pk`."""
        self.set_pk(col_name)

    def _snapshot(self) -> "Snapshot":
        return Snapshot(self.columns, self.data)


class Snapshot(Medium):
    """A table as it was when it was logged. kind: "table", or "plot" with what is to be drawn of it."""

    def __init__(
        self, columns: Sequence[Any], data: Sequence[Sequence[Any]], plot: Optional[Dict[str, Any]] = None
    ) -> None:
        self._type = "table" if plot is None else "plot"
        self._plot = plot
        self.columns = list(columns[:MAX_COLUMNS])
        self.rows = [_own(row) for row in data[:MAX_ROWS]]
        self.left_out = len(data) - len(self.rows)

    def _held(self) -> int:
        cells = len(self.columns) * 64
        for row in self.rows:
            for cell in row:
                cells += cell._held() if isinstance(cell, Medium) else 64 + len(cell) if isinstance(cell, str) else 64
        return cells

    def _encode(self) -> Encoded:
        """Without what is beyond MAX_TABLE. Media stay in their cells, for the writer to see to."""
        rows: List[List[Any]] = []
        room = MAX_TABLE
        for row in self.rows:
            cells = [cell if isinstance(cell, Medium) else cell_of(cell) for cell in row[:MAX_COLUMNS]]
            room -= sum(300 if isinstance(cell, Medium) else _size(cell) for cell in cells)
            if room < 0:
                break
            rows.append(cells)
        left_out = self.left_out + len(self.rows) - len(rows)
        about: Dict[str, Any] = {
            "values": {"columns": [text_of(name)[:MAX_NAME] for name in self.columns], "rows": rows}
        }
        if left_out:
            about["rows_left_out"] = left_out
        if self._plot is not None:
            about["plot"] = self._plot
        return Encoded(about)


def cell_of(value: Any) -> Any:
    """A cell as JSON: None, a truth value, a number or a text."""
    found = plain(value)
    if not (found is None or isinstance(found, (bool, int, float, str))):
        found = json.dumps(found, ensure_ascii=False)
    return found[:MAX_TEXT] + "…" if isinstance(found, str) and len(found) > MAX_TEXT else found


def _size(cell: Any) -> int:
    """Bytes of a cell as JSON, with what stands around it."""
    return len(json.dumps(cell, ensure_ascii=False).encode("utf-8", "replace")) + 2


def _own(row: Sequence[Any]) -> List[Any]:
    """A row's values, those made fast that the script may go on changing."""
    from .recognise import medium_of

    return [cell if isinstance(cell, (str, int, float, type(None))) else _cell(cell, medium_of) for cell in row]


def _cell(cell: Any, medium_of: Any) -> Any:
    medium = medium_of(cell)
    return cell_of(cell) if medium is None else medium._snapshot()
