"""The accounts of one sink: law 3, `received = delivered + waiting + dropped{reason}`, in points, rows and events.

*Delivered* means committed. What a sink's own options leave out is `filtered` and was never received; what was sent
again because an answer was lost is `redelivered`, apart from the equation.
"""

import json
from dataclasses import dataclass, field

from ..spool import Amount

NOTHING = Amount()


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

    def drop(self, reason: str, amount: Amount) -> None:
        self.dropped[reason] = self.dropped.get(reason, NOTHING).plus(amount)

    def to_text(self) -> str:
        """What is kept across restarts: what is over. What waits is counted again from what is stored."""
        return json.dumps(
            {
                "delivered": self.delivered,
                "filtered": self.filtered,
                "redelivered": self.redelivered,
                "dropped": self.dropped,
            }
        )

    @classmethod
    def from_text(cls, text: str) -> "Books":
        value = json.loads(text)
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
