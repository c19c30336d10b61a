"""From `log()` to the page: how long until a value stands on /metrics, at 1,000 rows a second; and what the collector
costs at rest.

Peer: prometheus_client in the training process itself, which is there at once and gone with the process.

    python bench/run.py visible
"""

import http.client
import os
import re
import subprocess
import sys
import time
import urllib.parse

from bench.harness import Running, collector, gate, percentile, show

TRAINER = """
import sys, time
import wayside
wayside.init(project="bench", id="visible-" + sys.argv[2])
until = time.monotonic() + float(sys.argv[1])
due = time.monotonic()
step = 0
while time.monotonic() < until:
    wayside.log({"clock": time.time(), "loss": 0.5, "lr": 0.1}, step=step)
    step += 1
    due += 0.001
    time.sleep(max(0.0, due - time.monotonic()))
wayside.finish()
"""
SECONDS = 15.0
REST = 20.0


def main() -> None:
    with collector() as running:
        for transport in ("journal", "socket"):
            lags = visible_lags(running, transport)
            p50, p99 = percentile(lags, 0.5) * 1000, percentile(lags, 0.99) * 1000
            peer = "prometheus_client in process: 0 ms"
            show(f"log() → visible in /metrics at 1,000 rows/s, {transport}, p50", f"{p50:.0f} ms", peer)
            show("  p99", f"{p99:.0f} ms", "", f"≤ 200 ms: {gate(p99 <= 200)}")
    at_rest()


def visible_lags(running: Running, transport: str) -> list[float]:
    """Age of the newest value on the page at each scrape: the time since it was logged, 1 ms of pace included."""
    address = urllib.parse.urlsplit(running.url)
    environ = {**running.environ, "WAYSIDE_TRANSPORT": transport}
    trainer = subprocess.Popen([sys.executable, "-c", TRAINER, str(SECONDS), transport], env=environ)
    connection = http.client.HTTPConnection(address.hostname or "", address.port)
    lags: list[float] = []
    began = time.monotonic()
    while trainer.poll() is None:
        connection.request("GET", "/metrics")
        page = connection.getresponse().read().decode()
        now = time.time()
        found = re.search(rf'^wayside_clock\{{run="visible-{transport}"[^}}]*\}} (\S+)$', page, re.MULTILINE)
        if found and time.monotonic() - began > 3.0 and time.monotonic() - began < SECONDS:
            lags.append(now - float(found[1]))
        time.sleep(0.02)
    return lags


def at_rest() -> None:
    """Memory and processor of a collector with one idle run and the host sampled each 5 seconds."""
    with collector() as running:
        idle = "import time, wayside; wayside.init(project='bench'); wayside.log({'loss': 1.0}); time.sleep(30)"
        trainer = subprocess.Popen([sys.executable, "-c", idle], env=running.environ)
        time.sleep(5.0)
        before = running.cpu_seconds()
        time.sleep(REST)
        share = (running.cpu_seconds() - before) / REST
        rss = running.rss() / 1e6
        trainer.kill()
        trainer.wait()
    cores = os.cpu_count()
    show(
        "collector at rest: memory", f"{rss:.0f} MB", "wandb in each process: 65 + 66 MB", f"≤ 64 MB: {gate(rss <= 64)}"
    )
    show("  processor", f"{share * 100:.1f} % of a core", f"({cores} cores)")


if __name__ == "__main__":
    main()
