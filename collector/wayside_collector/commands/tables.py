"""The files of `export`: a table of a run's rows as CSV, JSON or Parquet. Each takes row after row and keeps no more
than it needs. What is not a number stays what it is: "NaN", "Infinity", "-Infinity" as text; nothing is written where a
row has no such metric.
"""

import csv
import io
from collections.abc import Callable
from functools import lru_cache
from typing import IO, Any, NamedTuple, Protocol

import msgspec
from wayside import wire

from ..store.answers import RunInfo
from ..store.logged import LoggedRow, Owner
from .history import Unanswered

GROUP = 1 << 16  #: rows of a group of Parquet's, at most
CELLS = 1 << 20  #: numbers of one, at most: 32 MB as Python has them
HEAD = ("step", "time", "rank", "host")  #: columns of the wide form before the metrics
LONG = ("metric", *HEAD, "value")


class About(NamedTuple):
    """What the run is."""

    run: RunInfo
    config: dict[str, Any]
    summary: dict[str, Any]


class Layout:
    """Which columns there are. long: a line for each point."""

    def __init__(self, names: tuple[str, ...], *, long: bool) -> None:
        self.long = long
        self.names = names
        self.columns = LONG if long else (*HEAD, *_apart(names))
        self._places = {name: place for place, name in enumerate(names, len(HEAD))}
        self._places_of = lru_cache(maxsize=1024)(lambda some: [self._places[name] for name in some])

    def lines(self, owner: Owner, row: LoggedRow) -> list[list[Any]]:
        """A row as lines of the table; None where there is nothing."""
        head = (row.step, row.time, owner.rank, owner.host)
        if self.long:
            return [[name, *head, value] for name, value in zip(row.names, row.values, strict=True)]
        line: list[Any] = [*head, *[None] * len(self.names)]
        for place, value in zip(self._places_of(row.names), row.values, strict=True):
            line[place] = value
        return [line]


def _apart(names: tuple[str, ...]) -> list[str]:
    """Metrics as columns: one that is called like a column of ours, `step` or `time`, is `metrics/step`."""
    taken, found = {*HEAD, *names}, []
    for name in names:
        told = name
        while told in HEAD or (told != name and told in taken):
            told = f"metrics/{told}"
        taken.add(told)
        found.append(told)
    return found


def _spelled(row: LoggedRow) -> tuple[Any, ...]:
    """Its values, those that are not finite by name."""
    return tuple([value if value - value == 0 else wire.spell(value) for value in row.values])


class Table(Protocol):
    """A file that is being written."""

    def add(self, owner: Owner, row: LoggedRow) -> None: ...
    def end(self) -> None: ...


class CsvTable:
    """RFC 4180, UTF-8, a line of names first."""

    def __init__(self, file: IO[bytes], layout: Layout, about: About) -> None:
        self._text = io.TextIOWrapper(file, encoding="utf-8", errors="replace", newline="", write_through=False)
        self._writer = csv.writer(self._text, lineterminator="\n")
        self._layout = layout
        self._writer.writerow(layout.columns)

    def add(self, owner: Owner, row: LoggedRow) -> None:
        total = sum(row.values)
        if total - total != 0:  # true as soon as one of them is not finite
            row = row._replace(values=_spelled(row))
        self._writer.writerows(self._layout.lines(owner, row))

    def end(self) -> None:
        self._text.flush()
        self._text.detach()


class JsonTable:
    """One array, an object a line; the wide form's as the JSON lines have them."""

    def __init__(self, file: IO[bytes], layout: Layout, about: About) -> None:
        self._file = file
        self._layout = layout
        self._encode = msgspec.json.Encoder().encode
        self._before = b"["

    def add(self, owner: Owner, row: LoggedRow) -> None:
        values = _spelled(row)
        if self._layout.long:
            lines = self._layout.lines(owner, row._replace(values=values))
            told = [dict(zip(LONG, line, strict=True)) for line in lines]
        else:
            head = dict(zip(HEAD, (row.step, row.time, owner.rank, owner.host), strict=True))
            told = [{**head, "metrics": dict(zip(row.names, values, strict=True))}]
        for one in told:
            self._file.write(self._before + b"\n" + self._encode(one))
            self._before = b","

    def end(self) -> None:
        self._file.write((b"[" if self._before == b"[" else b"") + b"\n]\n")


class ParquetTable:
    """Typed columns in groups of rows. The run, its config and its summary stand in the file's metadata, as JSON."""

    def __init__(self, file: IO[bytes], layout: Layout, about: About) -> None:
        import pyarrow
        from pyarrow import parquet

        self._arrow = pyarrow
        kinds = {"step": pyarrow.int64(), "rank": pyarrow.int64(), "host": pyarrow.string(), "metric": pyarrow.string()}
        fields = [(name, kinds.get(name, pyarrow.float64())) for name in layout.columns]
        told = {f"wayside.{name}": msgspec.json.encode(value) for name, value in about._asdict().items()}
        self._schema = pyarrow.schema(fields, metadata=told)
        self._layout = layout
        self._lines: list[list[Any]] = []
        self._room = max(1, min(GROUP, CELLS // len(layout.columns)))
        self._writer = parquet.ParquetWriter(file, self._schema, compression="zstd")

    def add(self, owner: Owner, row: LoggedRow) -> None:
        self._lines += self._layout.lines(owner, row)
        if len(self._lines) >= self._room:
            self._flush()

    def _flush(self) -> None:
        columns = zip(*self._lines, strict=True) if self._lines else [[] for _ in self._schema]
        arrays = [
            self._arrow.array(column, field.type, from_pandas=False)
            for column, field in zip(columns, self._schema, strict=True)
        ]
        self._writer.write_table(self._arrow.Table.from_arrays(arrays, schema=self._schema))
        self._lines = []

    def end(self) -> None:
        if self._lines:
            self._flush()
        self._writer.close()


Make = Callable[[IO[bytes], Layout, About], Table]


class Format(NamedTuple):
    """binary: nothing for a terminal. needs: a module that must be there, and how to install it."""

    make: Make
    binary: bool = False
    needs: tuple[str, str] | None = None

    def load(self) -> Make:
        """What makes such a table. Raises Unanswered where its library is not installed."""
        if self.needs is not None:
            module, install = self.needs
            try:
                __import__(module)
            except ImportError as problem:
                raise Unanswered(
                    f"this format needs {module}: pip install '{install}', or choose csv or json"
                ) from problem
        return self.make


FORMATS: dict[str, Format] = {
    "csv": Format(CsvTable),
    "json": Format(JsonTable),
    "parquet": Format(ParquetTable, binary=True, needs=("pyarrow", "wayside-collector[parquet]")),
}
