"""Ingest over HTTP in a real collector: counted through the spool, the store and the books, over a SIGKILL of it."""

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from e2e.machine import Collector, Machine, check_books, fetch, until
from standins.lens_exporter import Exporter

CONFIG: dict[str, Any] = {"sinks": {"jsonl": {}, "store": {}}, "sources": {}}


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    machine = Machine(tmp_path)
    yield machine
    machine.close()


def post(collector: Collector, path: str, value: Any) -> dict[str, Any]:
    request = urllib.request.Request(
        collector.url + path, json.dumps(value).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        found: dict[str, Any] = json.load(answer)
    return found


def rows(first: int, count: int) -> dict[str, Any]:
    found = [{"metrics": {"loss": 1.0, "lr": 0.1}, "step": step} for step in range(first, first + count)]
    return {"session": "s", "seq": first, "rows": found}


@pytest.mark.timeout(120)
def test_what_was_answered_arrives_once_over_a_kill(machine: Machine) -> None:
    """Rows answered with 200, and sent again after a SIGKILL of the collector, are in every sink once; the exporter's
    and the numbered session go on where they were; and the books balance.
    """
    first = machine.collector(CONFIG).wait_ready()
    exporter = Exporter(first.url + "/api/v1")
    exporter.init("p", "amd", "name", {"lr": 0.1})
    for step in range(30):
        exporter.log({"loss": 1.0, "acc": 0.5}, step=step)
    exporter.flush_all()
    post(first, "/api/v1/runs", {"id": "http", "project": "p2", "config": {"a": 1}})
    post(first, "/api/v1/runs/http/log", rows(0, 100))
    first.kill()
    second = machine.collector(CONFIG).wait_ready()
    exporter.base = second.url + "/api/v1"
    for step in range(30, 50):
        exporter.log({"loss": 1.0, "acc": 0.5}, step=step)
    exporter.flush_all()
    taken = post(second, "/api/v1/runs/http/log", rows(50, 100))
    assert (taken["accepted"], taken["doubles"], taken["next_seq"]) == (50, 50, 150)
    post(second, "/api/v1/runs/http/finish", {"exit_code": 0})
    assert (exporter.sent, exporter.refused) == (51, 0)

    def is_delivered() -> bool:
        sinks = second.status()["sinks"]
        return all(not sinks[name][unit]["waiting"] for name in sinks for unit in ("rows", "events"))

    until(lambda: len(machine.rows("http")) == 150 and len(machine.rows("amd")) == 50 and is_delivered(), "delivered")
    status = second.status()
    for sink in status["sinks"].values():
        check_books(sink)
        assert (sink["rows"]["received"], sink["received"]) == (200, 400)
    assert {row["step"] for row in machine.rows("http")} == set(range(150))
    assert len({session["session"] for session in status["sessions"] if session["run"] == "amd"}) == 1
    run = json.loads(fetch(f"{second.url}/api/v1/runs/http"))
    assert (run["project"], run["state"], run["step"]) == ("p2", "finished", 149)
    amd = json.loads(fetch(f"{second.url}/v1/workloads/w1/metrics/data?metrics=acc"))
    assert [point["iteration"] for point in amd["data"]] == list(range(50))
    assert second.stop() == 0
