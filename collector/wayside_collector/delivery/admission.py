"""Which stored batches are in one sink's books as received, and for how much: each once, when it is stored, or when
the election has decided whether its session speaks.

What a batch amounts to follows from its composition; where the options look at rows (`every`, names that rows carry
themselves) it is read for it. After a start what is stored and not done is counted again, since the books keep only
what is over.
"""

from collections import deque
from collections.abc import Iterable

from wayside import wire
from wayside.row import Event, Row

from ..registry import Known, Registry
from ..spool import Amount, Damaged, PartName, Spool, Stored
from .books import NOTHING, Books, WrittenOff
from .election import Election
from .parcels import amount_of
from .progress import Standing
from .selection import Selection, decode, merge


class Admission:
    """One sink's. seen: batches up to this id were looked at. ahead: what was left out of batches not yet taken."""

    def __init__(
        self, spool: Spool, registry: Registry, election: Election, selection: Selection, standing: Standing
    ) -> None:
        self.seen = 0
        self.ahead = NOTHING
        self.books = Books()
        self._spool = spool
        self._registry = registry
        self._election = election
        self._selection = selection
        self._standing = standing
        self._undecided: deque[Stored] = deque()
        self._amounts: dict[int, Amount] = {}  # what was received of batches whose amount only reading told
        self._written_off: dict[int, dict[PartName, str]] = {}
        self._gone: set[int] = set()  # of those, what is not admitted yet and lies in the spool no longer

    def resume(self, position: int, books: Books, written_off: Iterable[WrittenOff]) -> None:
        """Stand where the sink was at its last commit; what lies in the spool beyond it is admitted next."""
        self.seen = position
        self.books = books
        for batch, part, reason in written_off:
            self._written_off.setdefault(batch, {})[part] = reason

    # --- what comes in ----------------------------------------------------------------------------

    def admit_backlog(self, batches: Iterable[Stored]) -> None:
        """Batches stored before this start: what of them is not done, and is not written off."""
        for whole in batches:
            batch = self.left_of(whole)
            if not self._standing.is_taken(batch):
                self._admit(batch)
            elif self._standing.comes_again(batch):
                amount = self._read_amount(batch)
                self._amounts[batch.id] = amount
                self.books.receive(amount, NOTHING)
            self.seen = whole.id

    def admit(self, batches: Iterable[Stored]) -> None:
        """Batches just stored; the election has seen them."""
        self.settle()
        for batch in batches:
            if batch.id > self.seen:
                self.seen = batch.id
                self._admit(batch)

    def settle(self) -> None:
        """Admit what waited for the election and need not any more, in its order."""
        waiting, self._undecided = self._undecided, deque()
        for batch in waiting:
            self._admit(batch)

    @property
    def undecided(self) -> bool:
        """Whether batches wait for the election: nobody knows yet whether they are for this sink."""
        return bool(self._undecided)

    def _admit(self, batch: Stored) -> None:
        speaks = self.speaks(batch)
        if speaks is None:
            self._undecided.append(batch)
            return
        known = self._registry.of(batch.session)
        if self._selection.is_plain(batch):
            amount = self._selection.amount(known, batch, speaks)
        else:
            amount = self._amounts[batch.id] = self._read_amount(batch)
        left_out = batch.amount.minus(amount)
        self.books.receive(amount, left_out)
        self.ahead = self.ahead.plus(left_out)
        for part, reason in self._written_off.get(batch.id, {}).items():  # lost while nobody knew whose it was
            self._book_loss(batch, part, reason)
        if batch.id in self._gone:
            self._gone.discard(batch.id)
            del self._written_off[batch.id]

    def speaks(self, batch: Stored) -> bool | None:
        """Whether a batch's rows are for a sink that takes one rank only; None while that is not decided."""
        known = self._registry.of(batch.session)
        if not batch.amount.rows or known.session.kind != "run" or not self._selection.primary_only:
            return True
        if not self._selection.wants(known):
            return False
        return self._election.verdict(batch.session, batch.id)

    def _read_amount(self, batch: Stored) -> Amount:
        """What of a batch is still to come, by its rows. What cannot be read is counted as it was stored, and booked as
        lost when its turn comes.
        """
        known = self._registry.of(batch.session)
        speaks = bool(self.speaks(batch))
        progress = self._standing.of(batch.session)
        if not self._selection.wants(known):
            return NOTHING
        try:
            records = self._records(known, batch)
        except (Damaged, OSError, wire.WireError, KeyError):
            return self._selection.amount(known, batch, speaks)
        new = [record for record in records if progress.is_new(record.seq)]
        return amount_of(self._selection.rows(known, new, speaks, progress.read))

    def _records(self, known: Known, batch: Stored) -> list[Row | Event]:
        rows: list[Row | Event] = []
        if batch.rows is not None and self._selection.takes_rows(known, primary=True):
            rows = decode(known, self._spool.read(batch.rows), batch.first_seq)
        events = decode(known, self._spool.read(batch.events), batch.first_seq) if batch.events is not None else []
        return merge(rows, events)

    # --- what becomes of it -----------------------------------------------------------------------

    def expected(self, batch: Stored) -> Amount:
        """What was received of a batch, and is not written off."""
        counted = self._amounts.get(batch.id)
        if counted is not None:
            return counted
        return self._selection.amount(self._registry.of(batch.session), batch, bool(self.speaks(batch)))

    def took(self, batch: Stored, fresh: bool, lost: Iterable[tuple[PartName, str]], kept: Amount | None) -> None:
        """A batch was taken from the spool, except for parts that cannot be read. fresh: for the first time. kept: what
        came of it, where only reading tells.
        """
        expected = self.expected(batch)
        if kept is not None and not lost and kept != expected:  # it could not be read when it was counted, and now can
            self.books.receive(kept.minus(expected), expected.minus(kept))
            self.ahead = self.ahead.plus(expected.minus(kept))
            expected = kept
        if fresh:
            self.ahead = self.ahead.minus(batch.amount.minus(expected))
        for part, reason in lost:
            self.books.drop(reason, expected.of(part))
        self._amounts.pop(batch.id, None)

    def left_of(self, batch: Stored) -> Stored:
        """A batch without the parts that are written off, though they still lie there."""
        for part in self._written_off.get(batch.id, ()):
            batch = batch.without(part)
        return batch

    def write_off(self, batch: Stored, part: PartName, reason: str) -> Amount:
        """A part of a batch not yet taken is about to be dropped from the spool; what of it was received."""
        parts = self._written_off.setdefault(batch.id, {})
        if part in parts:
            return NOTHING
        parts[part] = reason
        return self._book_loss(batch, part, reason) if self._is_admitted(batch.id) else NOTHING

    def _is_admitted(self, batch: int) -> bool:
        return batch <= self.seen and all(batch != one.id for one in self._undecided)

    def _book_loss(self, batch: Stored, part: PartName, reason: str) -> Amount:
        lost = self.expected(batch).of(part)
        self.books.drop(reason, lost)
        self.ahead = self.ahead.minus(batch.amount.of(part).minus(lost))
        if batch.id in self._amounts:
            self._amounts[batch.id] = self._amounts[batch.id].minus(lost)
        return lost

    def dropped(self, batches: Iterable[Stored]) -> None:
        """The parts written off of these batches are gone from the spool."""
        for batch in batches:
            if self._is_admitted(batch.id):
                self._written_off.pop(batch.id, None)
            elif batch.id in self._written_off:
                self._gone.add(batch.id)

    def written_off(self) -> list[WrittenOff]:
        """What is booked as lost and still lies there, for the cursor: at a start it must not be counted again."""
        return [
            (batch, part, reason)
            for batch, parts in self._written_off.items()
            if self._is_admitted(batch)
            for part, reason in parts.items()
        ]
