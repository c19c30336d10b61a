"""`docs/operations.md`: its command lines do what it says, beside a running collector and without one."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from e2e.machine import Collector, Machine, check_books, until
from e2e.readme import blocks, to_run
from e2e.trainers import Trainer
from standins.lens_server import LensServer

pytestmark = pytest.mark.timeout(120)

PAGE = Path(__file__).parents[2] / "docs" / "operations.md"
ROWS = 10


class Site:
    """A collector with a Lens that refuses every second step, and the page's blocks to type beside it."""

    def __init__(self, machine: Machine, lens: LensServer) -> None:
        self.machine = machine
        sinks = {"jsonl": {}, "lens": {"endpoint": lens.base, "workload_uid": "w-1"}}
        self.config: dict[str, Any] = {"sinks": sinks, "sources": {}}
        self.lens = lens

    async def start(self) -> Collector:
        collector = self.machine.collector(self.config)
        await asyncio.to_thread(collector.wait_ready)
        return collector

    async def refused(self) -> Collector:
        """A running collector with dead letters."""
        self.lens.malformed = lambda step, values: step % 2 == 1
        collector = await self.start()
        await asyncio.to_thread(Trainer(self.machine, "r1", rows=ROWS).end)
        await asyncio.to_thread(collector.wait_delivered, sinks=("jsonl", "lens"))
        return collector

    async def type(self, section: str) -> str:
        """Every block of a section of the page, as a user types it; what was said."""
        return await asyncio.to_thread(self._type, section)

    def _type(self, section: str) -> str:
        text = PAGE.read_text().partition(f"\n## {section}\n")[2].partition("\n## ")[0]
        found = to_run(blocks(text))
        assert found, f"{section} has nothing to type"
        path = f"{Path(sys.executable).parent}:{self.machine.environ()['PATH']}"
        said = ""
        for block in found:
            done = self.machine.run("bash", "-euo", "pipefail", "-c", block.code, PATH=path)
            assert done.returncode == 0, f"{block.code}\n{done.stdout}{done.stderr}"
            said += done.stdout + done.stderr
        return said

    async def command(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        file = str(self.machine.folder / "wayside.yaml")
        return await asyncio.to_thread(self.machine.wayside_collector, *arguments, "--config", file)


@pytest.mark.asyncio
async def test_dead_letters_beside_a_running_collector(machine: Machine) -> None:
    """Listed, replayed to their sink alone, refused again, dropped; the other sink gets nothing twice."""
    async with LensServer() as lens:
        site = Site(machine, lens)
        collector = await site.refused()
        listed = json.loads((await site.command("dead-letters", "list", "--json")).stdout)
        assert listed["total"] == ROWS // 2
        assert {letter["sink"] for letter in listed["letters"]} == {"lens"}
        assert "5 dead letters" in await site.type("First look")
        said = await site.type("Dead letters")
        assert "lens: 5 go again" in said
        lens.malformed = lambda step, values: False
        await asyncio.to_thread(collector.wait_delivered, sinks=("jsonl", "lens"))
        status = collector.status()["sinks"]
        check_books(status["lens"])
        assert status["lens"]["rows"]["replayed"] == ROWS // 2
        assert len(machine.rows("r1")) == ROWS


@pytest.mark.asyncio
async def test_dead_letters_of_a_stopped_collector(machine: Machine) -> None:
    """Told to go again while nothing runs, they are delivered at the next start, and the books balance."""
    async with LensServer() as lens:
        site = Site(machine, lens)
        collector = await site.refused()
        assert await asyncio.to_thread(collector.stop) == 0
        lens.malformed = lambda step, values: False
        refused = sorted(set(range(ROWS)) - set(lens.values("w-1")))
        assert refused == [1, 3, 5, 7, 9]
        nothing = await site.command("dead-letters", "replay")
        assert (nothing.returncode, "did nothing" in nothing.stderr) == (2, True)
        told = await site.command("dead-letters", "replay", "--run", "r1")
        assert told.stdout == "lens: 5 go again\n", told.stderr
        told = await site.command("dead-letters", "replay", "--all")
        assert told.stdout == "no dead letter was meant\n", told.stderr
        collector = await site.start()
        status = await asyncio.to_thread(collector.wait_delivered, sinks=("jsonl", "lens"))
        assert sorted(lens.values("w-1")) == list(range(ROWS))
        assert status["sinks"]["lens"]["rows"]["delivered"] == ROWS
        assert status["sinks"]["lens"]["dropped"]["rejected"] == 0
        assert len(machine.rows("r1")) == ROWS


@pytest.mark.asyncio
async def test_reload_as_the_page_says(machine: Machine) -> None:
    """The file is checked, and the signal reaches the collector."""
    async with LensServer() as lens:
        collector = await Site(machine, lens).start()
        before = collector.status()["config"]["loaded"]
        await Site(machine, lens).type("A new configuration")
        await asyncio.to_thread(until, lambda: collector.status()["config"]["loaded"] > before, "read again")


@pytest.mark.asyncio
async def test_a_spool_in_the_way_of_a_start_is_recovered(machine: Machine) -> None:
    """The start names the command; it salvages every row, keeps what was there, and the next start delivers."""
    async with LensServer() as lens:
        site = Site(machine, lens)
        collector = await site.refused()
        held = await site.command("recover")
        assert held.returncode == 3
        assert f"wayside-collector run, pid {collector.process.pid}" in held.stderr
        assert await asyncio.to_thread(collector.stop) == 0
        spool = machine.dir / "spool"
        for name in ("spool.db", "spool.db-wal", "spool.db-shm"):
            (spool / name).unlink(missing_ok=True)
        (spool / "spool.db").mkdir()
        refused = await site.command("run")
        assert refused.returncode == 1
        assert f"wayside-collector recover {spool}" in refused.stderr
        said = await site.type("A damaged spool")
        assert "Nothing was changed" in said
        assert "2 sessions and" in said  # the trainer, and the collector itself
        collector = await site.start()
        await asyncio.to_thread(collector.wait_delivered, sinks=("jsonl", "lens"))


def test_every_block_of_the_page_is_run() -> None:
    """None is left out without a reason."""
    for block in blocks(PAGE.read_text()):
        assert block.not_run is None or block.not_run, f"line {block.line}: <!-- not run: a reason -->"


@pytest.mark.parametrize("command", ["run", "check", "status", "sync", "exec", "dead-letters", "recover"])
def test_every_command_explains_itself_with_examples(machine: Machine, command: str) -> None:
    """`--help` ends with command lines that can be copied."""
    done = machine.wayside_collector(command, "--help")
    assert done.returncode == 0
    assert "examples:\n  " in done.stdout
