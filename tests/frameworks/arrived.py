"""What arrived of a framework's training: in the lines of the jsonl sink, and the same in the store."""

from typing import Any

from e2e.machine import Collector, Machine
from wayside_collector.store import Reader


class Arrived:
    """One run. steps: (step, metrics) of each row, in the order logged; config, summary: as they are in the end."""

    def __init__(self, machine: Machine, run: str) -> None:
        self.steps = [(row["step"], row["metrics"]) for row in machine.rows(run)]
        self.config = _merged(machine.events("config", run))
        self.summary = _merged(machine.events("summary", run))
        self.exit_codes = [event["exit_code"] for event in machine.events("finish", run)]

    def names(self) -> set[str]:
        return {name for _, metrics in self.steps for name in metrics}

    def curve(self, name: str) -> list[tuple[int, float]]:
        return [(step, metrics[name]) for step, metrics in self.steps if name in metrics]


def _merged(changes: list[dict[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for change in changes:
        found.update(change["set"])
    return found


def arrived(machine: Machine, collector: Collector, run: str = "r1") -> Arrived:
    """Once everything is delivered and the collector has ended. The store must have what the lines have."""
    collector.wait_delivered(sinks=("jsonl", "store"))
    assert collector.stop() == 0
    found = Arrived(machine, run)
    reader = Reader(str(machine.dir / "store" / "store.db"))
    try:
        for name in found.names():
            (curve,) = reader.curves(run, name, max_points=20_000)
            assert list(zip(curve.steps, curve.values, strict=True)) == found.curve(name), name
    finally:
        reader.close()
    return found
