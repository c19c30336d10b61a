"""What Primus Lens answers of workloads, from our store: its paths, bodies, parameters and errors.

Rows of the client and of the hook count as data source `wandb`, as AMD's exporter calls them; the other sources have
none. Numbers that are not finite are left out, since Lens's clients take numbers only, and null would be a 0 to them.
Beyond MAX_POINTS points an answer is thinned: real points from end to end, `thinned` says so; who wants all of them
asks page by page (`limit`, `next`). See docs/api.md for what else is different from AMD's.
"""

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from ...store import Reader
from ...store.answers import PerformancePage, PerformancePoint
from ...store.performance import Wanted
from .asked import BadQuestion
from .endpoint import Endpoint

SOURCE = "wandb"
MAX_POINTS = 100_000  #: points of one answer: 12 MB of JSON, 1 MB compressed
MAX_PAGE = 10_000  #: rows of one page that somebody asks for
RESERVED = frozenset({"step", "run_id", "source", "history", "created_at", "updated_at"})
PROGRESS = frozenset({"iteration", "target_iteration"})

Milliseconds = Annotated[
    str, Meta(description="Unix milliseconds", extra_json_schema={"pattern": "^(-?[0-9]{1,15})?$"})
]
Instant = Annotated[str, Meta(description="Unix milliseconds", extra_json_schema={"pattern": "^-?[0-9]{1,15}$"})]
Name = Annotated[str, Meta(max_length=2000)]
Uid = Annotated[str, Meta(min_length=1, max_length=2000, description="the workload's UID")]
Source = Annotated[Name, Meta(description="`wandb`; others have no rows here")]


class LensAsked(msgspec.Struct, frozen=True, kw_only=True):
    """How to answer."""

    envelope: Annotated[bool | None, Meta(description="whether the answer comes in Lens's envelope")] = None


class WorkloadAsked(LensAsked, frozen=True, kw_only=True):
    """A workload, or one run of it."""

    uid: Uid
    run: Annotated[Name | None, Meta(description="one run of the workload")] = None
    cluster: Annotated[Name | None, Meta(description="is not looked at")] = None


class SourcedAsked(WorkloadAsked, frozen=True, kw_only=True):
    """Which data source of it."""

    data_source: Source = ""


class TimedAsked(SourcedAsked, frozen=True, kw_only=True):
    """start, end: count only together."""

    start: Milliseconds = ""
    end: Milliseconds = ""


class PagedAsked(TimedAsked, frozen=True, kw_only=True):
    """limit: rows of a page."""

    limit: Annotated[int, Meta(ge=1, le=MAX_PAGE, description="page by page: rows (steps) of a page")] | None = None
    after: Annotated[
        Name,
        Meta(description="`next` of the page before", extra_json_schema={"pattern": "^(-?[1-9][0-9]{0,17}~[!-~]*)?$"}),
    ] = ""


class DataAsked(PagedAsked, frozen=True, kw_only=True):
    """Which metrics."""

    metrics: Annotated[str, Meta(max_length=20_000, description="all, a comma list, or Grafana's `{a,b}`")] = ""


class SourceTold(msgspec.Struct, frozen=True):
    name: str
    count: int


class SourcesTold(msgspec.Struct, frozen=True):
    """The data sources of a workload; count: steps."""

    workload_uid: str
    data_sources: list[SourceTold]
    total_count: int


class MetricTold(msgspec.Struct, frozen=True):
    name: str
    data_source: list[str]
    count: int


class MetricsTold(msgspec.Struct, frozen=True):
    """The metrics of a workload; count: points."""

    workload_uid: str
    metrics: list[MetricTold]
    total_count: int


class PointTold(msgspec.Struct, frozen=True):
    """timestamp: Unix milliseconds."""

    metric_name: str
    value: float
    timestamp: int
    iteration: int
    data_source: str = SOURCE


class PointsTold(msgspec.Struct, frozen=True, omit_defaults=True):
    """Points by time. thinned: there are more. next: of the page that follows."""

    workload_uid: str
    data: list[PointTold]
    total_count: int
    data_source: str = ""
    thinned: bool = False
    next: str = ""


class SampleTold(msgspec.Struct, frozen=True):
    """timestamp: Unix milliseconds."""

    metric: str
    value: float
    timestamp: int


def _sources(reader: Reader, asked: WorkloadAsked) -> SourcesTold:
    found = [SourceTold(one.name, one.count) for one in reader.sources(asked.uid, run=asked.run)]
    return SourcesTold(asked.uid, found, len(found))


def _available(reader: Reader, asked: SourcedAsked) -> MetricsTold:
    known = reader.available(asked.uid, run=asked.run) if asked.data_source in ("", SOURCE) else []
    found = [MetricTold(one.name, [SOURCE], one.count) for one in known if one.name not in RESERVED | PROGRESS]
    return MetricsTold(asked.uid, found, len(found))


def _data(reader: Reader, asked: DataAsked) -> PointsTold:
    names = chosen_metrics(asked.metrics)
    wanted = Wanted(names, *between(asked.start, asked.end))
    points, thinned, next = _points(reader, asked, wanted)
    return _told(asked, (one for one in points if one.name not in RESERVED | PROGRESS), thinned, next)


def _iteration_times(reader: Reader, asked: PagedAsked) -> PointsTold:
    start, end = between(asked.start, asked.end)
    wanted = Wanted(frozenset({"target_iteration"}), start, end, empty=True)
    page = _page(reader, asked, wanted, MAX_POINTS // 2)
    if page.next is not None and asked.limit is None:
        points = reader.performance_thinned(asked.uid, Wanted(None, start, end), run=asked.run, most=MAX_POINTS // 2)
        return _told(asked, _iterations(points), thinned=True, next="")
    return _told(asked, _progress(page), thinned=False, next=_next(page))


def _progress(page: PerformancePage) -> Iterator[PerformancePoint]:
    for row in page.rows:
        yield PerformancePoint(row.run, "iteration", row.iteration, row.time, float(row.iteration))
        for name, value in row.metrics.items():
            yield PerformancePoint(row.run, name, row.iteration, row.time, value)


def _iterations(points: Iterable[PerformancePoint]) -> Iterator[PerformancePoint]:
    """Each step of each run once, and what was the target there."""
    seen = set[tuple[str, int]]()
    for one in points:
        if (one.run, one.iteration) not in seen:
            seen.add((one.run, one.iteration))
            yield PerformancePoint(one.run, "iteration", one.iteration, one.time, float(one.iteration))
        if one.name == "target_iteration":
            yield one


class PerformanceAsked(WorkloadAsked, frozen=True, kw_only=True):
    """start, end: both must be given."""

    start: Instant
    end: Instant


def _training_performance(reader: Reader, asked: PerformanceAsked) -> list[SampleTold]:
    if not asked.start or not asked.end:
        raise BadQuestion("start and end are required: Unix milliseconds")
    everything = DataAsked(uid=asked.uid, run=asked.run)
    points, _, _ = _points(reader, everything, Wanted(None, *between(asked.start, asked.end)))
    return [SampleTold(one.name, one.value, _milliseconds(one.time)) for one in _finite(points)]


def _points(reader: Reader, asked: PagedAsked, wanted: Wanted) -> tuple[list[PerformancePoint], bool, str]:
    """The points, whether they are thinned, and what to ask for next."""
    if asked.data_source not in ("", SOURCE):
        return [], False, ""
    columns = len(wanted.names if wanted.names is not None else reader.available(asked.uid, run=asked.run))
    most = max(1, MAX_POINTS // max(1, columns))
    thins = asked.limit is None
    if thins and wanted.start is None and sum(one.count for one in reader.sources(asked.uid, run=asked.run)) > most:
        return reader.performance_thinned(asked.uid, wanted, run=asked.run, most=MAX_POINTS), True, ""
    page = _page(reader, asked, wanted, most)
    if thins and page.next is not None:
        return reader.performance_thinned(asked.uid, wanted, run=asked.run, most=MAX_POINTS), True, ""
    points = [
        PerformancePoint(row.run, name, row.iteration, row.time, value)
        for row in page.rows
        for name, value in row.metrics.items()
    ]
    return points, False, _next(page)


def _page(reader: Reader, asked: PagedAsked, wanted: Wanted, most: int) -> PerformancePage:
    if asked.data_source not in ("", SOURCE):
        return PerformancePage([], None)
    limit = min(most, asked.limit or most)
    return reader.performance(asked.uid, wanted, run=asked.run, limit=limit, after=_after(asked.after))


def _next(page: PerformancePage) -> str:
    return "" if page.next is None else f"{page.next[1]}~{page.next[0]}"


def _after(text: str) -> tuple[str, int] | None:
    if not text:
        return None
    step, _, run = text.partition("~")
    try:
        return run, msgspec.convert(step, int, strict=False)
    except msgspec.ValidationError:
        raise BadQuestion("after: must be `next` of the answer before") from None


def _told(asked: TimedAsked, points: Iterable[PerformancePoint], thinned: bool, next: str) -> PointsTold:
    known = sorted(_finite(points), key=lambda one: (one.time, one.iteration, one.name))
    data = [PointTold(one.name, one.value, _milliseconds(one.time), one.iteration) for one in known]
    return PointsTold(asked.uid, data, len(data), asked.data_source, thinned, next)


def only_finite(metrics: Mapping[str, float]) -> Iterator[tuple[str, float]]:
    """Without what Lens's clients could not read. Pure."""
    return ((name, value) for name, value in metrics.items() if math.isfinite(value))


def _finite(points: Iterable[PerformancePoint]) -> Iterator[PerformancePoint]:
    return (one for one in points if math.isfinite(one.value))


def _milliseconds(time: float) -> int:
    return round(time * 1000)


def chosen_metrics(text: str) -> frozenset[str] | None:
    """The metrics that are asked for, None for all: a comma list, `{a,b}` as Grafana writes several. Pure."""
    text = text.strip()
    if text.startswith("{") and text.endswith("}"):
        text = text[1:-1]
    names = frozenset(name.strip() for name in text.split(",")) - {""}
    return None if not names or {name.lower() for name in names} == {"all"} else names


def between(start: str, end: str) -> tuple[float | None, float | None]:
    """Milliseconds as seconds, if both are there; Lens ignores one alone. Pure."""
    if not start or not end:
        return None, None
    found = []
    for name, text in (("start", start), ("end", end)):
        if not re.fullmatch("-?[0-9]{1,15}", text):
            raise BadQuestion(f"invalid {name} time format")
        found.append(int(text) / 1000)
    return found[0], found[1]


def _endpoint(path: str, summary: str, asked: type[msgspec.Struct], told: Any, answer: Any) -> Endpoint:
    return Endpoint(path, summary, asked, told, answer, heavy=True, lens="configured")


LENS = (
    _endpoint("/workloads/{uid}/metrics/sources", "Data sources", WorkloadAsked, SourcesTold, _sources),
    _endpoint("/workloads/{uid}/metrics/available", "Metrics", SourcedAsked, MetricsTold, _available),
    _endpoint("/workloads/{uid}/metrics/data", "Points", DataAsked, PointsTold, _data),
    _endpoint("/workloads/{uid}/metrics/iteration-times", "Steps", PagedAsked, PointsTold, _iteration_times),
    _endpoint(
        "/workloads/{uid}/trainingPerformance",
        "Points of a time",
        PerformanceAsked,
        list[SampleTold],
        _training_performance,
    ),
)
