"""`log()` while the collector hangs (SIGSTOP), and while a checkpoint is written to the disk beside it, its journal in
memory and on that very disk. Peer: wandb, offline, beside the same checkpoint.

    python bench/run.py frozen
"""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bench.harness import Running, child, collector, gate, show

CALLS = 200_000
CHECKPOINT = 5_000_000_000
PIECE = 16 << 20  #: bytes a checkpoint is written in, as torch.save does it

LOOP = """
import json, os, sys, tempfile, time
rows = int(sys.argv[2])
if sys.argv[1] != "wandb":
    import wayside as tracker
    if sys.argv[1] == "on disk":  # as if nothing here were memory-backed
        import wayside.roots
        wayside.roots.is_memory = lambda path, mounts: False
    run = tracker.init(project="bench")
else:
    os.environ.update(WANDB_MODE="offline", WANDB_SILENT="true", WANDB_DIR=sys.argv[3])
    import wandb as tracker
    tracker.init(project="bench", settings=tracker.Settings(x_disable_stats=True, x_disable_meta=True, console="off"))
    run = None
log, now, times = tracker.log, time.perf_counter_ns, []
names = [f"metric_{number}" for number in range(10)]
for step in range(rows):
    data = dict.fromkeys(names, 0.1 * step)
    began = now()
    log(data, step=step)
    times.append(now() - began)
    if step % 100 == 99:
        time.sleep(0.01)
journal = run._link.journal if run else None
dropped, root = (journal.dropped_rows, journal.shelf.root.path) if journal else (0, "")
times.sort()
shares = [times[int(rows * share)] / 1000 for share in (0.5, 0.999)] + [times[-1] / 1000]
print(json.dumps([*shares, dropped, root]), flush=True)
os._exit(0)  # the numbers are had; a collector that hangs would be waited for
"""
WRITER = """
import os, sys
piece = os.urandom(int(sys.argv[3]))
while True:
    with open(sys.argv[1], "wb", buffering=0) as file:
        for _ in range(int(sys.argv[2]) // len(piece)):
            file.write(piece)
        os.fsync(file.fileno())
    print("written", flush=True)
"""


def main() -> None:
    with collector() as running:
        os.kill(running.pid, signal.SIGSTOP)
        try:
            _show("log() beside a stopped collector", child(LOOP, "wayside", CALLS, environ=running.environ))
        finally:
            os.kill(running.pid, signal.SIGCONT)
    with collector() as running, _checkpoint(running, CHECKPOINT):
        found = child(LOOP, "wayside", CALLS, environ=running.environ)
        _show(f"log() beside a checkpoint of {CHECKPOINT / 1e9:.0f} GB", found)
        _show("  the journal on that disk", child(LOOP, "on disk", CALLS, environ=running.environ))
        with tempfile.TemporaryDirectory(dir=running.folder) as folder:
            p50, p999, worst, *_ = child(LOOP, "wandb", CALLS // 10, folder)
        show("  wandb offline, p99.9", f"{p999:.0f} µs", f"p50 {p50:.1f} · worst {worst:.0f} µs")


def _show(what: str, found: list[float]) -> None:
    p50, p999, worst, dropped, root = found
    show(f"{what}, p99.9 of {CALLS} calls", f"{p999:.0f} µs", f"p50 {p50:.1f} · worst {worst:.0f} µs", _verdict(p999))
    show("  dropped for want of journal", f"{dropped} rows", f"journal in {root}")


def _verdict(p999: float) -> str:
    return f"≤ 1 ms: {gate(p999 <= 1000)}"


@contextlib.contextmanager
def _checkpoint(running: Running, size: int) -> Iterator[None]:
    """Checkpoints written one after the other, each synced, to the disk of the collector's folder."""
    path = Path(running.folder) / "checkpoint"
    command = [sys.executable, "-c", WRITER, str(path), str(size), str(PIECE)]
    writer = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        yield
    finally:
        writer.kill()
        writer.wait()
