"""Steps and ranks as frameworks really have them: what Lens, W&B and Prometheus make of each."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest
from e2e.hooked import CLIENT as _CLIENT
from e2e.hooked import train
from e2e.machine import Collector, Machine
from standins.lens_server import LensServer
from standins.wandb_backend import WandbBackend

CLIENT = str(_CLIENT)
pytestmark = pytest.mark.timeout(120)

#: Each key in a call of its own, the step by place, from the last rank alone.
MEGATRON = """
import wandb
writer = wandb
writer.init(dir=".", name="exp", project="megatron", config={{"train_iters": 5}})
for iteration in range(1, 6):
    for key in range({end}):
        writer.log({{"key-%d" % key: iteration + key / 100}}, iteration)
    writer.log({{"lm loss": 1 / iteration}}, iteration)
"""

#: The step in the row, by name; training, evaluation and timings of a step in calls of their own.
HUGGING_FACE = """
import wandb
wandb.init(project="huggingface", name="{end}", id="hf")
wandb.define_metric("train/global_step")
wandb.define_metric("*", step_metric="train/global_step", step_sync=True)
for step in (500, 1000):
    wandb.log({{"train/loss": 1 / step, "train/epoch": step / 1000, "train/global_step": step}})
    wandb.log({{"profiling/Time taken": 0.5}})
    wandb.log({{"eval/loss": 2 / step, "train/epoch": step / 1000, "train/global_step": step}})
wandb.log({{"train/total_flos": 1e9, "train/global_step": 1000}})
wandb.finish()
"""

#: A driver that logs, without a rank, beside workers that say how they fare.
DRIVER = """
import os, subprocess, sys, wayside
run = wayside.init(project="rl", id="rl")
worker = "import wayside; wayside.init(project='rl', id='rl'); wayside.log({{'worker': 1.0}}, step=7); wayside.finish()"
for step in range(3):
    run.log({{"actor/loss": 1.0}}, step=step)
    for rank in ("0", "1"):
        subprocess.run([sys.executable, "-c", worker], env=dict(os.environ, RANK=rank, WORLD_SIZE="2"), check=True)
run.finish()
"""

#: One job, started again: what was done since its last checkpoint is done twice.
ATTEMPT = """
import os, wayside
run = wayside.init(project="p", id="job", config={{"lr": 0.1}})
first, last = {end}
for step in range(first, last):
    run.log({{"loss": first + 1 / (1 + step)}}, step=step)
os._exit(1) if first == 0 else run.finish()
"""


@asynccontextmanager
async def beside_lens(machine: Machine, **sinks: Mapping[str, Any]) -> AsyncIterator[tuple[LensServer, Collector]]:
    async with LensServer() as lens:
        told = {"jsonl": {}, "lens": {"endpoint": lens.base, "workload_uid": "w-1"}, **sinks}
        config = {"sinks": told, "sources": {}}
        yield lens, await asyncio.to_thread(lambda: machine.collector(config).wait_ready())


async def run(machine: Machine, script: str, **environ: str) -> str:
    return await asyncio.to_thread(lambda: train(machine, script, **environ))


async def delivered(collector: Collector, *sinks: str) -> None:
    await asyncio.to_thread(lambda: collector.wait_delivered(sinks=sinks))


@pytest.mark.asyncio
async def test_twenty_calls_a_step_from_the_last_rank(machine: Machine):
    """Megatron-LM: one push a step, with every key, though rank 0 never logs; where calls are kept, each is a row."""
    async with beside_lens(machine) as (lens, collector):
        await run(machine, MEGATRON, end="20", RANK="7", WORLD_SIZE="8", WANDB_MODE="offline")
        await delivered(collector, "jsonl", "lens")
        assert lens.steps() == [1, 2, 3, 4, 5]
        values = lens.values("w-1")
        assert {step: values[step]["lm loss"] for step in values} == {step: 1 / step for step in range(1, 6)}
        assert all(values[step][f"key-{key}"] == step + key / 100 for step in values for key in range(20))
        assert values[1]["target_iteration"] == 5
    rows = machine.rows()
    assert len(rows) == 5 * 21
    assert {row["rank"] for row in rows} == {7}


@pytest.mark.asyncio
async def test_the_step_that_stands_in_the_row(machine: Machine):
    """Hugging Face: Lens files by train/global_step, one push a step, timings with the step under way; W&B keeps its
    own steps, one a call.
    """
    with WandbBackend() as backend:
        wandb = {"base_url": backend.url, "api_key": backend.key, "upload_interval": 1}
        async with beside_lens(machine, wandb=wandb) as (lens, collector):
            await run(machine, HUGGING_FACE, end="n", WAYSIDE_WANDB_HOOK="divert")
            await delivered(collector, "jsonl", "lens", "wandb")
            assert lens.steps() == [500, 1000]
            values = lens.values("w-1")
        rows = backend.run("hf").rows
    assert (values[500]["train/loss"], values[500]["eval/loss"]) == (1 / 500, 2 / 500)
    assert values[500]["profiling/Time taken"] == 0.5
    assert values[1000]["train/total_flos"] == 1e9
    assert [row["_step"] for row in rows] == list(range(7))
    assert [row["train/global_step"] for row in rows] == [500, 500, 500, 1000, 1000, 1000, 1000]


@pytest.mark.asyncio
async def test_a_driver_without_a_rank(machine: Machine):
    """Ray, verl, OpenRLHF: the process without a rank speaks for the run; workers' rows are kept with their rank."""
    async with beside_lens(machine) as (lens, collector):
        said = await run(machine, DRIVER, WAYSIDE_WANDB_HOOK="off", PYTHONPATH=CLIENT)
        await delivered(collector, "jsonl", "lens")
        assert lens.values("w-1") == {step: {"actor/loss": 1.0} for step in range(3)}, said
    assert Counter(row.get("rank") for row in machine.rows("rl")) == {None: 3, 0: 3, 1: 3}


@pytest.mark.asyncio
async def test_a_job_that_is_started_again(machine: Machine):
    """The second attempt does steps 90 to 99 anew: W&B's run is resumed and has every row, Prometheus one series with
    the last value, Lens the newer values.
    """
    with WandbBackend() as backend:
        wandb = {"base_url": backend.url, "api_key": backend.key, "upload_interval": 1}
        async with beside_lens(machine, wandb=wandb, prometheus={}) as (lens, collector):
            for attempt, steps in enumerate(("0, 100", "90, 120")):
                environ = {"JOB_COMPLETION_INDEX": "", "DISPATCH_COUNT": str(attempt + 1), "PYTHONPATH": CLIENT}
                await run(machine, ATTEMPT, end=steps, WAYSIDE_WANDB_HOOK="off", **environ)
                await delivered(collector, "jsonl", "lens", "wandb")
            page = await asyncio.to_thread(collector.metrics)
            values = lens.values("w-1")
        rows = backend.run("job").rows
    series = [line for line in page.splitlines() if line.startswith("wayside_loss{")]
    assert len(series) == 1, series
    assert float(series[0].split()[-1]) == 90 + 1 / 120
    assert [row["_step"] for row in rows] == sorted({row["_step"] for row in rows})
    assert [row["loss"] for row in rows] == [1 / (1 + n) for n in range(100)] + [
        90 + 1 / (1 + n) for n in range(90, 120)
    ]
    assert {step: value["loss"] for step, value in values.items()} == {
        **{step: 1 / (1 + step) for step in range(90)},
        **{step: 90 + 1 / (1 + step) for step in range(90, 120)},
    }
