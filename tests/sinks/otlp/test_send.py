"""The OTLP sink against a collector in this process, which decodes by OpenTelemetry's own schema."""

import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from wayside.row import Row
from wayside_collector.session import Pod, Session
from wayside_collector.sinks.base import Context, Parcel, Part, Record, Reject, Retry
from wayside_collector.sinks.otlp import OtlpOptions, OtlpSink
from wayside_collector.testing import FakeClock, make_event, make_parcel, make_rows, make_session

pytestmark = pytest.mark.asyncio
NOW = 1_767_225_600.0
SESSION = make_session("r1", rank=3, pod=Pod(name="p0", uid="u", namespace="ns", node="n"))


@dataclass
class Bench:
    sink: OtlpSink
    taken: list[ExportMetricsServiceRequest] = field(default_factory=list)
    requests: list[web.BaseRequest] = field(default_factory=list)
    answer: Callable[[ExportMetricsServiceRequest], tuple[int, bytes]] = lambda request: (200, b"")
    counted: Counter[str] = field(default_factory=Counter)

    async def handle(self, request: web.Request) -> web.Response:
        raw = await request.read()  # aiohttp has unpacked it
        found = ExportMetricsServiceRequest.FromString(raw)
        self.requests.append(request)
        status, body = self.answer(found)
        if status == 200:
            self.taken.append(found)
        return web.Response(status=status, body=body, headers={"Retry-After": "7"} if status == 503 else {})

    async def send(self, *records: Record, session: Session = SESSION) -> Any:
        return await self.sink.send(make_parcel(session, records))

    def points(self, name: str) -> list[tuple[int, float]]:
        found = [
            (point.time_unix_nano, point.as_double or float(point.as_int))
            for request in self.taken
            for resource in request.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
            if metric.name == name
            for point in (metric.gauge.data_points or metric.sum.data_points)
        ]
        return found


@contextlib.asynccontextmanager
async def bench(**options: Any) -> AsyncIterator[Bench]:
    app = web.Application(client_max_size=64 << 20)
    runner = web.AppRunner(app)
    made = Bench(OtlpSink(OtlpOptions(endpoint="http://nowhere")))
    app.router.add_post("/v1/metrics", made.handle)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    given = {"endpoint": f"http://127.0.0.1:{runner.addresses[0][1]}", **options}
    made.sink = OtlpSink(OtlpOptions(**given), clock=FakeClock(NOW), environ={})
    await made.sink.open(Context("otlp", Path("."), count=lambda name, by: made.counted.update({name: by})))
    try:
        yield made
    finally:
        await made.sink.close()
        await runner.cleanup()


def rows(count: int, first: int = 0, **metrics: float) -> list[Row]:
    return make_rows(count, metrics or None, seq=first, step=first, time=NOW + first)


async def test_a_row_is_points_of_its_time() -> None:
    """Metrics under their own names, the step beside them, and who logged them as the resource."""
    async with bench(resource={"cluster": "c1"}, service_name="train") as b:
        await b.send(*rows(2, **{"train/loss": 0.5}))
        assert b.points("train/loss") == [(round((NOW + i) * 1e9), 0.5) for i in range(2)]
        assert [value for _, value in b.points("wayside.step")] == [0.0, 1.0]
        (resource,) = b.taken[0].resource_metrics
        said = {one.key: one.value.string_value or one.value.int_value for one in resource.resource.attributes}
        assert said == {
            "service.name": "train",
            "service.instance.id": SESSION.id,
            "host.name": "host-a",
            "process.pid": 1000,
            "k8s.pod.name": "p0",
            "k8s.pod.uid": "u",
            "k8s.namespace.name": "ns",
            "k8s.node.name": "n",
            "wayside.run.id": "r1",
            "wayside.run.name": "r1",
            "wayside.project": "demo",
            "wayside.rank": 3,
            "cluster": "c1",
        }
        assert b.requests[0].headers["Content-Encoding"] == "gzip"
        assert b.requests[0].headers["Content-Type"] == "application/x-protobuf"


async def test_hardware_has_units_apart_from_names() -> None:
    """Fractions with unit 1, counters as cumulative sums, devices as attributes, uuid included."""
    system = make_session("system", kind="system", started=NOW - 5)
    sampled = {
        "gpu/0/utilization_ratio": 0.5,
        "gpu/0/energy_joules_total": 7.0,
        "gpu/0/process/12/memory_used_bytes": 8.0,
        "host/load1": 1.5,
    }
    async with bench() as b:
        await b.send(make_event("device", {"gpu/0": {"uuid": "GPU-1"}}, seq=0), *rows(1, 1, **sampled), session=system)
        (scope,) = b.taken[0].resource_metrics[0].scope_metrics
        found = {metric.name: metric for metric in scope.metrics}
        assert {name: metric.unit for name, metric in found.items()} == {
            "wayside.gpu.utilization": "1",
            "wayside.gpu.energy": "J",
            "wayside.gpu.process.memory_used": "By",
            "wayside.host.load1": "",
        }
        (point,) = found["wayside.gpu.utilization"].gauge.data_points
        assert {one.key: one.value.string_value for one in point.attributes} == {"gpu": "0", "gpu_uuid": "GPU-1"}
        energy = found["wayside.gpu.energy"].sum
        assert (energy.is_monotonic, energy.aggregation_temporality) == (True, 2)
        assert energy.data_points[0].start_time_unix_nano == round((NOW - 5) * 1e9)


async def test_the_row_that_is_refused_is_found() -> None:
    """400: in halves until it is alone; it is rejected with the collector's words, and the others arrive."""
    async with bench() as b:
        bad = rows(40)[17].values[0]
        b.answer = lambda request: (400, b"no such thing") if str(bad) in str(request) else (200, b"")
        with pytest.raises(Reject, match="no such thing") as caught:
            await b.send(*rows(40))
        assert caught.value.rows == {(SESSION.id, 17)}
        assert len(b.points("train/loss")) == 39


async def test_what_was_refused_is_told_by_the_send_that_ends() -> None:
    """A row refused in a send that is cut short is asked for once, and is a dead letter of the next."""
    async with bench(max_points_per_send=10) as b:
        bad, last = (f"time_unix_nano: {round((NOW + seq) * 1e9)}" for seq in (0, 19))
        b.answer = lambda request: (
            (503, b"") if last in str(request) else (400, b"no such thing") if bad in str(request) else (200, b"")
        )
        with pytest.raises(Retry) as caught:
            await b.send(*rows(20))
        assert (SESSION.id, 0) not in caught.value.delivered
        assert caught.value.delivered
        b.answer = lambda request: (200, b"")
        with pytest.raises(Reject, match="no such thing") as refused:
            await b.send(*[row for row in rows(20) if (SESSION.id, row.seq) not in caught.value.delivered])
        assert refused.value.rows == {(SESSION.id, 0)}
        assert len(b.points("train/loss")) == 19


async def test_a_request_that_is_too_large_is_halved() -> None:
    """413, and at most so many points in each from the beginning."""
    async with bench(max_points_per_send=40) as b:
        b.answer = lambda request: (413, b"") if request.ByteSize() > 700 else (200, b"")
        await b.send(*rows(100))
        assert len(b.points("train/loss")) == 100
        assert b.counted["split"] > 0


@pytest.mark.parametrize(("status", "waits"), [(429, False), (503, True), (502, False), (401, False), (415, False)])
async def test_what_may_pass_is_tried_again(status: int, waits: bool) -> None:
    """What was taken before stays delivered."""
    async with bench(max_points_per_send=20) as b:
        turn = iter([(200, b"")])
        b.answer = lambda request: next(turn, (status, b"not now"))
        with pytest.raises(Retry, match=str(status)) as caught:
            await b.send(*rows(40))
        assert len(caught.value.delivered) == 10
        assert (caught.value.not_before is not None) == waits
        assert caught.value.uncertain == (status == 502)


async def test_a_part_that_is_refused_in_a_success(caplog: pytest.LogCaptureFixture) -> None:
    """It must not be sent again: counted, and told once."""
    async with bench() as b:
        told = ExportMetricsServiceResponse()
        told.partial_success.rejected_data_points = 5
        told.partial_success.error_message = "too many attributes"
        b.answer = lambda request: (200, told.SerializeToString())
        await b.send(*rows(10))
        await b.send(*rows(10, 10))
        assert b.counted["partial"] == 10
        assert len([record for record in caplog.records if "too many attributes" in record.message]) == 1
        b.answer = lambda request: (200, b"<html>")
        await b.send(*rows(10, 20))
        assert b.counted["partial"] == 10


async def test_what_devices_are_is_kept() -> None:
    """A GPU's uuid comes once, in an event, and is there after a restart."""
    system = make_session("system", kind="system")
    async with bench() as b:
        state = await b.send(make_event("device", {"gpu/0": {"uuid": "GPU-1"}}, seq=0), session=system)
        await b.sink.open(
            Context("otlp", Path("."), state={**state, "host/other": b"\xc1"}, count=b.sink._context.count)
        )
        await b.sink.send(Parcel([Part(system, list(rows(1, 1, **{"gpu/0/utilization_ratio": 0.5})))]))
        assert "GPU-1" in str(b.taken[-1])
        assert b.counted["state_damaged"] == 1


async def test_an_address_without_a_path() -> None:
    """`/v1/metrics` is put after it, and after no other."""
    for endpoint, url in (
        ("http://c:4318", "http://c:4318/v1/metrics"),
        ("http://c:4318/", "http://c:4318/v1/metrics"),
        ("http://c/otlp/v1/metrics", "http://c/otlp/v1/metrics"),
    ):
        assert OtlpSink(OtlpOptions(endpoint=endpoint))._url == url
