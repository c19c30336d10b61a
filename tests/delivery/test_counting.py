"""What waits is counted when a pump is loaded, beside the event loop."""

import threading
from pathlib import Path

import pytest
from spool.making import begin, make_batch, opened, put
from wayside_collector.delivery.election import Election
from wayside_collector.delivery.pump import Pump
from wayside_collector.delivery.shared import Shared
from wayside_collector.registry import Registry
from wayside_collector.sinks.base import SinkOptions
from wayside_collector.spool import Extent, Spool
from wayside_collector.testing import MemorySink


class WatchedSpool(Spool):
    """threads: those in which batches were read."""

    threads: set[threading.Thread]

    def read(self, extent: Extent) -> bytes:
        self.threads.add(threading.current_thread())
        return super().read(extent)


@pytest.mark.asyncio
async def test_batches_are_read_for_their_count_in_a_thread(tmp_path: Path) -> None:
    """For a sink whose options look at rows each batch is read and decoded, a whole spool of them after a reload:
    sources and `/livez` wait for none of it.
    """
    with opened(tmp_path) as spool:
        spool.__class__ = WatchedSpool
        spool.threads = set()  # type: ignore[attr-defined]
        session = begin(spool).key
        stored = [batch for number in range(5) for batch in put(spool, make_batch(session, 4 * number, rows=4))]
        registry = Registry()
        registry.load(spool)
        election = Election(registry)
        for batch in stored:
            election.see(batch, 0.0)
        shared = Shared(spool, registry, election, Path("."))
        pump = Pump("sparing", MemorySink(), SinkOptions(every="2 steps"), shared)
        await pump.load()
        assert spool.threads  # type: ignore[attr-defined]
        assert threading.main_thread() not in spool.threads  # type: ignore[attr-defined]
        assert pump.books.received.rows + pump.books.filtered.rows == 20
