"""The parcel that is on its way to a sink, and what became of parcels since the last commit. Pure.

What a sink's answer means is decided here: which records are delivered, which are refused for good, which go again,
and which of those may have arrived all the same.
"""

from collections.abc import Callable, Iterable, Set
from dataclasses import dataclass, field

from ..sinks.base import Changes, Parcel, Part, Ref, Reject, Retry
from ..spool import Amount, DeadLetter
from .books import NOTHING
from .letter_text import write_record
from .parcels import amount_of, amount_of_parts, only, seqs_of, without


@dataclass(slots=True)
class Sent:
    """What became of records since the last commit. again: what of the delivered was sent more than once."""

    delivered: Amount = NOTHING
    again: Amount = NOTHING
    rejected: Amount = NOTHING
    changes: dict[str, bytes | None] = field(default_factory=dict)
    letters: list[DeadLetter] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.delivered or self.rejected or self.changes)


class Flight:
    """parts: what is not delivered yet. again: whether these are dead letters on their way once more, which no cursor
    knows of. sent: what is to be committed. key_of: a session's key in the spool, by id.
    """

    def __init__(self, key_of: Callable[[str], int]) -> None:
        self.parts: list[Part] = []
        self.again = False
        self.sent = Sent()
        self._key_of = key_of
        self._uncertain: set[Ref] = set()  # sent, and perhaps arrived although no answer came

    @property
    def oldest(self) -> float | None:
        """Unix time in seconds of the oldest record in it, each part being in the order of its session."""
        return min((part.records[0].time for part in self.parts if part.records), default=None)

    @property
    def from_spool(self) -> list[Part]:
        """What of it the cursors know of."""
        return [] if self.again else self.parts

    @property
    def records(self) -> int:
        return sum(len(part.records) for part in self.parts)

    def runs(self) -> frozenset[str]:
        """Ids of the runs it holds anything of."""
        return frozenset(part.session.run.id for part in self.parts)

    def parcel(self) -> Parcel:
        return Parcel(self.parts)

    def accepted(self, changes: Changes) -> None:
        """All of it is delivered."""
        self._deliver(self.parts, changes)
        self.parts = []

    def retried(self, answer: Retry) -> bool:
        """Some of it is delivered, perhaps none; the rest goes again. Whether there is anything to commit."""
        through = only(self.parts, answer.delivered)
        self._deliver(through, answer.changes)
        self.parts = without(self.parts, answer.delivered)
        if answer.uncertain:
            self._uncertain |= self.parcel().refs()
        return bool(through or answer.changes)

    def refused(self, answer: Reject, now: float) -> Amount:
        """Some of it will never be accepted and becomes dead letters; the rest is delivered. What was refused."""
        parts = only(self.parts, answer.rows)
        self._deliver(without(self.parts, answer.rows), answer.changes)
        amount = amount_of_parts(parts)
        self._uncertain.difference_update(Parcel(parts).refs())
        self.sent.rejected = self.sent.rejected.plus(amount)
        self.sent.letters += self._letters(parts, str(answer), now)
        self.parts = []
        return amount

    def keep_uncertain(self, refs: Set[Ref]) -> None:
        """Nothing else than these is still to come: what was dropped is not."""
        self._uncertain &= refs

    def _deliver(self, parts: list[Part], changes: Changes) -> None:
        self.sent.delivered = self.sent.delivered.plus(amount_of_parts(parts))
        if self._uncertain:
            again = only(parts, self._uncertain)
            self.sent.again = self.sent.again.plus(amount_of_parts(again))
            self._uncertain.difference_update(Parcel(parts).refs())
        self.sent.changes.update(changes)

    def _letters(self, parts: Iterable[Part], reason: str, now: float) -> list[DeadLetter]:
        return [
            DeadLetter(
                now,
                self._key_of(part.session.id),
                seqs_of(record)[0],
                reason,
                amount_of([record]).points,
                write_record(record, part.primary),
            )
            for part in parts
            for record in part.records
        ]
