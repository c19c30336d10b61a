"""Folders that vanish, clocks that jump, workers that outlive their parents."""

import json
import os
import shutil
import subprocess
import sys
import time

import pytest
from oracle.instruments import Clock
from oracle.producer import read_claims
from oracle.world import World, wait_for

pytestmark = pytest.mark.timeout(180)


def test_a_journal_deleted_under_a_live_trainer_is_begun_anew(world: World) -> None:
    """The folder of the journals goes while rows flow: rows go on arriving, and none that was accepted is missing."""
    world.start_collector()
    producer = world.add_producer()
    world.start_producer(producer, 0.02)
    for _ in range(3):
        shutil.rmtree(world.beside / "journals", ignore_errors=True)
        wait_for((world.beside / "journals").exists, 60, "the journal to be begun anew")
        accepted = read_claims(str(producer.claims))[1]
        wait_for(lambda seen=accepted: read_claims(str(producer.claims))[1] > seen + 1000, 60, "the trainer to go on")
        stored = int(world.status()["ingest"]["received_rows"])
        wait_for(lambda seen=stored: int(world.status()["ingest"]["received_rows"]) > seen + 500, 60, "rows to arrive")
    assert world.conclude() == []


def test_a_socket_folder_deleted_and_made_again_is_found_again(world: World) -> None:
    """The whole socket folder goes: the collector listens there again, and everything arrives."""
    world.start_collector()
    producer = world.add_producer()
    world.start_producer(producer, 0.02)
    shutil.rmtree(world.beside)
    wait_for((world.beside / "collector.json").exists, 60, "the collector to listen again")
    stored = int(world.status()["ingest"]["received_rows"])
    wait_for(lambda: int(world.status()["ingest"]["received_rows"]) > stored + 1000, 60, "rows to arrive again")
    assert world.conclude() == []


CLOCKS = """
import select, wayside
wayside.init(project="clock", id="clock")
for step in range(3000):
    wayside.log({"step": float(step)}, step=step)
    select.select([], [], [], 0.001)  # time.sleep fails under libfaketime when it leaves the monotonic clock alone
wayside.finish()
"""


def test_a_clock_that_jumps_an_hour_back_and_forth_loses_nothing(world: World, clock: Clock) -> None:
    """Debian's faketime moves the clock of trainer and collector; steps arrive once, in order, whatever their times
    say.
    """
    world.collector_environ = clock.environ()
    world.start_collector()
    trainer = subprocess.Popen([sys.executable, "-c", CLOCKS], env={**world.environ, **clock.environ()})
    for shift in ("-3600", "+3600", "-1800", "+0"):
        time.sleep(0.7)
        clock.move(shift)
    assert trainer.wait(120) == 0
    world.settle()
    steps = [row["step"] for row in _rows(world) if "metrics" in row]
    assert steps == list(range(3000))


FORKS = """
import os, sys, time, wayside
run = wayside.init(project="forks", id="forks")
wayside.log({"who": 0.0}, step=0)
for worker in range(3):
    if os.fork() == 0:
        time.sleep(0.2 * (worker + 1))
        for step in range(200):
            wayside.log({"who": float(worker + 1)}, step=step)
        os._exit(0)
wayside.log({"who": 0.0}, step=1)
os._exit(0)
"""


def test_forked_workers_that_outlive_their_parent_lose_nothing(world: World) -> None:
    """Each worker's rows arrive in a session of its own, after the parent is gone without a word."""
    world.start_collector()
    subprocess.run([sys.executable, "-c", FORKS], env=world.environ, check=True)

    def arrived() -> bool:
        return len([row for row in _rows(world) if "metrics" in row]) >= 602

    wait_for(arrived, 60, "all workers' rows")
    world.settle()
    rows = [(row["session"], row["metrics"]["who"], row["step"]) for row in _rows(world) if "metrics" in row]
    assert len(rows) == len(set(rows)) == 602
    assert len({session for session, _, _ in rows}) == 4


def _rows(world: World) -> list[dict[str, object]]:
    lines = [line for path in sorted((world.folder / "jsonl").glob("*")) for line in path.read_text().splitlines()]
    return [json.loads(line) for line in lines if line.endswith("}")]


def test_two_collectors_do_not_share_a_spool(world: World) -> None:
    """The second refuses, says who holds it, and leaves everything as it is."""
    world.start_collector()
    command = [sys.executable, "-m", "wayside_collector", "run", "--config", str(world.folder / "wayside.yaml")]
    second = subprocess.run(command, env=world.environ, capture_output=True, text=True, timeout=60)
    assert second.returncode == 3
    assert world.collector is not None
    assert f"pid {world.collector.pid}" in second.stderr
    assert os.path.exists(world.beside / "collector.json")
    world.start_producer(world.add_producer(), 0.02)
    assert world.conclude() == []
