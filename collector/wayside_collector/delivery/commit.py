"""What one sink commits: its cursors, its books, its kept state and its dead letters, of one moment and in one
transaction of the spool.
"""

import asyncio
import time

from ..spool import SinkCommit, SpoolError
from .admission import Admission
from .books import REJECTED, Books, to_text
from .flight import Flight, Sent
from .kept import Kept, SinkName
from .reading import Reading
from .replay import NONE, Replay, Revived
from .waiting import outcome

SPOOL_PAUSE = 1.0  #: seconds before the spool is asked again after it failed
BUSY_INTERVAL = 0.1  #: seconds between two commits while more is there to send: each costs a sync


class Commits:
    """One sink's. state, position: what it keeps and where it stands, as of the last commit. dead_letters: how many are
    kept; evicted: how many were not, for their limit. interval: seconds between two that can wait. error: why the last
    one failed.
    """

    def __init__(self, name: SinkName, reading: Reading, admission: Admission, flight: Flight, replay: Replay) -> None:
        self.state: dict[str, bytes] = {}
        self.position = 0
        self.dead_letters = self.evicted = 0
        self.interval = 0.0
        self.error: str | None = None
        self._last = 0.0
        self._name, self._kind = name
        self._spool = replay.spool
        self._replay = replay
        self._reading = reading
        self._admission = admission
        self._flight = flight

    async def resume(self, kept: Kept) -> None:
        """Go on from what is kept, and note what of it the next commit must repair. Raises SpoolError."""
        self.state = dict(kept.state)
        self._flight.sent.changes.update(dict.fromkeys(kept.ended))
        for session in kept.repaired:
            self._reading.standing.touch(session)
        await self.recount()

    async def recount(self) -> None:
        """Dead letters may have been dropped."""
        self.dead_letters = await asyncio.to_thread(self._spool.dead_letters, self._name)

    @property
    def needed(self) -> bool:
        """Whether there is anything the last one does not know of."""
        return bool(self._flight.sent) or self._reading.standing.moved

    async def at_pace(self) -> None:
        """Commit, unless the sink's pace says that it can wait, or more is about to come along."""
        interval = max(self.interval, BUSY_INTERVAL) if self._busy else self.interval
        if time.monotonic() - self._last >= interval:
            await self.surely()

    @property
    def _busy(self) -> bool:
        """Whether more is there to be sent."""
        return bool(self._reading.buffer.ready) or self._reading.behind(self._admission.seen)

    async def surely(self) -> None:
        """Commit; while that fails, the pump pauses."""
        while True:
            try:
                await self.commit()
                return
            except SpoolError as problem:
                self.error = str(problem)
                await asyncio.sleep(SPOOL_PAUSE)

    async def commit(self, revived: Revived = NONE) -> None:
        """Raises SpoolError, and then nothing changed: what was sent is still to be committed. revived: dead letters
        that wait from now on.
        """
        position, cursors = self._reading.cursors(self._flight.from_spool)
        sent = self._flight.sent
        settled = self._replay.settled(self._flight.parts)
        books = self._admission.books.copy()
        _apply(books, sent, revived)
        text = to_text(books, self._admission.ahead, self._admission.written_off())
        told = (sent.changes, sent.letters, revived.ids, settled)
        commit = SinkCommit(self._name, position, cursors, text, *told, kind=self._kind)
        try:
            gone, cancelled = await outcome(asyncio.wrap_future(self._spool.commit(commit, lazy=not self._busy)))
        except (SpoolError, asyncio.CancelledError):
            for session in cursors:
                self._reading.standing.touch(session)
            raise
        self.position = position
        self._flight.sent = Sent()
        _apply(self._admission.books, sent, revived)
        self._replay.forget(settled)
        self._replay.waiting += revived.ids
        for key, value in sent.changes.items():
            if value is None:
                self.state.pop(key, None)
            else:
                self.state[key] = value
        self.dead_letters += len(sent.letters) - gone - len(revived.ids)
        self.evicted += gone
        self._last = time.monotonic()
        self.error = None
        if cancelled is not None:
            raise cancelled


def _apply(books: Books, sent: Sent, revived: Revived) -> None:
    books.deliver(sent.delivered, sent.again)
    books.drop(REJECTED, sent.rejected)
    if revived.ids:
        books.revive(revived.amount)
