"""Seeded rounds of faults on a world: which, when and how many is the seed's choice, and printed, so that a round can
be played again.
"""

import random
import time
from pathlib import Path

from .world import World

PAUSE = 0.4  #: seconds between two faults, at most


def play(
    folder: Path, seed: int, faults: int, *, transport: str = "journal", producers: int = 2
) -> tuple[World, list[str]]:
    """One round; returns the world, closed, and what broke the rule."""
    world = World(folder, seed, transport)
    choose = random.Random(seed)
    try:
        world.start_collector()
        for _ in range(producers):
            world.start_producer(world.add_producer(), choose.choice([0.0, 0.002, 0.02]))
        for _ in range(faults):
            time.sleep(choose.random() * PAUSE)
            fault(world, choose)
        return world, finish(world)
    finally:
        world.close()


def fault(world: World, choose: random.Random) -> None:
    """One fault, and what brings the world back from it."""
    kind = choose.choices(["collector", "producer", "both", "freeze"], [4, 4, 2, 1])[0]
    producer = choose.choice(world.producers)
    pace = choose.choice([0.0, 0.002, 0.02])
    if kind == "freeze":
        world.freeze_collector(choose.random())
        return
    if kind in ("producer", "both"):
        world.kill_producer(producer)
    if kind in ("collector", "both"):
        world.kill_collector()
        time.sleep(choose.random() * 0.2)
        world.start_collector()
    if kind in ("producer", "both"):
        world.restart_producer(producer, pace)


def finish(world: World) -> list[str]:
    """Stop the producers by SIGKILL, let everything arrive, send a fresh row through, and judge."""
    for producer in world.producers:
        world.kill_producer(producer)
    world.settle()
    world.start_producer(world.add_producer(), 0.0)
    problems = world.conclude()
    world.note_doubles()
    return problems
