"""A gateway and collectors that feed it, as real processes; each on a machine of its own."""

from pathlib import Path
from typing import Any

from e2e.machine import Collector, Machine, check_books, free_port, until
from wayside_collector.store import Reader

TOKEN = "w" * 24


class Gateway:
    """A machine whose collector others feed: on a port that stays, so that it can be killed and come back."""

    def __init__(self, folder: Path, **sinks: Any) -> None:
        folder.mkdir()
        self.machine = Machine(folder)
        self.port = free_port()
        self.config = {"sinks": sinks or {"store": {}, "jsonl": {}}, "sources": {}}
        self.collector: Collector | None = None

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> Collector:
        self.collector = self.machine.collector(self.config, WAYSIDE_LISTEN=f"127.0.0.1:{self.port}")
        return self.collector.wait_ready()

    def kill(self) -> None:
        assert self.collector is not None
        self.collector.kill()

    def reader(self) -> Reader:
        return Reader(str(self.machine.dir / "store" / "store.db"))


def feeding(endpoint: str, **more: Any) -> dict[str, Any]:
    """A sidecar's configuration."""
    return {"sinks": {"gateway": {"endpoint": endpoint, "interval": 0.05, "heartbeat": 1, **more}}, "sources": {}}


def wait_balanced(sidecar: Collector, gateway: Collector, sinks: tuple[str, ...]) -> dict[str, Any]:
    """The gateway's status once everything of the sidecar has come to its sinks."""
    mine = sidecar.wait_delivered(sinks=("gateway",))["sinks"]["gateway"]

    def arrived() -> dict[str, Any] | None:
        status = gateway.status()
        waits = any(status["sinks"][name][unit]["waiting"] for name in sinks for unit in ("rows", "events"))
        told = sum(one["points"] for one in status["feeders"])
        return None if waits or told < mine["delivered"] - mine["redelivered"] else status

    status = until(arrived, f"everything at the gateway; its log:\n{gateway.read_log()}", within=60) or {}
    for name in sinks:
        check_books(status["sinks"][name])
    return status
