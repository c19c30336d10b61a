"""What was done to a world, counted."""

from collections import Counter
from dataclasses import dataclass, field


@dataclass
class Tally:
    """That the faults really hit: kills while a row was not yet let go, doubles refused when it was read again, and
    how often each fault was made.
    """

    kills: int = 0
    kills_with_rows_held: int = 0
    doubles: int = 0
    faults: Counter[str] = field(default_factory=Counter)

    def add(self, other: "Tally") -> None:
        self.kills += other.kills
        self.kills_with_rows_held += other.kills_with_rows_held
        self.doubles += other.doubles
        self.faults.update(other.faults)
