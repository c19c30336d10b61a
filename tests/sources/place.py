"""A collector's sources on a spool of their own, and peers that talk to its socket as raw bytes or by the wire."""

import asyncio
import contextlib
import shutil
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from memory import make_folder
from wayside import wire
from wayside.row import Event, Row
from wayside_collector.intake import Intake
from wayside_collector.registry import Registry
from wayside_collector.sources.journal import JournalSource
from wayside_collector.sources.socket import SocketSource
from wayside_collector.spool import Spool, SpoolError, SpoolOptions

PATIENCE = 15.0  #: seconds: only a broken program needs them


async def until(ask: Callable[[], object], what: str) -> None:
    """Returns when it is so; fails when it never is."""
    deadline = time.monotonic() + PATIENCE
    while not ask():
        assert time.monotonic() < deadline, f"still not: {what}"
        await asyncio.sleep(0.005)


class Place:
    """What one collector's sources share."""

    def __init__(self, folder: Path, spool: Spool, clock: Callable[[], float]) -> None:
        self.folder = folder
        self.spool = spool
        self.registry = Registry()
        self.registry.load(spool)
        self.intake = Intake(spool, self.registry)
        self.journals = JournalSource(self.intake, [folder], lambda record: True, folder / "damaged", clock)
        self._peers: list[Peer] = []
        self.socket = SocketSource(folder / "w.sock", self.intake, self.journals, "http://here/")

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """The socket and the journals' loop run meanwhile; what goes wrong in them fails the test."""
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self.socket.run()), group.create_task(self.journals.run())]
            await until(self.socket.path.exists, "listening")
            try:
                yield
            finally:
                for task in tasks:
                    task.cancel()
                for peer in self._peers:
                    await peer.close()

    async def connect(self) -> "Peer":
        peer = Peer(*await asyncio.open_unix_connection(self.socket.path))
        self._peers.append(peer)
        return peer

    def records(self, run: str) -> list[Row | Event]:
        """Every row and event of a run that is on disk."""
        found: list[Row | Event] = []
        for batch in self.spool.batches(0, 10_000):
            known = self.registry.of(batch.session)
            if known.session.run.id == run:
                seq = batch.first_seq
                for part in (batch.rows, batch.events):
                    data = self.spool.read(part) if part is not None else b""
                    for span in wire.scan(data).spans:
                        if span.type == wire.SEQ:
                            seq = wire.read_pair(data, span)[0]
                        elif span.type == wire.ROW:
                            rows = list(wire.read_rows(data, span, known.schemas[span.schema], seq))
                            found += rows
                            seq += len(rows)
                        elif span.type == wire.NAMED_ROW:
                            found.append(wire.read_named_row(data, span, seq))
                            seq += 1
                        elif span.type == wire.EVENT:
                            found.append(wire.read_event(data, span, seq))
                            seq += 1
        return sorted(found, key=lambda record: record.seq)

    def rows(self, run: str) -> list[Row]:
        return [record for record in self.records(run) if isinstance(record, Row)]


class Peer:
    """One connection to the socket."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        with contextlib.suppress(ConnectionError):
            await self.writer.drain()

    async def frame(self) -> tuple[int, Any]:
        """The next frame: its type, and its JSON or its first number. Raises IncompleteReadError at the end."""
        async with asyncio.timeout(PATIENCE):
            data = await self.reader.readexactly(8)
            data += await self.reader.readexactly((int.from_bytes(data, "little") & 0xFFFFFFFF) - 8)
        (span,) = wire.scan(data).spans
        if span.type == wire.STORED:
            return span.type, wire.read_pair(data, span)[0]
        return span.type, wire.read_json(data, span)

    async def line(self) -> bytes:
        async with asyncio.timeout(PATIENCE):
            return await self.reader.readline()

    async def hello(self, **record: Any) -> dict[str, Any]:
        """Say hello; the collector's answer. Fails when it is none."""
        await self.send(wire.json_frame(wire.HELLO, {**RECORD, **record}))
        kind, answer = await self.frame()
        assert kind == wire.ANSWER, answer
        found: dict[str, Any] = answer
        return found

    async def error(self) -> str:
        """The error frame that ends this connection."""
        kind, answer = await self.frame()
        assert kind == wire.ERROR, answer
        async with asyncio.timeout(PATIENCE):
            assert await self.reader.read() == b""
        return str(answer["error"])

    async def stored(self, seq: int) -> None:
        """Wait until everything below `seq` is said to be on disk."""
        told = -1
        while told < seq:
            kind, told = await self.frame()
            assert kind == wire.STORED, told

    async def close(self) -> None:
        self.writer.close()
        with contextlib.suppress(OSError):
            await self.writer.wait_closed()


RECORD: dict[str, Any] = {"session": "5" * 32, "run": {"id": "r1"}, "started": 1_767_225_600.0, "versions": [1]}


def frames(count: int, *, first: int = 0, names: tuple[str, ...] = ("loss",)) -> bytes:
    """Rows as a client would send them from their beginning: the schema first."""
    rows = [wire.row_frame(0, 1e9 + step, step, [float(step)] * len(names)) for step in range(first, first + count)]
    return wire.schema_frame(0, names) + b"".join(rows)


@contextlib.asynccontextmanager
async def opened_place(clock: Callable[[], float] = time.monotonic) -> AsyncIterator[Place]:
    """A place in memory, gone afterwards: a socket's path must be short."""
    folder = make_folder("test-")
    spool = Spool(SpoolOptions(folder / "spool"))
    await asyncio.to_thread(spool.open)
    try:
        yield Place(folder, spool, clock)
    finally:
        await asyncio.to_thread(spool.close)
        shutil.rmtree(folder)


class FailingSpool:
    """Stands before a place's spool, and takes no rows while `fails`. asked: how often it was to take some."""

    def __init__(self, place: Place) -> None:
        self.fails = False
        self.asked = 0
        self._spool = place.spool
        place.intake.spool = self  # type: ignore[assignment]

    def append(self, *given: Any) -> "Future[Any]":
        self.asked += 1
        if not self.fails:
            found: Future[Any] = self._spool.append(*given)
            return found
        failed: Future[Any] = Future()
        failed.set_exception(SpoolError("no room"))
        return failed

    def __getattr__(self, name: str) -> Any:
        return getattr(self._spool, name)
