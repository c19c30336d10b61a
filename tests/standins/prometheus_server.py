"""Prometheus itself, Debian's, as a process of a test's machine: it scrapes, takes what is pushed, and answers."""

import json
import shutil
import urllib.parse
from collections.abc import Mapping, Sequence
from typing import Any

import psutil
from e2e.machine import Machine, fetch, until


def find(program: str) -> str:
    found = shutil.which(program)
    assert found, f"{program} is missing: run scripts/install-test-packages"
    return found


class Prometheus:
    """A server with this configuration. port: 0 for one it chooses."""

    def __init__(self, machine: Machine, config: Mapping[str, Any], flags: Sequence[str] = (), port: int = 0) -> None:
        path = machine.folder / "prometheus.yml"
        path.write_text(json.dumps(config))
        command = [find("prometheus"), f"--config.file={path}", f"--storage.tsdb.path={machine.folder / 'tsdb'}"]
        self.process, self.log = machine.start([*command, f"--web.listen-address=127.0.0.1:{port}", *flags])
        self.url = f"http://127.0.0.1:{until(self._port, 'a port of Prometheus')}"

    def _port(self) -> int:
        assert self.process.poll() is None, self.log.read_text()
        for connection in psutil.Process(self.process.pid).net_connections("tcp"):
            if connection.status == psutil.CONN_LISTEN:
                return int(connection.laddr.port)
        return 0

    @property
    def endpoint(self) -> str:
        """Where it takes what is pushed."""
        return f"{self.url}/api/v1/write"

    def wait_ready(self) -> "Prometheus":
        until(self._is_ready, "Prometheus is ready")
        return self

    def _is_ready(self) -> bool:
        try:
            return "Ready" in fetch(f"{self.url}/-/ready")
        except OSError:
            return False

    def ask(self, query: str, at: float | None = None) -> list[dict[str, Any]]:
        """What a query answers, now or at a time: labels and value of each series."""
        when = {} if at is None else {"time": at}
        return [
            {**one["metric"], "value": float(one["value"][1])} for one in self._query(query, when) if "value" in one
        ]

    def samples(
        self, selector: str, at: float, window: str = "1h"
    ) -> list[tuple[dict[str, str], list[tuple[float, float]]]]:
        """Every sample of each series in a window that ends at a time: (Unix time in seconds, value)."""
        found = self._query(f"{selector}[{window}]", {"time": at})
        return [(one["metric"], [(float(t), float(v)) for t, v in one["values"]]) for one in found]

    def _query(self, query: str, more: Mapping[str, object]) -> list[dict[str, Any]]:
        url = f"{self.url}/api/v1/query?{urllib.parse.urlencode({'query': query, **more})}"
        try:
            found: list[dict[str, Any]] = json.loads(fetch(url))["data"]["result"]
        except OSError:  # it is still starting
            return []
        return found

    def wait(self, query: str) -> list[dict[str, Any]]:
        return until(lambda: self.ask(query), f"an answer to {query}")

    def rules(self) -> list[dict[str, Any]]:
        """The groups of rules as it sees them, once each rule was evaluated; before, none."""
        groups: list[dict[str, Any]] = json.loads(fetch(f"{self.url}/api/v1/rules"))["data"]["groups"]
        waits = any(rule["health"] == "unknown" for group in groups for rule in group["rules"])
        return [] if waits else groups
