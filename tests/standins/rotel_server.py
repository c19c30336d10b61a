"""rotel, a collector of OpenTelemetry in Rust, as a process of a test's machine: it passes on what it gets."""

import importlib.util
from pathlib import Path

from e2e.machine import Machine, free_port


class Rotel:
    """It listens at `endpoint` and exports to `to`."""

    def __init__(self, machine: Machine, to: str) -> None:
        found = importlib.util.find_spec("rotel")
        assert found, "rotel is missing: make setup"
        assert found.origin
        port = free_port()
        command = [str(Path(found.origin).parent / "rotel-agent"), "start"]
        command += ["--otlp-http-endpoint", f"127.0.0.1:{port}", "--otlp-grpc-endpoint", f"127.0.0.1:{free_port()}"]
        command += ["--exporter", "otlp", "--otlp-exporter-protocol", "http", "--otlp-exporter-endpoint", to]
        self.process, self.log = machine.start(command)
        self.endpoint = f"http://127.0.0.1:{port}"
