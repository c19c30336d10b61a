"""Journals whose events name files are stored beside the looks at the others: files are hashed, and copied where one
file system does not hold both, for as long as they are long, and no other session's rows wait for that.

A session that is being stored is not read on meanwhile, so its order stays.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from .following import Followed

MAX_ASIDE = 16  #: journals stored so at once, each with what one look took of it; further ones are waited for


class Aside:
    """store: stores what was read of journals; raises SpoolError. done: called when there may be more to read."""

    def __init__(self, store: Callable[[Sequence[Followed]], Awaitable[None]], done: Callable[[], None]) -> None:
        self._store = store
        self._done = done
        self._tasks: dict[str, asyncio.Future[None]] = {}
        self._problem: BaseException | None = None

    def __contains__(self, id: str) -> bool:
        return id in self._tasks

    def __len__(self) -> int:
        return len(self._tasks)

    def take(self, followed: Followed) -> bool:
        """Store what was read of this journal, where it is for here."""
        if not followed.inlet.claims or len(self._tasks) >= MAX_ASIDE:
            return False
        id = followed.inlet.client_id
        task = asyncio.ensure_future(self._store([followed]))
        self._tasks[id] = task
        task.add_done_callback(lambda task: self._end(id, task))
        return True

    def _end(self, id: str, task: "asyncio.Future[None]") -> None:
        del self._tasks[id]
        self._problem = self._problem or (None if task.cancelled() else task.exception())
        self._done()

    def raise_problem(self) -> None:
        """What went wrong since the last call."""
        problem, self._problem = self._problem, None
        if problem is not None:
            raise problem

    async def settle(self) -> None:
        """Wait for what is under way."""
        if self._tasks:
            await asyncio.wait(list(self._tasks.values()))

    def cancel(self) -> None:
        for task in self._tasks.values():
            task.cancel()
