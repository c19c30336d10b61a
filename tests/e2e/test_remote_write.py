"""A collector pushes into a real Prometheus, Debian's, which goes away and comes back meanwhile."""

import sys
import time

import pytest
from e2e.machine import Collector, Machine, check_books, free_port, until
from standins.prometheus_server import Prometheus

pytestmark = pytest.mark.timeout(180)

JOB = (
    "import sys, time, wayside\n"
    "with wayside.init(id='r1', name='first', project='e2e'):\n"
    "    for step in range(400):\n"
    "        wayside.log({'train/loss': 1.0 / (1 + step), 'lr': 1e-3}, step=step)\n"
    "        time.sleep(0.002)\n"
)
RECEIVES = ("--web.enable-remote-write-receiver",)


def config(endpoint: str, **options: object) -> dict[str, object]:
    sink = {"endpoint": endpoint, "external_labels": {"cluster": "c1"}, **options}
    return {"sinks": {"remote_write": sink, "jsonl": {}}, "sources": {}}


def log_a_run(machine: Machine) -> None:
    done = machine.run(sys.executable, "-c", JOB, RANK="0", WORLD_SIZE="1")
    assert done.returncode == 0, done.stdout + done.stderr


def check_all_there(prometheus: Prometheus, machine: Machine, collector: Collector) -> None:
    """Each row of the jsonl sink is there, at its own time."""
    wanted = {round(row["time"] * 1000): row["metrics"]["train/loss"] for row in machine.rows("r1")}
    ((labels, points),) = until(
        lambda: prometheus.samples('wayside_train_loss{run="r1"}', time.time()), "samples of the run"
    )
    assert (labels["rank"], labels["cluster"]) == ("0", "c1")
    assert {round(at * 1000): value for at, value in points} == wanted
    status = collector.status()["sinks"]["remote_write"]
    check_books(status)
    assert not any(status["dropped"].values()), status


def test_every_row_is_there_at_its_time(machine: Machine) -> None:
    """400 rows two milliseconds apart, and the series ends where the run did."""
    prometheus = Prometheus(machine, {}, RECEIVES).wait_ready()
    collector = machine.collector(config(prometheus.endpoint)).wait_ready()
    log_a_run(machine)
    collector.wait_delivered(sinks=("remote_write", "jsonl"))
    check_all_there(prometheus, machine, collector)
    last = max(row["time"] for row in machine.rows("r1"))
    assert prometheus.ask('wayside_train_loss{run="r1"}', at=last + 0.0005)
    assert not prometheus.ask('wayside_train_loss{run="r1"}', at=last + 30)


def test_both_are_killed_in_the_middle(machine: Machine) -> None:
    """Prometheus without a receiver at first, killed later, the collector killed, too: every row arrives, once."""
    port = free_port()
    shut = Prometheus(machine, {}, port=port).wait_ready()
    collector = machine.collector(config(shut.endpoint, max_samples_per_send=100)).wait_ready()
    log_a_run(machine)
    until(lambda: "404" in str(collector.status()["sinks"]["remote_write"]["last_error"]), "a word of the 404")
    shut.process.kill()
    shut.process.wait()
    prometheus = Prometheus(machine, {}, RECEIVES, port=port).wait_ready()
    until(
        lambda: (
            prometheus.ask('wayside_train_loss{run="r1"}')
            or prometheus.samples('wayside_train_loss{run="r1"}', time.time())
        ),
        "the first samples",
    )
    collector.kill()
    collector = machine.collector(config(prometheus.endpoint, max_samples_per_send=100)).wait_ready()
    collector.wait_delivered(sinks=("remote_write", "jsonl"))
    check_all_there(prometheus, machine, collector)
