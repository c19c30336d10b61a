"""Media that had to go, or are gone, are booked in every sink that had not passed them: the books stay exact."""

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from waiting import until_async
from wayside import row, wire
from wayside_collector.delivery.books import Books
from wayside_collector.delivery.election import Election
from wayside_collector.delivery.pump import Pump
from wayside_collector.delivery.retention import drop_one
from wayside_collector.delivery.shared import Shared
from wayside_collector.intake import Intake
from wayside_collector.intake.inlet import Inlet
from wayside_collector.registry import Registry
from wayside_collector.sinks.base import Retry, SinkOptions
from wayside_collector.sources.media import MediaSource
from wayside_collector.spool import Amount, Spool, SpoolOptions, Stored
from wayside_collector.testing import MemorySink, ScriptedSink

pytestmark = pytest.mark.asyncio

ID = "5" * 32
RECORD = {"session": ID, "run": {"id": "r1"}, "started": 1e9}
SIZE = 1000


class Collector:
    """A spool, an intake, and pumps; on one event loop. media: the client's folder of files."""

    def __init__(self, folder: Path, sinks: dict[str, MemorySink], max_media: int) -> None:
        self.pumps: list[Pump] = []
        self.registry = Registry()
        self.election = Election(self.registry)
        self.loop = asyncio.get_running_loop()
        self.media = folder / "media" / ID
        self.media.mkdir(parents=True, exist_ok=True)
        options = SpoolOptions(folder / "spool", max_media=max_media)
        self.spool = Spool(options, on_stored=lambda new: self.loop.call_soon_threadsafe(self._see, new))
        self.intake = Intake(self.spool, self.registry)
        self.intake.claims = MediaSource(self.spool.media, folder, [folder], [])
        self._shared = Shared(self.spool, self.registry, self.election, folder)
        self._sinks = sinks

    def _see(self, batches: list[Stored]) -> None:
        for batch in batches:
            self.election.see(batch, 1e9)
        for pump in self.pumps:
            pump.stored(batches)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["Collector"]:
        await asyncio.to_thread(self.spool.open)
        self.registry.load(self.spool)
        for batch in self.spool.batches(0, 1000):
            self.election.see(batch, 1e9)
        self.pumps = [Pump(name, sink, SinkOptions(), self._shared) for name, sink in self._sinks.items()]
        for pump in self.pumps:
            await pump.load()
        tasks = [asyncio.create_task(pump.run()) for pump in self.pumps]
        try:
            yield self
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await asyncio.to_thread(self.spool.close)

    async def log(self, inlet: Inlet, first: int, count: int) -> None:
        """Rows and pictures by turns."""
        frames = wire.schema_frame(0, ("loss",)) + wire.seq_frame(first, 0)
        for seq in range(first, first + count, 2):
            data = b"%08d" % seq * (SIZE // 8)
            (self.media / f"{seq}.png").write_bytes(data)
            told = {"name": "a", "type": "image", "file": f"{ID}/{seq}.png", "size": SIZE, "sha256": digest(data)}
            frames += wire.row_frame(0, 1e9, seq, [0.5]) + wire.event_frame(1e9, seq, row.MEDIA, told)
        inlet.take(inlet.stream(), frames)
        await self.intake.store([inlet])

    async def begin(self) -> Inlet:
        return await self.intake.begin({**RECORD, "media_root": str(self.media.parent)})

    def books(self, name: str) -> Books:
        return next(pump for pump in self.pumps if pump.name == name).books


def digest(data: bytes) -> str:

    return hashlib.sha256(data).hexdigest()


def away() -> ScriptedSink:
    sink = ScriptedSink([])
    sink.answers = [Retry("away")] * 100_000
    return sink


@pytest.fixture
def collector(tmp_path: Path) -> Callable[..., Collector]:
    return lambda max_media=1 << 30, **sinks: Collector(tmp_path, sinks, max_media)


async def test_a_sink_gets_the_event_and_its_file(collector: Callable[..., Collector]) -> None:
    """In its place among the rows, the file readable by its name until every sink has passed it."""
    sink = MemorySink()
    async with collector(here=sink, away=away()).running() as place:
        await place.log(await place.begin(), 0, 4)
        await until_async(lambda: len(sink.records) == 4, "delivered")
        assert [record.seq for record in sink.records] == [0, 1, 2, 3]  # type: ignore[union-attr]
        name = sink.records[1].data["file"]  # type: ignore[union-attr]
        assert sink.context.media(name).read_bytes() == b"00000000" * 125


async def test_over_the_limit_each_sink_books_what_it_had_not_passed(collector: Callable[..., Collector]) -> None:
    """The oldest go; the one that has delivered them loses nothing, and the other's books balance, before and after a
    start.
    """
    sink = MemorySink()
    async with collector(here=sink, away=away(), max_media=3 * SIZE).running() as place:
        await place.log(await place.begin(), 0, 10)
        await until_async(lambda: len(sink.records) == 10, "delivered")
        await until_async(lambda: place.books("away").received.events == 5, "received")
        assert await drop_one(place.spool, place.pumps)
        assert not await drop_one(place.spool, place.pumps)
        assert place.books("here").dropped == {}
        assert place.books("away").dropped == {"media_size": Amount(0, 0, 2)}
        assert place.books("away").waiting == Amount(5, 5, 3)
        assert place.spool.media_held().owned == 3 * SIZE
    later = MemorySink()
    async with collector(here=sink, away=later, max_media=3 * SIZE).running() as place:
        await until_async(lambda: not place.books("away").waiting, "the rest is delivered")
        assert place.books("away").dropped == {"media_size": Amount(0, 0, 2)}
        assert place.books("away").delivered == Amount(5, 5, 3)
        assert [record.seq for record in later.records] == [0, 2, 4, 5, 6, 7, 8, 9]  # type: ignore[union-attr]


async def test_a_file_that_somebody_removed_is_booked(collector: Callable[..., Collector]) -> None:
    """The event is dropped as media_lost by a sink that had not passed it; everything else arrives."""
    async with collector(away=away()).running() as place:
        await place.log(await place.begin(), 0, 6)
        await until_async(lambda: place.books("away").received.events == 3, "received")
    (place.spool.media.folder / ID / "3-0.png").unlink()
    later = MemorySink()
    async with collector(away=later).running() as place:
        await until_async(lambda: not place.books("away").waiting, "delivered or booked")
        assert place.books("away").dropped == {"media_lost": Amount(0, 0, 1)}
        assert [record.seq for record in later.records] == [0, 1, 2, 4, 5]  # type: ignore[union-attr]


async def test_an_event_cannot_name_a_file_of_another_session(collector: Callable[..., Collector]) -> None:
    """Whatever got into the spool: what is told to a sink is its own session's."""
    sink = MemorySink()
    async with collector(here=sink).running() as place:
        inlet = await place.begin()
        place.intake.claims.take = lambda inlet, events, held: []  # type: ignore[method-assign]
        told = {"name": "a", "type": "image", "file": f"{'6' * 32}/0-0.png"}
        other = place.spool.media.folder / ("6" * 32) / "0-0.png"
        other.parent.mkdir(parents=True)
        other.write_bytes(b"another's")
        inlet.take(inlet.stream(), wire.event_frame(1e9, 1, row.MEDIA, told) + wire.event_frame(1e9, 1, "alert", {}))
        await place.intake.store([inlet])
        await until_async(lambda: sink.records, "delivered")
        assert [record.kind for record in sink.records] == ["alert"]  # type: ignore[union-attr]
        assert place.books("here").dropped == {"media_lost": Amount(0, 0, 1)}
