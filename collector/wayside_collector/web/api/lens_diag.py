"""Lens's later endpoints: the progress of a training with its cadence, and robust's forms of the same rows. They have
only ever been answered in the envelope, so that is what they come in unless `envelope=false`.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import pairwise
from statistics import fmean
from typing import Annotated

import msgspec
from msgspec import Meta

from ...store import Reader
from ...store.answers import PerformanceRow
from ...store.performance import Wanted
from ...store.reader import MAX_ROWS
from .asked import BadQuestion
from .endpoint import Endpoint
from .lens import PROGRESS, RESERVED, SOURCE, LensAsked, Name, Source, Uid, WorkloadAsked, only_finite

STALL = 60.0  #: seconds: the shortest gap that counts as a stall
STALL_FACTOR = 3.0  #: of the usual gap: the other bound

Instant = Annotated[str, Meta(description="RFC 3339", extra_json_schema={"format": "date-time"})]
PageSize = Annotated[int, Meta(ge=1, le=1000)]
PageNumber = Annotated[int, Meta(ge=1, le=1_000_000)]


class ProgressAsked(WorkloadAsked, frozen=True, kw_only=True):
    """start, end: count only together, and with a data_source."""

    data_source: Source = ""
    start: Instant = ""
    end: Instant = ""
    page_num: PageNumber = 1
    page_size: PageSize = 100


class ProgressPoint(msgspec.Struct, frozen=True):
    iteration: int
    timestamp: str
    data_source: str
    metrics: dict[str, float]


class Cadence(msgspec.Struct, frozen=True):
    """Seconds between steps, as they were first logged. A stall is a gap of more than stall_threshold_seconds."""

    avg_seconds_per_iteration: float
    min_gap_seconds: float
    max_gap_seconds: float
    stall_count: int
    stall_threshold_seconds: float


class ProgressTold(msgspec.Struct, frozen=True):
    """total: rows in all; between start and end MAX_ROWS at most, since those are counted one by one.
    iteration_cadence: of the first MAX_ROWS of them, null of less than two.
    """

    total: int
    data_points: list[ProgressPoint]
    iteration_cadence: Cadence | None


class TrainingAsked(LensAsked, frozen=True, kw_only=True):
    """A workload, as robust names it."""

    workload_id: Uid
    source: Source = ""
    run: Annotated[Name | None, Meta(description="one run of the workload")] = None


class TrainingDataAsked(TrainingAsked, frozen=True, kw_only=True):
    """start, end: are not looked at, as robust does."""

    start: Name = ""
    end: Name = ""
    page_num: PageNumber = 1
    page_size: PageSize = 1000


class NamesTold(msgspec.Struct, frozen=True):
    """The metrics of a workload."""

    workload_id: str
    metrics: list[str]
    count: int


class TrainingPoint(msgspec.Struct, frozen=True):
    source: str
    iteration: int
    metrics: dict[str, float]
    timestamp: str


class TrainingTold(msgspec.Struct, frozen=True):
    """A page of rows; total: rows in all."""

    workload_id: str
    points: list[TrainingPoint]
    total: int


class _Page(msgspec.Struct, frozen=True):
    """known: the times of the rows there are, MAX_ROWS at most."""

    known: list[PerformanceRow]
    rows: list[PerformanceRow]
    total: int


def _progress(reader: Reader, asked: ProgressAsked) -> ProgressTold:
    if asked.data_source not in ("", SOURCE):
        return ProgressTold(0, [], None)
    start = end = None
    if asked.data_source and asked.start and asked.end:
        start, end = _seconds("start", asked.start), _seconds("end", asked.end)
    page = _page(reader, asked.uid, asked.run, Wanted(None, start, end), (asked.page_num, asked.page_size))
    points = [ProgressPoint(row.iteration, _instant(row.time), SOURCE, _metrics(row)) for row in page.rows]
    return ProgressTold(page.total, points, cadence(page.known))


def _training_available(reader: Reader, asked: TrainingAsked) -> NamesTold:
    known = reader.available(asked.workload_id, run=asked.run) if asked.source in ("", SOURCE) else []
    names = [one.name for one in known if one.name not in RESERVED | PROGRESS]
    return NamesTold(asked.workload_id, names, len(names))


def _training_data(reader: Reader, asked: TrainingDataAsked) -> TrainingTold:
    if asked.source not in ("", SOURCE):
        return TrainingTold(asked.workload_id, [], 0)
    page = _page(reader, asked.workload_id, asked.run, Wanted(), (asked.page_num, asked.page_size))
    points = [TrainingPoint(SOURCE, row.iteration, _metrics(row), _instant(row.time)) for row in page.rows]
    return TrainingTold(asked.workload_id, points, page.total)


def _page(reader: Reader, uid: str, run: str | None, wanted: Wanted, place: tuple[int, int]) -> _Page:
    number, size = place
    times = wanted._replace(names=frozenset(), empty=True)
    known = reader.performance(uid, times, run=run, limit=MAX_ROWS)
    total = len(known.rows)
    if known.next is not None and wanted.start is None:
        total = sum(one.count for one in reader.sources(uid, run=run))
    begin = (number - 1) * size
    if begin >= len(known.rows) and known.next is not None:
        raise BadQuestion(f"page_num: pages end at row {MAX_ROWS}; `/metrics/data` with `limit` goes on")
    if begin >= len(known.rows):
        return _Page(known.rows, [], total)
    first = known.rows[begin]
    everything = wanted._replace(empty=True)
    rows = reader.performance(uid, everything, run=run, limit=size, after=(first.run, first.iteration - 1)).rows
    return _Page(known.rows, rows, total)


def cadence(rows: Sequence[PerformanceRow]) -> Cadence | None:
    """How evenly steps follow each other, within each run. Pure."""
    gaps: list[float] = []
    for before, row in pairwise(rows):
        if before.run == row.run:
            gaps.append(row.time - before.time)
    if not gaps:
        return None
    usual = fmean(gaps)
    threshold = max(STALL, STALL_FACTOR * usual)
    return Cadence(usual, min(gaps), max(gaps), sum(gap > threshold for gap in gaps), threshold)


def _metrics(row: PerformanceRow) -> dict[str, float]:
    return {name: value for name, value in only_finite(row.metrics) if name not in RESERVED | PROGRESS}


def _instant(time: float) -> str:
    return datetime.fromtimestamp(time, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _seconds(name: str, text: str) -> float:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise BadQuestion(f"invalid {name} time format") from None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


LENS_DIAG = (
    Endpoint(
        "/workload-diag/{uid}/training-progress",
        "Rows of a workload, and how evenly its steps follow each other",
        ProgressAsked,
        ProgressTold,
        _progress,
        heavy=True,
        lens="envelope",
    ),
    Endpoint(
        "/training/{workload_id}/available",
        "Metrics of a workload, as robust tells them",
        TrainingAsked,
        NamesTold,
        _training_available,
        heavy=True,
        lens="envelope",
    ),
    Endpoint(
        "/training/{workload_id}/data",
        "Rows of a workload, as robust tells them",
        TrainingDataAsked,
        TrainingTold,
        _training_data,
        heavy=True,
        lens="envelope",
    ),
)
