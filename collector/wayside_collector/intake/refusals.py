"""How often somebody was turned away, by door and by reason. Those who refuse count here; `health` reads it."""

from collections import Counter
from typing import Literal

Door = Literal["socket", "listen", "listen_public"]
Reason = Literal[
    "peer", "journal", "connections", "sessions", "silent", "unread", "malformed", "line",
    "token", "role", "host", "origin",
]  # fmt: skip


class Refusals:
    """Doors and reasons are few and fixed, so that the counts stay few."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str]] = Counter()

    def count(self, door: Door, reason: Reason) -> None:
        self._counts[door, reason] += 1

    def counts(self) -> dict[tuple[str, str], int]:
        """(door, reason) to how often. From any thread."""
        return dict(self._counts)
