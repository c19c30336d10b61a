"""Simulated sidecars: each feeds a gateway through the real sink, and tries again as its pump would."""

import asyncio
import random
from dataclasses import dataclass, field
from pathlib import Path

from wayside import row
from wayside_collector.delivery.parcels import without
from wayside_collector.session import Session
from wayside_collector.sinks.base import Account, Context, Parcel, Part, Ref, Report, Retry
from wayside_collector.sinks.gateway import GatewayOptions, GatewaySink
from wayside_collector.testing import make_event, make_rows, make_session


@dataclass
class Sidecar:
    """One collector of a node, with its sessions. delivered: what the gateway has taken, by its word."""

    number: int
    endpoint: str
    ranks: int = 2
    metrics: int = 3
    retries: int = 0
    delivered: set[Ref] = field(default_factory=set)
    points: int = 0
    sessions: list[Session] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.sessions = [
            make_session(
                f"run-{self.number}", id=f"{self.number:016x}{rank:016x}", rank=rank, host=f"node-{self.number}"
            )
            for rank in range(self.ranks)
        ]

    def report(self) -> Report:
        return Report(tuple(self.sessions), Account(received=self.points, delivered=self.points))

    def parcel(self, first: int, rows: int, *, ends: bool = False) -> Parcel:
        """Rows of each session from this seq on, and its finish."""
        metrics = {f"train/m{number}": 0.1 * number for number in range(self.metrics)}
        parts = []
        for session in self.sessions:
            records = [*make_rows(rows, metrics, seq=first, step=first)]
            finish = [make_event(row.FINISH, {"exit_code": 0}, seq=first + rows)] if ends else []
            parts.append(Part(session, [*records, *finish]))
        return Parcel(parts)

    async def live(self, parcels: int, rows: int) -> None:
        """Deliver so many parcels, whatever happens on the way."""
        options = GatewayOptions(endpoint=self.endpoint, interval=0.05, timeout=20.0)
        sink = GatewaySink(options)
        await sink.open(Context("gateway", Path("."), report=self.report))
        try:
            for number in range(parcels):
                await self._deliver(sink, self.parcel(number * rows, rows, ends=number == parcels - 1))
        finally:
            await sink.close()

    async def _deliver(self, sink: GatewaySink, parcel: Parcel) -> None:
        parts = parcel.parts
        while parts:
            try:
                await sink.send(Parcel(parts))
                self.delivered |= Parcel(parts).refs()
                parts = []
            except Retry as answer:
                self.retries += 1
                self.delivered |= answer.delivered
                parts = without(parts, answer.delivered)
                await asyncio.sleep(random.uniform(0, 0.5))  # as a pump's backoff, only shorter
        self.points = sum(1 for _ in self.delivered) * self.metrics
