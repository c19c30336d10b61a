"""The pump: feeds one sink from the spool, at the sink's own pace.

    stored batch → admitted to the books (received) → read, decoded, selected, merged → parcel → sink.send
        → cursor, books and the sink's state committed in one transaction (delivered)

A pump shares nothing with another but the spool it reads: a sink that is slow, down or refusing delays no one. Whoever
reads, sends or commits holds the pump's turn. `stored`, `decided` and `forget` do not: they run on the event loop
without a wait, and touch what lies behind all that a thread reads meanwhile, or sessions of which nothing is left.
"""

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from ..registry import Known
from ..sinks.base import Sink, SinkOptions
from ..spool import Amount, Choice, PartName, SpoolError, Stored
from .admission import Admission
from .books import NOTHING, Books
from .commit import SPOOL_PAUSE, Commits
from .flight import Flight
from .kept import SinkName, read_kept
from .reading import Reading
from .replay import Replay
from .selection import Selection
from .sending import Sending
from .shared import Shared
from .waiting import outcome

IDLE = 1.0  #: seconds a pump sleeps at most: how late a step timeout may be noticed
REVIVE_WAIT = 30.0  #: seconds a send may go on before dead letters are told to wait: somebody is waiting for that
COUNT_AHEAD = 1000  #: batches counted at a time after a start, half a megabyte: each look costs a thread a turn
CLOSE_LIMIT = 10.0  #: seconds a sink may take to close

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PumpStatus:
    """What is shown of a sink: its books, in points, and how it fares. left_out: sessions, by reason."""

    books: Books
    lag_seconds: float
    last_error: str | None
    failures: int
    counters: dict[str, int]
    dead_letters: int
    dead_letters_evicted: int = 0
    left_out: dict[str, int] = field(default_factory=dict)


class Pump:
    """Feeds one sink until cancelled."""

    def __init__(self, name: str, sink: Sink, options: SinkOptions, shared: Shared, *, kind: str | None = None) -> None:
        self.name, self.kind = name, kind
        self.sink = sink
        self._shared = shared
        self._spool = shared.spool
        parts = (shared.spool, shared.registry, shared.election)
        self._reading = Reading(*parts, Selection(options, sink.traits), sink.traits)
        self._counting = Selection(options, sink.traits)
        self._admission = Admission(*parts, self._counting, self._reading.standing)
        self._reading.left_of = self._admission.left_of
        self._flight = Flight(lambda id: known.key if (known := shared.registry.by_id(id)) else 0)
        self._replay = Replay(name, shared.spool, shared.registry, sink.traits)
        self._commits = Commits(SinkName(name, kind), self._reading, self._admission, self._flight, self._replay)
        self._commits.interval = sink.traits.commit_interval
        self._sending = Sending(name, sink, shared, self._reading, self._flight)
        self._sending.report = lambda: shared.report(self.books)
        self._wake = asyncio.Event()
        self._turn = asyncio.Lock()
        self._early: list[Stored] | None = []  # stored while it is being loaded

    @property
    def books(self) -> Books:
        return self._admission.books

    @property
    def idle(self) -> bool:
        """Whether nothing that is stored is left to deliver, nor to decide whether it will be."""
        return not self.books.waiting and not self._admission.undecided

    # --- life -------------------------------------------------------------------------------------

    async def load(self) -> None:
        """Stand where the sink was at its last commit, and count what waits; rows may come in meanwhile. Raises
        SpoolError.
        """
        async with self._turn:
            await self._resume()
            while batches := await self._backlog():
                # In a thread: of a sink whose options look at rows every one of them is decoded.
                await asyncio.to_thread(self._admission.admit_backlog, batches)
            if self.sink.traits.shows:
                await self._sending.open_early(self._commits)
            early, self._early = self._early or [], None
            self._admission.admit(early)

    async def _backlog(self) -> list[Stored]:
        """The next batches that wait. What the election has not seen yet is told of when it has."""
        found = await asyncio.to_thread(self._spool.batches, self._admission.seen, COUNT_AHEAD)
        return [batch for batch in found if batch.id <= self._shared.election.seen]

    async def _resume(self) -> None:
        named = SinkName(self.name, self.kind)
        kept = await asyncio.to_thread(read_kept, self._spool, named, self.sink.traits)
        await self._commits.resume(kept)
        self._sending.counters.update(kept.damaged)
        self._reading.resume(kept.position, kept.cursors)
        self._counting.last = {key: one.kept for key, one in self._reading.standing.sessions.items() if one.kept}
        self._admission.resume(kept.position, kept.books, kept.written_off)
        waiting = await asyncio.to_thread(self._replay.resume)
        self.books.receive(waiting.amount, NOTHING)
        if kept.differs:
            await self._commits.surely()

    async def hold(self, within: float) -> None:
        """Wait until no send is under way, for some seconds; whoever cancels it right then cuts nothing off."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within), self._turn:
                pass

    async def run(self) -> None:
        """Read, send, commit, for ever."""
        try:
            while True:
                await self._next_parts()
                while self._flight.parts:
                    await self._send()
        finally:
            with contextlib.suppress(TimeoutError, SpoolError):
                async with asyncio.timeout(CLOSE_LIMIT), self._turn:
                    await self._commits.commit()
            await self.close()

    async def close(self) -> None:
        """Close the sink. Safe twice, and without `run`."""
        try:
            async with asyncio.timeout(CLOSE_LIMIT):
                await self.sink.close()
        except Exception:
            log.exception("sink %s could not be closed", self.name)

    # --- what others tell it ----------------------------------------------------------------------

    def stored(self, batches: Iterable[Stored]) -> None:
        """New batches are on disk; the election has seen them."""
        if self._early is not None:
            self._early.extend(batches)
            return
        self._admission.admit(batches)
        self._wake.set()

    def decided(self) -> None:
        """The election decided something, or a session ended."""
        if self._early is not None:
            return  # seen to when it is loaded
        self._admission.settle()
        self._wake.set()

    def forget(self, sessions: Iterable[Known]) -> None:
        """These sessions are known no longer."""
        for known in sessions:
            self._reading.forget(known.key)
            self._counting.last.pop(known.key, None)
            self._counting.left_out.pop(known.key, None)

    async def revive(self, choice: Choice) -> int:
        """These dead letters of the sink wait again; how many. Raises SpoolError, or TimeoutError while a send goes on
        for longer than anyone waits.
        """
        async with asyncio.timeout(REVIVE_WAIT):
            await self._turn.acquire()
        try:
            found = await asyncio.to_thread(self._replay.choose, choice)
            if found.ids:
                await self._commits.commit(found)
        finally:
            self._turn.release()
        self._wake.set()
        return len(found.ids)

    async def recount_letters(self) -> None:
        """Some of the sink's dead letters were dropped. Raises SpoolError."""
        await self._commits.recount()

    async def write_off(self, batches: Sequence[Stored], part: PartName, reason: str) -> Amount:
        """A part of these batches is about to be dropped: book what of it this sink still had to deliver, and commit
        that. `dropped` follows once it is gone. Returns what was lost; raises SpoolError.
        """
        if all(batch.id <= self._commits.position for batch in batches):
            return Amount()  # all of it is done
        self._sending.hurry()
        async with self._turn:
            standing = self._reading.standing
            lost = self._reading.take_out(batches, part, self._flight.from_spool)
            self.books.drop(reason, lost)
            for batch in batches:
                if not standing.is_taken(batch) or standing.comes_again(batch):
                    lost = lost.plus(self._admission.write_off(batch, part, reason))
                if (batch.rows if part == "events" else batch.events) is None:  # nothing of it is left to come again
                    standing.of(batch.session).again.difference_update(range(batch.first_seq, batch.next_seq))
            self._flight.parts = [held for held in self._flight.parts if held.records]
            self._reading.buffer.forget_troubles(self._flight.runs())
            self._flight.keep_uncertain(self._reading.buffer.refs() | self._flight.parcel().refs())
            await self._commits.commit()
            return lost

    def dropped(self, batches: Iterable[Stored]) -> None:
        self._admission.dropped(batches)

    # --- reading ----------------------------------------------------------------------------------

    async def _next_parts(self) -> None:
        """Put the next parcel's parts in flight; waits until there are some."""
        while True:
            self._wake.clear()
            try:
                async with self._turn:
                    await self._take_next()
                    if self._flight.parts:
                        return
                    if self._commits.needed:
                        await self._commits.at_pace()
                    self._commits.error = None
            except SpoolError as problem:
                self._commits.error = str(problem)
                await asyncio.sleep(SPOOL_PAUSE)
            if not self._reading.behind(self._admission.seen):
                await self._rest()

    async def _take_next(self) -> None:
        """Dead letters that go again before anything new."""
        most = self.sink.traits.max_records
        if self._replay.waiting:
            cutting = asyncio.ensure_future(asyncio.to_thread(self._replay.cut, most))
            self._flight.again = True
            self._flight.parts, cancelled = await outcome(cutting)
            if cancelled is not None:
                raise cancelled
        else:
            self._reading.buffer.aside.wake(self._shared.clock())
            await self._fill()
            self._flight.again = False
            self._flight.parts = self._reading.buffer.cut(most)

    async def _fill(self) -> None:
        """Read until a parcel is full or nothing is left."""
        now = self._shared.clock()
        more = True
        while more and self._reading.buffer.ready < self.sink.traits.max_records:
            reading = asyncio.ensure_future(asyncio.to_thread(self._reading.fetch, self._admission.seen, now))
            try:
                more, cancelled = await outcome(reading)
            finally:
                self._admission.settle()
                for taken in self._reading.taken:
                    self._admission.took(*taken)
                self._reading.taken.clear()
            if cancelled is not None:
                raise cancelled
        self._reading.close_stale(now, self._admission.seen)

    async def _rest(self) -> None:
        times = [time for time in (self._reading.next_stale(), self._reading.buffer.aside.next_due) if time is not None]
        wait = max(0.005, min([IDLE, *(time - self._shared.clock() for time in times)]))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait):
                await self._wake.wait()

    # --- sending ----------------------------------------------------------------------------------

    async def _send(self) -> None:
        """One attempt, and the pause after it if it failed."""
        async with self._turn:
            pause = await self._sending.attempt(self._commits) if self._flight.parts else 0.0
        if pause:
            await asyncio.sleep(pause)

    # --- status -----------------------------------------------------------------------------------

    def status(self) -> PumpStatus:
        """From any thread: copies, since the pump goes on meanwhile."""
        sending, aside = self._sending, self._reading.buffer.aside
        oldest = min((time for time in (self._flight.oldest, aside.oldest) if time is not None), default=None)
        return PumpStatus(
            books=self.books.copy(),
            lag_seconds=max(0.0, self._shared.clock() - oldest) if oldest is not None else 0.0,
            last_error=self._commits.error or sending.last_error or aside.error,
            failures=max(sending.failures, aside.failures),
            counters=dict(sending.counters),
            dead_letters=self._commits.dead_letters,
            dead_letters_evicted=self._commits.evicted,
            left_out=Counter(list(self._counting.left_out.values())),
        )
