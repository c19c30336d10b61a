"""Sessions whose connection is gone: each comes again, has a journal that is read, or is over."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from ..intake import Inlet, Intake
from ..outage import Outage
from ..spool import SpoolError

GONE_AFTER = 10.0  #: seconds a session without a journal may be away before it counts as ended

Later = Callable[[Coroutine[Any, Any, None], str], asyncio.Task[None]]


class Leaving:
    """Ends sessions that stay away. is_here: whether somebody has to do with a session. later: begins a task."""

    def __init__(self, intake: Intake, is_here: Callable[[Inlet], bool], later: Later, outage: Outage) -> None:
        self._intake = intake
        self._is_here = is_here
        self._later = later
        self._outage = outage
        self._waiting: dict[str, asyncio.Task[None]] = {}

    def expect(self, inlet: Inlet) -> None:
        """It has been away from now on."""
        id = inlet.client_id
        if (before := self._waiting.get(id)) is not None:
            before.cancel()  # it had come again meanwhile
        task = self._waiting[id] = self._later(self._end_when_gone(inlet), "session-end")
        task.add_done_callback(lambda done: self._forget(id, done))

    def _forget(self, id: str, task: asyncio.Task[None]) -> None:
        if self._waiting.get(id) is task:
            del self._waiting[id]

    async def _end_when_gone(self, inlet: Inlet) -> None:
        """A session whose frames came on the socket is over when it said so, or when it stays away."""
        if not inlet.finished:
            await asyncio.sleep(GONE_AFTER)
        while not self._is_here(inlet):
            try:
                await self._intake.end(inlet)
            except SpoolError as problem:
                self._outage.go_on("%s; sessions wait", problem)
                await asyncio.sleep(GONE_AFTER)
            else:
                self._outage.end("the spool takes rows again")
                return
