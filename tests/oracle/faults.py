"""The faults an oracle chooses from. Each hurts the world and brings it back, but for what the hurt itself leaves; each
takes its chances from the seeded hand, so that a round can be played again.
"""

from collections.abc import Callable
from typing import NamedTuple

from .kills import absent_collector, freeze, kill_both, kill_child, kill_collector, kill_producer
from .places import delete_folder, earlier_boot, fail_calls, fill_disk
from .scene import Scene


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
