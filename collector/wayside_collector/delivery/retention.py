"""Keeps the spool within its limits: media go first, then the oldest file of the least valuable class. Every sink books
its loss and commits it, then the file is dropped; a crash in between finds it booked, and drops it again.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable

from ..outage import Outage
from ..spool import PartName, Spool, SpoolError
from .pump import Pump

INTERVAL = 1.0  #: seconds between looks at the limits: a burst writes at most some files more in that time

log = logging.getLogger(__name__)


async def keep_limits(spool: Spool, pumps: Callable[[], Iterable[Pump] | None]) -> None:
    """Run until cancelled. pumps: None while it is not known of all of them what they would lose."""
    outage = Outage(log)
    while True:
        try:
            while (losers := pumps()) is not None and await drop_one(spool, list(losers)):
                pass
            outage.end("the spool's limits are kept again")
        except SpoolError as problem:
            outage.go_on("the spool's limits cannot be kept: %s", problem)
        await asyncio.sleep(INTERVAL)


async def drop_one(spool: Spool, pumps: list[Pump]) -> bool:
    """Drop one file if a limit is passed; whether one was."""
    dropped = await drop_media(spool, pumps)
    if dropped is not None:
        return dropped
    found = await asyncio.to_thread(spool.over_limit)
    if found is None:
        return False
    file, chain, reason = found
    batches = await asyncio.to_thread(spool.batches_of_file, file)
    part: PartName = "events" if chain == "events" else "rows"
    # At once: a sink in the middle of a send holds up no other.
    losses = await asyncio.gather(*(pump.write_off(batches, part, f"spool_{reason}") for pump in pumps))
    await asyncio.wrap_future(spool.drop(file))
    for pump in pumps:
        pump.dropped(batches)
    if any(losses):
        log.error("the spool is over its limit (%s): undelivered %s were dropped, and booked", reason, chain)
    return reason != "disk"  # with a full disk one file must do until the next write has been tried


async def drop_media(spool: Spool, pumps: list[Pump]) -> bool | None:
    """Drop the oldest media if a limit is passed, with the events they came with: whether there may be more to drop;
    None where there was nothing.
    """
    found = await asyncio.to_thread(spool.media_over_limit)
    if found is None:
        return None
    batches, reason = found
    losses = await asyncio.gather(*(pump.write_off(batches, "events", f"media_{reason}") for pump in pumps))
    await asyncio.wrap_future(spool.drop_media([batch.id for batch in batches]))
    for pump in pumps:
        pump.dropped(batches)
    if any(losses):
        log.error("media are over their limit (%s): %d undelivered were dropped, and booked", reason, len(batches))
    return reason != "disk"
