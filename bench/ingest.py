"""How much one collector takes: a burst from one process into the spool, each batch synced before it is let go, and
what goes through prometheus and jsonl. Peer for the burst: rotel (Rust, memory only, nothing synced), fed by
ready-made OTLP requests.

    python bench/run.py ingest
"""

import contextlib
import importlib.util
import socket
import subprocess
import sys
import time
from pathlib import Path

from bench.harness import Running, child, collector, gate, show, wait_for

POINTS = 10
BURSTS = 5
BURST = """
import json, sys, time
import wayside
run = wayside.init(project="bench", name=sys.argv[2])
rows = int(sys.argv[1])
row = {f"metric_{number}": 0.5 * number for number in range(10)}
log = run.log
began = time.time()
for step in range(rows):
    log(row, step=step)
ended = time.time()
wayside.finish()
print(json.dumps([began, ended, run._link.journal.dropped_rows]))
"""


def main() -> None:
    burst()
    sustained()


def burst() -> None:
    """Points per second from the first log() to the last row on disk, the median of some; no sink reads meanwhile."""
    rows = 1_000_000
    found = []
    with collector(sinks="{}", sources="{}") as running:
        for turn in range(BURSTS):
            before = running.status()["ingest"]["received_rows"]
            processor = running.cpu_seconds()
            began, ended, dropped = child(BURST, rows, f"burst-{turn}", environ=running.environ)
            wait_for(lambda goal=before + rows - dropped: running.status()["ingest"]["received_rows"] >= goal)
            rate = (rows - dropped) * POINTS / (time.time() - began)
            log_rate = rows * POINTS / (ended - began)
            found.append((rate, log_rate, dropped, rows * POINTS / (running.cpu_seconds() - processor)))
        rss = running.rss() / 1e6
    peer = rotel(seconds=5.0)
    rate, log_rate, dropped, per_core = sorted(found)[BURSTS // 2]
    verdict = f"≥ 4 M: {gate(rate >= 4e6)}"
    show("burst from one process into the spool, synced", f"{rate / 1e6:.2f} M points/s", peer, verdict)
    show(
        "  of them dropped for want of journal", f"{dropped} rows", "", f"log() ran at {log_rate / 1e6:.2f} M points/s"
    )
    show("  per second of the collector's processor time", f"{per_core / 1e6:.1f} M points")
    show("  collector's memory after it", f"{rss:.0f} MB")


def sustained() -> None:
    """Points per second that have gone through both sinks, the backlog worked off, from first to last."""
    rows = 600_000
    with collector(sources="{}") as running:
        began, _, dropped = child(BURST, rows, "sustained", environ=running.environ)
        wait_for(lambda: _ended(running), 300)
        wait_for(lambda: not any(sink["waiting"] for sink in running.status()["sinks"].values()), 300)
        took = time.time() - began
        status = running.status()
        delivered = {name: sink["delivered"] for name, sink in status["sinks"].items()}
        rss = running.rss() / 1e6
    rate = min(delivered.values()) / took
    show("sustained through prometheus and jsonl", f"{rate / 1e3:.0f} k points/s", "", f"≥ 500 k: {gate(rate >= 5e5)}")
    show("  delivered · dropped by the client · memory", f"{min(delivered.values())}", f"{dropped} rows · {rss:.0f} MB")


def _ended(running: Running) -> bool:
    sessions = running.status()["sessions"]
    return bool(sessions) and all(session["state"] == "ended" for session in sessions)


def rotel(seconds: float) -> str:
    """The same kind of points into rotel, without anything written to disk; its rate as text."""
    if importlib.util.find_spec("rotel") is None:
        return "rotel: pip install --pre rotel"
    from bench.otlp import request_of

    body = request_of(points=10_000)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    binary = next(Path(importlib.util.find_spec("rotel").origin or "").parent.rglob("rotel-agent"), None)  # type: ignore[union-attr]
    command = [str(binary or "rotel"), "start", "--otlp-http-endpoint", f"127.0.0.1:{port}", "--exporter", "blackhole"]
    agent = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        import http.client

        def open_port() -> bool:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                return True
            return False

        wait_for(open_port, 20)
        connection = http.client.HTTPConnection("127.0.0.1", port)
        sent, until = 0, time.monotonic() + seconds
        while time.monotonic() < until:
            connection.request("POST", "/v1/metrics", body, {"Content-Type": "application/x-protobuf"})
            answer = connection.getresponse()
            answer.read()
            if answer.status != 200:
                return f"rotel answered {answer.status}"
            sent += 10_000
        return f"rotel, memory only: {sent / seconds / 1e6:.2f} M points/s"
    except (OSError, TimeoutError) as problem:
        return f"rotel could not be measured: {problem}"
    finally:
        agent.terminate()
        agent.wait(10)


if __name__ == "__main__":
    sys.exit(main())
