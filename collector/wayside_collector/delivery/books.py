"""The accounts of one sink: law 3, `received = delivered + waiting + dropped{reason}`, in points, rows and events.

*Delivered* means committed. What a sink's own options leave out is `filtered` and was never received; what was sent
again because an answer was lost is `redelivered`, apart from the equation.
"""

import json
from dataclasses import dataclass, field
from typing import Any

from ..spool import Amount, PartName

NOTHING = Amount()

WrittenOff = tuple[int, PartName, str]  #: batch, part, reason: booked as dropped, and perhaps still in the spool


@dataclass(slots=True)
class Books:
    """received is what passed the sink's options; what of it is neither delivered nor dropped is waiting."""

    received: Amount = NOTHING
    delivered: Amount = NOTHING
    filtered: Amount = NOTHING
    redelivered: Amount = NOTHING
    dropped: dict[str, Amount] = field(default_factory=dict)

    @property
    def waiting(self) -> Amount:
        gone = self.delivered
        for amount in self.dropped.values():
            gone = gone.plus(amount)
        return self.received.minus(gone)

    def receive(self, amount: Amount, left_out: Amount) -> None:
        """What came in for the sink, and what its options leave out."""
        self.received = self.received.plus(amount)
        self.filtered = self.filtered.plus(left_out)

    def deliver(self, amount: Amount, again: Amount) -> None:
        """What is delivered for good; of it, what was sent more than once."""
        self.delivered = self.delivered.plus(amount)
        self.redelivered = self.redelivered.plus(again)

    def drop(self, reason: str, amount: Amount) -> None:
        if amount:
            self.dropped[reason] = self.dropped.get(reason, NOTHING).plus(amount)

    def to_value(self, ahead: Amount) -> dict[str, Any]:
        """What is kept across restarts: what is over. What waits is counted again from what is stored, and so is what
        was left out of batches not yet read (`ahead`).
        """
        return {
            "delivered": self.delivered,
            "filtered": self.filtered.minus(ahead),
            "redelivered": self.redelivered,
            "dropped": self.dropped,
        }

    @classmethod
    def from_value(cls, value: dict[str, Any]) -> "Books":
        books = cls(
            delivered=Amount(*value["delivered"]),
            filtered=Amount(*value["filtered"]),
            redelivered=Amount(*value["redelivered"]),
            dropped={reason: Amount(*amount) for reason, amount in value["dropped"].items()},
        )
        books.received = books.delivered
        for amount in books.dropped.values():
            books.received = books.received.plus(amount)
        return books

    def copy(self) -> "Books":
        return Books(self.received, self.delivered, self.filtered, self.redelivered, dict(self.dropped))


def to_text(books: Books, ahead: Amount, written_off: list[WrittenOff]) -> str:
    """Books as the spool keeps them, with the parts of batches that are booked as dropped and still lie there."""
    return json.dumps({**books.to_value(ahead), "written_off": written_off})


def from_text(text: str) -> tuple[Books, list[WrittenOff]]:
    value = json.loads(text)
    return Books.from_value(value), [(batch, part, reason) for batch, part, reason in value["written_off"]]
