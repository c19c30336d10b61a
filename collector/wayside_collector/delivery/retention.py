"""Keeps the spool within its limits: the oldest file of the least valuable class goes first, and every sink's loss is
booked in the transaction that drops it.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable

from ..spool import Spool, SpoolError
from .pump import Pump

INTERVAL = 1.0  #: seconds between looks at the limits: a burst writes at most some files more in that time

log = logging.getLogger(__name__)


async def keep_limits(spool: Spool, pumps: Callable[[], Iterable[Pump]]) -> None:
    """Run until cancelled."""
    while True:
        try:
            while await drop_one(spool, list(pumps())):
                pass
        except SpoolError as problem:
            log.error("the spool's limits cannot be kept: %s", problem)
        await asyncio.sleep(INTERVAL)


async def drop_one(spool: Spool, pumps: list[Pump]) -> bool:
    """Drop one file if a limit is passed; whether one was."""
    found = await asyncio.to_thread(spool.over_limit)
    if found is None:
        return False
    file, chain, reason = found
    batches = await asyncio.to_thread(spool.batches_of_file, file)
    commits = [await pump.lose(batches, chain, f"spool_{reason}") for pump in pumps]
    await asyncio.wrap_future(spool.drop(file, commits))
    log.error("the spool is over its limit (%s): %d batches of %s dropped, and booked", reason, len(batches), chain)
    return True
