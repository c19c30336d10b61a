"""Work on a request that takes long is done in a thread, so that the event loop goes on: milliseconds at a time are
lost to it that way, and not hundreds.
"""

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

BYTES = 16 << 10  #: of a body from which on it is read in a thread: what less costs is less than a thread's turn
ROWS = 200  #: likewise for rows that are written

Told = TypeVar("Told")


async def paced(is_long: bool, work: Callable[..., Told], *given: Any) -> Told:
    """The work's answer."""
    return await asyncio.to_thread(work, *given) if is_long else work(*given)
