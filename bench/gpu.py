"""What logging a loss that lies on a GPU costs a training step: with no tracker, with Wayside, and with wandb offline,
which reads the number and so waits for the GPU. And whether a CUDA graph can be captured while numbers are coming.

Needs a GPU and a Python with torch, and wandb as the peer: `WAYSIDE_BENCH_PYTHON=…/bin/python`, by default this one.

    python bench/run.py gpu
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from bench.harness import collector, gate, show

STEPS = 2000
CLIENT = str(Path(__file__).parents[1] / "client")

LOOK = """
import json
try:
    import torch
    found = torch.cuda.get_device_name(0) if torch.cuda.is_available() else ""
except ImportError:
    found = None
print(json.dumps(found))
"""

#: Many small kernels a step: the host must run ahead of the device, or the device waits for it.
TRAIN = """
import json, os, sys, tempfile, time
import torch
tracker, steps = sys.argv[1], int(sys.argv[2])
log = lambda row, step: None
if tracker == "wayside":
    import wayside
    run = wayside.init(project="bench")
    log = run.log
elif tracker == "wandb":
    os.environ.update(WANDB_MODE="offline", WANDB_SILENT="true", WANDB_DIR=tempfile.mkdtemp())
    import wandb
    settings = wandb.Settings(x_disable_stats=True, x_disable_meta=True, console="off")
    log = wandb.init(project="bench", settings=settings).log
layers = [torch.nn.Linear(512, 512) for _ in range(24)]
model = torch.nn.Sequential(*layers).cuda()
optimizer = torch.optim.SGD(model.parameters(), lr=1e-4)
data = torch.randn(256, 512, device="cuda")

def step(number):
    loss = model(data).square().mean()
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
    log({"train/loss": loss, "lr": 1e-4}, step=number)

for number in range(50):
    step(number)
torch.cuda.synchronize()
if tracker == "wayside":
    torch.cuda.set_sync_debug_mode("error")
began = time.perf_counter()
for number in range(50, steps + 50):
    step(number)
torch.cuda.set_sync_debug_mode("default")
torch.cuda.synchronize()
spent = (time.perf_counter() - began) / steps * 1e6
captured = refused = None
if tracker == "wayside":
    result = torch.zeros((), device="cuda")
    captured = 0
    for number in range(200):
        log({"before": data.sum()})
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            result += data.mean()
        graph.replay()
        captured += 1
    run.finish()
    refused = dict(run.notices.refused)
elif tracker == "wandb":
    wandb.finish()
print(json.dumps([spent, captured, refused]))
"""


def main() -> None:
    python = os.environ.get("WAYSIDE_BENCH_PYTHON", sys.executable)
    device = _child(python, LOOK, {})
    if not device:
        why = "no torch in this Python" if device is None else "torch finds no GPU"
        show("a step that logs a loss on the GPU", "not measured", why, "set WAYSIDE_BENCH_PYTHON")
        return
    with collector() as running:
        environ = {**running.environ, "PYTHONPATH": CLIENT}
        bare, _, _ = _child(python, TRAIN, environ, "none", STEPS)
        ours, captured, refused = _child(python, TRAIN, environ, "wayside", STEPS)
        peer, _, _ = _child(python, TRAIN, environ, "wandb", STEPS)
    added = ours - bare
    verdict = f"≤ 2 % of the step: {gate(added <= 0.02 * bare)}"
    show(f"a step on {device}, no tracker", f"{bare:.0f} µs")
    show("  what logging its loss adds", f"{added:+.0f} µs", f"wandb offline {peer - bare:+.0f} µs", verdict)
    show("  numbers that were not kept", str(sum(refused.values())), "", f"none: {gate(not refused)} {refused or ''}")
    show("  graphs captured while numbers came", f"{captured} of 200", "", f"all: {gate(captured == 200)}")


def _child(python: str, source: str, environ: dict[str, str], *arguments: object) -> Any:
    command = [python, "-c", source, *map(str, arguments)]
    done = subprocess.run(command, env={**os.environ, **environ}, stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout.decode().strip().splitlines()[-1])


if __name__ == "__main__":
    main()
