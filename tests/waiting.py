"""Waiting in tests: for a condition, with a deadline far beyond what it takes, never for a time."""

import asyncio
import time
from collections.abc import Callable
from typing import TypeVar

Found = TypeVar("Found")

PATIENCE = 15.0  #: seconds: less than a test may take, and more than anything does on a machine under load


def until(ask: Callable[[], Found], what: str, *, within: float = PATIENCE, every: float = 0.01) -> Found:
    """The first true answer; fails when none comes."""
    deadline = time.monotonic() + within
    while not (found := ask()):
        assert time.monotonic() < deadline, f"after {within:g} s still not: {what}; the last answer was {found!r}"
        time.sleep(every)
    return found


async def until_async(ask: Callable[[], Found], what: str, *, within: float = PATIENCE) -> Found:
    """The same on an event loop."""
    deadline = time.monotonic() + within
    while not (found := ask()):
        assert time.monotonic() < deadline, f"after {within:g} s still not: {what}; the last answer was {found!r}"
        await asyncio.sleep(0.005)
    return found
