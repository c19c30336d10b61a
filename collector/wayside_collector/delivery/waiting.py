"""Waiting for what cannot be stopped half-way: a thread that reads, a commit that was handed in."""

import asyncio
from typing import TypeVar

Result = TypeVar("Result")


async def outcome(future: "asyncio.Future[Result]") -> tuple[Result, asyncio.CancelledError | None]:
    """What it came to, and the cancellation that came meanwhile, for the caller to raise once he has put things right.

    Raises what it raised; where there was a cancellation as well, that, since whoever tries again would never end.
    """
    try:
        return await asyncio.shield(future), None
    except asyncio.CancelledError as cancelled:
        await asyncio.wait([future])
        if (problem := future.exception()) is not None:
            raise cancelled from problem
        return future.result(), cancelled
