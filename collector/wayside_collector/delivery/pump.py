"""The pump: feeds one sink from the spool, at the sink's own pace.

    stored batch → admitted to the books (received) → read, decoded, selected, merged → parcel → sink.send
        → cursor, books and the sink's state committed in one transaction (delivered)

A pump shares nothing with another but the spool it reads: a sink that is slow, down or refusing delays no one. What is
unexpected ends here: whatever a sink raises is a reason to try again, never a reason to stop.
"""

import asyncio
import contextlib
import logging
import random
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import msgspec

from ..registry import Registry
from ..sinks.base import Changes, Context, Parcel, Part, Record, Ref, Reject, Retry, Sink, SinkOptions, Step
from ..spool import Amount, SinkCommit, Spool, SpoolError, Stored
from . import backoff
from .books import NOTHING, Books
from .election import Election
from .reading import READ_AHEAD, Reading, amount_of_records
from .selection import Selection

IDLE = 1.0  #: seconds a pump sleeps at most: how late a step timeout may be noticed
MAX_DEAD_LETTERS = 10_000  #: of one sink: enough to see what is wrong; the oldest go first, the counter has them all

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PumpStatus:
    """What is shown of a sink: its books, in points unless said otherwise, and how it fares."""

    books: Books
    lag_seconds: float
    last_error: str | None
    failures: int
    counters: dict[str, int]
    dead_letters: int


@dataclass(frozen=True, slots=True)
class Shared:
    """What all pumps of a collector share. folder: where each sink has a folder of its own. clock: Unix time in
    seconds. randomness: numbers from 0 to 1, for the backoff.
    """

    spool: Spool
    registry: Registry
    election: Election
    folder: Path
    clock: Callable[[], float] = time.time
    randomness: Callable[[], float] = random.random


class Pump:
    """Feeds one sink until cancelled."""

    def __init__(self, name: str, sink: Sink, options: SinkOptions, shared: Shared) -> None:
        self.name = name
        self.sink = sink
        self.books = Books()
        self.last_error: str | None = None
        self.failures = 0
        self.counters: dict[str, int] = {}
        self.dead_letters = 0
        self._spool = shared.spool
        self._registry = shared.registry
        self._election = shared.election
        self._folder = shared.folder / name
        self._clock = shared.clock
        self._random = shared.randomness
        self._selection = Selection(options, sink.traits)
        self._counting = Selection(options, sink.traits)
        self._reading = Reading(shared.spool, shared.registry, shared.election, self._selection, sink.traits)
        self._position = 0  # as committed last
        self._admitted = 0  # batches up to this id are in the books
        self._undecided: deque[Stored] = deque()
        self._by_row: dict[int, Amount] = {}  # what was admitted of batches whose amount only reading tells
        self._in_flight: list[Part] = []
        self._uncertain: set[Ref] = set()
        self._state: dict[str, bytes] = {}
        self._delivered = NOTHING  # sent, not yet committed
        self._changes: dict[str, bytes | None] = {}
        self._last_commit = 0.0
        self._oldest: float | None = None
        self._wake = asyncio.Event()
        self.turn = asyncio.Lock()
        self._open = False

    # --- life -------------------------------------------------------------------------------------

    async def load(self) -> None:
        """Stand where the sink was at its last commit, and count what waits."""
        kept = await asyncio.to_thread(self._spool.sink, self.name)
        if kept is None:
            position = self._spool.last_batch() if self.sink.traits.start == "now" else 0
        else:
            position = kept[0]
            self.books = Books.from_text(kept[1])
        cursors = await asyncio.to_thread(self._spool.cursors, self.name)
        self._reading.resume(position, cursors)
        self._counting.last = dict(self._selection.last)
        self._state = await asyncio.to_thread(self._spool.state, self.name)
        counted = self._spool.query("SELECT count(*) FROM dead_letters WHERE sink = ?", self.name)
        self.dead_letters = counted[0][0]
        self._admitted = self._position = position
        if kept is None:
            await self._commit_now()
        await self._admit_backlog()

    async def _admit_backlog(self) -> None:
        while batches := await asyncio.to_thread(self._spool.batches, self._admitted, READ_AHEAD):
            for batch in batches:
                self._admit(batch, fresh=False)
                self._admitted = batch.id

    def stored(self, batches: Iterable[Stored]) -> None:
        """New batches are on disk; the election has seen them."""
        for batch in batches:
            if batch.id > self._admitted:
                self._admit(batch, fresh=True)
                self._admitted = batch.id
        self._wake.set()

    def decided(self) -> None:
        """The election decided something, or a session ended."""
        waiting, self._undecided = self._undecided, deque()
        for batch in waiting:
            self._admit(batch, fresh=True)
        self._wake.set()

    def _admit(self, batch: Stored, *, fresh: bool) -> None:
        """Count a batch as received, as far as the sink's options let it in."""
        batch = _what_is_left(batch)
        known = self._registry.of(batch.session)
        speaks: bool | None = True
        if batch.amount.rows and known.session.kind == "run" and self._selection.primary_only:
            speaks = self._election.verdict(batch.session, batch.id)
        if speaks is None:
            self._undecided.append(batch)
            return
        if self._selection.is_plain(batch) and (fresh or self._reading.is_whole(batch)):
            amount = self._counting.amount(known, batch, speaks)
        else:
            amount = self._reading.amount_of_rest(known, batch, self._counting, speaks)
            self._by_row[batch.id] = amount
        self.books.received = self.books.received.plus(amount)
        if fresh or self._reading.is_whole(batch):
            self.books.filtered = self.books.filtered.plus(batch.amount.minus(amount))

    async def run(self) -> None:
        """Read, send, commit, for ever."""
        try:
            while True:
                parts = await self._next_parts()
                await self._deliver(parts)
        finally:
            await self.sink.close()

    async def drain(self, until: float) -> None:
        """Wait until nothing waits, at most until a time of the loop's clock."""
        loop = asyncio.get_running_loop()
        while self.books.waiting and loop.time() < until:
            self._wake.set()
            await asyncio.sleep(0.02)

    # --- reading ----------------------------------------------------------------------------------

    async def _next_parts(self) -> list[Part]:
        """The next parcel's parts; waits until there are some."""
        while True:
            if not self._reading.buffered:
                async with self.turn:
                    await self._fill()
            if self._reading.buffered:
                return self._reading.cut(self.sink.traits.max_records)
            if self._changes or self._delivered or self._reading.moved:
                async with self.turn:
                    await self._commit_soon()
            self._wake.clear()
            if self._reading.behind(self._admitted):
                continue
            await self._rest()

    async def _fill(self) -> None:
        """Read until a parcel is full or nothing is left."""
        while self._reading.buffered < self.sink.traits.max_records:
            after, session = self._reading.next_fetch()
            if session is None and after >= self._admitted:
                break
            batches = await asyncio.to_thread(self._fetch, after, session)
            self._settle_gone()
            if session is None and not batches:
                break
        self._reading.close_stale(self._clock())

    def _fetch(self, after: int, session: int | None) -> list[Stored]:
        """Off the event loop: the index, the files, the decoding."""
        batches = [batch for batch in self._spool.batches(after, READ_AHEAD, session) if batch.id <= self._admitted]
        room = self.sink.traits.max_records
        taken: list[Stored] = []
        for batch in batches:  # no more than a parcel's worth is decoded ahead
            taken.append(batch)
            room -= batch.amount.rows + batch.amount.events
            if room <= 0:
                break
        self._reading.fetched(session, taken, self._clock())
        return taken

    def _settle_gone(self) -> None:
        """Book what was admitted and can no longer be read."""
        for gone in self._reading.gone:
            amount = self._by_row.get(gone.batch, gone.amount)
            self.books.drop(gone.reason, amount)
        self._reading.gone.clear()
        for batch in self._reading.taken:
            self._by_row.pop(batch, None)
        self._reading.taken.clear()

    async def _rest(self) -> None:
        stale = self._reading.next_stale()
        wait = IDLE if stale is None else max(0.0, min(IDLE, stale - self._clock()))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._wake.wait(), max(wait, 0.005))

    # --- sending ----------------------------------------------------------------------------------

    async def _deliver(self, parts: list[Part]) -> None:
        """Send these parts until all of them are delivered, refused or lost."""
        self._in_flight = parts
        self._oldest = min((part.records[0].time for part in parts), default=None)
        while self._in_flight:
            pause = 0.0
            async with self.turn:
                if self._in_flight:
                    pause = await self._try()
            if pause:
                await asyncio.sleep(pause)
        self._oldest = None

    async def _try(self) -> float:
        """One attempt; returns the seconds to wait before the next."""
        parcel = Parcel(self._in_flight)
        again = {ref for ref in parcel.refs() if ref in self._uncertain} if self._uncertain else set()
        try:
            if not self._open:
                await self.sink.open(Context(self.name, self._folder, dict(self._state), self._count))
                self._open = True
            changes = await self.sink.send(parcel)
        except Retry as answer:
            return await self._retry(answer, parcel, again)
        except Reject as answer:
            await self._reject(answer, parcel, again)
            return 0.0
        except asyncio.CancelledError:
            raise
        except Exception as problem:
            log.exception("sink %s failed in a way it should not; tried again", self.name)
            return await self._retry(Retry(f"{type(problem).__name__}: {problem}", uncertain=True), parcel, again)
        self._succeed(self._in_flight, again, changes)
        self._in_flight = []
        await self._commit_soon()
        return 0.0

    def _succeed(self, parts: Sequence[Part], again: set[Ref], changes: Changes) -> None:
        self.failures = 0
        self.last_error = None
        self._delivered = self._delivered.plus(_amount(parts))
        if again:
            self.books.redelivered = self.books.redelivered.plus(_amount(_only(parts, again)))
            self._uncertain -= again
        self._changes.update(changes)

    async def _retry(self, answer: Retry, parcel: Parcel, again: set[Ref]) -> float:
        through = _only(parcel.parts, answer.delivered)
        if through or answer.changes:
            self._succeed(through, again & answer.delivered, answer.changes)
            self._in_flight = _without(parcel.parts, answer.delivered)
            await self._commit_soon()
        if answer.uncertain:
            self._uncertain |= parcel.refs() - answer.delivered
        self.failures += 1
        self.last_error = str(answer)
        if self.failures == 1:
            log.warning("sink %s: %s; tried again", self.name, answer)
        now = self._clock()
        return backoff.wait(self.failures, self._random, not_before=answer.not_before, now=now)

    async def _reject(self, answer: Reject, parcel: Parcel, again: set[Ref]) -> None:
        refused = _only(parcel.parts, answer.rows)
        self._succeed(_without(parcel.parts, answer.rows), again - answer.rows, answer.changes)
        self._uncertain -= answer.rows
        self.last_error = str(answer)
        amount = _amount(refused)
        log.error("sink %s refused %d rows for good: %s; see dead letters", self.name, amount.rows, answer)
        self.books.drop("rejected", amount)
        await self._bury(refused, str(answer))
        self._in_flight = []
        await self._commit_now()

    async def _bury(self, parts: Sequence[Part], reason: str) -> None:
        """Keep refused rows where a person can see them and send them again."""
        now = self._clock()
        letters = []
        for part in parts:
            known = self._registry.by_id(part.session.id)
            for record in part.records:
                seq = record.seqs[0] if isinstance(record, Step) else record.seq
                points = _amount([part._replace(records=[record])]).points
                body = msgspec.json.encode(record)
                letters.append((self.name, now, known.key if known else 0, seq, reason, points, body))
        statement = (
            "INSERT INTO dead_letters (sink, time, session, seq, reason, points, record) VALUES (?, ?, ?, ?, ?, ?, ?)"
        )
        trim = (
            "DELETE FROM dead_letters WHERE sink = ?1 AND id <= (SELECT max(id) FROM dead_letters WHERE sink = ?1) - ?2"
        )
        self.dead_letters += len(letters)
        with contextlib.suppress(SpoolError):
            await asyncio.wrap_future(
                self._spool.execute(
                    lambda db: (db.executemany(statement, letters), db.execute(trim, (self.name, MAX_DEAD_LETTERS))),
                    lazy=True,
                )
            )

    def _count(self, name: str, by: int) -> None:
        self.counters[name] = self.counters.get(name, 0) + by

    # --- committing -------------------------------------------------------------------------------

    async def _commit_soon(self) -> None:
        """Commit, unless the sink's pace says that it can wait for more."""
        interval = self.sink.traits.commit_interval
        if time.monotonic() - self._last_commit >= interval:
            await self._commit_now()

    async def _commit_now(self) -> None:
        """Cursor, books and state of this moment, in one transaction; while that fails, the pump pauses."""
        position, cursors = self._reading.cursors(self._in_flight)
        delivered, self._delivered = self._delivered, NOTHING
        changes, self._changes = self._changes, {}
        books = self.books.copy()
        books.delivered = books.delivered.plus(delivered)
        commit = SinkCommit(self.name, position, cursors, books.to_text(), changes)
        lazy = not (self._reading.buffered or self._reading.behind(self._admitted))
        while True:
            try:
                await asyncio.shield(asyncio.wrap_future(self._spool.commit(commit, lazy=lazy)))
                break
            except SpoolError as problem:
                self.last_error = str(problem)
                await asyncio.sleep(1.0)
        self._last_commit = time.monotonic()
        self._position = position
        self.books.delivered = self.books.delivered.plus(delivered)
        for key, value in changes.items():
            if value is None:
                self._state.pop(key, None)
            else:
                self._state[key] = value
        self._reading.forgotten(cursors.items())

    # --- limits and status ------------------------------------------------------------------------

    def plan_loss(self, batches: Sequence[Stored], chain: str, reason: str) -> "Loss":
        """What this sink loses when these batches' file is dropped; `turn` is held until `take_loss`, or until it is
        known that the file stays. Changes nothing.
        """
        lost = self._reading.held_in(batches, chain == "events", self._in_flight)
        late = NOTHING
        undecided = {batch.id for batch in self._undecided}
        for batch in batches:
            if batch.id in undecided:
                late = late.plus(self._unread_amount(batch, chain))
            elif batch.id > self._reading.scan:
                lost = lost.plus(self._unread_amount(batch, chain))
        books = self.books.copy()
        books.drop(reason, lost.plus(late))
        return Loss(reason, lost.plus(late), late, SinkCommit(self.name, self._position, {}, books.to_text()))

    def take_loss(self, loss: "Loss", batches: Sequence[Stored], chain: str) -> None:
        """The file is gone, and the loss is booked on disk."""
        self.books.received = self.books.received.plus(loss.late)
        self.books.drop(loss.reason, loss.amount)
        self._reading.forget(batches, chain == "events", self._in_flight)
        self._in_flight = [part for part in self._in_flight if part.records]
        gone = {batch.id for batch in batches}
        self._undecided = deque(batch for batch in self._undecided if batch.id not in gone)

    def _unread_amount(self, batch: Stored, chain: str) -> Amount:
        counted = self._by_row.get(batch.id)
        if counted is None:
            known = self._registry.of(batch.session)
            speaks = self._election.verdict(batch.session, batch.id) if self._selection.primary_only else True
            counted = self._counting.amount(known, _what_is_left(batch), speaks is not False)
        return Amount(0, 0, counted.events) if chain == "events" else Amount(counted.points, counted.rows, 0)

    @property
    def idle(self) -> bool:
        """Whether nothing that is stored is left to deliver, nor to decide whether it will be."""
        return not self.books.waiting and not self._undecided

    def status(self) -> PumpStatus:
        waiting = bool(self.books.waiting)
        lag = max(0.0, self._clock() - self._oldest) if waiting and self._oldest is not None else 0.0
        return PumpStatus(self.books, lag, self.last_error, self.failures, dict(self.counters), self.dead_letters)


class Loss(NamedTuple):
    """What a sink loses with a file. late: the part of it that was not in the books before, since the election had
    not decided on it. commit: how the books then stand, for the transaction that drops the file.
    """

    reason: str
    amount: Amount
    late: Amount
    commit: SinkCommit


def _what_is_left(batch: Stored) -> Stored:
    """A batch whose rows or events were dropped counts what it still has."""
    points, rows, events = batch.amount
    if batch.rows is None and rows:
        points = rows = 0
        batch = batch._replace(composition=())
    if batch.events is None:
        events = 0
    return batch._replace(amount=Amount(points, rows, events))


def _amount(parts: Iterable[Part]) -> Amount:
    return amount_of_records(record for part in parts for record in part.records)


def _only(parts: Iterable[Part], refs: frozenset[Ref] | set[Ref]) -> list[Part]:
    """Parts with those records alone that are named. A step is named by any of its rows."""
    return _split(parts, lambda part, record: _named(part, record, refs))


def _without(parts: Iterable[Part], refs: frozenset[Ref] | set[Ref]) -> list[Part]:
    return _split(parts, lambda part, record: not _named(part, record, refs))


def _named(part: Part, record: Record, refs: frozenset[Ref] | set[Ref]) -> bool:
    if isinstance(record, Step):
        return any((part.session.id, seq) in refs for seq in record.seqs)
    return (part.session.id, record.seq) in refs


def _split(parts: Iterable[Part], keep: Callable[[Part, Record], bool]) -> list[Part]:
    kept = []
    for part in parts:
        records = [record for record in part.records if keep(part, record)]
        if records:
            kept.append(part._replace(records=records))
    return kept
