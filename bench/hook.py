"""What the wandb hook costs a script: a `wandb.log` of 10 scalars mirrored and diverted, `wandb.init` diverted, and the
start of a Python. Peer: wandb without the hook, offline, and a Python without the client.

    python bench/run.py hook
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path

from bench.harness import child, collector, gate, show

STARTS = 200  #: of each kind, one after the other in turn

LOG = """
import json, os, sys, tempfile, time
os.environ.update(WANDB_SILENT="true", WANDB_DIR=tempfile.mkdtemp())
mode, stubbed, rows = sys.argv[1].split()[0], "stubbed" in sys.argv[1], int(sys.argv[2])
if mode != "plain":
    os.environ["WAYSIDE_WANDB_HOOK"] = mode
    import wayside
    wayside.install_wandb_hook()
import wandb
if mode != "divert":
    os.environ["WANDB_MODE"] = "offline"
settings = wandb.Settings(x_disable_stats=True, x_disable_meta=True, console="off")
began = time.perf_counter()
run = wandb.init(project="bench", settings=settings)
begun = (time.perf_counter() - began) * 1e6
if stubbed:
    run._partial_history_callback = lambda *arguments, **named: None
log, now, times = wandb.log, time.perf_counter_ns, []
row = {f"m{number}": 0.1 * number for number in range(10)}
for step in range(rows):
    before = now()
    log(row)
    times.append(now() - before)
wandb.finish()
times.sort()
print(json.dumps([times[rows // 2] / 1000, times[int(rows * 0.99)] / 1000, begun]))
"""


def main() -> None:
    with collector() as running:
        bare, _, _ = child(LOG, "plain stubbed", 50_000)
        ours, _, _ = child(LOG, "mirror stubbed", 50_000, environ=running.environ)
        added = ours - bare
        verdict = f"≤ 5 µs: {gate(added <= 5.0)}"
        show("wandb.log mirrored, what the hook adds, p50", f"{added:.2f} µs", f"{bare:.2f} µs without", verdict)
        plain, plain99, plain_init = child(LOG, "plain", 20_000)
        diverted, diverted99, init = child(LOG, "divert", 50_000, environ=running.environ)
        verdict = f"1/{plain / diverted:.0f}; ≤ 1/10: {gate(diverted <= plain / 10)}"
        show("wandb.log diverted, p50", f"{diverted:.2f} µs", f"wandb offline {plain:.0f} µs", verdict)
        show("  p99", f"{diverted99:.1f} µs", f"{plain99:.0f} µs")
        verdict = f"≤ 50 ms: {gate(init <= 50e3)}"
        show("wandb.init diverted", f"{init / 1000:.1f} ms", f"wandb offline {plain_init / 1000:.0f} ms", verdict)
    _start()


def _start() -> None:
    """Starts of a Python in an environment of its own, with the client's line, switched off and on, and without it."""
    with tempfile.TemporaryDirectory(prefix="wayside-bench-") as folder:
        venv.create(folder, with_pip=True)
        python = str(Path(folder) / "bin" / "python")
        client = Path(__file__).parents[1] / "client"
        quietly = ["--quiet", "--disable-pip-version-check", "--no-deps"]
        build = [
            sys.executable,
            "-m",
            "pip",
            "wheel",
            *quietly,
            "--no-build-isolation",
            "--wheel-dir",
            folder,
            str(client),
        ]
        subprocess.run(build, check=True, cwd=folder)
        (wheel,) = Path(folder).glob("wayside-*.whl")
        subprocess.run([python, "-m", "pip", "install", *quietly, "--no-index", str(wheel)], check=True, cwd=folder)
        line = next(Path(folder).glob("lib/*/site-packages/wayside.pth"))
        aside = line.with_suffix(".aside")
        times: dict[str, list[float]] = {"without": [], "off": [], "on": []}
        for _ in range(STARTS):
            line.rename(aside)
            times["without"].append(_started(python, folder, ""))
            aside.rename(line)
            times["off"].append(_started(python, folder, ""))
            times["on"].append(_started(python, folder, "mirror"))
    without, off, on = (statistics.median(times[name]) for name in ("without", "off", "on"))
    verdict = f"≤ 0.2 ms: {gate(off - without <= 0.2)}"
    show("a Python's start, hook off, added", f"{off - without:+.2f} ms", f"{without:.1f} ms without", verdict)
    show("a Python's start, hook on, added", f"{on - without:+.2f} ms", "", f"≤ 10 ms: {gate(on - without <= 10)}")


def _started(python: str, folder: str, hook: str) -> float:
    """Milliseconds. cwd is the folder: no collector's socket lies there."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("WAYSIDE_", "PRIMUS_"))}
    if hook:
        environ["WAYSIDE_WANDB_HOOK"] = hook
    began = time.perf_counter()
    subprocess.run([python, "-c", "pass"], env=environ, check=True, cwd=folder)
    return (time.perf_counter() - began) * 1000
