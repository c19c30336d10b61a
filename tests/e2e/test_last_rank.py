"""Runs of which only a higher rank is here, as on a job's last node: sinks that take one rank wait for the choice, and
whoever ends waits for the sinks.
"""

import asyncio
import sys
from typing import Any

import pytest
import yaml
from e2e.machine import HERE, Machine
from e2e.trainers import Trainer
from standins.lens_server import LensServer

pytestmark = pytest.mark.timeout(90)

ROWS = 20


def config_of(machine: Machine, lens: LensServer) -> str:
    """A configuration file with Lens as the only sink."""
    path = machine.folder / "lens.yaml"
    sink = {"endpoint": lens.base, "workload_uid": "w-1"}
    path.write_text(yaml.safe_dump({"sinks": {"lens": sink}, "sources": {}, "grace": "30s"}))
    return str(path)


async def command(machine: Machine, *arguments: str, **environ: str) -> Any:
    return await asyncio.to_thread(machine.wayside_collector, *arguments, **environ)


@pytest.mark.asyncio
async def test_sync_waits_for_the_choice(machine: Machine) -> None:
    """`sync` of a run that only rank 7 logged: when it says that all is delivered, it is."""
    trainer = Trainer(machine, "r1", rows=ROWS, RANK="7", WORLD_SIZE="8", WAYSIDE_MODE="offline")
    await asyncio.to_thread(trainer.end)
    async with LensServer() as lens:
        done = await command(machine, "sync", str(machine.dir), "--config", config_of(machine, lens))
        assert done.returncode == 0, done.stderr
        assert sorted(lens.values("w-1")) == list(range(ROWS))


@pytest.mark.asyncio
async def test_exec_waits_for_the_choice(machine: Machine) -> None:
    """`exec` of a job that is rank 7: what it logged is in Lens when the command has ended."""
    job = [sys.executable, str(HERE / "trainer.py"), "r1", str(ROWS), str(machine.folder / "ledger")]
    ranks = {"RANK": "7", "WORLD_SIZE": "8"}
    async with LensServer() as lens:
        done = await command(machine, "exec", "--config", config_of(machine, lens), "--", *job, **ranks)
        assert done.returncode == 0, done.stderr
        assert sorted(lens.values("w-1")) == list(range(ROWS))
