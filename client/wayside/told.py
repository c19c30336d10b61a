"""What a script asks for that has no effect here, said once in a process."""

from typing import Set

from .notices import MAX_TOLD, say

_told: Set[str] = set()


def told_once(key: str, message: str) -> None:
    """Say something on stderr, once for each key."""
    if key not in _told and len(_told) < MAX_TOLD:
        _told.add(key)
        say(message)
