"""SIGKILL of the trainer, of the collector, or of both while pictures are logged: what was told arrives whole, each
once, and nothing is left lying about.

Each picture's pixels follow from its run and step, and its caption names them, so what arrived is checked against what
must have been logged, not against itself.
"""

import base64
import hashlib
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from e2e.machine import QUIET, Collector, Machine, check_books, until
from e2e.test_kill import make_random

TRAINER = """
import sys, time
import numpy as np
import wayside as wandb

name, steps, pause = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
with wandb.init(project="p", id=name) as run:
    for step in range(steps):
        side = 200 if step % 20 == 0 else 8
        seed = abs(hash_of(name, step))
        pixels = np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)
        run.log({"loss": float(step), "picture": wandb.Image(pixels, caption=f"{name} {step}")}, step=step)
        if pause:
            time.sleep(pause)
    print("all logged", flush=True)
"""
HASH_OF = """
import zlib
def hash_of(name, step):
    return zlib.crc32(f"{name} {step}".encode())
"""


def start(machine: Machine, name: str, steps: int, transport: str, pause: float = 0.001) -> "subprocess.Popen[bytes]":
    script = HASH_OF + TRAINER
    command = [sys.executable, "-c", script, name, str(steps), str(pause)]
    return machine.start(command, WAYSIDE_TRANSPORT=transport, WAYSIDE_QUIET="1")[0]


def pictures(machine: Machine) -> list[dict[str, Any]]:
    """Lines of the jsonl sink that are pictures."""
    return [line for line in machine.lines(having=b'"kind":"media"') if line.get("event", {}).get("kind") == "media"]


def body_of(machine: Machine, data: dict[str, Any]) -> bytes:
    if "base64" in data:
        return base64.b64decode(data["base64"])
    return (machine.dir / "jsonl" / "media" / str(data["file"])).read_bytes()


def check_pictures(machine: Machine, lines: Iterable[dict[str, Any]]) -> dict[str, set[int]]:
    """Each is whole, in the step its caption names, and there once; the steps of each run."""
    found: dict[str, set[int]] = {}
    for line in lines:
        data, run = line["event"], line["run"]
        assert "lost" not in data, data
        assert hashlib.sha256(body_of(machine, data)).hexdigest() == data["sha256"]
        assert data["caption"] == f"{run} {line['step']}"
        steps = found.setdefault(run, set())
        assert line["step"] not in steps, f"{data['caption']} came twice"
        steps.add(line["step"])
    return found


def check_nothing_left(machine: Machine) -> None:
    """Neither in the spool nor in the clients' media folders."""

    def left() -> list[Path]:
        roots = (machine.dir / "spool", machine.beside, machine.memory, machine.dir)
        return [path for root in roots for path in (root / "media").rglob("*") if path.is_file()]

    until(lambda: not left(), "no file is left")


def refused(machine: Machine, run: str) -> int:
    """Media that the run's client said it would not keep."""
    told = [event.get("refused", {}) for event in machine.events("client", run)]
    return max((sum(n for why, n in one.items() if why.startswith("media")) for one in told), default=0)


def kill_rounds(machine: Machine, transport: str, rounds: int, steps: int) -> None:
    chance = make_random(f"media {transport}")
    collector = machine.collector(QUIET).wait_ready()
    for number in range(rounds):
        victim = ("collector", "trainer", "both")[number % 3]
        trainer = start(machine, f"r{number}", steps, transport)
        before = len(pictures(machine))
        until(lambda before=before: len(pictures(machine)) > before, "the first picture")  # type: ignore[misc]
        time.sleep(chance.uniform(0.0, 1.0))
        if victim in ("trainer", "both"):
            trainer.kill()
        if victim in ("collector", "both"):
            collector.kill()
            time.sleep(chance.uniform(0.0, 0.3))
            collector = machine.collector(QUIET).wait_ready()
        assert trainer.wait(90) in (0, -signal.SIGKILL if victim != "collector" else 0)
    check_rounds(machine, collector, rounds, steps)


def check_rounds(machine: Machine, collector: Collector, rounds: int, steps: int) -> None:
    until(lambda: len(machine.events("finish")) >= rounds, "every run's end", within=60)
    status = collector.wait_delivered()
    check_books(status["sinks"]["jsonl"])
    found = check_pictures(machine, pictures(machine))
    for number in range(0, rounds, 3):  # those whose trainer was not killed
        run = f"r{number}"
        assert len(found[run]) == steps - refused(machine, run), "all that was accepted has arrived"
    check_nothing_left(machine)


@pytest.mark.timeout(120)
def test_pictures_survive_a_killed_collector(machine: Machine) -> None:
    """And a trainer that is not killed loses none."""
    kill_rounds(machine, "journal", 1, 400)


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("transport", ["journal", "socket"])
def test_ten_thousand_pictures_and_kills_at_random(machine: Machine, transport: str) -> None:
    """Whatever is killed, at whatever instant."""
    kill_rounds(machine, transport, 9, 1200)
