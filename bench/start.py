"""What a training process pays before its first step: import and init, and memory. Peer: wandb, offline.

python bench/run.py start
"""

from bench.harness import child, collector, gate, percentile, show

START = """
import json, os, sys, tempfile, time
def rss():
    return int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
before = rss()
began = time.perf_counter()
if sys.argv[1] == "wayside":
    import wayside as tracker
    imported = time.perf_counter()
    tracker.init(project="bench", config={"lr": 0.1})
else:
    os.environ.update(WANDB_MODE="offline", WANDB_SILENT="true", WANDB_DIR=tempfile.mkdtemp())
    import wandb as tracker
    imported = time.perf_counter()
    tracker.init(project="bench", config={"lr": 0.1})
ready = time.perf_counter()
for step in range(100):
    tracker.log({"loss": 0.5}, step=step)
memory = rss() - before
tracker.finish()
print(json.dumps([(imported - began) * 1000, (ready - began) * 1000, memory / 1e6]))
"""


def main() -> None:
    with collector() as running:
        environ = {name: value for name, value in running.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        child(START, "wayside", environ=environ)  # writes the bytecode, as an installation does
        ours = [child(START, "wayside", environ=environ) for _ in range(20)]
        theirs = [child(START, "wandb") for _ in range(5)]
    middle = [percentile([run[column] for run in ours], 0.5) for column in range(3)]
    peers = [percentile([run[column] for run in theirs], 0.5) for column in range(3)]
    show("import", f"{middle[0]:.1f} ms", f"wandb {peers[0]:.0f} ms")
    show(
        "import + init", f"{middle[1]:.1f} ms", f"wandb offline {peers[1]:.0f} ms", f"≤ 30 ms: {gate(middle[1] <= 30)}"
    )
    show("memory added to the training process", f"{middle[2]:.1f} MB", f"wandb {peers[2]:.0f} MB, and a child")


if __name__ == "__main__":
    main()
