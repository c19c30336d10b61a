"""Values under others' names: what Grafana's dashboard 12239 and Lens's alert rules ask for finds them."""

import asyncio
import re
from pathlib import Path

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families
from wayside.row import Event
from wayside_collector.session import Session
from wayside_collector.sinks.base import Context
from wayside_collector.sinks.prometheus import PrometheusOptions, PrometheusSink
from wayside_collector.testing import FakeClock, make_event, make_parcel, make_rows, make_session

NOW = 1_767_225_600.0
GPU = {
    "utilization_ratio": 0.98,
    "memory_used_bytes": 60 * 2**30,
    "memory_total_bytes": 80 * 2**30,
    "memory_reserved_bytes": 1 * 2**30,
    "temperature_celsius": 70.0,
    "power_watts": 650.0,
    "energy_joules_total": 5.0,
    "sm_clock_hertz": 1.98e9,
    "xid_last_code": 79.0,
}
#: What the dashboard's panels ask for, of what we measure: DCGM_FI_PROF_PIPE_TENSOR_ACTIVE needs DCGM itself.
DASHBOARD = {
    "DCGM_FI_DEV_GPU_TEMP": 70.0,
    "DCGM_FI_DEV_POWER_USAGE": 650.0,
    "DCGM_FI_DEV_SM_CLOCK": 1980.0,
    "DCGM_FI_DEV_GPU_UTIL": 98.0,
    "DCGM_FI_DEV_FB_USED": 60 * 1024.0,
}
TEXT, OPENMETRICS = None, "application/openmetrics-text; version=1.0.0"
Series = dict[tuple[str, str], float]


def page(sink: PrometheusSink, accept: str | None = TEXT) -> dict[str, list[tuple[dict[str, str], float]]]:
    """Sample name to labels and values, read by prometheus_client."""
    _, body = sink.render(accept)
    parse = parse_openmetrics if accept else text_string_to_metric_families
    found: dict[str, list[tuple[dict[str, str], float]]] = {}
    for family in parse(body.decode()):
        for sample in family.samples:
            found.setdefault(sample.name, []).append((sample.labels, sample.value))
    return found


def made(*sent: tuple[Session, list[object]], aliases: tuple[str, ...] = ("dcgm", "lens")) -> PrometheusSink:
    sink = PrometheusSink(PrometheusOptions(aliases=aliases), clock=FakeClock(NOW))  # type: ignore[arg-type]

    async def send() -> None:
        await sink.open(Context("prometheus", Path(".")))
        for session, records in sent:
            await sink.send(make_parcel(session, records))  # type: ignore[arg-type]

    asyncio.run(send())
    return sink


def hardware() -> tuple[Session, list[object]]:
    told: Event = make_event(
        "device", {"gpu/0": {"uuid": "GPU-1", "name": 'H"200', "pci_bus_id": "00:1"}}, seq=0, time=NOW
    )
    metrics = {f"gpu/0/{name}": value for name, value in GPU.items()}
    return make_session("system", kind="system"), [told, *make_rows(1, metrics, seq=1, time=NOW)]


def run(id: str, rank: int | None, metrics: dict[str, float], *, time: float = NOW, workload: str | None = "w1"):
    return make_session(id, rank=rank, workload=workload), make_rows(1, metrics, time=time)


@pytest.mark.parametrize("accept", [TEXT, OPENMETRICS])
def test_the_gpu_dashboard_finds_its_series(accept: str | None) -> None:
    """Each under its name, in its unit, with its labels; in both formats, by a parser."""
    found = page(made(hardware()), accept)
    for name, value in DASHBOARD.items():
        ((labels, shown),) = found[name]
        assert shown == pytest.approx(value)
        assert labels == {
            "gpu": "0",
            "UUID": "GPU-1",
            "pci_bus_id": "00:1",
            "device": "nvidia0",
            "modelName": 'H"200',
            "Hostname": "host-a",
            "hostname": "host-a",
        }
    assert found["DCGM_FI_DEV_FB_FREE"][0][1] == 19 * 1024
    energy = "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION"
    # The parser of the text format puts the ending there that Prometheus does not ask for.
    assert (found.get(energy) or found[f"{energy}_total"])[0][1] == 5000
    assert found["DCGM_FI_DEV_XID_ERRORS"][0][1] == 79
    assert "wayside_gpu_power_watts" in found


@pytest.mark.parametrize("accept", [TEXT, OPENMETRICS])
def test_lens_s_rules_find_their_series(accept: str | None) -> None:
    """By workload, of its lowest rank and the run that logged last."""
    found = page(
        made(
            run("old", 0, {"train/loss": 9.0}, time=NOW - 100),
            run("r1", 1, {"train/loss": 2.0, "grad_norm": 1.5}),
            run("r1", 0, {"train/loss": 1.0, "tflops": 400.0, "checkpoint_save_time_ms": 1500.0}),
            run("r2", None, {"loss": 3.0}, workload=None),
        ),
        accept,
    )
    assert found["training_loss"] == [({"workload_id": "w1"}, 1.0)]
    assert found["training_grad_norm"] == [({"workload_id": "w1"}, 1.5)]
    assert found["training_tflops"] == [({"workload_id": "w1"}, 400.0)]
    assert found["training_checkpoint_duration_seconds"] == [({"workload_id": "w1"}, 1.5)]
    assert sorted(found["training_last_iteration_timestamp"], key=str) == [
        ({"workload_id": "r2"}, NOW),
        ({"workload_id": "w1"}, NOW),
    ]


def test_none_unless_asked_for() -> None:
    """Each set by its option alone."""
    sent = (hardware(), run("r1", 0, {"loss": 1.0}))
    names = {aliases: set(page(made(*sent, aliases=aliases))) for aliases in ((), ("dcgm",), ("lens",))}
    assert not any(re.match("DCGM|training", name) for name in names[()])
    assert {name for name in names["dcgm",] if name not in names[()]} >= set(DASHBOARD)
    assert {name for name in names["lens",] if name not in names[()]} == {
        "training_loss",
        "training_last_iteration_timestamp",
    }
