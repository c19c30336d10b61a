"""Law 2: SIGKILL of the trainer, of the collector, or of both, at any instant, loses no row and doubles none.

The instants are random, from a seed that stands in the output (WAYSIDE_SEED repeats one). What a trainer's `log()`
had returned for stands in its ledger, which the kernel keeps.
"""

import os
import random
import signal
import sys
import time

import pytest
from e2e.machine import Machine, until
from e2e.trainers import Trainer, wait_finishes

VICTIMS = ("trainer", "collector", "both")


def make_random(name: str) -> random.Random:
    """Numbers from a seed that is told, so that a failure can be had again."""
    seed = os.environ.get("WAYSIDE_SEED") or str(random.SystemRandom().randrange(1 << 32))
    sys.stdout.write(f"WAYSIDE_SEED={seed}\n")
    return random.Random(f"{seed} {name}")


@pytest.mark.timeout(60)
@pytest.mark.parametrize("rows", [1, 2, 100, 5000])
def test_the_last_row_before_a_sigkill(machine: Machine, transport: str, rows: int) -> None:
    """A trainer that is killed right after a call has returned: that row is there, and exactly those before it."""
    collector = machine.collector().wait_ready()
    trainer = Trainer(machine, "r1", "--die", rows=rows, WAYSIDE_TRANSPORT=transport)
    assert trainer.process.wait(30) == -signal.SIGKILL
    assert trainer.ledger.returned == rows
    wait_finishes(machine, [trainer], collector)
    trainer.check(machine)


def kill_rounds(machine: Machine, transport: str, rounds: int) -> None:
    """In each round a trainer begins, and one or both are killed at a random instant of its logging."""
    chance = make_random(transport)
    collector = machine.collector().wait_ready()
    trainers = []
    for number in range(rounds):
        victim = VICTIMS[number % len(VICTIMS)]
        trainer = Trainer(machine, f"r{number}", "--pause", "0.007", WAYSIDE_TRANSPORT=transport)
        trainers.append(trainer)
        trainer.wait_first_row()
        time.sleep(chance.uniform(0.0, 1.2))
        if victim in ("trainer", "both"):
            trainer.process.kill()
        if victim in ("collector", "both"):
            collector.kill()
            time.sleep(chance.uniform(0.0, 0.3))
            collector = machine.collector()
    for trainer in trainers:
        trainer.end()
    wait_finishes(machine, trainers, collector.wait_ready())
    status = collector.wait_delivered()
    for trainer in trainers:
        trainer.check(machine)
    assert status["ingest"]["malformed"] == status["ingest"]["set_aside"] == 0


@pytest.mark.timeout(120)
def test_kills_at_random_instants(machine: Machine, transport: str) -> None:
    """Trainer, collector, both: killed while rows flow, in turns, and nothing is lost or doubled."""
    kill_rounds(machine, transport, rounds=6)


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_many_kills_at_random_instants(machine: Machine, transport: str) -> None:
    """The same for longer: two hundred kills each way."""
    kill_rounds(machine, transport, rounds=150)


def kill_while_delivering(machine: Machine, rounds: int, rows: int) -> None:
    """A backlog that nobody collected, and a collector that is killed again and again on its way through it."""
    chance = make_random("delivering")
    trainer = Trainer(machine, "r1", rows=rows, WAYSIDE_TRANSPORT="journal")
    assert trainer.process.wait(120) == 0, trainer.log.read_text()
    for _ in range(rounds):
        collector = machine.collector()
        until(lambda now=collector: now.url, "the collector's note")
        time.sleep(chance.uniform(0.0, 0.5))
        collector.kill()
    collector = machine.collector().wait_ready()
    wait_finishes(machine, [trainer], collector)
    collector.wait_delivered()
    trainer.check(machine)


@pytest.mark.timeout(120)
def test_kills_while_a_backlog_is_delivered(machine: Machine) -> None:
    """A collector killed between journal, spool and sink, wherever it just is: each row is delivered once."""
    kill_while_delivering(machine, rounds=4, rows=60_000)


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_many_kills_while_a_backlog_is_delivered(machine: Machine) -> None:
    """The same with a larger backlog and fifty kills."""
    kill_while_delivering(machine, rounds=50, rows=600_000)
