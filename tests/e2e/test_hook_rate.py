"""A script that logs as fast as small models train: 2,000 calls a second for ten seconds, through wandb itself."""

import asyncio

import pytest
from e2e.hooked import train
from e2e.machine import Machine
from primus_lens_wandb_exporter.api_reporter import AsyncAPIReporter
from standins.lens_server import LensServer

RATE, SECONDS = 2000, 10
CALLS = RATE * SECONDS

SCRIPT = """
import time, wandb
run = wandb.init(project="fast", id="fast")
began = time.monotonic()
for step in range({end}):
    ahead = began + step / 2000 - time.monotonic()
    if ahead > 0.005:
        time.sleep(ahead)
    wandb.log({{"train/loss": 1 / (1 + step), "lr": 0.1}}, step=step)
wandb.finish()
"""


def delivered_by_exporter(calls: int, seconds: float) -> int:
    """How many of these calls of a run AMD's exporter 0.2.0 delivers, by the limits in its source: a flush each
    `flush_interval` takes `batch_size` calls off a queue that drops what it has no room for, and the exit flushes once
    (`api_reporter.py`: `_worker_loop`, `_flush_metrics`, `stop`).
    """
    reporter = AsyncAPIReporter("http://127.0.0.1:9/api/v1")
    flushes = int(seconds / reporter.flush_interval) + 1
    return min(calls, flushes * reporter.batch_size)


@pytest.mark.long
@pytest.mark.timeout(240)
@pytest.mark.asyncio
async def test_two_thousand_calls_a_second(machine: Machine):
    """Every call is a step at Lens and a row in the files, and nothing is counted as dropped anywhere; the exporter
    whose place the hook takes would deliver one in several hundred.
    """
    async with LensServer() as lens:
        sinks = {"jsonl": {}, "lens": {"endpoint": lens.base, "workload_uid": "w-1"}}
        collector = await asyncio.to_thread(lambda: machine.collector({"sinks": sinks, "sources": {}}).wait_ready())
        said = await asyncio.to_thread(
            train, machine, SCRIPT, end=str(CALLS), WAYSIDE_WANDB_HOOK="mirror", WANDB_MODE="offline"
        )
        status = await asyncio.to_thread(lambda: collector.wait_delivered(sinks=("jsonl", "lens")))
    assert len(lens.rows) == CALLS, said
    assert lens.values("w-1") == {step: {"train/loss": 1 / (1 + step), "lr": 0.1} for step in range(CALLS)}
    assert [row["step"] for row in machine.rows("fast")] == list(range(CALLS))
    assert all(not any(status["sinks"][name]["rows"]["dropped"].values()) for name in sinks)
    assert delivered_by_exporter(CALLS, SECONDS) == 30
