"""A collector pushes into a real Prometheus, Debian's, which goes away and comes back meanwhile."""

import json
import sys
import time
import urllib.request

import pytest
from e2e.machine import Collector, Machine, check_books, free_port, until
from standins.certificates import make_certificate
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


def post(collector: Collector, run: str, times: list[float]) -> None:
    """Rows of these times, as a script may post them."""
    rows = [{"metrics": {"x": float(place)}, "time": at, "step": place} for place, at in enumerate(times)]
    body = json.dumps({"rows": rows}).encode()
    url = f"{collector.url}/api/v1/runs/{run}/log"
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=20) as answer:
        assert answer.status == 200


def points(collector: Collector) -> dict[str, int]:
    sink = collector.status()["sinks"]["remote_write"]
    check_books(sink)
    return {"delivered": sink["delivered"], "waiting": sink["waiting"], **sink["dropped"]}


def test_what_it_does_not_take_is_booked_and_all_else_arrives(machine: Machine) -> None:
    """Rows three hours old, in the middle of the night's backlog, and one that goes back in time: dead letters with
    Prometheus' own words; books that balance; every other row there.
    """
    now = time.time()
    prometheus = Prometheus(machine, {}, RECEIVES).wait_ready()
    collector = machine.collector(config(prometheus.endpoint)).wait_ready()
    post(collector, "young", [now - 20 + second for second in range(10)])
    until(lambda: points(collector)["delivered"] == 10, "the young ones")
    post(collector, "old", [now - 3 * 3600 + second for second in range(500)] + [now - 5, now - 4])
    until(lambda: points(collector).get("rejected") == 500, "the old ones refused")
    post(collector, "young", [now - 15.5, now - 5])
    until(lambda: points(collector).get("rejected") == 501, "the late one refused")
    until(lambda: points(collector) == {"delivered": 13, "waiting": 0, "rejected": 501}, "the rest")
    for run, wanted in (("old", [500, 501]), ("young", [*range(10), 1])):
        ((_, found),) = prometheus.samples(f'wayside_x{{run="{run}"}}', time.time(), "4h")
        assert [value for _, value in found] == wanted
    asked = ("dead-letters", "list", "--sink", "remote_write", "--limit", "1000", "--url", collector.url)
    letters = machine.wayside_collector(*asked).stdout
    assert "out of bounds" in letters
    assert "out of order" in letters


#: "s3cret-password" by bcrypt, which is all that Prometheus takes.
HASHED = "$2b$04$2CD9ZP0o/cKdx.aRRVXBeebrT8rXt/5T3UQIpoyTexcyKFFnkuNGO"


def test_tls_and_a_password(machine: Machine) -> None:
    """Prometheus' own TLS and basic authentication; a wrong password is told, without it, and rows wait."""
    server = make_certificate(machine.folder)
    tls = {"cert_file": str(server.cert), "key_file": str(server.key)}
    web = machine.folder / "web.yml"
    web.write_text(json.dumps({"tls_server_config": tls, "basic_auth_users": {"me": HASHED}}))
    prometheus = Prometheus(machine, {}, [*RECEIVES, f"--web.config.file={web}"])
    until(lambda: "ready to receive web requests" in prometheus.log.read_text(), "Prometheus is ready")
    password = machine.folder / "password"
    password.write_text("a-wrong-password\n")
    options = {"ca_file": str(server.cert), "basic_user": "me", "basic_password_file": str(password)}
    endpoint = prometheus.endpoint.replace("http:", "https:")
    collector = machine.collector(config(endpoint, **options)).wait_ready()
    post(collector, "r1", [time.time()])
    said = until(lambda: collector.status()["sinks"]["remote_write"]["last_error"], "the refusal")
    assert "401" in said
    assert "a-wrong" not in said + collector.read_log()
    password.write_text("s3cret-password\n")
    until(lambda: points(collector) == {"delivered": 1, "waiting": 0}, "the row", within=60)
