"""Prometheus' own tool on a page as it is in use: its lint, and the joins that the documentation promises."""

import shutil
import subprocess
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge
from prometheus_client.exposition import generate_latest
from sinks.prometheus.pages import Desk, make_system, read_series
from wayside_collector.session import Pod
from wayside_collector.sinks.prometheus import join
from wayside_collector.sinks.prometheus.encode import pieces
from wayside_collector.testing import make_session

DOCS = Path(__file__).parents[3] / "docs" / "sinks" / "prometheus.md"


@pytest.fixture(scope="session")
def promtool() -> str:
    found = shutil.which("promtool")
    assert found, "promtool is missing: run scripts/install-test-packages (Debian package `prometheus`)"
    return found


def realistic() -> Desk:
    """Two runs on two hosts of four GPUs, one of them ended, as a training framework logs them."""
    desk = Desk()
    desk.clock.now = 100.0  # promtool's time begins at 0
    for host in ("host-0", "host-1"):
        system = make_system(host)
        described = {"vendor": "nvidia", "driver": "570.1", "name": "NVIDIA H200"}
        desk.tell(system, "device", {f"gpu/{gpu}": {"uuid": f"GPU-{host}-{gpu}", **described} for gpu in range(4)})
        metrics = {f"gpu/{gpu}/utilization_ratio": 0.9 for gpu in range(4)}
        metrics |= {f"gpu/{gpu}/energy_joules_total": 1e9 for gpu in range(4)}
        metrics |= {"gpu/0/process/1234/memory_used_bytes": 8e10, "host/memory_used_bytes": 1e11}
        metrics |= {"disk/nvme0n1/read_bytes_total": 5e12, "network/eth0/receive_bytes_total": 5e12}
        metrics |= {"filesystem///used_bytes": 1e10, "container/cpu_usage_seconds_total": 4711.0}
        desk.log(system, metrics)
    logged = {"train/loss": 2.31, "train/grad_norm": float("nan"), "lr": 3e-4, "perf/tokens_per_second": 51234.5}
    for run in ("r-8f3a", "r-1c22"):
        for rank in range(8):
            host = f"host-{rank // 4}"
            pod = Pod(name=f"train-{rank // 4}", namespace="ml", node=f"node-{rank // 4}")
            session = make_session(run=run, rank=rank, host=host, world_size=8, workload="w-1", pod=pod)
            desk.log(session, {**logged, "train.loss": 2.3}, step=120)
            if run == "r-1c22":
                desk.finish(session, 1)
    return desk


def test_promtool_finds_nothing_to_say(promtool: str) -> None:
    """`promtool check metrics` passes a page of runs, hardware and health without a word."""
    registry = CollectorRegistry()
    Counter("wayside_sink_delivered_points_total", "Points delivered.", ["sink"], registry=registry).labels("jsonl")
    Gauge("wayside_spool_bytes", "Bytes on disk.", registry=registry)
    desk = realistic()
    ours = "".join(pieces(desk.board.scrape(desk.clock()), False)).encode()
    done = subprocess.run(
        [promtool, "check", "metrics"], input=join([ours, generate_latest(registry)]), capture_output=True, timeout=15
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, b"")


def queries() -> list[str]:
    """The PromQL blocks of the documentation."""
    blocks = DOCS.read_text().split("```promql\n")[1:]
    return [block.split("\n```")[0] for block in blocks]


def as_series(series: dict[tuple[str, frozenset[tuple[str, str]]], float]) -> str:
    found = []
    for (name, labels), value in series.items():
        text = ",".join(f'{key}="{value}"' for key, value in sorted(labels))
        number = "_" if value != value else f"{value!r}+0x60"
        found.append(f"  - series: '{name}{{{text}}}'\n    values: '{number}'")
    return "\n".join(found)


def evaluate(promtool: str, folder: Path, query: str) -> str:
    """What promtool says, ten minutes on, of a query said to answer nothing: what it got, or an error."""
    desk = realistic()
    series = read_series("".join(pieces(desk.board.scrape(desk.clock()), False)), openmetrics=False)
    test = f"tests:\n- interval: 15s\n  input_series:\n{as_series(series)}\n  promql_expr_test:\n"
    test += "  - eval_time: 10m\n    expr: |\n" + "\n".join(f"      {line}" for line in query.splitlines()) + "\n"
    path = folder / "test.yml"
    path.write_text(test)
    done = subprocess.run([promtool, "test", "rules", str(path)], capture_output=True, text=True, timeout=15)
    return done.stdout + done.stderr


@pytest.mark.parametrize("number", range(5))
def test_the_documented_queries_find_something(promtool: str, tmp_path: Path, number: int) -> None:
    """Every query in the documentation is valid PromQL and matches one to one on two runs, two hosts, eight GPUs."""
    said = evaluate(promtool, tmp_path, queries()[number])
    assert "err:" not in said
    assert "got:" in said
    assert "nil" not in said.split("got:")[1]


def test_every_documented_query_is_tried() -> None:
    """The list above is as long as the documentation's."""
    assert len(queries()) == 5


def test_the_join_names_the_run_of_each_gpu(promtool: str, tmp_path: Path) -> None:
    """The documented join gives each GPU of the run once, with the run's labels, though two runs share the hosts."""
    said = evaluate(promtool, tmp_path, queries()[0])
    assert said.count('run="r-8f3a"') == 8
    assert 'run="r-1c22"' not in said


def test_a_join_without_a_run_is_refused(promtool: str, tmp_path: Path) -> None:
    """The check above can fail: without naming a run, two runs on a host match many to many, and promtool says so."""
    query = "wayside_gpu_utilization_ratio * on (host) group_left (run) wayside_run_info"
    assert "err:" in evaluate(promtool, tmp_path, query)
