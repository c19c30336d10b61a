"""Metrics that come by OTLP, made and sent as OpenTelemetry's own library has them."""

import asyncio
import io
import json
from typing import Any

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from wayside_collector.compression import COMPRESS
from wayside_collector.configuration.access import Outside, PublicSection
from wayside_collector.web.ingest.otlp_form import MAX_POINTS, MAX_RESOURCES, Malformed, read_request
from web.ingest.posting import Post, posting

NOW = 1_767_225_600
PROTOBUF = "application/x-protobuf"


def attribute(key: str, **value: Any) -> dict[str, Any]:
    return {"key": key, "value": value}


def request(*metrics: dict[str, Any], **resource: str) -> dict[str, Any]:
    attributes = [attribute(key.replace("_", "."), stringValue=text) for key, text in resource.items()]
    return {"resourceMetrics": [{"resource": {"attributes": attributes}, "scopeMetrics": [{"metrics": list(metrics)}]}]}


def gauge(name: str, *values: float, **more: Any) -> dict[str, Any]:
    points = [{"timeUnixNano": str((NOW + place) * 10**9), "asDouble": one, **more} for place, one in enumerate(values)]
    return {"name": name, "gauge": {"dataPoints": points}}


def as_protobuf(value: dict[str, Any]) -> bytes:
    from google.protobuf import json_format

    return json_format.Parse(json.dumps(value), ExportMetricsServiceRequest()).SerializeToString()


def rows_of(value: dict[str, Any]) -> list[dict[str, float]]:
    (found,) = read_request(json.dumps(value).encode(), True)
    return [row.metrics for row in found.rows]


async def post(p: Post, body: bytes, path: str = "/v1/metrics", **headers: str) -> tuple[int, bytes, dict[str, str]]:
    given = {"Content-Type": PROTOBUF, **{key.replace("_", "-"): value for key, value in headers.items()}}
    async with p.server.asking.post(p.server.local + path, data=io.BytesIO(body), headers=given) as answer:
        return answer.status, await answer.read(), dict(answer.headers)


@pytest.mark.asyncio
@pytest.mark.parametrize("encoding", ["identity", "gzip"])
async def test_a_gauge_becomes_rows(encoding: str) -> None:
    """Points of one time are one row of the resource's run; an empty answer in protobuf says that all is stored."""
    body = as_protobuf(request(gauge("loss", 0.5, 0.25), gauge("lr", 0.1), service_name="trainer", host_name="h"))
    async with posting() as p:
        packed = body if encoding == "identity" else COMPRESS[encoding](body)
        status, text, headers = await post(p, packed, Content_Encoding=encoding)
        assert (status, text, headers["Content-Type"]) == (200, b"", PROTOBUF)
        (run,) = {known.session.run.id for known in p.place.intake.registry.all()}
        assert run.startswith("trainer-")
        assert [(row.time, row.metrics) for row in p.rows(run)] == [
            (NOW, {"loss": 0.5, "lr": 0.1}),
            (NOW + 1, {"loss": 0.25}),
        ]
        assert p.events(run, "config")[0]["set"]["resource"] == {"service.name": "trainer", "host.name": "h"}
        await post(p, body)
        assert len(list(p.place.intake.registry.all())) == 1


@pytest.mark.asyncio
async def test_each_resource_has_its_session() -> None:
    """Two pods of one service are two runs; one of our own collectors' names its run and rank."""
    one = request(gauge("a", 1.0), service_name="s", k8s_pod_name="p0")
    two = request(gauge("a", 1.0), service_name="s", k8s_pod_name="p1", k8s_node_name="n")
    ours = request(gauge("a", 1.0), gauge("wayside.step", 7.0), wayside_run_id="r1", wayside_rank="3")
    both = {"resourceMetrics": one["resourceMetrics"] + two["resourceMetrics"] + ours["resourceMetrics"]}
    async with posting() as p:
        status, _, _ = await post(p, json.dumps(both).encode(), Content_Type="application/json")
        assert status == 200
        sessions = {known.session.run.id: known.session for known in p.place.intake.registry.all()}
        assert len(sessions) == 3
        assert {one.pod.name for one in sessions.values()} == {"p0", "p1", None}
        assert sessions["r1"].rank == 3
        (row,) = p.rows("r1")
        assert (row.step, row.metrics) == (7, {"a": 1.0})


def test_every_kind_of_metric() -> None:
    """Sums as gauges, histograms and summaries by their parts, attributes in braces; no value, no point."""
    labelled = gauge("g", 1.0, attributes=[attribute("b", intValue="2"), attribute("a", boolValue=True)])
    point = {"timeUnixNano": str(NOW * 10**9), "count": "3", "sum": 6.0}
    histogram = {**point, "min": 1.0, "max": 3.0, "bucketCounts": ["1", "2"], "explicitBounds": [1.5]}
    found = rows_of(
        request(
            labelled,
            {"name": "s", "sum": {"dataPoints": [{"timeUnixNano": str(NOW * 10**9), "asInt": "5"}]}},
            {"name": "h", "histogram": {"dataPoints": [histogram]}},
            {"name": "e", "exponentialHistogram": {"dataPoints": [point]}},
            {"name": "q", "summary": {"dataPoints": [{**point, "quantileValues": [{"quantile": 0.99, "value": 3.0}]}]}},
            gauge("gone", 1.0, flags=1),
            {"name": "of another version"},
        )
    )
    assert found == [
        {
            "g{a=true,b=2}": 1.0,
            "s": 5.0,
            "h/count": 3.0,
            "h/sum": 6.0,
            "h/min": 1.0,
            "h/max": 3.0,
            "h/le_1.5": 1.0,
            "h/le_inf": 3.0,
            "e/count": 3.0,
            "e/sum": 6.0,
            "q/count": 3.0,
            "q/sum": 6.0,
            "q/q_0.99": 3.0,
        }
    ]


@pytest.mark.asyncio
@pytest.mark.parametrize("kind", [PROTOBUF, "application/json"])
async def test_what_cannot_be_taken_of_a_request_is_told(kind: str) -> None:
    """A success with the number of points and the reason, and everything else is stored."""
    value = request(gauge("x" * 2000, 1.0, 2.0), gauge("good", 3.0), service_name="s")
    body = json.dumps(value).encode() if "json" in kind else as_protobuf(value)
    async with posting() as p:
        status, text, _ = await post(p, body, Content_Type=kind)
        assert status == 200
        if "json" in kind:
            partial = json.loads(text)["partialSuccess"]
            count, said = int(partial["rejectedDataPoints"]), partial["errorMessage"]
        else:
            found = ExportMetricsServiceResponse.FromString(text).partial_success
            count, said = found.rejected_data_points, found.error_message
        assert count == 2
        assert "1024 characters" in said
        assert [row.metrics for row in p.rows("s")] == [{"good": 3.0}]


@pytest.mark.asyncio
async def test_what_can_never_be_taken() -> None:
    """400, 413, 415, in the form of the request."""
    async with posting() as p:
        status, text, headers = await post(p, b"\xff\xff")
        assert (status, headers["Content-Type"]) == (400, PROTOBUF)
        assert b"no ExportMetricsServiceRequest" in text
        status, text, _ = await post(p, b"{", Content_Type="application/json")
        assert status == 400
        assert "message" in json.loads(text)
        assert (await post(p, b"", Content_Type="text/plain"))[0] == 415
        assert (await post(p, b"\x00" * (5 << 20)))[0] == 413
        assert (await post(p, b""))[0] == 200  # nothing in it, and nothing wrong with it


def test_a_request_has_limits() -> None:
    """Resources, points and buckets; each is told or left out."""
    many = {"resourceMetrics": [{}] * (MAX_RESOURCES + 1)}
    with pytest.raises(Malformed, match="resources"):
        read_request(json.dumps(many).encode(), True)
    data = ExportMetricsServiceRequest()
    metric = data.resource_metrics.add().scope_metrics.add().metrics.add(name="m")
    for _ in range(MAX_POINTS + 1):
        metric.gauge.data_points.add(as_double=1.0)
    with pytest.raises(Malformed, match="points"):
        read_request(data.SerializeToString(), False)
    wide = {"timeUnixNano": "1", "count": "1", "bucketCounts": ["0"] * 200, "explicitBounds": list(range(199))}
    assert rows_of(request({"name": "h", "histogram": {"dataPoints": [wide]}})) == [{"h/count": 1.0}]


def test_an_id_is_one_everywhere() -> None:
    """Whatever a service calls itself."""
    for name in ("a/b:c", "...", " ", "x" * 500, "\x00", "ü"):
        (found,) = read_request(json.dumps(request(gauge("a", 1.0), service_name=name, host_name="h")).encode(), True)
        assert 0 < len(found.resource.id) <= 128
        assert not set(found.resource.id) & set("/\\#?%:,;'\x00")


@pytest.mark.asyncio
async def test_only_writers_may_send() -> None:
    """On the public listener a token with the role is needed."""
    outside = Outside("127.0.0.1:0", PublicSection())
    async with posting(outside) as p:
        url = p.server.public + "/v1/metrics"
        async with p.server.asking.post(url, data=b"", headers={"Content-Type": PROTOBUF}) as answer:
            assert answer.status in (401, 403)


@pytest.mark.asyncio
async def test_many_at_once() -> None:
    """Requests of one resource are written one after the other; none is lost."""
    async with posting() as p:
        bodies = [as_protobuf(request(gauge(f"m{number}", 1.0), service_name="s")) for number in range(20)]
        answers = await asyncio.gather(*(post(p, body) for body in bodies))
        assert {status for status, _, _ in answers} == {200}
        assert {name for row in p.rows("s") for name in row.metrics} == {f"m{number}" for number in range(20)}
