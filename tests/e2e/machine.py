"""A machine for end-to-end tests: collectors and jobs as real processes, with folders, socket and ports of their own.

Nothing here reaches into the product: a test sees what a user sees, that is exit codes, the log, HTTP, and the files
of the jsonl sink. Waiting is asking again until a generous deadline; a failure shows the collector's log.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from memory import make_folder

PATIENCE = 30.0  #: seconds: only a broken program needs them
HERE = Path(__file__).parent
COLLECTOR = (sys.executable, "-m", "wayside_collector")
QUIET: dict[str, Any] = {"sinks": {"jsonl": {}, "prometheus": {}}, "sources": {}}  #: a configuration without samplers

#: What a test's processes inherit; everything else (WAYSIDE_*, WANDB_*, ranks, proxies) would change what they do.
_INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH", "USER")

Found = TypeVar("Found")


def until(ask: Callable[[], Found], what: str, *, within: float = PATIENCE) -> Found:
    """The first true answer; fails when none comes."""
    deadline = time.monotonic() + within
    while not (found := ask()):
        if time.monotonic() > deadline:
            raise AssertionError(f"after {within:g} s still not: {what}; the last answer was {found!r}")
        time.sleep(0.05)
    return found


def fetch(url: str, accept: str | None = None) -> str:
    """The body of an answer; raises OSError, for any status but 200, too."""
    request = urllib.request.Request(url, headers={"Accept": accept} if accept else {})
    with urllib.request.urlopen(request, timeout=10) as answer:
        body: bytes = answer.read()
    return body.decode()


class Collector:
    """A running collector. `log` is its stderr."""

    def __init__(self, machine: "Machine", process: "subprocess.Popen[bytes]", log: Path) -> None:
        self.process = process
        self.log = log
        self._machine = machine
        self._url = ""

    @property
    def url(self) -> str:
        """Where its pages are, without a slash at the end: from the note beside the socket."""
        if not self._url:
            self._url = until(self._read_note, f"a note of pid {self.process.pid}; its log:\n{self.read_log()}")
        return self._url

    def _read_note(self) -> str:
        assert self.process.poll() is None, f"the collector ended with {self.process.returncode}:\n{self.read_log()}"
        try:
            note = json.loads((self._machine.socket.parent / "collector.json").read_text())
        except (OSError, ValueError):
            return ""
        return str(note["url"]).rstrip("/") if note["pid"] == self.process.pid else ""

    def wait_ready(self) -> "Collector":
        until(self.is_ready, f"ready; its log:\n{self.read_log()}")
        return self

    def is_ready(self) -> bool:
        try:
            return fetch(f"{self.url}/readyz") == "ok\n"
        except OSError:
            return False

    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(fetch(f"{self.url}/status"))
        return found

    def metrics(self) -> str:
        return fetch(f"{self.url}/metrics")

    def read_log(self) -> str:
        return self.log.read_text(errors="replace")

    def wait_delivered(self, *, sinks: Sequence[str] = ("jsonl",)) -> dict[str, Any]:
        """The status once no session is open and these sinks have nothing waiting, with their books balanced."""

        status: dict[str, Any] = {}

        def is_delivered() -> bool:
            status.update(self.status())
            is_open = any(session["state"] == "open" for session in status["sessions"])
            waits = any(status["sinks"][name][unit]["waiting"] for name in sinks for unit in ("rows", "events"))
            return bool(status["sessions"]) and not is_open and not waits

        try:
            until(is_delivered, "everything delivered")
        except AssertionError as problem:
            raise AssertionError(f"{problem}; the status:\n{status}\nthe log:\n{self.read_log()}") from None
        for name in sinks:
            check_books(status["sinks"][name])
        return status

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Signal it and wait; returns its exit code."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)

    def kill(self) -> None:
        self.stop(signal.SIGKILL)


def check_books(sink: Mapping[str, Any]) -> None:
    """Law 3, in each unit."""
    for books in (sink, sink["rows"], sink["events"]):
        assert books["received"] == books["delivered"] + books["waiting"] + sum(books["dropped"].values()), books


class Machine:
    """Folders, a socket, an environment, and every process started here. memory: whether the socket's folder is
    memory-backed, as it is in a pod.
    """

    def __init__(self, folder: Path, *, memory: bool = True) -> None:
        self.folder = folder
        self.dir = folder / "wayside"
        # Short, since a socket's path is at most 107 bytes, which pytest's folders may be by themselves.
        self.memory = make_folder("e2e-")
        self.beside = self.memory if memory else Path(tempfile.mkdtemp(prefix="wayside-e2e-", dir="/tmp"))
        self.socket = self.beside / "wayside.sock"
        self._processes: list[subprocess.Popen[bytes]] = []
        self._logs = 0

    def environ(self, **more: str) -> dict[str, str]:
        found = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        found.update(WAYSIDE_SOCKET=str(self.socket), WAYSIDE_DIR=str(self.dir), WAYSIDE_LISTEN="127.0.0.1:0")
        found["WAYSIDE_SHARED_MEMORY"] = str(self.memory)
        return {**found, **more}

    def collector(self, config: Mapping[str, Any] = QUIET, **environ: str) -> Collector:
        """A collector that was just started; `wait_ready` when it must be there."""
        path = self.folder / "wayside.yaml"
        path.write_text(yaml.safe_dump(dict(config)))
        process, log = self.start([*COLLECTOR, "run", "--config", str(path)], **environ)
        return Collector(self, process, log)

    def start(self, command: Sequence[str], **environ: str) -> "tuple[subprocess.Popen[bytes], Path]":
        """A process, and the file with what it says."""
        self._logs += 1
        log = self.folder / f"process-{self._logs}.log"
        with log.open("wb") as out:
            process = subprocess.Popen(
                command, cwd=self.folder, env=self.environ(**environ), stdout=out, stderr=subprocess.STDOUT
            )
        self._processes.append(process)
        return process, log

    def run(self, *command: str, **environ: str) -> "subprocess.CompletedProcess[str]":
        """A command, to its end."""
        return subprocess.run(
            command, cwd=self.folder, env=self.environ(**environ), capture_output=True, text=True, timeout=PATIENCE * 2
        )

    def wayside_collector(self, *arguments: str, **environ: str) -> "subprocess.CompletedProcess[str]":
        """The command line, to its end."""
        return self.run(*COLLECTOR, *arguments, **environ)

    def lines(self, run: str | None = None, having: bytes = b"") -> list[dict[str, Any]]:
        """What the jsonl sink has written so far, of one run or of all, in order; whole lines only, and of those only
        the ones with these bytes in them.
        """
        found = []
        for path in sorted((self.dir / "jsonl").glob("rows-*.jsonl")):
            for line in path.read_bytes().splitlines(keepends=True):
                if having in line and line.endswith(b"\n"):
                    found.append(json.loads(line))
        return [line for line in found if run is None or line["run"] == run]

    def rows(self, run: str | None = None) -> list[dict[str, Any]]:
        return [line for line in self.lines(run, b',"metrics":{') if "metrics" in line]

    def events(self, kind: str, run: str | None = None) -> list[dict[str, Any]]:
        return [line["event"] for line in self.lines(run, b'"event":{"kind":"%b"' % kind.encode()) if "event" in line]

    def close(self) -> None:
        """End what still runs and remove the folders beside pytest's own."""
        for process in self._processes:
            if process.poll() is None:
                process.kill()
            process.wait()
        for folder in (self.beside, self.memory):
            shutil.rmtree(folder, ignore_errors=True)


def free_port() -> int:
    """A port nobody listens on; for programs that cannot be told to choose one themselves."""
    with socket.socket() as asked:
        asked.bind(("127.0.0.1", 0))
        port: int = asked.getsockname()[1]
    return port
