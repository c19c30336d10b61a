"""What faults are made in: a world, the seeded hand, and the instruments of one round."""

import random
from dataclasses import dataclass, field

from .instruments import Clock, Shim, SmallDisk
from .world import Producer, World

PACES = ([0.0, 0.01, 0.05], [1, 4, 4])  #: seconds after 64 rows, at most; 0 is a tight loop, by fits and starts


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


def bounded(producer: Producer, pace: float) -> float:
    """A pace that sinks which send each row by HTTP can keep up with."""
    return 0.2 if producer.style == "shown" else pace
