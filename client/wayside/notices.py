"""What a run says to its user, each thing once, and the count of what it refused."""

import sys
from typing import Dict

MAX_TOLD = 50  #: different things told to the user by one run; a training log is not ours to fill
LOSSES = ("dropped", "lost")  #: what is told however much was told before
MAX_REASONS = 50  #: reasons counted apart; the rest is "other"


class Notices:
    """refused: reason to how many points or events were refused for it. unsaid: messages that could not be written."""

    def __init__(self) -> None:
        self.refused: Dict[str, int] = {}
        self.unsaid = 0
        self._told: Dict[str, str] = {}

    def tell(self, key: str, message: str) -> None:
        """Say something to the user, once for each key."""
        if key in self._told or (len(self._told) >= MAX_TOLD and key not in LOSSES):
            return
        self._told[key] = message
        if len(self._told) == MAX_TOLD:
            message += f"\nwayside: this was the {MAX_TOLD}th notice; further ones are not told, but for lost rows"
        if not say(message):
            self.unsaid += 1

    def begin_anew(self) -> None:
        """In a forked child: what was told stays told, and the parent counts what it refused."""
        self.refused = {}
        self.unsaid = 0

    def refuse(self, why: str, message: str) -> None:
        """Count something that is not kept, and tell the user, once for each reason: a wide row has thousands of names
        and one reason.
        """
        reason = why if why in self.refused or len(self.refused) < MAX_REASONS else "other"
        self.refused[reason] = self.refused.get(reason, 0) + 1
        self.tell(f"refused {why}", message)


def say(message: str) -> bool:
    """One line on stderr; whether that went well: it may be closed, full, busy in this very thread, or any object."""
    try:
        sys.stderr.write(f"wayside: {message}\n")
    except Exception:  # noqa: BLE001 -- nothing that is said to the user is worth a training
        return False
    return True
