"""What one `log()` of 10 scalars costs: in a tight loop, and at 500 calls a second beside one busy Python thread.
Peer: wandb, offline.

    python bench/run.py log
"""

from bench.harness import child, collector, gate, show

BEGIN = """
import json, os, sys, tempfile, threading, time
rows = int(sys.argv[2])
if sys.argv[1] == "wayside":
    import wayside as tracker
    tracker.init(project="bench")
else:
    os.environ.update(WANDB_MODE="offline", WANDB_SILENT="true", WANDB_DIR=tempfile.mkdtemp())
    import wandb as tracker
    tracker.init(project="bench", settings=tracker.Settings(x_disable_stats=True, x_disable_meta=True, console="off"))
log, now, times = tracker.log, time.perf_counter_ns, []
def row(step):
    fixed = {"b": 0.2, "c": 0.3, "d": 0.4, "e": 0.5, "f": 0.6, "g": 0.7, "h": 0.8, "i": 0.9, "j": 1.0}
    return {"train/loss": 0.1 * step, **fixed}
"""
TIGHT = """
for step in range(rows):
    data = row(step)
    began = now()
    log(data, step=step)
    times.append(now() - began)
"""
BUSY = """
stop = False
def spin():
    number = 0
    while not stop:
        number += 1
threading.Thread(target=spin, daemon=True).start()
for step in range(rows):
    data = row(step)
    time.sleep(0.002)
    began = now()
    log(data, step=step)
    times.append(now() - began)
stop = True
"""
END = """
tracker.finish()
times.sort()
print(json.dumps([times[int(rows * share)] / 1000 for share in (0.5, 0.99)] + [times[-1] / 1000]))
"""


def main() -> None:
    tight, busy = BEGIN + TIGHT + END, BEGIN + BUSY + END
    with collector() as running:
        p50, p99, worst = child(tight, "wayside", 200_000, environ=running.environ)
        peer50, peer99, peer_worst = child(tight, "wandb", 20_000)
        verdict = f"1/{peer50 / p50:.0f}; ≤ 2 µs and ≤ 1/40: {gate(p50 <= 2.0 and p50 <= peer50 / 40)}"
        show("log() of 10 scalars, tight loop, p50", f"{p50:.2f} µs", f"wandb offline {peer50:.0f} µs", verdict)
        show("  p99 · worst", f"{p99:.1f} · {worst:.0f} µs", f"{peer99:.0f} · {peer_worst:.0f} µs")
        by_socket = {**running.environ, "WAYSIDE_TRANSPORT": "socket"}
        p50, p99, worst = child(tight, "wayside", 200_000, environ=by_socket)
        show("  handed over on the socket instead, p50", f"{p50:.2f} µs", f"p99 {p99:.1f} · worst {worst:.0f} µs")
        p50, p99, worst = child(busy, "wayside", 2000, environ=running.environ)
        peer50, peer99, peer_worst = child(busy, "wandb", 500)
        show("500 calls/s beside a busy thread, p50", f"{p50:.1f} µs", f"wandb offline {peer50:.0f} µs")
        show("  p99", f"{p99:.1f} µs", f"wandb offline {peer99:.0f} µs", f"≤ 150 µs: {gate(p99 <= 150)}")
        show("  worst", f"{worst:.0f} µs", f"{peer_worst:.0f} µs")


if __name__ == "__main__":
    main()
