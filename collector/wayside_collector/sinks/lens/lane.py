"""The lane of reports: beside the steps, one at a time, and never in their way.

Lens hands a report on to an advisor and answers when that has, which may take minutes. What waits here is kept with
the sink's state from the send that brought it until a send after Lens took it, so nothing is lost by a restart; a
report that was taken and not yet forgotten when the collector ended goes once more, which changes nothing at Lens.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping

from .judge import Judgement

PAUSE, MAX_PAUSE = 5.0, 300.0  #: seconds between two tries, doubled from the one to the other
MAX_TRIES = 300  #: of one report: a day of them; the framework of a run is not worth more

log = logging.getLogger(__name__)


class ReportLane:
    """post: sends one body. count: adds to a counter of the sink's: `reports` taken, `reports_refused`,
    `reports_given_up`.
    """

    def __init__(
        self, post: Callable[[bytes], Awaitable[Judgement]], count: Callable[[str, int], None], pause: float = PAUSE
    ) -> None:
        self.settled: dict[str, bytes] = {}
        self._post = post
        self._count = count
        self._pause = pause
        self._waiting: dict[str, bytes] = {}
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="lens-reports")

    async def stop(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def offer(self, reports: Mapping[str, bytes]) -> None:
        """These wait, by key; one that is settled as it is does not."""
        self._waiting.update((key, body) for key, body in reports.items() if self.settled.get(key) != body)
        if self._waiting:
            self._wake.set()

    def forget(self, kept: Mapping[str, bytes]) -> None:
        """What is kept no longer need not be known as settled."""
        self.settled = {key: body for key, body in self.settled.items() if key in kept}

    async def _run(self) -> None:
        tries: dict[str, int] = {}
        pause = self._pause
        while True:
            if not self._waiting:
                self._wake.clear()
                await self._wake.wait()
            failed = False
            for key, body in list(self._waiting.items()):
                judged = await self._post(body)
                tries[key] = tries.get(key, 0) + 1
                if judged.verdict in ("taken", "refused") or tries[key] >= MAX_TRIES:
                    self._settle(key, body, judged)
                    tries.pop(key, None)
                else:
                    failed = True
            if failed:
                await asyncio.sleep(pause)  # a report that comes meanwhile waits with the others: Lens is in trouble
            pause = min(2 * pause, MAX_PAUSE) if failed else self._pause

    def _settle(self, key: str, body: bytes, judged: Judgement) -> None:
        what = {"taken": "reports", "refused": "reports_refused"}.get(judged.verdict, "reports_given_up")
        self._count(what, 1)
        if judged.verdict != "taken":
            log.warning("Lens does not take the report of a run's framework: %s", judged.message)
        if self._waiting.get(key) == body:
            del self._waiting[key]
        self.settled[key] = body
