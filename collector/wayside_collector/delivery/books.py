"""The accounts of one sink: law 3, `received = delivered + waiting + dropped{reason}`, in points, rows and events.

*Delivered* means committed. What a sink's own options leave out is `filtered` and was never received; what was sent
again because an answer was lost is `redelivered`, apart from the equation.

A dead letter that is replayed leaves dropped{rejected} and waits again, so the equation holds as it stands. On
`/metrics`, where a counter must not fall, dropped{rejected} keeps it, and `replayed` says how much of that came back.
"""

import json
import threading
from dataclasses import dataclass, field
from typing import Any

import msgspec

from ..spool import Amount, PartName
from .texts import BadText, parse

NOTHING = Amount()
REJECTED = "rejected"  #: the reason under which dead letters are booked

WrittenOff = tuple[int, PartName, str]  #: batch, part, reason: booked as dropped, and perhaps still in the spool


@dataclass(slots=True)
class Books:
    """received is what passed the sink's options; what of it is neither delivered nor dropped is waiting. replayed:
    what was dropped and waited again, ever.
    """

    received: Amount = NOTHING
    delivered: Amount = NOTHING
    filtered: Amount = NOTHING
    redelivered: Amount = NOTHING
    replayed: Amount = NOTHING
    dropped: dict[str, Amount] = field(default_factory=dict)
    _whole: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    @property
    def waiting(self) -> Amount:
        gone = self.delivered
        for amount in self.dropped.values():
            gone = gone.plus(amount)
        return self.received.minus(gone)

    def receive(self, amount: Amount, left_out: Amount) -> None:
        """What came in for the sink, and what its options leave out."""
        with self._whole:
            self.received = self.received.plus(amount)
            self.filtered = self.filtered.plus(left_out)

    def deliver(self, amount: Amount, again: Amount) -> None:
        """What is delivered for good; of it, what was sent more than once."""
        with self._whole:
            self.delivered = self.delivered.plus(amount)
            self.redelivered = self.redelivered.plus(again)

    def drop(self, reason: str, amount: Amount) -> None:
        if amount:
            with self._whole:
                self.dropped[reason] = self.dropped.get(reason, NOTHING).plus(amount)

    def revive(self, amount: Amount) -> None:
        """What was rejected waits again. Where these books began after that, they receive it now."""
        with self._whole:
            rejected = self.dropped.get(REJECTED, NOTHING)
            known = Amount(*map(min, rejected, amount))
            self.dropped[REJECTED] = rejected.minus(known)
            self.received = self.received.plus(amount.minus(known))
            self.replayed = self.replayed.plus(amount)

    def ever_dropped(self) -> dict[str, Amount]:
        """Like `dropped`, and never less than before."""
        if not self.replayed:
            return dict(self.dropped)
        return {**self.dropped, REJECTED: self.dropped.get(REJECTED, NOTHING).plus(self.replayed)}

    def to_value(self, ahead: Amount) -> dict[str, Any]:
        """What is kept across restarts: what is over. What waits is counted again from what is stored, and so is what
        was left out of batches not yet read (`ahead`).
        """
        return {
            "delivered": self.delivered,
            "filtered": self.filtered.minus(ahead),
            "redelivered": self.redelivered,
            "replayed": self.replayed,
            "dropped": self.dropped,
        }

    @classmethod
    def from_value(cls, value: "_Kept") -> "Books":
        books = cls(NOTHING, value.delivered, value.filtered, value.redelivered, value.replayed, dict(value.dropped))
        books.received = books.delivered
        for amount in books.dropped.values():
            books.received = books.received.plus(amount)
        return books

    def copy(self) -> "Books":
        with self._whole:
            dropped = dict(self.dropped)
            return Books(self.received, self.delivered, self.filtered, self.redelivered, self.replayed, dropped)


def to_text(books: Books, ahead: Amount, written_off: list[WrittenOff]) -> str:
    """Books as the spool keeps them, with the parts of batches that are booked as dropped and still lie there."""
    return json.dumps({**books.to_value(ahead), "written_off": written_off})


def from_text(text: str) -> tuple[Books, list[WrittenOff]]:
    """Raises texts.BadText."""
    value = parse(text, _Kept)
    if any(number < 0 for amount in (value.delivered, *value.dropped.values()) for number in amount):
        raise BadText("less than nothing was delivered or dropped")
    return Books.from_value(value), list(value.written_off)


class _Kept(msgspec.Struct, forbid_unknown_fields=True):
    """The shape of that text."""

    delivered: Amount
    filtered: Amount
    redelivered: Amount
    replayed: Amount
    dropped: dict[str, Amount]
    written_off: list[WrittenOff]
