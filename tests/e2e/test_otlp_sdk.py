"""A program with OpenTelemetry's own SDK exports to a collector, as its documents say, by variables alone."""

import sys

import pytest
from e2e.machine import Machine, until

pytestmark = pytest.mark.timeout(90)

PROGRAM = """
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

provider = MeterProvider([PeriodicExportingMetricReader(OTLPMetricExporter(), export_interval_millis=3600_000)])
meter = provider.get_meter("test")
meter.create_counter("requests").add(3, {"method": "GET"})
meter.create_gauge("temperature").set(21.5)
meter.create_histogram("latency", explicit_bucket_boundaries_advisory=[0.1, 1.0]).record(0.5)
assert provider.force_flush(20_000)
provider.shutdown()
"""


def test_its_metrics_are_a_run(machine: Machine) -> None:
    """Named by its service, each instrument under its name."""
    collector = machine.collector().wait_ready()
    done = machine.run(
        sys.executable,
        "-c",
        PROGRAM,
        OTEL_EXPORTER_OTLP_METRICS_ENDPOINT=f"{collector.url}/v1/metrics",
        OTEL_EXPORTER_OTLP_COMPRESSION="gzip",
        OTEL_SERVICE_NAME="inference",
        OTEL_RESOURCE_ATTRIBUTES="service.namespace=shop,k8s.pod.name=pod-7",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    rows = until(machine.rows, "rows")
    (run,) = {row["run"] for row in rows}
    assert run.startswith("inference-")
    metrics = {name: value for row in rows for name, value in row["metrics"].items()}
    assert metrics == {
        "requests{method=GET}": 3,
        "temperature": 21.5,
        "latency/count": 1,
        "latency/sum": 0.5,
        "latency/min": 0.5,
        "latency/max": 0.5,
        "latency/le_0.1": 0,
        "latency/le_1": 1,
        "latency/le_inf": 1,
    }
    (session,) = collector.status()["sessions"]
    assert session["project"] == "shop"
