"""What one sink reads from the spool: batches in the order they were stored, decoded, selected, merged by step, cut
into parcels.

Reading runs ahead of delivery by at most one parcel. It knows of each session how far it has read and which rows are
taken and not yet done, so that the sink's cursor, whenever it is committed, stands at the oldest row not done, and
one session's open step or undecided rank holds no other session.
"""

import logging
from collections import OrderedDict, deque
from collections.abc import Iterable
from typing import NamedTuple

from wayside import wire
from wayside.row import FINISH, Event, Row

from ..registry import Known, Registry
from ..sinks.base import Part, Record, Step, Traits
from ..spool import Amount, Damaged, Spool, Stored
from .election import Election
from .progress import Progress
from .selection import Selection, decode
from .steps import StepMerger

READ_AHEAD = 64  #: batches fetched from the index at a time

log = logging.getLogger(__name__)


class Gone(NamedTuple):
    """A batch that was for the sink and can no longer be read, why, and what of it is lost as its composition tells."""

    batch: int
    reason: str
    amount: Amount


class Reading:
    """One sink's reading. position: every batch up to this id is done."""

    def __init__(
        self, spool: Spool, registry: Registry, election: Election, selection: Selection, traits: Traits
    ) -> None:
        self.scan = 0  # batches up to this id have been looked at
        self.gone: list[Gone] = []
        self.taken: list[int] = []  # batches read since the pump last looked
        self._spool = spool
        self._registry = registry
        self._election = election
        self._selection = selection
        self._traits = traits
        self._progress: dict[int, Progress] = {}
        self._mergers: dict[int, StepMerger] = {}
        self._buffer: deque[Part] = deque()
        self._held: dict[int, int] = {}  # session to its first batch that waits for the election
        self._rereads: dict[int, tuple[int, int]] = {}  # session to (read up to, read to) of batches that waited
        self._finished: dict[int, int] = {}  # session to the batch of its finish
        self._pending: OrderedDict[int, tuple[int, int]] = OrderedDict()  # batch to (session, next_seq), not yet done
        self._touched: set[int] = set()

    # --- starting ---------------------------------------------------------------------------------

    def resume(self, position: int, cursors: dict[int, str]) -> None:
        """Stand where the sink was at its last commit."""
        self.scan = position
        for session, text in cursors.items():
            progress = self._progress[session] = Progress.from_text(text)
            if self._traits.unit == "step":
                self._mergers[session] = StepMerger(progress.closed)
            if progress.kept is not None:
                self._selection.last[session] = progress.kept

    def is_whole(self, batch: Stored) -> bool:
        """Whether nothing of a batch has been done before."""
        progress = self._progress.get(batch.session)
        return progress is None or (batch.first_seq >= progress.read and not progress.again)

    # --- reading ----------------------------------------------------------------------------------

    def next_fetch(self) -> tuple[int, int | None]:
        """Which batches to ask the spool for: those after an id, of one session or of all."""
        self._release()
        for session, (after, _) in self._rereads.items():
            return after, session
        return self.scan, None

    def fetched(self, session: int | None, batches: list[Stored], now: float) -> None:
        """Take what the spool gave. Called off the event loop: it reads files and decodes rows."""
        if session is None:
            for batch in batches:
                self._look_at(batch, now)
            return
        _, to = self._rereads[session]
        known = self._registry.of(session)
        for batch in batches:
            if batch.id <= to:
                self._take(known, batch, bool(self._election.verdict(session, batch.id)), now)
                self._rereads[session] = (batch.id, to)
        if not batches or batches[-1].id >= to:
            del self._rereads[session]

    def _look_at(self, batch: Stored, now: float) -> None:
        self.scan = max(self.scan, batch.id)
        if batch.session in self._held:
            return
        known = self._registry.of(batch.session)
        verdict: bool | None = True
        if batch.amount.rows and known.session.kind == "run":
            verdict = self._election.verdict(batch.session, batch.id)
            if verdict is None and self._selection.primary_only and self._selection.wants(known):
                self._held[batch.session] = batch.id
                return
        self._take(known, batch, bool(verdict), now)

    def _release(self) -> None:
        """Sessions that waited for the election and need not any more are read anew from where they were held."""
        for session, batch in list(self._held.items()):
            if self._election.verdict(session, batch) is not None:
                self._rereads[session] = (batch - 1, self.scan)
                del self._held[session]

    def _take(self, known: Known, batch: Stored, speaks: bool, now: float) -> None:
        progress = self._progress.setdefault(batch.session, Progress())
        records = self._records(known, batch, progress, speaks)
        again = progress.again
        if again:
            fresh = [record for record in records if progress.is_new(record.seq)]
            again.difference_update(range(batch.first_seq, batch.next_seq))
        else:
            fresh = records if batch.first_seq >= progress.read else [r for r in records if r.seq >= progress.read]
        kept = list(self._selection.rows(known, fresh, speaks))
        progress.read = max(progress.read, batch.next_seq)
        progress.kept = self._selection.last.get(batch.session)
        self._touched.add(batch.session)
        self.taken.append(batch.id)
        self._pending[batch.id] = (batch.session, batch.next_seq)
        if any(isinstance(record, Event) and record.kind == FINISH for record in fresh):
            self._finished[batch.session] = batch.id
        out: list[Record] = list(kept) if self._traits.unit == "row" else self._merge(batch.session, kept, now)
        self._push(known, out, speaks)

    def _records(self, known: Known, batch: Stored, progress: Progress, speaks: bool) -> list[Row | Event]:
        """A batch's records, or what is left of them; what cannot be had any more is booked."""
        if not self._selection.wants(known):
            return []
        try:
            rows = self._spool.read(batch.rows) if batch.rows is not None else b""
            events = self._spool.read(batch.events) if batch.events is not None else b""
            return decode(known, rows, events, batch.first_seq)
        except (Damaged, OSError, wire.WireError, KeyError) as problem:
            log.error("batch %d of session %s cannot be read: %s", batch.id, known.session.id[:8], problem)
            reason = "damaged" if isinstance(problem, (Damaged, wire.WireError, KeyError)) else "missing"
            lost = self._selection.amount(known, batch, speaks) if self._selection.is_plain(batch) else batch.amount
            self.gone.append(Gone(batch.id, reason, lost))
            return []

    def _merge(self, session: int, records: Iterable[Row | Event], now: float) -> list[Record]:
        merger = self._mergers.setdefault(session, StepMerger())
        out: list[Record] = []
        for record in records:
            if isinstance(record, Row):
                if self._registry.of(session).session.kind == "system":
                    out.append(record)
                else:
                    out += merger.add(record, now)
            else:
                if record.kind == FINISH:
                    out += merger.close()
                out.append(record)
        return out

    def _push(self, known: Known, records: list[Record], speaks: bool) -> None:
        if not records:
            return
        system = known.session.kind == "system"
        primary = (
            speaks if any(not isinstance(record, Event) for record in records) else self._election.leads(known.key)
        )
        last = self._buffer[-1] if self._buffer else None
        if last is not None and last.session is known.session and last.primary == primary and not system:
            last.records.extend(records)
            return
        open_runs = self._registry.open_runs(_time(records[0])) if system else ()
        self._buffer.append(Part(known.session, records, open_runs, primary))

    def close_stale(self, now: float) -> None:
        """Hand over steps that no row has come to for the sink's step timeout."""
        for session, merger in self._mergers.items():
            steps: list[Record] = list(merger.close_stale(now, self._traits.step_timeout))
            if steps:
                self._touched.add(session)
                self._push(self._registry.of(session), steps, True)

    def next_stale(self) -> float | None:
        """When the next open step becomes stale."""
        times = [merger.stale_at(self._traits.step_timeout) for merger in self._mergers.values()]
        return min((time for time in times if time is not None), default=None)

    @property
    def moved(self) -> bool:
        """Whether anything was read that the last commit does not know of."""
        return bool(self._touched)

    def behind(self, admitted: int) -> bool:
        """Whether there are batches to read."""
        self._release()
        return bool(self._rereads) or self.scan < admitted

    # --- parcels ----------------------------------------------------------------------------------

    @property
    def buffered(self) -> int:
        """Records ready to be sent."""
        return sum(len(part.records) for part in self._buffer)

    def cut(self, most: int) -> list[Part]:
        """Take at most `most` records from the buffer."""
        parts: list[Part] = []
        while self._buffer and most > 0:
            part = self._buffer.popleft()
            if len(part.records) > most:
                self._buffer.appendleft(part._replace(records=part.records[most:]))
                part = part._replace(records=part.records[:most])
            parts.append(part)
            most -= len(part.records)
        return parts

    # --- what is done -----------------------------------------------------------------------------

    def cursors(self, in_flight: Iterable[Part]) -> tuple[int, dict[int, str | None]]:
        """The position and the changed cursors, if the parts in flight are not done and all handed over before is."""
        outstanding = self._outstanding(in_flight)
        changed: dict[int, str | None] = {}
        for session in self._touched:
            progress, merger = self._progress[session], self._mergers.get(session)
            progress.closed = merger.closed if merger is not None else None
            changed[session] = progress.to_text(outstanding.get(session, ()))
        for batch, (session, next_seq) in list(self._pending.items()):
            if session not in outstanding or min(outstanding[session]) >= next_seq:
                del self._pending[batch]
        waiting = [*list(self._pending)[:1], *self._held.values(), *(after + 1 for after, _ in self._rereads.values())]
        position = min([self.scan, *(batch - 1 for batch in waiting)])
        for session, batch in list(self._finished.items()):
            if batch <= position and session not in outstanding:
                changed[session] = None
        self._touched = set(outstanding)
        return position, changed

    def _outstanding(self, in_flight: Iterable[Part]) -> dict[int, set[int]]:
        """Session to the seqs taken from the spool and not yet done."""
        found: dict[int, set[int]] = {}
        for part in [*in_flight, *self._buffer]:
            known = self._registry.by_id(part.session.id)
            assert known is not None
            seqs = found.setdefault(known.key, set())
            for record in part.records:
                seqs.update(record.seqs if isinstance(record, Step) else (record.seq,))
        for session, merger in self._mergers.items():
            if merger.open_seqs:
                found.setdefault(session, set()).update(merger.open_seqs)
        for session, progress in self._progress.items():
            if progress.again:
                found.setdefault(session, set()).update(progress.again)
        return found

    def forgotten(self, cursors: Iterable[tuple[int, str | None]]) -> None:
        """Cursors that were removed for good: these sessions are over and done."""
        for session, text in cursors:
            if text is None:
                self._finished.pop(session, None)
                self._progress.pop(session, None)
                self._mergers.pop(session, None)
                self._selection.last.pop(session, None)

    def held_in(self, batches: Iterable[Stored], events: bool, in_flight: list[Part]) -> Amount:
        """What in memory belongs to these batches, their events or their rows. A merged step counts as a whole."""
        ranges = self._ranges(batches)
        held = [
            record
            for part in [*in_flight, *self._buffer]
            for record in part.records
            if isinstance(record, Event) == events and _within(record, ranges.get(part.session.id, ()))
        ]
        amount = amount_of_records(held)
        for merger in self._mergers_in(ranges, events):
            amount = amount.plus(merger.open_amount)
        return amount

    def forget(self, batches: Iterable[Stored], events: bool, in_flight: list[Part]) -> None:
        """Take that out of memory."""
        ranges = self._ranges(batches)
        for part in [*in_flight, *self._buffer]:
            found = ranges.get(part.session.id, ())
            part.records[:] = [r for r in part.records if isinstance(r, Event) != events or not _within(r, found)]
        for merger in self._mergers_in(ranges, events):
            merger.close()
        self._buffer = deque(part for part in self._buffer if part.records)

    def _ranges(self, batches: Iterable[Stored]) -> dict[str, list[range]]:
        """The seqs of batches, by session id."""
        ranges: dict[str, list[range]] = {}
        for batch in batches:
            id = self._registry.of(batch.session).session.id
            ranges.setdefault(id, []).append(range(batch.first_seq, batch.next_seq))
        return ranges

    def _mergers_in(self, ranges: dict[str, list[range]], events: bool) -> list[StepMerger]:
        """Mergers whose open step has a row in these ranges."""
        if events:
            return []
        found = []
        for session, merger in self._mergers.items():
            of = ranges.get(self._registry.of(session).session.id, ())
            if any(seq in one for seq in merger.open_seqs for one in of):
                found.append(merger)
        return found

    def amount_of_rest(self, known: Known, batch: Stored, counting: Selection, speaks: bool) -> Amount:
        """What of a batch is still to come for this sink: for the accounts, at a start or where options depend on
        rows.
        """
        progress = self._progress.get(batch.session)
        records: list[Row | Event] = []
        if counting.wants(known):
            try:
                rows = self._spool.read(batch.rows) if batch.rows is not None else b""
                events = self._spool.read(batch.events) if batch.events is not None else b""
                records = decode(known, rows, events, batch.first_seq)
            except (Damaged, OSError, wire.WireError, KeyError):
                return batch.amount if counting.every is None else Amount()
        fresh = [record for record in records if progress is None or progress.is_new(record.seq)]
        return amount_of_records(counting.rows(known, fresh, speaks))


def _time(record: Record) -> float:
    return record.time


def _within(record: Record, ranges: Iterable[range]) -> bool:
    seqs = record.seqs if isinstance(record, Step) else (record.seq,)
    return any(seq in one for seq in seqs for one in ranges)


def amount_of_records(records: Iterable[Record]) -> Amount:
    """What records count in the books, merged steps by the rows they are made of."""
    points = rows = events = 0
    for record in records:
        if isinstance(record, Event):
            events += 1
        elif isinstance(record, Row):
            rows += 1
            points += len(record.names)
        else:
            rows += len(record.seqs)
            points += record.points
    return Amount(points, rows, events)
