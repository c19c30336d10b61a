"""From rows to an `ExportMetricsServiceRequest`. Pure.

A session is a resource, a metric keeps its name as logged. What the samplers measured has the unit apart from the name,
as OpenTelemetry wants it: `gpu/0/utilization_ratio` is `wayside.gpu.utilization` with unit `1` and attribute `gpu`.
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import AggregationTemporality, Metric, ResourceMetrics
from wayside.row import Row

from ... import __version__
from ...session import Session
from ..base import Ref
from ..devices import Devices
from ..names import sound
from ..sampled import described, parse_device, parse_sampled

STEP = "wayside.step"  #: a gauge beside each row that has a step
_SCOPE = "wayside"
_UNITS = {
    "ratio": "1",
    "bytes": "By",
    "seconds": "s",
    "celsius": "Cel",
    "watts": "W",
    "joules": "J",
    "hertz": "Hz",
    "volts": "V",
}

Pairs = Iterable[tuple[str, str | int | None]]


class Unit(NamedTuple):
    """A row on its way. points: data points that it comes to. devices: of its host, when it was taken."""

    ref: Ref
    session: Session
    row: Row
    points: int
    devices: Devices


class Shape(NamedTuple):
    """What a metric is called, and the attributes of its points."""

    name: str
    unit: str
    counter: bool
    attributes: tuple[tuple[str, str], ...]


def encode(units: Iterable[Unit], service: str, more: Mapping[str, str]) -> bytes:
    """A request's body, before compression."""
    request = ExportMetricsServiceRequest()
    by_session: dict[str, list[Unit]] = {}
    for unit in units:
        by_session.setdefault(unit.session.id, []).append(unit)
    for found in by_session.values():
        _resource(request.resource_metrics.add(), found, service, more)
    body: bytes = request.SerializeToString()
    return body


def _resource(out: ResourceMetrics, units: list[Unit], service: str, more: Mapping[str, str]) -> None:
    session = units[0].session
    attributes = {name: value for name, value in attributes_of(session, service) if value not in (None, "")} | dict(
        more
    )
    _put(out.resource.attributes, attributes.items())
    scope = out.scope_metrics.add()
    scope.scope.name, scope.scope.version = _SCOPE, __version__
    metrics: dict[tuple[str, bool], Any] = {}
    shapes: dict[str, Shape] = {}
    start = _nano(session.started)
    for unit in units:
        row = unit.row
        time = _nano(row.time)
        for name, value in zip(row.names, row.values, strict=True):
            shape = shapes.get(name)
            if shape is None:
                shape = shapes[name] = shape_of(session, name, unit.devices)
            points = metrics.get((shape.name, shape.counter))
            if points is None:
                points = metrics[shape.name, shape.counter] = _points(scope.metrics.add(), shape)
            point = points.add(time_unix_nano=time, as_double=value)
            if shape.counter:
                point.start_time_unix_nano = start
            if shape.attributes:
                _put(point.attributes, shape.attributes)
        if row.step is not None and session.kind != "system":
            if (STEP, False) not in metrics:
                metrics[STEP, False] = _points(scope.metrics.add(), Shape(STEP, "", False, ()))
            metrics[STEP, False].add(time_unix_nano=time, as_int=row.step)


def _nano(time: float) -> int:
    """Unix time in nanoseconds, within the 64 bits that it has."""
    return min(max(0, round(time * 1e9)), (1 << 64) - 1)


def _points(metric: Metric, shape: Shape) -> Any:
    """Where the data points of a new metric go."""
    metric.name, metric.unit = shape.name, shape.unit
    if not shape.counter:
        return metric.gauge.data_points
    metric.sum.is_monotonic = True
    metric.sum.aggregation_temporality = AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE
    return metric.sum.data_points


def shape_of(session: Session, name: str, devices: Devices) -> Shape:
    if session.kind != "system":
        return Shape(sound(name), "", False, ())
    sampled = parse_sampled(name)
    device, _, metric = name.rpartition("/")
    group = parse_device(device).group if "/" in device else device
    bare = metric.removesuffix("_total")
    rest, _, word = bare.rpartition("_")
    unit = _UNITS.get(word, "")
    attributes = tuple((key, sound(text)) for key, text in described(sampled.labels, devices, sampled.device) if text)
    said = f"wayside.{group.replace('_', '.')}.{rest if unit and rest else bare}"
    return Shape(sound(said), unit, sampled.kind == "counter", attributes)


def attributes_of(session: Session, service: str) -> Pairs:
    """What is told of a session; what is not known is None or empty."""
    run, pod = session.run, session.pod
    yield "service.name", service
    yield "service.instance.id", session.id
    yield "host.name", session.host
    yield "process.pid", session.pid or None
    yield "k8s.pod.name", pod.name
    yield "k8s.pod.uid", pod.uid
    yield "k8s.namespace.name", pod.namespace
    yield "k8s.node.name", pod.node
    if session.kind != "system":
        yield "wayside.run.id", run.id
        yield "wayside.run.name", run.name
        yield "wayside.project", run.project
        yield "wayside.group", run.group
        yield "wayside.job_type", run.job_type
        yield "wayside.workload", session.workload
        yield "wayside.rank", session.rank
        yield "wayside.world_size", session.world_size


def _put(out: Any, pairs: Iterable[tuple[str, str | int | None]]) -> None:
    for name, value in pairs:
        found: KeyValue = out.add(key=sound(name))
        if isinstance(value, int):
            found.value.int_value = value
        else:
            found.value.string_value = sound(value or "")
