"""What the reader answers with. Times are Unix seconds; what is not a number is nan, what is not known None."""

from typing import Any, Literal

import msgspec

Axis = Literal["step", "time"]
Goal = Literal["min", "max"]


class RunInfo(msgspec.Struct, frozen=True):
    """One run. state: running, finished, failed (with its exit code) or crashed (it ended without a word). active: time
    of its last row or event.
    """

    id: str
    name: str | None
    project: str | None
    entity: str | None
    group: str | None
    job_type: str | None
    notes: str | None
    tags: tuple[str, ...]
    workload: str
    state: str
    exit_code: int | None
    started: float
    active: float


class RunPage(msgspec.Struct, frozen=True):
    """Runs, the latest first. total: how many there are, whatever part of them this is."""

    runs: list[RunInfo]
    total: int


class LossInfo(msgspec.Struct, frozen=True):
    """The last value of what is most likely the run's loss, of the rank that speaks for it."""

    name: str
    value: float
    step: int | None


class LastPoint(msgspec.Struct, frozen=True, array_like=True):
    """The last point of a series."""

    step: int | None
    time: float | None
    value: float


class RunProgress(RunInfo, frozen=True):
    """A run and how far it has come. step: the largest of its own. framework: what it trains with, where that is known,
    the wrapper before its base.
    """

    step: int | None = None
    last_loss: LossInfo | None = None
    framework: str | None = None


class ProgressPage(msgspec.Struct, frozen=True):
    """Runs, the latest first. total: how many there are, whatever part of them this is."""

    runs: list[RunProgress]
    total: int


class WorkloadInfo(msgspec.Struct, frozen=True):
    """A workload. runs: how many. state: running while one of them is, else that of the one last begun. started: of
    the first of them; active: when the last was heard.
    """

    workload: str
    runs: int
    state: str
    started: float
    active: float


class WorkloadPage(msgspec.Struct, frozen=True):
    """Workloads, the one whose run began last first."""

    workloads: list[WorkloadInfo]
    total: int


class RunQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which runs are meant; what is not given does not matter.

    text: stands in the id, the name, the notes or the project, whatever the case. tags: it has all of them. config:
    keys, with dots into nested ones, and their values.
    """

    text: str | None = None
    project: str | None = None
    group: str | None = None
    workload: str | None = None
    state: str | None = None
    tags: tuple[str, ...] = ()
    config: dict[str, Any] = {}


class SessionInfo(msgspec.Struct, frozen=True):
    """One session. record: what it said of itself. finished: None while it lives."""

    id: str
    run: str
    rank: int | None
    host: str
    started: float
    active: float
    finished: float | None
    exit_code: int | None
    rows: int
    points: int
    record: dict[str, Any]


class SeriesInfo(msgspec.Struct, frozen=True):
    """One metric of one rank of a run; or, with kind "system", of a host it ran on.

    count: its points, of which `finite` are neither nan nor infinite. min, max: of all that are numbers. best: the min
    or the max, by `goal`, where one is known. hidden: the run wants no chart of it.
    """

    name: str
    kind: str
    rank: int | None
    host: str
    count: int
    finite: int
    min: float
    max: float
    mean: float
    last: float
    last_step: int | None
    last_time: float | None
    goal: Goal | None
    best: float | None
    best_step: int | None
    hidden: bool = False


class Curve(msgspec.Struct, frozen=True):
    """Points of a series in the order of its axis. kind "points": `values` are the points themselves. "buckets":
    `values` are the means of `counts` consecutive points (of the finite ones of them), and min, max, first, last are
    theirs; steps and times are of the first point in each.
    """

    run: str
    name: str
    series_kind: str
    rank: int | None
    host: str
    axis: Axis
    kind: Literal["points", "buckets"]
    count: int
    steps: list[int | None]
    times: list[float]
    values: list[float]
    mins: list[float] = []
    maxs: list[float] = []
    firsts: list[float] = []
    lasts: list[float] = []
    counts: list[int] = []


class EventInfo(msgspec.Struct, frozen=True):
    """One event; data as it was sent, what is not finite spelled out."""

    run: str
    session: str
    rank: int | None
    seq: int
    time: float
    step: int | None
    kind: str
    data: dict[str, Any]


class EventPage(msgspec.Struct, frozen=True):
    """Events by time, session and seq. next: what to ask for the next page with, None at the end."""

    events: list[EventInfo]
    next: tuple[float, str, int] | None


class PerformanceRow(msgspec.Struct, frozen=True):
    """What a run logged for one step: the primary rank's metrics. time: of the first row of that step."""

    run: str
    iteration: int
    time: float
    metrics: dict[str, float]


class PerformancePage(msgspec.Struct, frozen=True):
    """Rows by run (the first begun first) and iteration. next: what to ask for the next page with, None at the end."""

    rows: list[PerformanceRow]
    next: tuple[str, int] | None


class PerformancePoint(msgspec.Struct, frozen=True):
    """One metric of one such row."""

    run: str
    name: str
    iteration: int
    time: float
    value: float


class MetricInfo(msgspec.Struct, frozen=True):
    """A metric that a workload's runs logged with steps. count: its points, of the ranks that speak for the runs."""

    name: str
    count: int


class SourceInfo(msgspec.Struct, frozen=True):
    """A data source of a workload. count: its steps."""

    name: str
    count: int


class ComparedMetric(msgspec.Struct, frozen=True):
    """One metric of several runs, each list in their order. winner: which run's best is the best of all."""

    name: str
    goal: Goal | None
    last: list[float | None]
    best: list[float | None]
    winner: int | None


class Comparison(msgspec.Struct, frozen=True):
    """runs: in the order asked. config: keys (with dots into nested ones) whose values differ, a value for each run,
    None where it has none.
    """

    runs: list[RunInfo]
    config: dict[str, list[Any]]
    metrics: list[ComparedMetric]
