"""What Grafana's JSON data sources ask (simple-json, and simpod's with its variables), answered from the store.

A target is `RUN/METRIC`: one curve for each rank. Grafana draws as many points as it has pixels (`maxDataPoints`);
where there are more, each bucket's least and greatest value stand for it, so that no spike is lost. See docs/api.md.
"""

import math
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Annotated, Any, NamedTuple

import msgspec
from msgspec import Meta

from ...store import Reader
from ...store.answers import Curve, RunInfo, SeriesInfo
from ...store.reader import MAX_POINTS, TooMany
from ...store.walk import Range
from .asked import BadQuestion

RUNS = 50  #: runs whose metrics are offered, and whose annotations are told, when none is named: a list to choose from
ALERTS = 1000  #: alerts of one run that are told
MAX_BODY = 1 << 20  #: bytes of a question: Grafana's are a few thousand
TAGS = ("rank", "host")  #: by which curves may be filtered

Text = Annotated[str, Meta(max_length=2000)]


class Span(msgspec.Struct, frozen=True, rename={"from_": "from"}):
    """What Grafana shows, as ISO 8601."""

    from_: Annotated[datetime, Meta(tz=True)]
    to: Annotated[datetime, Meta(tz=True)]


class Target(msgspec.Struct, frozen=True):
    """One query: `RUN/METRIC`."""

    target: Text | None = None
    hide: bool = False


class Filter(msgspec.Struct, frozen=True):
    """An ad-hoc filter: `rank = 0`."""

    key: Text
    value: Text
    operator: Text = "="


class QueryAsked(msgspec.Struct, frozen=True, rename="camel"):
    range: Span
    targets: Annotated[list[Target], Meta(max_length=100)]
    max_data_points: Annotated[int, Meta(ge=1)] = 1000
    adhoc_filters: Annotated[list[Filter], Meta(max_length=20)] = []


class Annotation(msgspec.Struct, frozen=True):
    """query: a run's id; empty for the latest runs."""

    query: Text | None = None


class AnnotationsAsked(msgspec.Struct, frozen=True):
    range: Span
    annotation: Annotation = Annotation()


class Payload(msgspec.Struct, frozen=True):
    target: Text | None = None


class TextAsked(msgspec.Struct, frozen=True):
    """target: what was typed so far. payload: where simpod's puts it. key: of a tag."""

    target: Text | None = None
    metric: Text | None = None
    payload: Payload | Text | None = None
    key: Text | None = None

    @property
    def text(self) -> str:
        inner = self.payload.target if isinstance(self.payload, Payload) else self.payload
        return self.target or self.metric or inner or ""


class Answer(NamedTuple):
    """A path below `/grafana`, the type of its question, and who answers it."""

    path: str
    asked: type[msgspec.Struct]
    answer: Callable[[Reader, Any], Any]


# --- which metrics there are -----------------------------------------------------------------------------------------


def _targets(reader: Reader, asked: TextAsked) -> list[str]:
    """Targets in which the text stands; of the run it begins with, or of the latest runs."""
    run, slash, _ = asked.text.partition("/")
    ids = [run] if slash else [one.id for one in _latest(reader)]
    names = dict.fromkeys(f"{id}/{series.name}" for id in ids for series in reader.series(id))
    return [name for name in names if asked.text.lower() in name.lower()]


def _metrics(reader: Reader, asked: TextAsked) -> list[dict[str, Any]]:
    found = _targets(reader, TextAsked())
    return [{"label": name, "value": name, "payloads": []} for name in found]


def _variable(reader: Reader, asked: TextAsked) -> list[dict[str, str]]:
    """Of `RUN` its targets; of nothing the runs."""
    if asked.text in ("", "runs"):
        return [{"__text": one.name or one.id, "__value": one.id} for one in _latest(reader)]
    names = dict.fromkeys(series.name for series in reader.series(asked.text))
    return [{"__text": name, "__value": f"{asked.text}/{name}"} for name in names]


def _tag_keys(reader: Reader, asked: TextAsked) -> list[dict[str, str]]:
    return [{"type": "string", "text": tag} for tag in TAGS]


def _tag_values(reader: Reader, asked: TextAsked) -> list[dict[str, str]]:
    if asked.key not in TAGS:
        raise BadQuestion(f"key: must be one of: {', '.join(TAGS)}")
    found = {_tag(series, asked.key) for one in _latest(reader) for series in reader.series(one.id)}
    return [{"text": value} for value in sorted(found, key=lambda value: (len(value), value))]


def _latest(reader: Reader) -> list[RunInfo]:
    return reader.runs(limit=RUNS).runs


def _tag(of: SeriesInfo | Curve, key: str) -> str:
    return of.host if key == "host" else "" if of.rank is None else str(of.rank)


# --- points ----------------------------------------------------------------------------------------------------------


def _query(reader: Reader, asked: QueryAsked) -> list[dict[str, Any]]:
    most = min(asked.max_data_points, MAX_POINTS)
    between = Range("time", asked.range.from_.timestamp(), asked.range.to.timestamp())
    found: list[dict[str, Any]] = []
    for target in asked.targets:
        if target.hide or not target.target:
            continue  # Grafana sends a query that is not written yet, too
        run, _, metric = target.target.partition("/")
        if not metric:
            raise BadQuestion(f"target: must be RUN/METRIC; it is {target.target:.100}")
        try:
            curves = reader.curves(run, [metric], between, max_points=max(1, most // 2))
        except TooMany as problem:
            raise BadQuestion(f"target: {problem}") from problem
        chosen = [curve for curve in curves if all(_passes(curve, one) for one in asked.adhoc_filters)]
        for curve in chosen:
            title = target.target if len(chosen) == 1 else f"{target.target} {_which(curve)}"
            found.append({"target": title, "datapoints": list(_points(curve))})
    return found


def _passes(curve: Curve, one: Filter) -> bool:
    if one.key not in TAGS or one.operator not in ("=", "!="):
        raise BadQuestion(f"adhocFilters: {one.key:.50} {one.operator:.10}: known are {', '.join(TAGS)} with = and !=")
    return (_tag(curve, one.key) == one.value) == (one.operator == "=")


def _which(curve: Curve) -> str:
    return curve.host if curve.rank is None else f"rank {curve.rank}"


def _points(curve: Curve) -> Iterator[list[float | None]]:
    """Value and milliseconds. A bucket is two points, its least and its greatest, in the order in which it went."""
    if curve.kind == "points":
        for time, value in zip(curve.times, curve.values, strict=True):
            yield _point(time, value)
        return
    for number, time in enumerate(curve.times):
        least, greatest = curve.mins[number], curve.maxs[number]
        if curve.counts[number] == 1:
            yield _point(time, curve.values[number])
            continue
        following = curve.times[number + 1] if number + 1 < len(curve.times) else time
        rises = curve.firsts[number] <= curve.lasts[number]
        yield _point(time, least if rises else greatest)
        yield _point((time + following) / 2, greatest if rises else least)


def _point(time: float, value: float) -> list[float | None]:
    return [value if math.isfinite(value) else None, round(time * 1000)]


# --- annotations -----------------------------------------------------------------------------------------------------


def _annotations(reader: Reader, asked: AnnotationsAsked) -> list[dict[str, Any]]:
    runs = [reader.run(asked.annotation.query)] if asked.annotation.query else _latest(reader)
    start, end = asked.range.from_.timestamp(), asked.range.to.timestamp()
    found = [one for run in runs for one in _said(reader, run) if start * 1000 <= one["time"] <= end * 1000]
    return sorted(found, key=lambda one: float(one["time"]))


def _said(reader: Reader, run: RunInfo) -> Iterator[dict[str, Any]]:
    def note(time: float, title: str, text: str, *tags: str) -> dict[str, Any]:
        return {"time": round(time * 1000), "title": title, "text": text, "tags": [run.id, *tags]}

    name = run.name or run.id
    yield note(run.started, f"{name} began", "", "start")
    if run.state != "running":
        code = "" if run.exit_code is None else f"exit code {run.exit_code}"
        yield note(run.active, f"{name} {run.state}", code, "end", run.state)
    for alert in reader.alerts(run.id, limit=ALERTS):
        title, text = str(alert.data.get("title", "alert")), str(alert.data.get("text", ""))
        yield note(alert.time, title, text, "alert", str(alert.data.get("level", "INFO")))


GRAFANA = (
    Answer("/search", TextAsked, _targets),
    Answer("/query", QueryAsked, _query),
    Answer("/annotations", AnnotationsAsked, _annotations),
    Answer("/tag-keys", TextAsked, _tag_keys),
    Answer("/tag-values", TextAsked, _tag_values),
    Answer("/metrics", TextAsked, _metrics),
    Answer("/variable", TextAsked, _variable),
    Answer("/metric-payload-options", TextAsked, lambda reader, asked: []),
)
