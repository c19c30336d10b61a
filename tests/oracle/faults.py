"""The faults an oracle chooses from. Each hurts the world and brings it back, but for what the hurt itself leaves; each
takes its chances from the seeded hand, so that a round can be played again.
"""

import contextlib
import random
import shutil
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import psutil
from wayside import wire
from wayside_collector.sources.segments import Owner, owner_of

from .instruments import Clock, Shim, SmallDisk
from .world import SETTLES_WITHIN, Producer, World, wait_for

PACES = ([0.0, 0.01, 0.05], [1, 4, 4])  #: seconds after 64 rows, at most; 0 is a tight loop, by fits and starts
_CHILD = "wayside_collector.sinks.wandb.child"


@dataclass
class Scene:
    """A world, the seeded hand, and the instruments of this round; what is None cannot be used in it."""

    world: World
    choose: random.Random
    shim: Shim | None = None
    disks: tuple[SmallDisk, ...] = ()  # below the journals, and below the spool
    clock: Clock | None = None
    notes: list[str] = field(default_factory=list)

    def pace(self) -> float:
        return self.choose.choices(*PACES)[0]

    def victim(self) -> Producer:
        alive = self.world.alive()
        return alive[self.choose.randrange(1 << 30) % len(alive)]


# --- kills and freezes -----------------------------------------------------------------------------------------------


def kill_producer(scene: Scene) -> None:
    victim, pace = scene.victim(), scene.pace()
    scene.world.kill_producer(victim)
    scene.world.restart_producer(victim, _bounded(victim, pace))


def kill_collector(scene: Scene) -> None:
    absent = scene.choose.random() * 0.3
    scene.world.aim(scene.victim())
    scene.world.kill_collector()
    time.sleep(absent)
    scene.world.start_collector()


def kill_both(scene: Scene) -> None:
    victim, pace, absent = scene.victim(), scene.pace(), scene.choose.random() * 0.3
    scene.world.aim(victim)
    if scene.choose.random() < 0.5:
        scene.world.kill_producer(victim)
        scene.world.kill_collector()
    else:
        scene.world.kill_collector()
        scene.world.kill_producer(victim)
    time.sleep(absent)
    scene.world.start_collector()
    scene.world.restart_producer(victim, _bounded(victim, pace))


def absent_collector(scene: Scene) -> None:
    """No collector for so long that journals move to disk, while a trainer dies and another begins."""
    victim, pace = scene.victim(), scene.choose.choice(PACES[0][1:])
    scene.world.kill_collector()
    time.sleep(scene.choose.random())
    scene.world.kill_producer(victim)
    scene.world.restart_producer(victim, _bounded(victim, pace))
    time.sleep(scene.choose.random() * 2.5)
    scene.world.start_collector()


def freeze(scene: Scene) -> None:
    """SIGSTOP of one or two of trainer, collector and wandb child; sometimes they never wake up again."""
    victim, seconds = scene.victim(), scene.choose.random()
    frozen = scene.choose.sample(["collector", "producer", "child"], scene.choose.choice([1, 2]))
    dies = scene.choose.random() < 0.3
    processes = [found for name in frozen if (found := _process(scene, name, victim)) is not None]
    for process in processes:
        _signal(process, signal.SIGSTOP)
    time.sleep(seconds)
    if dies and "producer" in frozen:
        scene.world.kill_producer(victim)
    if dies and "collector" in frozen:
        scene.world.kill_collector()
    for process in processes:
        _signal(process, signal.SIGCONT)
    if dies and "collector" in frozen:
        scene.world.start_collector()
    if dies and "producer" in frozen:
        scene.world.restart_producer(victim, _bounded(victim, 0.01))


def kill_child(scene: Scene) -> None:
    """SIGKILL of the W&B sink's child, of wandb-core below it, or of all with the collector."""
    which = scene.choose.choice(["child", "core", "collector too"])
    children = _below(scene)
    victims = [one for one in children if (which == "core") != (_CHILD in _command(one))] or children
    for process in victims:
        _signal(process, signal.SIGKILL)
    if which == "collector too":
        scene.world.kill_collector()
        scene.world.start_collector()


def _bounded(producer: Producer, pace: float) -> float:
    """A pace that sinks which send each row by HTTP can keep up with."""
    return 0.2 if producer.style == "shown" else pace


def _process(scene: Scene, name: str, victim: Producer) -> psutil.Process | None:
    if name == "child":
        children = [one for one in _below(scene) if _CHILD in _command(one)]
        return children[0] if children else None
    process = scene.world.collector if name == "collector" else victim.process
    assert process is not None
    return psutil.Process(process.pid)


def _below(scene: Scene) -> list[psutil.Process]:
    assert scene.world.collector is not None
    return psutil.Process(scene.world.collector.pid).children(recursive=True)


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def _signal(process: psutil.Process, number: signal.Signals) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        process.send_signal(number)


# --- what lies on disk and in memory ---------------------------------------------------------------------------------


def delete_folder(scene: Scene) -> None:
    """The socket's folder, journals and all, goes and is made again. What a dead trainer left there is nobody's any
    more once it is deleted, so that must have been read before.
    """
    world = scene.world
    wait_for(lambda: not _dead(world), SETTLES_WITHIN, "the journals of the dead to be read")
    if scene.choose.random() < 0.5 and not scene.disks:
        shutil.rmtree(world.beside)
    else:
        shutil.rmtree(world.beside / "journals", ignore_errors=True)
    wait_for((world.beside / "collector.json").exists, 60, "the collector to listen again")
    wait_for(lambda: len(_owned(world)) >= len(world.alive()), 60, "the journals to be begun anew")


def earlier_boot(scene: Scene) -> None:
    """Collector and a trainer die, and what they leave says that it is of an earlier boot, whole as it is."""
    victim = scene.victim()
    scene.world.aim(victim)
    scene.world.kill_collector()
    scene.world.kill_producer(victim)
    for folder in _dead(scene.world):
        for path in folder.glob("*.seg"):
            age(path)
    scene.world.start_collector()
    scene.world.restart_producer(victim, _bounded(victim, 0.01))


def age(path: Path) -> None:
    """Give a segment the boot id of another boot."""
    data = path.read_bytes()
    if not data.strip(b"\0"):
        return  # prepared, or killed while it was
    header = wire.read_segment_header(data)._replace(boot=b"an earlier boot.")
    with path.open("r+b") as file:
        file.write(header.pack()[: wire.HEADER_SIZE])


def fill_disk(scene: Scene) -> None:
    """Somebody else takes all the room under journals, spool or both, and gives it back."""
    full = scene.choose.sample(scene.disks, scene.choose.choice([1, 2]))
    leave, seconds = scene.choose.choice([0, 0, 300_000]), scene.choose.random() * 1.5
    dies = scene.choose.random() < 0.4
    victim = scene.victim()
    try:
        for disk in full:
            disk.fill(leave)
        time.sleep(seconds)
        if dies:
            scene.world.kill_collector()
            scene.world.kill_producer(victim)
    finally:
        for disk in full:
            disk.free()
    if dies:
        scene.world.start_collector()
        scene.world.restart_producer(victim, _bounded(victim, 0.01))


def fail_calls(scene: Scene) -> None:
    """Syncing, writing or allocating fails for a while; a kill may fall into it."""
    assert scene.shim is not None
    what = scene.choose.choice(["fdatasync=5", "fsync=5", "pwrite=28", "fallocate=28", "fdatasync=5 pwrite=5"])
    seconds, dies = scene.choose.random(), scene.choose.random() < 0.4
    scene.shim.fail(what)
    try:
        time.sleep(seconds)
        if dies:
            scene.world.kill_collector()
    finally:
        scene.shim.mend()
    if dies:
        scene.world.start_collector()


def _dead(world: World) -> list[Path]:
    return [folder for folder in world.journals() if owner_of(folder) is Owner.DEAD and list(folder.glob("*.seg"))]


def _owned(world: World) -> list[Path]:
    return [folder for folder in world.journals() if owner_of(folder) is Owner.LIVES]


# --- time, and the other side ----------------------------------------------------------------------------------------


def move_clock(scene: Scene) -> None:
    assert scene.clock is not None
    scene.world.clock_moved = True
    scene.clock.move(scene.choose.choice(["+3600", "-3600", "+0", "-1800"]))


def sink_trouble(scene: Scene) -> None:
    """Something at a sink's other side; what is not one request's trouble ends with the next of these, or at last."""
    if scene.choose.random() < 0.3:
        scene.world.receivers.heal()
    scene.world.tally.faults[scene.world.receivers.trouble(scene.choose)] += 1


class Fault(NamedTuple):
    """A row of the table. weight: how often it is chosen. possible: whether this scene has what it takes."""

    make: Callable[[Scene], None]
    weight: int
    possible: Callable[[Scene], bool] = lambda scene: True


FAULTS: dict[str, Fault] = {
    "producer killed": Fault(kill_producer, 6),
    "collector killed": Fault(kill_collector, 6),
    "both killed": Fault(kill_both, 4),
    "collector absent": Fault(absent_collector, 1),
    "frozen": Fault(freeze, 2),
    "wandb child killed": Fault(kill_child, 6, lambda scene: bool(scene.world.receivers.wandb)),
    "folder deleted": Fault(delete_folder, 1),
    "earlier boot": Fault(earlier_boot, 1),
    "disk full": Fault(fill_disk, 5, lambda scene: bool(scene.disks)),
    "calls failed": Fault(fail_calls, 5, lambda scene: scene.shim is not None),
    "clock moved": Fault(move_clock, 4, lambda scene: scene.clock is not None),
    "sink in trouble": Fault(sink_trouble, 5, lambda scene: scene.world.receivers.troublesome),
}


def make(scene: Scene) -> str:
    """One fault of those possible in this scene; returns its name."""
    possible = {name: fault for name, fault in FAULTS.items() if fault.possible(scene)}
    name = scene.choose.choices(list(possible), [fault.weight for fault in possible.values()])[0]
    scene.world.tally.faults[name] += 1
    possible[name].make(scene)
    return name
