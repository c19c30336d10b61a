"""What one sink reads from the spool: batches in the order they were stored, decoded, selected, merged by step, cut
into parcels.

Reading runs ahead of delivery by at most one parcel. A session whose rank is not yet elected, or whose run is set
aside, is held, and read later from where it was held; no other session waits for it.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import NamedTuple

from wayside.row import DEFINE_METRIC, FINISH, Event, Row

from ..registry import Known, Registry
from ..sinks.base import Part, Record, Step, Traits
from ..spool import Amount, PartName, Spool, Stored
from .buffer import Buffer, take
from .election import Election
from .groups import Group, Groups, read_group
from .iterations import Iterations
from .parcels import amount_of, seqs_of
from .progress import Outstanding, Progress, Standing
from .selection import Selection
from .steps import StepMerger

READ_AHEAD = 256  #: batches fetched from the index at a time, and the most that are decoded at once


class Taken(NamedTuple):
    """A batch that was taken. fresh: for the first time. lost: parts that cannot be read, and why. kept: what it came
    to, where only reading tells.
    """

    batch: Stored
    fresh: bool
    lost: tuple[tuple[PartName, str], ...]
    kept: Amount | None


class Reading:
    """One sink's. scan: batches up to this id have been looked at. left_of: a batch without what is written off of it.
    taken: what was taken since the pump last looked.
    """

    def __init__(
        self, spool: Spool, registry: Registry, election: Election, selection: Selection, traits: Traits
    ) -> None:
        self.scan = 0
        self.standing = Standing()
        self.left_of: Callable[[Stored], Stored] = lambda batch: batch
        self.taken: list[Taken] = []
        self.buffer = Buffer()
        self._spool = spool
        self._registry = registry
        self._election = election
        self._selection = selection
        self._traits = traits
        self._mergers: dict[int, StepMerger] = {}
        self._iterations: dict[int, Iterations] = {}
        self._held: dict[int, int] = {}  # session to its first batch that waits for the election, or for its run
        self._rereads: dict[int, tuple[int, int]] = {}  # session that waited: (read up to, read to)
        self._due = Groups()
        self._current = 0.0  # when everything stored was last read, Unix time in seconds

    def resume(self, position: int, cursors: dict[int, Progress]) -> None:
        """Stand where the sink was at its last commit."""
        self.scan = position
        self.standing.resume(position, cursors)
        for session, progress in self.standing.sessions.items():
            if self._traits.unit == "step":
                self._mergers[session] = StepMerger(progress.closed)
            if progress.kept is not None:
                self._selection.last[session] = progress.kept

    # --- reading, off the event loop --------------------------------------------------------------

    def fetch(self, upto: int, now: float) -> bool:
        """Take the next batches, up to a batch and no more than a parcel's worth; whether there are more. Reads files
        and decodes rows. Raises SpoolError.
        """
        more = self._look_on(upto)
        for group in self._due.take():
            self._take(group, now)
        return more

    def _look_on(self, upto: int) -> bool:
        """Choose the next batches; whether there are more after them."""
        self._release()
        session = next(iter(self._rereads), None)
        after, to = (self.scan, upto) if session is None else self._rereads[session]
        found = self._spool.batches(after, READ_AHEAD, session)
        room = self._traits.max_records
        for batch in found:
            if batch.id > to:
                break
            self._look_at(self.left_of(batch))
            if session is not None and session in self._held:
                del self._rereads[session]  # it must wait again
                return True
            self._read_up_to(session, batch.id)
            room -= batch.amount.rows + batch.amount.events
            if room <= 0:
                return True
        if len(found) == READ_AHEAD and found[-1].id <= to:
            return True
        self._read_up_to(session, to)
        if session is not None:
            del self._rereads[session]
        return bool(self._rereads)

    def _read_up_to(self, session: int | None, batch: int) -> None:
        if session is None:
            self.scan = max(self.scan, batch)
        else:
            self._rereads[session] = (batch, self._rereads[session][1])

    def _look_at(self, batch: Stored) -> None:
        if batch.session in self._held:
            return
        known = self._registry.of(batch.session)
        if self.buffer.aside.holds(known.session.run.id):
            self._held[batch.session] = batch.id
            return
        verdict: bool | None = True
        if batch.amount.rows and known.session.kind == "run":
            verdict = self._election.verdict(batch.session, batch.id)
            if verdict is None and self._is_undecided(known, batch.id):
                self._held[batch.session] = batch.id
                return
        if not self.standing.is_taken(batch) or self.standing.comes_again(batch):
            fresh = batch.first_seq >= self.standing.of(batch.session).read
            self._due.add(known, batch, bool(verdict), joins=fresh and self._selection.is_plain(batch))

    def _release(self) -> None:
        """Sessions that waited and need not any more are read anew from where they were held."""
        for session, batch in list(self._held.items()):
            known = self._registry.of(session)
            if not self.buffer.aside.holds(known.session.run.id) and not self._is_undecided(known, batch):
                self._rereads[session] = (batch - 1, self.scan)
                del self._held[session]

    def _is_undecided(self, known: Known, batch: int) -> bool:
        """Whether nobody knows yet if this session's rows are for this sink."""
        if known.session.kind != "run" or not (self._selection.primary_only and self._selection.wants(known)):
            return False
        return self._election.verdict(known.key, batch) is None

    def _take(self, group: Group, now: float) -> None:
        known, speaks = group.known, group.speaks
        progress = self.standing.of(known.key)
        read = progress.read
        records, lost = read_group(self._spool, self._selection, group)
        if group.batches[0].first_seq < read:
            records = [record for record in records if progress.is_new(record.seq)]
        kept = list(self._selection.rows(known, records, speaks, read))
        for batch in group.batches:
            told = None if self._selection.is_plain(batch) else amount_of(kept)
            self.standing.take(batch, self._selection.last.get(known.key))
            self.taken.append(Taken(batch, batch.first_seq >= read, lost.get(batch.id, ()), told))
        out: list[Record] = list(kept) if self._traits.unit == "row" else self._merge(known, kept, now)
        self._push(known, out, speaks)

    def _merge(self, known: Known, records: Iterable[Row | Event], now: float) -> list[Record]:
        merger = self._mergers.setdefault(known.key, StepMerger())
        out: list[Record] = []
        for record in records:
            if isinstance(record, Event):
                if record.kind == FINISH:
                    out += merger.close()
                elif record.kind == DEFINE_METRIC:
                    self._iterations_of(known).define(record.data)
                out.append(record)
            elif known.session.kind == "system":
                out.append(record)
            else:
                row = self._iterations_of(known).resolve(record) if self._traits.iterations else record
                out += merger.add(row, now)
        return out

    def _iterations_of(self, known: Known) -> Iterations:
        """What is kept of them changes with the session's progress, and is committed with it."""
        found = self._iterations.get(known.key)
        if found is None:
            found = self._iterations[known.key] = Iterations(self.standing.of(known.key).iterations)
        return found

    def _push(self, known: Known, records: list[Record], speaks: bool) -> None:
        if not records:
            return
        system = known.session.kind == "system"
        only_events = all(isinstance(record, Event) for record in records)
        primary = self._election.leads(known.key) if only_events and not system else speaks
        open_runs = self._registry.open_runs(records[0].time, known.session.via) if system else ()
        self.buffer.append(Part(known.session, records, open_runs, primary))

    # --- what is ready ----------------------------------------------------------------------------

    def close_stale(self, now: float, seen: int) -> None:
        """Hand over steps that no row has come to for the sink's step timeout, as far as everything stored is read: a
        row that waits in the spool has come.
        """
        if not self.behind(seen):
            self._current = now
        for session, merger in self._idle_mergers():
            steps: list[Record] = list(merger.close_stale(self._current, self._traits.step_timeout))
            if steps:
                self.standing.touch(session)
                self._push(self._registry.of(session), steps, True)

    def next_stale(self) -> float | None:
        """When the next open step becomes stale."""
        times = [merger.stale_at(self._traits.step_timeout) for _, merger in self._idle_mergers()]
        return min((time for time in times if time is not None), default=None)

    def _idle_mergers(self) -> list[tuple[int, StepMerger]]:
        """Of sessions whose every stored row was looked at."""
        waiting = self._held.keys() | self._rereads.keys()
        return [(session, merger) for session, merger in self._mergers.items() if session not in waiting]

    def behind(self, seen: int) -> bool:
        """Whether there are batches to read."""
        self._release()
        return bool(self._rereads) or self.scan < seen

    # --- what is done -----------------------------------------------------------------------------

    def cursors(self, in_flight: Iterable[Part]) -> tuple[int, dict[int, str | None]]:
        """The position and the changed cursors, if the parts in flight are not done and all handed over before is."""
        waiting = [*self._held.values(), *(after + 1 for after, _ in self._rereads.values())]
        closed = {session: merger.closed for session, merger in self._mergers.items()}
        changed = self.standing.cursors(
            self._outstanding(in_flight), closed, min([self.scan, *(batch - 1 for batch in waiting)])
        )
        return self.standing.position, changed

    def _outstanding(self, in_flight: Iterable[Part]) -> dict[int, Outstanding]:
        """Session to what is taken from the spool and not yet done."""
        seqs: dict[int, set[int]] = {}
        steps: dict[int, int] = {}
        for part in [*in_flight, *self.buffer]:
            known = self._registry.by_id(part.session.id)
            assert known is not None
            mine = seqs.setdefault(known.key, set())
            for record in part.records:
                if isinstance(record, Step):
                    mine.update(record.seqs)
                    if not record.late:
                        steps[known.key] = min(record.step, steps.get(known.key, record.step))
                else:
                    mine.add(record.seq)
        for session, merger in self._mergers.items():
            if merger.open_seqs:
                seqs.setdefault(session, set()).update(merger.open_seqs)
        for session, progress in self.standing.sessions.items():
            if progress.again:
                seqs.setdefault(session, set()).update(progress.again)
        return {session: Outstanding(found, steps.get(session)) for session, found in seqs.items()}

    def take_out(self, batches: Sequence[Stored], part: PartName, in_flight: list[Part]) -> Amount:
        """Take out of memory what belongs to a part of batches that is about to be dropped, and say how much that is. A
        merged step goes as a whole.
        """
        ranges: dict[str, list[range]] = {}
        for batch in batches:
            session_id = self._registry.of(batch.session).session.id
            ranges.setdefault(session_id, []).append(range(batch.first_seq, batch.next_seq))
        lost = Amount()
        for held in [*in_flight, *self.buffer]:
            found = ranges.get(held.session.id, [])
            if found:
                lost = lost.plus(amount_of(take(held, partial(_is_gone, part=part, ranges=found))))
        for session, merger in self._mergers.items():
            found = ranges.get(self._registry.of(session).session.id, [])
            if part == "rows" and any(seq in one for seq in merger.open_seqs for one in found):
                lost = lost.plus(amount_of(merger.close()))
                self.standing.touch(session)
        self.buffer.drop_empty()
        return lost

    def forget(self, session: int) -> None:
        """A session is known no longer: nothing of it is stored, nothing outstanding."""
        self.standing.forget(session)
        self._mergers.pop(session, None)
        self._iterations.pop(session, None)
        self._selection.last.pop(session, None)


def _is_gone(record: Record, part: PartName, ranges: Sequence[range]) -> bool:
    return isinstance(record, Event) == (part == "events") and _within(record, ranges)


def _within(record: Record, ranges: Iterable[range]) -> bool:
    return any(seq in one for seq in seqs_of(record) for one in ranges)
