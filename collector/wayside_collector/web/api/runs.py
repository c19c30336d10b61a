"""Our own endpoints about runs: which there are, what they are, what was said of them, two to five side by side."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from ...store import Reader
from ...store.answers import (
    Comparison,
    EventInfo,
    ProgressPage,
    RunProgress,
    RunQuery,
    SessionInfo,
    WorkloadPage,
)  # fmt: skip
from .asked import BadQuestion
from .endpoint import COMMAS, Endpoint

Text = Annotated[str, Meta(max_length=2000)]
Limit = Annotated[int, Meta(ge=1, le=1000, description="how many at most")]
Offset = Annotated[int, Meta(ge=0, le=1 << 31, description="how many of the first to leave out")]
RunId = Annotated[str, Meta(min_length=1, max_length=2000, description="a run's id")]
Place = Annotated[
    Text,
    Meta(
        description="`next` of the answer before",
        extra_json_schema={"pattern": r"^-?(0|[1-9][0-9]{0,10})(\.[0-9]{1,9})?~[!-~]*~(0|[1-9][0-9]{0,17})$"},
    ),
]
Listed = Annotated[str, Meta(max_length=6000, extra_json_schema={"pattern": "^[^,]+$"})]
TWO_TO_FIVE = {"minItems": 2, "maxItems": 5, "uniqueItems": True}
State = Literal["running", "finished", "failed", "crashed"]


class RunAsked(msgspec.Struct, frozen=True, kw_only=True):
    """One run."""

    id: RunId


class RunsAsked(msgspec.Struct, frozen=True, kw_only=True):
    """Which runs."""

    q: Annotated[Text | None, Meta(description="stands in id, name, notes or project, whatever the case")] = None
    project: Text | None = None
    group: Text | None = None
    workload: Text | None = None
    state: State | None = None
    tag: Annotated[tuple[Text, ...], Meta(max_length=50, description="runs that have all of these")] = ()
    config: Annotated[
        dict[str, Text],
        Meta(max_length=20, description="`config.KEY=VALUE`, with dots in KEY into nested ones; VALUE as JSON or text"),
    ] = {}
    limit: Limit = 100
    offset: Offset = 0


class WorkloadsAsked(msgspec.Struct, frozen=True, kw_only=True):
    """Which workloads."""

    q: Annotated[Text | None, Meta(description="stands in the name, whatever the case")] = None
    limit: Limit = 100
    offset: Offset = 0


class EventsAsked(msgspec.Struct, frozen=True, kw_only=True):
    """Which events of a run."""

    id: RunId
    kind: Annotated[tuple[Text, ...], Meta(max_length=50, description="only these kinds")] = ()
    limit: Limit = 1000
    after: Place | None = None


class AlertsAsked(msgspec.Struct, frozen=True, kw_only=True):
    """Which alerts of a run."""

    id: RunId
    limit: Limit = 1000
    after: Place | None = None


class CompareAsked(msgspec.Struct, frozen=True, kw_only=True):
    """Two to five runs."""

    runs: Annotated[
        tuple[Listed, ...],
        Meta(description="ids with commas between", extra_json_schema={**TWO_TO_FIVE, COMMAS: True}),
    ]


class RunDetail(RunProgress, frozen=True, kw_only=True):
    """A run, how far it has come, and its sessions. repeated_steps: those that a later attempt did again."""

    sessions: list[SessionInfo]
    repeated_steps: int


class EventsTold(msgspec.Struct, frozen=True):
    """Events by time. next: what to ask for as `after` for those that follow, None at the end."""

    events: list[EventInfo]
    next: str | None


def _runs(reader: Reader, asked: RunsAsked) -> ProgressPage:
    config = {key: _value(text) for key, text in asked.config.items()}
    query = RunQuery(
        text=asked.q,
        project=asked.project,
        group=asked.group,
        workload=asked.workload,
        state=asked.state,
        tags=asked.tag,
        config=config,
    )
    return reader.runs_progress(query, limit=asked.limit, offset=asked.offset)


def _value(text: str) -> Any:
    """What a value in an address means: JSON where it is some, else the text."""
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return text


def _workloads(reader: Reader, asked: WorkloadsAsked) -> WorkloadPage:
    return reader.workloads(asked.q, limit=asked.limit, offset=asked.offset)


def _run(reader: Reader, asked: RunAsked) -> RunDetail:
    run = reader.run_progress(asked.id)
    repeated = reader.repeated_steps(asked.id)
    return RunDetail(**msgspec.structs.asdict(run), sessions=reader.sessions(asked.id), repeated_steps=repeated)


def _config(reader: Reader, asked: RunAsked) -> dict[str, Any]:
    return reader.config(asked.id)


def _summary(reader: Reader, asked: RunAsked) -> dict[str, Any]:
    return reader.summary(asked.id)


def _events(reader: Reader, asked: EventsAsked) -> EventsTold:
    after = None if asked.after is None else _place(asked.after)
    page = reader.event_page(asked.id, asked.kind, limit=asked.limit, after=after)
    return EventsTold(page.events, None if page.next is None else "~".join(map(str, page.next)))


def _alerts(reader: Reader, asked: AlertsAsked) -> EventsTold:
    return _events(reader, EventsAsked(id=asked.id, kind=("alert",), limit=asked.limit, after=asked.after))


def _place(text: str) -> tuple[float, str, int]:
    time, _, rest = text.partition("~")
    session, _, seq = rest.rpartition("~")
    try:
        return msgspec.convert((time, session, seq), tuple[float, str, int], strict=False)
    except msgspec.ValidationError:
        raise BadQuestion("after: must be `next` of the answer before") from None


def _compare(reader: Reader, asked: CompareAsked) -> Comparison:
    runs = [id for text in asked.runs for id in text.split(",") if id]
    try:
        return reader.compare(runs)
    except ValueError as problem:
        raise BadQuestion(f"runs: {problem}") from problem


RUNS = (
    Endpoint("/workloads", "Workloads, the one whose run began last first", WorkloadsAsked, WorkloadPage, _workloads),
    Endpoint("/runs", "Runs, the last begun first", RunsAsked, ProgressPage, _runs, free="config"),
    Endpoint("/runs/{id}", "One run and its sessions", RunAsked, RunDetail, _run),
    Endpoint("/runs/{id}/config", "What the run was begun with", RunAsked, dict[str, Any], _config),
    Endpoint("/runs/{id}/summary", "What the run put into its summary", RunAsked, dict[str, Any], _summary),
    Endpoint("/runs/{id}/events", "What happened beside rows, by time", EventsAsked, EventsTold, _events),
    Endpoint("/runs/{id}/alerts", "The alerts among the events", AlertsAsked, EventsTold, _alerts),
    Endpoint("/compare", "Two to five runs side by side", CompareAsked, Comparison, _compare, heavy=True),
)
