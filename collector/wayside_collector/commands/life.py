"""What the commands share that run a collector: signals, and what becomes of an error."""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any

from .base import EXIT_FAILED, EXIT_HELD, say


@contextlib.contextmanager
def signals(stop: asyncio.Event, reload: Callable[[], None] | None = None) -> Iterator[None]:
    """SIGTERM and SIGINT set `stop`, a second one ends the process at once; SIGHUP calls `reload`."""
    loop = asyncio.get_running_loop()

    def heard(number: int) -> None:
        if stop.is_set():
            os._exit(128 + number)
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, heard, number)
    if reload is not None:
        loop.add_signal_handler(signal.SIGHUP, reload)
    try:
        yield
    finally:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.remove_signal_handler(number)


async def until_ready(ready: asyncio.Event, running: "asyncio.Task[None]", within: float | None = None) -> bool:
    """Wait until a collector is ready, for some seconds; False when it is not, or has ended before."""
    waiting = asyncio.create_task(ready.wait())
    await asyncio.wait({running, waiting}, timeout=within, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    return ready.is_set()


async def until_delivered(
    parts: Any,
    running: "asyncio.Task[None]",
    until: float,
    stop: asyncio.Event | None = None,
    each_look: Callable[[], None] = lambda: None,
) -> bool:
    """Wait until a collector that only delivers has found and delivered everything; whether it came to that. until: on
    the clock that only grows. stop: ends the waiting, too. each_look: is called until then.
    """
    if not await until_ready(parts.ready, running, until - time.monotonic()):
        return False
    await parts.journals.look_for_orphans()
    while time.monotonic() < until and not running.done() and not (stop is not None and stop.is_set()):
        if parts.journals.idle and parts.pumps.idle:
            return True
        each_look()
        await asyncio.sleep(0.1)
    return False


def guarded(work: Callable[[], Any]) -> int:
    """Run the collector; what an operator must act on becomes a sentence and an exit code."""
    from ..sources.listening import SocketHeld
    from ..spool import SpoolError, SpoolHeld

    try:
        code: int = asyncio.run(work())
        return code
    except* (SpoolHeld, SocketHeld) as held:
        say(first_of(held))
        code = EXIT_HELD
    except* (SpoolError, OSError) as failed:
        say(f"the collector stopped: {first_of(failed)}")
        code = EXIT_FAILED
    return code


def first_of(group: BaseExceptionGroup[Exception]) -> str:
    """What the first of them says."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return str(error)
