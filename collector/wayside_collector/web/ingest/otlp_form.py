"""What an `ExportMetricsServiceRequest` holds, as rows. Pure.

A resource is a session, and points of one time are a row. A gauge or sum is a metric under its name, its attributes in
braces behind it: `http.server.active{method=GET}`. A histogram is `…/count`, `…/sum`, `…/min`, `…/max` and its buckets
counted upwards, `…/le_0.5`; an exponential one the same without buckets; a summary `…/count`, `…/sum` and `…/q_0.99`.
Values are what was sent: a sum of deltas is the delta. `wayside.step` is the step of its row.
"""

import hashlib
import math
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from google.protobuf import json_format
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from wayside import wire
from wayside.identity import MAX_ID

from ...run_ids import sound_id

MAX_RESOURCES = 100  #: of a request: each may be a session of its own, which costs a write to disk
MAX_POINTS = 200_000  #: of a request, buckets counted too: half a second of work in a thread
MAX_BUCKETS = 100  #: of a histogram; with more only its count, sum, least and greatest are taken
MAX_ATTRIBUTES = 200  #: of a resource that are kept
MAX_ATTRIBUTE = 1024  #: characters of one
STEP = "wayside.step"

_NO_VALUE = 1  # DataPointFlags.NO_RECORDED_VALUE_MASK


class Malformed(ValueError):
    """Nothing of a request can be taken; the message is for the sender. status: of the answer."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


class Resource(NamedTuple):
    """Who sends. id: of the run. digest: of all attributes. attributes: as text, for the run's configuration."""

    id: str
    digest: str
    attributes: dict[str, str]


class OtlpRow(NamedTuple):
    """time: Unix time in seconds, 0 for none."""

    time: float
    step: int | None
    metrics: dict[str, float]


class Found(NamedTuple):
    """A resource's rows, in the order of time. refused: its points that cannot be taken, and why."""

    resource: Resource
    rows: list[OtlpRow]
    refused: int
    problems: list[str]


def read_request(body: bytes, is_json: bool) -> list[Found]:
    """Raises Malformed."""
    request = ExportMetricsServiceRequest()
    try:
        if is_json:
            json_format.Parse(body, request, ignore_unknown_fields=True)
        else:
            request.ParseFromString(body)
    except (DecodeError, json_format.ParseError, UnicodeDecodeError, RecursionError) as problem:
        raise Malformed(f"no ExportMetricsServiceRequest: {problem}"[:500]) from None
    if len(request.resource_metrics) > MAX_RESOURCES:
        raise Malformed(f"{len(request.resource_metrics)} resources, the limit is {MAX_RESOURCES}: send fewer", 413)
    room = [MAX_POINTS]
    return [_read(one, room) for one in request.resource_metrics]


def _read(one: Any, room: list[int]) -> Found:
    rows: dict[int, dict[str, float]] = {}
    refused = 0
    problems: dict[str, None] = {}
    for scope in one.scope_metrics:
        for metric in scope.metrics:
            for point, values in _points(metric):
                room[0] -= len(values)
                if room[0] < 0:
                    raise Malformed(f"more than {MAX_POINTS} points, the limit: send fewer at once", 413)
                row = rows.setdefault(point.time_unix_nano, {})
                for name, value in values:
                    if len(name) > wire.MAX_NAME or not name:
                        refused += 1
                        problems[f"{name[:80]!r}: a name, attributes included, has 1 to {wire.MAX_NAME} characters"] = (
                            None
                        )
                    else:
                        row[name] = value
    found = [_row(time, rows[time]) for time in sorted(rows)]
    return Found(read_resource(one.resource.attributes), [row for row in found if row.metrics], refused, list(problems))


def _row(time: int, metrics: dict[str, float]) -> OtlpRow:
    step = metrics.get(STEP)
    if step is not None and step.is_integer() and abs(step) < 1 << 53:
        del metrics[STEP]
        return OtlpRow(time / 1e9, int(step), metrics)
    return OtlpRow(time / 1e9, None, metrics)


# --- points ----------------------------------------------------------------------------------------------------------


def _points(metric: Any) -> Iterator[tuple[Any, list[tuple[str, float]]]]:
    """Each data point with what it comes to; those without a value have none."""
    kind = metric.WhichOneof("data")
    if kind is None:
        return
    for point in getattr(metric, kind).data_points:
        if not point.flags & _NO_VALUE:
            name = metric.name + braces(point.attributes)
            yield point, list(_VALUES[kind](name, point))


def _number(name: str, point: Any) -> Iterator[tuple[str, float]]:
    kind = point.WhichOneof("value")
    if kind is not None:
        yield name, float(getattr(point, kind))


def _totals(name: str, point: Any) -> Iterator[tuple[str, float]]:
    yield f"{name}/count", float(point.count)
    for part in ("sum", "min", "max"):
        if point.HasField(part):
            yield f"{name}/{part}", getattr(point, part)


def _histogram(name: str, point: Any) -> Iterator[tuple[str, float]]:
    yield from _totals(name, point)
    counts, bounds = point.bucket_counts, point.explicit_bounds
    if len(counts) != len(bounds) + 1 or len(counts) > MAX_BUCKETS:
        return
    total = 0
    for bound, count in zip([*bounds, math.inf], counts, strict=True):
        total += count
        yield f"{name}/le_{bound:g}", float(total)


def _summary(name: str, point: Any) -> Iterator[tuple[str, float]]:
    yield f"{name}/count", float(point.count)
    yield f"{name}/sum", point.sum
    for one in point.quantile_values[:MAX_BUCKETS]:
        yield f"{name}/q_{one.quantile:g}", one.value


_VALUES = {
    "gauge": _number,
    "sum": _number,
    "histogram": _histogram,
    "exponential_histogram": _totals,
    "summary": _summary,
}


def braces(attributes: Iterable[Any]) -> str:
    """`{method=GET,status=200}`; empty without attributes."""
    pairs = sorted((one.key, text_of(one.value)) for one in attributes)
    return "{" + ",".join(f"{key}={value}" for key, value in pairs) + "}" if pairs else ""


def text_of(value: AnyValue) -> str:
    kind = value.WhichOneof("value")
    if kind is None:
        return ""
    if kind == "bool_value":
        return "true" if value.bool_value else "false"
    if kind in ("array_value", "kvlist_value", "bytes_value"):
        return str(json_format.MessageToJson(value, indent=None))
    return str(getattr(value, kind))


# --- resources -------------------------------------------------------------------------------------------------------


def read_resource(attributes: Iterable[Any]) -> Resource:
    """The run's id is `wayside.run.id`, where it is a collector of ours that sends; else the service's name, and where
    more is told, a few letters made of all attributes: so the same service has the same run again after a restart.
    """
    texts = {one.key[:MAX_ATTRIBUTE]: text_of(one.value)[:MAX_ATTRIBUTE] for one in list(attributes)[:MAX_ATTRIBUTES]}
    digest = hashlib.sha256("\n".join(f"{key}={texts[key]}" for key in sorted(texts)).encode()).hexdigest()
    given = texts.get("wayside.run.id")
    if given:
        return Resource(sound_id(given, "otlp"), digest, texts)
    service = sound_id(texts.get("service.name", ""), "otlp")[: MAX_ID - 9]
    return Resource(service if set(texts) <= {"service.name"} else f"{service}-{digest[:8]}", digest, texts)
