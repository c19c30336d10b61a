"""What a request to `/api/v1/runs/{id}/log` holds: one row, an array of rows, an object with `rows`, or JSON lines.

A row is a line as the socket takes them (`sources/json_lines.py`): `{"metrics": {"loss": 0.5}, "step": 3, "time":
1767225600.5}`, only `metrics` required. Pure.
"""

import json
import re
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Annotated, Any, NamedTuple

import msgspec

from ...plausible import MAX_COUNT
from ...sources.json_lines import Line, LineError, Name, read_line

MAX_ROWS = 10_000  #: in a request: some hundred milliseconds of work, in which nobody else is served
MAX_TOLD = 100  #: refused rows whose reasons an answer has; it counts them all

Seq = Annotated[int, msgspec.Meta(ge=0, lt=MAX_COUNT)]
Rank = Annotated[int, msgspec.Meta(ge=0, lt=1 << 31)]

_LINE = re.compile(rb"\S[^\n]*")


class Unfit(ValueError):
    """Nothing of a request can be taken. status: of the answer; the message is for the sender."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Head(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a request says beside its rows. session: a name of the sender's for itself; with it, seq is the number of
    the first row, so that rows that are sent again are known as such. rank: of the process that logs.
    """

    session: Name | None = None
    seq: Seq | None = None
    rank: Rank | None = None
    project: Name | None = None
    name: Name | None = None


class Rows(Head, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The object with rows."""

    rows: list[Any]


class Row(NamedTuple):
    """A row that can be taken. place: in its request, from 0."""

    place: int
    time: float | None
    step: int | None
    metrics: dict[str, float]


class Problem(NamedTuple):
    """A row that cannot."""

    place: int
    text: str


class Parsed(NamedTuple):
    """A request. head: with what the first row says of rank, project and name. total: its rows, good and bad."""

    head: Head
    rows: list[Row]
    problems: list[Problem]
    total: int


def parse(body: bytes, query: Mapping[str, str], run: str) -> Parsed:
    """A request for this run; query: of its address, which names what JSON lines and arrays cannot. Raises Unfit."""
    head = read_head(query)
    found = _values(body)
    if isinstance(found, dict) and "rows" in found:
        inside = _convert(found, Rows)
        told = {name: getattr(inside, name) for name in Head.__struct_fields__ if getattr(inside, name) is not None}
        head = msgspec.structs.replace(head, **told)
        found = inside.rows
    values = found if isinstance(found, list) else [found]
    if len(values) > MAX_ROWS:
        raise _too_many(len(values))
    if head.seq is not None and head.session is None:
        raise Unfit(400, "`seq` numbers the rows of a session: name one with `session`")
    return _read_rows(values, head, run)


def read_head(query: Mapping[str, str]) -> Head:
    """Raises Unfit."""
    try:
        return msgspec.convert(dict(query), Head, strict=False)
    except msgspec.ValidationError as problem:
        raise Unfit(400, f"the address: {problem}") from None


def read_object(body: bytes) -> dict[str, Any]:
    """A body that is one JSON object, or empty. Raises Unfit."""
    found = _json(body) if body.strip() else {}
    if not isinstance(found, dict):
        raise Unfit(400, "a JSON object is wanted")
    return found


def read_json(text: bytes) -> Any:
    """Raises ValueError or RecursionError. msgspec is thrice as fast, and refuses the bare NaN of Python's encoder."""
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return json.loads(text)


def _convert(value: Any, kind: type[Rows]) -> Rows:
    try:
        return msgspec.convert(value, kind)
    except (msgspec.ValidationError, UnicodeError) as problem:  # the latter of a lone surrogate
        raise Unfit(400, f'{problem}; rows come like {{"rows": [{{"metrics": {{"loss": 0.5}}}}]}}') from None


def _json(body: bytes) -> Any:
    try:
        return read_json(body)
    except (ValueError, RecursionError) as problem:
        raise Unfit(400, f'not JSON: {problem}; send rows like {{"metrics": {{"loss": 0.5}}, "step": 3}}') from None


def _values(body: bytes) -> Any:
    """What a body holds: one JSON value, or a list of one for each line, a LineError where it is none."""
    # No more of them than may be: four megabytes of short lines would take a hundred times that.
    lines = [found.group() for found in islice(_LINE.finditer(body), MAX_ROWS + 1)]
    if len(lines) > 1 and not lines[0].startswith(b"["):
        try:
            json.loads(lines[0])
        except (ValueError, RecursionError):
            return _json(body)  # one value over several lines
        if len(lines) > MAX_ROWS:
            raise _too_many(f"more than {MAX_ROWS}")
        return list(_lines(lines))
    return _json(body)


def _too_many(count: object) -> Unfit:
    return Unfit(413, f"{count} rows in a request; the limit is {MAX_ROWS}: send them in parts")


def _lines(lines: list[bytes]) -> Iterator[Any]:
    for line in lines:
        try:
            yield read_json(line)
        except (ValueError, RecursionError) as problem:
            yield LineError(f"not JSON: {problem}")


def _read_rows(values: list[Any], head: Head, run: str) -> Parsed:
    rows: list[Row] = []
    problems: list[Problem] = []
    for place, value in enumerate(values):
        try:
            line, metrics = _read_row(value, run)
            if line.rank is not None and line.rank != head.rank and (rows or head.rank is not None):
                raise LineError(f"a row of rank {line.rank} among others: a request has rows of one rank")
        except LineError as problem:
            problems.append(Problem(place, str(problem)))
            continue
        if not rows:
            head = msgspec.structs.replace(
                head,
                rank=line.rank if head.rank is None else head.rank,
                name=head.name or line.name,
                project=head.project or (line.project if line.project != "default" else None),
            )
        rows.append(Row(place, line.time, line.step, metrics))
    return Parsed(head, rows, problems, len(values))


def _read_row(value: Any, run: str) -> tuple[Line, dict[str, float]]:
    if isinstance(value, LineError):
        raise value
    line, metrics = read_line(value)
    if not metrics:
        raise LineError("a row without metrics")
    if isinstance(value, dict) and "run" in value and line.run != run:
        raise LineError(f"a row of run {line.run!r} among those of run {run!r}: send it to its own")
    return line, metrics
