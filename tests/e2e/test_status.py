"""/status: what a person, a script and `wayside-collector status` may count on being there."""

import json
import urllib.request
from typing import Any

from e2e.machine import Machine
from e2e.trainers import Trainer, wait_finishes
from wayside_collector import __version__

NUMBER = (int, float)
BOOKS = {"received": int, "delivered": int, "waiting": int, "dropped": dict, "filtered": int, "redelivered": int}
SINK = {**BOOKS, "rows": dict, "events": dict, "lag_seconds": NUMBER, "failures": int, "dead_letters": int}
SESSION = {"session": str, "run": str, "name": str, "project": str, "host": str, "pid": int, "started": NUMBER}
SOURCE = {"success": bool, "failures": int, "duration_seconds": NUMBER}


def has(found: dict[str, Any], shape: dict[str, Any], where: str) -> None:
    """Everything of a shape is there, under its name and in its type; more may be."""
    for key, kind in shape.items():
        assert isinstance(found.get(key), kind), f"{where}.{key} is {found.get(key)!r}"


def test_the_status_has_the_shape_that_is_promised(machine: Machine) -> None:
    """Version, sessions, sources, and each sink's books with its lag and last error; strict JSON throughout."""
    sinks = {"jsonl": {}, "prometheus": {}, "lens": {"endpoint": "http://127.0.0.1:9/v1"}}
    collector = machine.collector({"sinks": sinks, "sources": {"host": {"interval": "1s"}}, "grace": "1s"}).wait_ready()
    trainer = Trainer(machine, "r1", rows=20)
    trainer.end()
    wait_finishes(machine, [trainer], collector)
    collector.wait_delivered()
    with urllib.request.urlopen(f"{collector.url}/status", timeout=10) as answer:
        status = json.loads(answer.read(), parse_constant=lambda name: 1 / 0)
    has(status, {"version": str, "started": NUMBER, "pid": int, "socket": str, "listen": str}, "")
    assert status["version"] == __version__
    assert status["ready"] is True
    (session,) = status["sessions"]
    has(session, SESSION, "sessions")
    assert (session["run"], session["state"]) == ("r1", "ended")
    assert set(status["sinks"]) == {"jsonl", "prometheus", "lens"}
    for name, sink in status["sinks"].items():
        has(sink, SINK, f"sinks.{name}")
        for unit in (sink, sink["rows"], sink["events"]):
            has(unit, BOOKS, f"sinks.{name}")
            assert all(isinstance(count, int) for count in unit["dropped"].values())
            assert unit["received"] == unit["delivered"] + unit["waiting"] + sum(unit["dropped"].values())
        assert sink["last_error"] is None or isinstance(sink["last_error"], str)
    assert status["sinks"]["lens"]["last_error"]
    assert status["sinks"]["lens"]["rows"]["waiting"] > 0
    for name, source in status["sources"].items():
        has(source, SOURCE, f"sources.{name}")
    has(status["spool"], {"path": str, "bytes": int, "max_bytes": int, "damaged": int}, "spool")
    assert collector.stop() == 0
