"""Keeps the spool within its limits: the oldest file of the least valuable class goes first, and every sink's loss is
booked in the transaction that drops it.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable

from ..spool import Spool, SpoolError
from .pump import Pump

INTERVAL = 1.0  #: seconds between looks at the limits: a burst writes at most some files more in that time

PATIENCE = 2.0  #: seconds the other sinks may be held up by one that is in the middle of a send

log = logging.getLogger(__name__)


async def keep_limits(spool: Spool, pumps: Callable[[], Iterable[Pump]]) -> None:
    """Run until cancelled."""
    while True:
        try:
            while await drop_one(spool, list(pumps())):
                pass
        except SpoolError as problem:
            log.error("the spool's limits cannot be kept: %s", problem)
        except TimeoutError:
            log.warning("the spool is over its limit, and a sink is in the middle of a long send: tried again")
            await asyncio.sleep(PATIENCE * 4)
        await asyncio.sleep(INTERVAL)


async def drop_one(spool: Spool, pumps: list[Pump]) -> bool:
    """Drop one file if a limit is passed; whether one was. Raises TimeoutError when a sink's send takes too long for
    it.
    """
    found = await asyncio.to_thread(spool.over_limit)
    if found is None:
        return False
    file, chain, reason = found
    async with contextlib.AsyncExitStack() as turns:
        async with asyncio.timeout(PATIENCE):
            for pump in pumps:  # no sink moves between what is counted as lost and the transaction that says so
                await turns.enter_async_context(pump.turn)
        batches = await asyncio.to_thread(spool.batches_of_file, file)
        losses = [pump.plan_loss(batches, chain, f"spool_{reason}") for pump in pumps]
        await asyncio.wrap_future(spool.drop(file, [loss.commit for loss in losses]))
        for pump, loss in zip(pumps, losses, strict=True):
            pump.take_loss(loss, batches, chain)
    if any(loss.amount for loss in losses):
        log.error("the spool is over its limit (%s): undelivered %s were dropped, and booked", reason, chain)
    return True
