"""Our own endpoints about a run's series: which there are, and their curves."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from ...store import Reader
from ...store.answers import Axis, Curve, SeriesInfo
from ...store.reader import MAX_POINTS, TooMany
from ...store.walk import Range
from .asked import BadQuestion
from .endpoint import Endpoint
from .runs import RunAsked, RunId, Text

MAX_METRICS = 50  #: metrics of one answer: a page of charts


class SeriesTold(msgspec.Struct, frozen=True):
    """Every metric of every rank, and of the hosts the run was on."""

    series: list[SeriesInfo]


class CurvesTold(msgspec.Struct, frozen=True):
    """One curve for each metric, rank and host."""

    curves: list[Curve]


class DataAsked(msgspec.Struct, frozen=True, kw_only=True, rename={"from_": "from"}):
    """Which curves of a run."""

    id: RunId
    metric: Annotated[tuple[Text, ...], Meta(min_length=1, max_length=MAX_METRICS, description="names")]
    axis: Axis = "step"
    from_: Annotated[float | None, Meta(description="where on the axis to begin, itself included")] = None
    to: Annotated[float | None, Meta(description="where on the axis to end, itself included")] = None
    max_points: Annotated[int, Meta(ge=1, le=MAX_POINTS, description="points or buckets of a curve at most")] = 1000
    rank: Annotated[
        tuple[Annotated[int, Meta(ge=0, le=1 << 31)] | Literal["none"], ...],
        Meta(max_length=10_000, description="only these ranks; `none` for processes without one, and for hosts"),
    ] = ()
    kept: Annotated[
        bool, Meta(description="leave out points that were let go of, rather than tell their summaries")
    ] = False


def _series(reader: Reader, asked: RunAsked) -> SeriesTold:
    return SeriesTold(reader.series(asked.id))


def _data(reader: Reader, asked: DataAsked) -> CurvesTold:
    ranks = [None if rank == "none" else rank for rank in asked.rank] or None
    wanted = Range(asked.axis, asked.from_, asked.to, asked.kept)
    names = list(dict.fromkeys(asked.metric))
    try:
        return CurvesTold(reader.curves(asked.id, names, wanted, max_points=asked.max_points, ranks=ranks))
    except TooMany as problem:
        raise BadQuestion(f"metric, rank: {problem}") from problem


SERIES = (
    Endpoint("/runs/{id}/series", "Which metrics the run has", RunAsked, SeriesTold, _series),
    Endpoint("/runs/{id}/data", "Curves of some metrics", DataAsked, CurvesTold, _data, heavy=True),
)
