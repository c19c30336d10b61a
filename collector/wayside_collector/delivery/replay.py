"""One sink's dead letters that were told to go again: they wait, as the books say, and are handed over before anything
new, in parcels of their own.

They are not the cursors' business: where a letter's row was stored is long done, and what keeps it is the letter. It
goes in the transaction in which the sink has taken it, so a crash before that finds it waiting still.
"""

import logging
from collections.abc import Iterable
from typing import NamedTuple

from wayside.row import Row

from ..registry import Registry
from ..sinks.base import Part, Record, Ref, Step, Traits
from ..spool import Amount, Choice, KeptLetter, Spool
from ..spool.letters import MAX_DEAD_LETTERS
from .books import NOTHING
from .letter_text import Unreadable, read_record
from .parcels import amount_of, seqs_of

PORTION = 256  #: letters read at a time: records may be large

log = logging.getLogger(__name__)


class Revived(NamedTuple):
    """Letters that wait from now on, and what they amount to."""

    ids: tuple[int, ...] = ()
    amount: Amount = NOTHING


NONE = Revived()


class Replay:
    """One sink's. waiting: ids, in order, of those that are not yet in flight."""

    def __init__(self, sink: str, spool: Spool, registry: Registry, traits: Traits) -> None:
        self.waiting: list[int] = []
        self.spool = spool
        self._sink = sink
        self._registry = registry
        self._traits = traits
        self._flying: dict[int, Ref] = {}

    # --- blocking, off the event loop -------------------------------------------------------------

    def choose(self, choice: Choice) -> Revived:
        """Those of the chosen dead letters that this sink can be handed, as many as may wait. Raises SpoolError."""
        room = MAX_DEAD_LETTERS - len(self.waiting) - len(self._flying)
        ids: list[int] = []
        amount = NOTHING
        after = 0
        while found := self.spool.letters(choice, PORTION, after):
            after = found[-1].id
            for letter in found:
                record = self._read(letter)
                if record is not None and len(ids) < room:
                    ids.append(letter.id)
                    amount = amount.plus(amount_of([record[0]]))
        return Revived(tuple(ids), amount)

    def resume(self) -> Revived:
        """Those that waited when the collector last stopped. Raises SpoolError."""
        found = self.choose(Choice(self._sink, waits=True))
        self.waiting = list(found.ids)
        return found

    def cut(self, most: int) -> list[Part]:
        """The next of them, at most so many, from now on in flight. Raises SpoolError."""
        ids, rest = self.waiting[: min(most, PORTION)], self.waiting[min(most, PORTION) :]
        letters = self.spool.letters(Choice(self._sink, ids=tuple(ids)), PORTION)
        parts: list[Part] = []
        for letter in sorted(letters, key=lambda letter: (letter.session, letter.seq)):
            read = self._read(letter)
            if read is None:
                continue
            record, primary = read
            session = self._registry.of(letter.session).session
            self._flying[letter.id] = session.id, seqs_of(record)[0]
            if session.kind == "system":
                parts.append(Part(session, [record], self._registry.open_runs(record.time, session.via), primary))
            elif parts and parts[-1].session is session and parts[-1].primary == primary:
                parts[-1].records.append(record)
            else:
                parts.append(Part(session, [record], (), primary))
        self.waiting = rest
        return parts

    def _read(self, letter: KeptLetter) -> tuple[Record, bool] | None:
        """What a letter holds, if it can go to this sink."""
        try:
            record, primary = read_record(letter.record)
        except Unreadable as problem:
            log.warning("dead letter %d of sink %s cannot go again: %s", letter.id, self._sink, problem)
            return None
        known = self._registry.get(letter.session)
        if known is None:
            log.warning("dead letter %d of sink %s cannot go again: its session is not known", letter.id, self._sink)
            return None
        by_step = self._traits.unit == "step" and known.session.kind == "run"
        if isinstance(record, Row if by_step else Step):
            log.warning("dead letter %d of sink %s cannot go again: it was another kind of sink", letter.id, self._sink)
            return None
        return record, primary

    # --- what became of them ----------------------------------------------------------------------

    def settled(self, in_flight: Iterable[Part]) -> tuple[int, ...]:
        """Those that were handed over and are not in flight any more."""
        left = {(part.session.id, seqs_of(record)[0]) for part in in_flight for record in part.records}
        return tuple(id for id, ref in self._flying.items() if ref not in left)

    def forget(self, ids: Iterable[int]) -> None:
        """These are settled for good."""
        for id in ids:
            del self._flying[id]
