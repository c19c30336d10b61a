"""Prometheus itself, Debian's, scrapes a running collector and answers what people ask of it."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from e2e.hardware import USED, make_gpu
from e2e.machine import Collector, Machine, fetch, until
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from standins.prometheus_server import Prometheus, find

pytestmark = pytest.mark.timeout(120)

RUN = (
    "import pathlib, sys, time, wayside\n"
    "with wayside.init(id='r1', name='first', project='e2e'):\n"
    "    step = 0\n"
    "    while not pathlib.Path(sys.argv[1]).exists():\n"
    "        wayside.log({'train/loss': 0.25, 'lr': 1e-3}, step=step)\n"
    "        step += 1\n"
    "        time.sleep(0.05)\n"
)


@pytest.fixture
def collector(machine: Machine) -> Collector:
    """A collector that samples a GPU."""
    return machine.collector({"sinks": {"prometheus": {}}, "sources": make_gpu(machine.folder / "sys")}).wait_ready()


@pytest.fixture
def prometheus(machine: Machine, collector: Collector) -> Prometheus:
    target = collector.url.removeprefix("http://")
    job = {"job_name": "wayside", "scrape_interval": "1s", "static_configs": [{"targets": [target]}]}
    return Prometheus(machine, {"scrape_configs": [job]})


@pytest.fixture
def run(machine: Machine) -> Iterator[Path]:
    """A run that logs until the file is there which this gives."""
    end = machine.folder / "end"
    process, log = machine.start([sys.executable, "-c", RUN, str(end)], RANK="0", WORLD_SIZE="1")
    yield end
    end.touch()
    assert process.wait(30) == 0, log.read_text()


def test_queries_answer(prometheus: Prometheus, run: Path) -> None:
    """A metric of the run, one of the GPU, and the GPU of the run by the documented join."""
    (loss,) = prometheus.wait('wayside_train_loss{run="r1"}')
    assert (loss["value"], loss["rank"], loss["job"]) == (0.25, "0", "wayside")
    (memory,) = prometheus.wait("wayside_gpu_memory_used_bytes")
    assert (memory["value"], memory["gpu"]) == (USED, "0")
    (info,) = prometheus.wait('wayside_run_info{run="r1"}')
    assert (info["run_name"], info["project"], info["host"]) == ("first", "e2e", memory["host"])
    join = 'wayside_gpu_utilization_ratio * on (instance, host) group_left (run, run_name) wayside_run_info{run="r1"}'
    (joined,) = prometheus.wait(join)
    assert (joined["run"], joined["run_name"], joined["gpu"], joined["value"]) == ("r1", "first", "0", 0.98)
    assert prometheus.ask("up")[0]["value"] == 1.0
    assert prometheus.wait("rate(wayside_ingest_rows_total[10s]) > 0")


def test_a_run_that_ended_answers_nothing_any_more(prometheus: Prometheus, run: Path) -> None:
    """Its series are gone two scrapes after its end, not five minutes; when it ended is still told, and so is the
    GPU.
    """
    prometheus.wait('wayside_train_loss{run="r1"}')
    assert not prometheus.ask('wayside_run_end_timestamp_seconds{run="r1"}')
    run.touch()
    (ended,) = prometheus.wait('wayside_run_end_timestamp_seconds{run="r1"}')
    until(lambda: not prometheus.ask('wayside_train_loss{run="r1"}'), "an end of the run's series", within=15)
    assert prometheus.ask('wayside_run_end_timestamp_seconds{run="r1"}')[0]["value"] == ended["value"]
    assert prometheus.ask('last_over_time(wayside_run_exit_code{run="r1"}[5m])')[0]["value"] == 0
    assert prometheus.ask("wayside_gpu_memory_used_bytes")[0]["value"] == USED
    assert prometheus.ask('last_over_time(wayside_train_loss{run="r1"}[5m])')[0]["value"] == 0.25


@pytest.mark.parametrize("accept", [None, "application/openmetrics-text; version=1.0.0"])
def test_promtool_finds_nothing_to_say(collector: Collector, run: Path, accept: str | None) -> None:
    """`promtool check metrics` passes the page of a running collector, runs and hardware on it, without a word."""
    until(lambda: "wayside_train_loss" in collector.metrics(), "the run on the page")
    until(lambda: "wayside_gpu_memory_used_bytes" in collector.metrics(), "the GPU on the page")
    page = fetch(f"{collector.url}/metrics", accept)
    assert page.endswith("# EOF\n") == bool(accept)
    done = subprocess.run(
        [find("promtool"), "check", "metrics"], input=collector.metrics(), capture_output=True, text=True, timeout=30
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_dashboards_and_rules_of_others_find_their_names(machine: Machine, run: Path) -> None:
    """In Prometheus: dcgm-exporter's of the GPU, in percent, and those of Lens's alert rules."""
    config = {"sinks": {"prometheus": {"aliases": ["dcgm", "lens"]}}, "sources": make_gpu(machine.folder / "sys")}
    collector = machine.collector(config).wait_ready()
    target = collector.url.removeprefix("http://")
    job = {"job_name": "wayside", "scrape_interval": "1s", "static_configs": [{"targets": [target]}]}
    prometheus = Prometheus(machine, {"scrape_configs": [job]})
    (used,) = prometheus.wait('DCGM_FI_DEV_GPU_UTIL{instance=~".+", gpu="0"}')
    assert used["value"] == pytest.approx(98)
    (loss,) = prometheus.wait("training_loss")
    assert loss["value"] == 0.25
    assert prometheus.wait("time() - training_last_iteration_timestamp < 60")


def test_a_whole_page_of_names_as_they_were_logged(machine: Machine, run: Path) -> None:
    """Our own health and the run's metrics on one page, which prometheus_client's parser reads to its end."""
    collector = machine.collector({"sinks": {"prometheus": {"names": "utf8"}}, "sources": {}}).wait_ready()
    until(lambda: "wayside_train_loss" in collector.metrics(), "the run on the page")
    page = fetch(f"{collector.url}/metrics", "application/openmetrics-text; version=1.0.0; escaping=allow-utf-8")
    samples = [sample for family in text_string_to_metric_families(page) for sample in family.samples]
    assert [one.value for one in samples if one.name == "wayside_train/loss"] == [0.25]
    assert any(one.name == "wayside_ingest_rows_total" for one in samples)
