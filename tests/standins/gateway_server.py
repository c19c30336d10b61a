"""A gateway in this process: the real source over a real spool, behind a real listener; and what it has stored."""

import contextlib
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

from sources.place import FailingSpool, Place, opened_place
from wayside.row import Event, Row
from wayside_collector.configuration.access import NOBODY, Outside
from wayside_collector.delivery.selection import decode, merge
from wayside_collector.registry import Known
from wayside_collector.sources.gateway import GatewaySource
from wayside_collector.web.batches import batch_routes
from web.serving import Served, served


@dataclass
class Steady:
    """Time to measure by, that moves when told to."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Receiver:
    """A source that takes deliveries, without a listener."""

    place: Place
    source: GatewaySource
    spool: FailingSpool
    time: Steady

    def known(self, session: str) -> Known:
        known = self.place.intake.registry.by_id(session)
        assert known is not None, "no such session"
        return known

    def stored(self, session: str) -> list[Row | Event]:
        """Everything stored of a session, in the order in which it was."""
        known, found = self.known(session), list[Row | Event]()
        for batch in self.place.spool.batches(0, 10_000, known.key):
            parts = [self.place.spool.read(part) if part else b"" for part in (batch.rows, batch.events)]
            found += merge(*(decode(known, part, batch.first_seq) for part in parts))
        return found


@dataclass
class GatewayServer(Receiver):
    """Behind a listener. serving: that."""

    serving: Served = field(kw_only=True)

    @property
    def endpoint(self) -> str:
        return self.serving.local


@contextlib.asynccontextmanager
async def receiving(chance: Callable[[], float] = lambda: 0.0) -> AsyncIterator[Receiver]:
    async with opened_place() as place:
        steady = Steady()
        source = GatewaySource(place.intake, clock=time.time, monotonic=steady, chance=chance)
        source.resume()
        source.expect([])
        yield Receiver(place, source, FailingSpool(place), steady)


@contextlib.asynccontextmanager
async def gateway_server(outside: Outside = NOBODY, **options: Any) -> AsyncIterator[GatewayServer]:
    async with receiving(**options) as one, served(outside, batch_routes(one.source)) as serving:
        yield GatewayServer(one.place, one.source, one.spool, one.time, serving=serving)
