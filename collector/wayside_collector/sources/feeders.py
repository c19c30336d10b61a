"""What a gateway knows of each collector that feeds it: what came of it, and what it says of itself.

`received` is kept in one transaction with the rows, so that it is exact over restarts: `books.delivered` of the one
side is `received` of the other, plus what another replica has. Nothing here goes by another machine's clock.
"""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from ..relay import Balance, Sender
from ..spool import Batch

OWNER = "feeders"  #: under which the spool keeps them
MAX_FEEDERS = 5000  #: collectors with an account; beyond it that of the one not heard for the longest goes

log = logging.getLogger(__name__)


class Feeder(msgspec.Struct):
    """A collector that feeds us. heard: when, Unix time in seconds by our clock. points, rows, events: stored of it.
    doubles, malformed: rows and events that were there, and that made no sense. The rest it says of itself.
    """

    id: str
    namespace: str | None = None
    host: str = ""
    version: str = ""
    pid: int = 0
    heard: float = 0.0
    points: int = 0
    rows: int = 0
    events: int = 0
    doubles: int = 0
    malformed: int = 0
    lost_rows: int = 0
    lost_points: int = 0
    books: Balance = Balance()

    def hear(self, sender: Sender, namespace: str | None, now: float) -> None:
        self.host, self.version, self.pid = sender.host, sender.version, sender.pid
        self.books, self.lost_rows, self.lost_points = sender.books, sender.lost_rows, sender.lost_points
        self.namespace, self.heard = namespace, now

    def with_stored(self, batches: Sequence[Batch]) -> "Feeder":
        """As it is once these are stored."""
        return msgspec.structs.replace(
            self,
            points=self.points + sum(batch.amount.points for batch in batches),
            rows=self.rows + sum(batch.amount.rows for batch in batches),
            events=self.events + sum(batch.amount.events for batch in batches),
        )

    def to_text(self) -> bytes:
        """For the spool to keep."""
        return msgspec.json.encode(self)

    def shown(self) -> dict[str, Any]:
        """In `/status`."""
        found: dict[str, Any] = msgspec.to_builtins(self)
        return found | {"books": msgspec.structs.asdict(self.books)}


class Feeders:
    """All of them, by id."""

    def __init__(self) -> None:
        self._known: dict[str, Feeder] = {}

    def __len__(self) -> int:
        return len(self._known)

    def resume(self, kept: Mapping[str, bytes]) -> None:
        """As they were kept."""
        for id, text in kept.items():
            try:
                self._known[id] = msgspec.json.decode(text, type=Feeder)
            except (msgspec.MsgspecError, UnicodeError) as problem:
                log.error("the account of collector %s is damaged, and begins anew: %s", id[:8], problem)

    def of(self, id: str) -> Feeder:
        found = self._known.pop(id, None)
        self._known[id] = found = found or Feeder(id)  # the one heard last stands last
        return found

    def put(self, feeder: Feeder) -> None:
        """Its account is this from now on."""
        self._known[feeder.id] = feeder

    def forget(self) -> list[str]:
        """Ids of those that are too many; they are known no longer."""
        gone = list(self._known)[: max(0, len(self._known) - MAX_FEEDERS)]
        for id in gone:
            del self._known[id]
        return gone

    def shown(self, most: int) -> list[dict[str, Any]]:
        """Those heard last."""
        return [feeder.shown() for feeder in list(self._known.values())[-most:]]
