"""Names as they were logged, for scrapers that ask for them, read by prometheus_client's parsers."""

import asyncio
from pathlib import Path

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text
from wayside_collector.sinks.base import Context
from wayside_collector.sinks.prometheus import PrometheusOptions, PrometheusSink, join, negotiate
from wayside_collector.sinks.prometheus.utf8 import escape_name
from wayside_collector.testing import FakeClock, make_parcel, make_rows, make_session

#: What Prometheus 3 sends when it scrapes.
PROMETHEUS_3 = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
    "application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,"
    "text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)
NAMES = (
    "train/loss",
    "train_loss",
    "train loss",
    "train.loss",
    'a"b\\c\nd',
    "ü 🚀",
    "run_info",
    "x_total",
    "#",
    "{}",
    "loss",
)


def made(names: str = "utf8") -> PrometheusSink:
    sink = PrometheusSink(PrometheusOptions(names=names), clock=FakeClock())  # type: ignore[arg-type]
    values = {name: float(place) for place, name in enumerate(NAMES)}

    async def send() -> None:
        await sink.open(Context("prometheus", Path(".")))
        await sink.send(make_parcel(make_session("r1", rank=0), make_rows(1, values)))

    asyncio.run(send())
    return sink


def shown(page: bytes, openmetrics: bool) -> dict[str, float]:
    """Sample name to value, of the run's metrics."""
    parse = parse_openmetrics if openmetrics else parse_text
    samples = [sample for family in parse(page.decode()) for sample in family.samples]
    assert len({(one.name, str(one.labels)) for one in samples}) == len(samples)
    return {one.name: one.value for one in samples if one.labels == {"run": "r1", "rank": "0"}}


@pytest.mark.parametrize(
    ("accept", "openmetrics"),
    [(PROMETHEUS_3, True), ("text/plain;version=1.0.0;escaping=allow-utf-8", False)],
)
def test_names_stand_as_they_were_logged(accept: str, openmetrics: bool) -> None:
    """Behind our prefix, in quotes where they must be; only one that is a name of ours has a suffix."""
    content_type, page = made().render(accept)
    assert content_type.endswith("version=1.0.0; charset=utf-8; escaping=allow-utf-8")
    found = shown(page, openmetrics)
    for place, name in enumerate(NAMES):
        if name != "run_info":
            assert found[f"wayside_{name}"] == place
    assert any(name.startswith("wayside_run_info_x") for name in found)


@pytest.mark.parametrize("scheme", ["values", "dots"])
@pytest.mark.parametrize("kind", ["application/openmetrics-text", "text/plain"])
def test_other_schemes_escape_what_the_legacy_set_does_not_have(scheme: str, kind: str) -> None:
    """Every metric is there once, under a name that any Prometheus takes."""
    content_type, page = made().render(f"{kind};version=1.0.0;escaping={scheme}")
    assert content_type.endswith(f"escaping={scheme}")
    found = shown(page, "openmetrics" in kind)
    assert set(range(len(NAMES))) <= {round(value) for value in found.values()}
    assert b'"wayside_' not in page.replace(b'metric="wayside_', b"")
    wanted = {"values": "U__wayside__train_2f_loss", "dots": "wayside__train__loss"}[scheme]
    assert found[wanted] == 0


@pytest.mark.parametrize(
    ("name", "scheme", "escaped"),
    [
        ("no:escaping_required", "values", "no:escaping_required"),
        ("no:escaping_required", "dots", "no:escaping_required"),
        ("mysystem.prod.west.cpu.load", "values", "U__mysystem_2e_prod_2e_west_2e_cpu_2e_load"),
        ("mysystem.prod.west.cpu.load", "dots", "mysystem_dot_prod_dot_west_dot_cpu_dot_load"),
        ("mysystem.prod.west.cpu.load_total", "values", "U__mysystem_2e_prod_2e_west_2e_cpu_2e_load__total"),
        ("mysystem.prod.west.cpu.load_total", "dots", "mysystem_dot_prod_dot_west_dot_cpu_dot_load__total"),
        ("http.status:sum", "values", "U__http_2e_status:sum"),
        ("label with 😱", "values", "U__label_20_with_20__1f631_"),
        ("label with 😱", "dots", "label__with____"),
    ],
)
def test_schemes_are_prometheus_own(name: str, scheme: str, escaped: str) -> None:
    """The examples of its libraries' tests."""
    assert escape_name(name, scheme) == escaped


@pytest.mark.parametrize(
    ("accept", "names", "escaping"),
    [
        (PROMETHEUS_3, "legacy", "underscores"),
        (PROMETHEUS_3.replace("allow-utf-8", "underscores"), "utf8", "underscores"),
        ("text/plain;version=0.0.4;escaping=allow-utf-8", "utf8", "underscores"),
        ("text/plain;version=1.0.0", "utf8", None),
        (None, "utf8", None),
    ],
)
def test_nobody_gets_such_names_unasked(accept: str | None, names: str, escaping: str | None) -> None:
    """The option and the scraper must both want them, in a format that has them; else the page is as ever."""
    content_type, page = made(names).render(accept)
    assert ("escaping=" in content_type) == (escaping is not None)
    assert escaping is None or content_type.endswith(f"escaping={escaping}")
    found = shown(page, "openmetrics" in content_type)
    assert found["wayside_train_loss"] == 0
    assert sum(name.startswith("wayside_train_loss_x") for name in found) == 3


def test_pages_with_such_names_are_joined() -> None:
    """A family that an earlier page has, too, is left out whole, quotes and blanks in its name or not."""
    chosen = negotiate(PROMETHEUS_3, utf8=True)
    page = made().render_as(chosen)
    both = join(
        [page, page, b'# HELP "wayside_ other" x\n# TYPE "wayside_ other" gauge\n{"wayside_ other"} 1\n# EOF\n']
    )
    assert both.count(b'# TYPE "wayside_train/loss" gauge') == 1
    assert shown(both, True) == shown(page, True)
    assert b'{"wayside_ other"} 1' in both
