"""What every benchmark needs: a collector of its own, percentiles, and one way to print a number beside a peer's.

Ratios within one run are what counts: the machine is shared, and its speed is not ours to promise.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Running:
    """A collector in a process of its own. environ: what a trainer needs to find it."""

    url: str
    pid: int
    folder: Path
    environ: dict[str, str]

    def status(self) -> dict[str, Any]:
        with urllib.request.urlopen(f"{self.url}status", timeout=30) as answer:
            found: dict[str, Any] = json.load(answer)
        return found

    def rss(self) -> int:
        """Bytes resident."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        return 0

    def peak_rss(self) -> int:
        """Bytes resident at most so far."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
        return 0

    def cpu_seconds(self) -> float:
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """A folder on the disk the repository is on, removed at the end."""
    with tempfile.TemporaryDirectory(prefix="wayside-bench-", dir=Path(__file__).parent) as name:
        yield Path(name)


@contextlib.contextmanager
def collector(
    sinks: str = "{prometheus: {}, jsonl: {}}",
    sources: str = "{host: {}}",
    *,
    top: str = "",
    folder: Path | None = None,
    end: signal.Signals = signal.SIGTERM,
) -> Iterator[Running]:
    """A collector below a folder, by default one of its own, ended at the end. top: more lines of its configuration."""
    with contextlib.nullcontext(folder) if folder is not None else scratch() as folder:
        environ = {
            **os.environ,
            "WAYSIDE_SOCKET": str(folder / "wayside.sock"),
            "WAYSIDE_DIR": str(folder),
            "WAYSIDE_QUIET": "1",
        }
        (folder / "wayside.yaml").write_text(
            f"listen: 127.0.0.1:0\ndir: {folder}\nsinks: {sinks}\nsources: {sources}\nlog: {{level: warning}}\n{top}"
        )
        command = [sys.executable, "-m", "wayside_collector", "run", "--config", str(folder / "wayside.yaml")]
        process = subprocess.Popen(command, env=environ, cwd=folder)
        try:
            note = folder / "collector.json"
            wait_for(lambda: note.exists() and json.loads(note.read_text())["pid"] == process.pid)
            yield Running(json.loads(note.read_text())["url"], process.pid, folder, environ)
        finally:
            process.send_signal(end)
            process.wait(60)


def wait_for(condition: Any, seconds: float = 120.0) -> None:
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            raise TimeoutError(f"waited {seconds:g} s in vain")
        time.sleep(0.02)


def child(source: str, *arguments: object, environ: dict[str, str] | None = None) -> Any:
    """Run a piece of Python in a fresh process; what it prints last is JSON, and is returned."""
    command = [sys.executable, "-c", source, *(str(argument) for argument in arguments)]
    done = subprocess.run(command, env=environ or dict(os.environ), stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout.decode().strip().splitlines()[-1])


def percentile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def show(what: str, ours: str, peer: str = "", verdict: str = "") -> None:
    """One line: what was measured, ours, the peer's beside it, and how they compare."""
    print(f"{what:58} {ours:>16}   {peer:32} {verdict}", flush=True)


def gate(met: bool) -> str:
    return "met" if met else "NOT MET"
