"""Seeded rounds of faults on a world: what the world is made of, which faults, when and how many is the seed's choice,
so that a round can be played again.
"""

import contextlib
import json
import os
import random
import time
from pathlib import Path

from .faults import make
from .instruments import Clock, Shim, SmallDisk, build_shim
from .receivers import Receivers
from .scene import Scene
from .world import World

PAUSE = 0.4  #: seconds between two faults, at most
WANDB = ("", "", "online", "offline")
STYLES = ("rows", "shown", "forks")


def play(
    folder: Path, seed: int, faults: int, *, transport: str = "journal", plain: bool = False
) -> tuple[World, list[str]]:
    """One round; returns the world, closed, and what broke the rule. plain: without small disk, shim and clock, and
    with Lens and files of W&B.
    """
    choose = random.Random(seed)
    with contextlib.ExitStack() as stack:
        scene = _make_scene(stack, folder, seed, choose, transport, plain)
        try:
            _run(scene, faults)
            problems = finish(scene)
        except Exception:
            scene.notes.append(describe(scene.world))
            _write(scene, folder)
            raise
        if problems:
            _write(scene, folder)
        return scene.world, problems


def _run(scene: Scene, faults: int) -> None:
    world = scene.world
    world.start_collector()
    for style in STYLES:
        pace = 0.2 if style == "shown" else scene.pace()
        world.start_producer(world.add_producer(style), pace)
    for _ in range(faults):
        time.sleep(scene.choose.random() * PAUSE)
        scene.notes.append(f"{time.time():.3f} {make(scene)}")


def _write(scene: Scene, folder: Path) -> None:
    """What was done, and when, for whoever must find out what went wrong."""
    (folder / "notes").write_text("\n".join(scene.notes))


def _make_scene(
    stack: contextlib.ExitStack, folder: Path, seed: int, choose: random.Random, transport: str, plain: bool
) -> Scene:
    folder.mkdir(parents=True, exist_ok=True)
    with_disk, with_shim, with_clock, with_lens = (choose.random() < chance for chance in (0.25, 0.3, 0.2, 0.5))
    wandb = choose.choice(WANDB)
    # Two of them: journals that fill the spool's own disk leave it no room to store them by.
    disks = [stack.enter_context(contextlib.closing(SmallDisk("96m"))) for _ in range(2 * (with_disk and not plain))]
    receivers = Receivers(lens=True, wandb="offline") if plain else Receivers(lens=with_lens, wandb=wandb)
    world = World(
        folder,
        seed,
        transport,
        memory=disks[0].folder / "beside" if disks else None,
        spool=disks[1].folder / "spool" if disks else None,
        options=", max_size: 32MiB" if disks else "",
        receivers=receivers,
    )
    stack.callback(world.close)
    scene = Scene(world, choose, disks=tuple(disks))
    preload: list[str] = []
    if with_shim and not plain:
        scene.shim = Shim(build_shim(folder), folder / "calls")
        world.collector_environ.update(scene.shim.environ(world.spool_db.parent))
        preload.append(str(scene.shim.library))
    if with_clock and not plain:
        scene.clock = stack.enter_context(contextlib.closing(Clock(folder / "clock")))
        for environ in (world.collector_environ, world.producer_environ):
            environ.update({**scene.clock.environ(), "LD_PRELOAD": str(scene.clock.library)})
        preload.append(str(scene.clock.library))
    if preload:
        world.collector_environ["LD_PRELOAD"] = ":".join(preload)
    return scene


def finish(scene: Scene) -> list[str]:
    """Everything works again; stop the producers by SIGKILL, let everything arrive, send fresh rows through, and
    judge.
    """
    world = scene.world
    world.receivers.heal()
    for producer in world.alive():
        world.kill_producer(producer)
    world.settle()
    for style in ("rows", "shown"):
        world.start_producer(world.add_producer(style), 0.2)
    problems = world.conclude()
    world.note_doubles()
    return problems


def describe(world: World) -> str:
    """How things stand, for whoever must find out why something did not come to pass."""
    said = [f"faults: {dict(world.tally.faults)}"]
    with contextlib.suppress(OSError, ValueError):
        said.append(f"status: {json.dumps(world.status(timeout=2.0))}")
    for top in {world.beside, world.spool_db.parent, world.folder / "kept"}:
        found = os.statvfs(top) if top.exists() else None
        free = f"{found.f_bavail * found.f_frsize} bytes free" if found is not None else "gone"
        said.append(f"{top}: {free}")
        said += [f"  {path.stat().st_size:10} {path}" for path in sorted(top.rglob("*")) if not path.is_dir()]
    return "\n".join(said)
