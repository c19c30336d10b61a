"""One pump with all it needs, in virtual time: sessions, stored batches, and a sink that does as it is told."""

import asyncio
import contextlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from delivery.shelf import Shelf, ShelfSpool, make_batch
from delivery.virtual import T0, now
from wayside import wire
from wayside_collector.delivery.election import Election
from wayside_collector.delivery.parcels import seqs_of
from wayside_collector.delivery.pump import Pump
from wayside_collector.delivery.shared import Shared
from wayside_collector.registry import Known, Registry
from wayside_collector.sinks.base import Changes, Context, Parcel, Ref, SinkOptions, Traits
from wayside_collector.spool import Amount, SessionRow, Stored

Answer = Callable[["ToldSink", Parcel], Any]


class ToldSink:
    """Answers each send with the next of `answers`, which are functions of the parcel that return changes or raise, or
    coroutine functions; with no more of them as `otherwise` says, which accepts. sent: the
    refs of each send.
    """

    traits: ClassVar[Traits] = Traits(max_records=4)

    def __init__(self, traits: Traits | None = None) -> None:
        self.traits = traits or Traits(max_records=4)  # type: ignore[misc]
        self.answers: list[Answer] = []
        self.otherwise: Answer = lambda sink, parcel: {}
        self.sent: list[list[Ref]] = []
        self.parcels: list[Parcel] = []
        self.times: list[float] = []
        self.state: dict[str, bytes] = {}
        self.opened = self.closed = 0
        self.context = Context("told", Path("."))

    async def open(self, context: Context) -> None:
        self.opened += 1
        self.context = context
        self.state = dict(context.state)

    async def send(self, parcel: Parcel) -> Changes:
        self.sent.append(refs_in_order(parcel))
        self.parcels.append(Parcel([part._replace(records=list(part.records)) for part in parcel.parts]))
        self.times.append(now())
        answer = (self.answers.pop(0) if self.answers else self.otherwise)(self, parcel)
        found: Changes = await answer if asyncio.iscoroutine(answer) else answer
        return found or {}

    async def close(self) -> None:
        self.closed += 1

    @property
    def refs(self) -> list[Ref]:
        """Everything that was ever sent, in order."""
        return [ref for refs in self.sent for ref in refs]


def refs_in_order(parcel: Parcel) -> list[Ref]:
    return [(part.session.id, seq) for part in parcel.parts for record in part.records for seq in seqs_of(record)]


def answering(problem: Exception) -> Answer:
    """A sink's answer: this exception."""

    def answer(sink: ToldSink, parcel: Parcel) -> Changes:
        raise problem

    return answer


def hanging(sink: ToldSink, parcel: Parcel) -> Any:
    """No answer, ever."""
    return asyncio.Event().wait()


@dataclass
class World:
    """shelf: what outlives a crash; the rest is one process. sent: (session id, seq) of everything stored."""

    sink: ToldSink = field(default_factory=ToldSink)
    options: SinkOptions = field(default_factory=SinkOptions)
    shelf: Shelf = field(default_factory=Shelf)
    registry: Registry = field(default_factory=Registry)
    name: str = "told"

    def __post_init__(self) -> None:
        self.spool = ShelfSpool(self.shelf)
        self.election = Election(self.registry)
        self.pump = self._make_pump()
        self.task: asyncio.Task[None] | None = None
        self.next_seq: dict[int, int] = {}

    def _make_pump(self) -> Pump:
        shared = Shared(self.spool, self.registry, self.election, Path("."), now, lambda: 1.0)  # type: ignore[arg-type]
        return Pump(self.name, self.sink, self.options, shared)

    # --- what comes in ----------------------------------------------------------------------------

    def session(self, run: str = "r1", *, rank: int | None = None, **fields: Any) -> Known:
        key = len(list(self.registry.all())) + 1
        id = f"{key:032x}"
        record = {"session": id, "run": {"id": run, "name": run}, "rank": rank, "started": T0, **fields}
        frame = wire.json_frame(wire.HELLO, record)
        self.next_seq[key] = 0
        return self.registry.add(SessionRow(key, id, frame, 0, 0, T0, None, False, None, ()))

    def store(self, known: Known, points: list[Any], *, file: int = 1, **options: Any) -> Stored:
        """A batch, on the shelf and told to the pump. A whole number in `points` is a row of that step."""
        first = self.next_seq[known.key]
        rows = [
            (point, {"loss": float(first + i)}) if isinstance(point, int) else point for i, point in enumerate(points)
        ]
        batch = make_batch(known.key, first, rows, known.schemas, time=options.pop("time", T0), **options)
        self.next_seq[known.key] += len(points)
        stored = self.spool.append(batch, file)
        self.election.see(stored, now())
        self.pump.stored([stored])
        return stored

    def end(self, known: Known) -> None:
        known.ended = now()
        self.election.ended(known.key, now())
        self.pump.decided()

    # --- life and death ---------------------------------------------------------------------------

    async def start(self) -> "World":
        await self.pump.load()
        self.task = asyncio.get_running_loop().create_task(self.pump.run())
        return self

    async def stop(self) -> None:
        """Orderly: what is sent is committed."""
        if self.task is not None:
            self.task.cancel()
            await asyncio.gather(self.task, return_exceptions=True)
            self.task = None

    async def die(self) -> None:
        """As SIGKILL does: nothing more reaches the shelf."""
        self.spool.dead = True
        await self.stop()

    async def restart(self, sink: ToldSink | None = None) -> None:
        """A new process over the same shelf, with a sink of its own."""
        self.spool = ShelfSpool(self.shelf)
        self.sink = sink or ToldSink(self.sink.traits)
        self.pump = self._make_pump()
        await self.start()

    async def delivered(self, seconds: float = 1000.0) -> None:
        """Wait until nothing waits, at most so many virtual seconds."""
        async with asyncio.timeout(seconds):
            while not self.pump.idle:  # noqa: ASYNC110 -- it looks at a pump from outside, as a person does
                await asyncio.sleep(0.05)

    @contextlib.asynccontextmanager
    async def running(self) -> Any:
        await self.start()
        try:
            yield self
        finally:
            await self.stop()


def refs(known: Known, seqs: Iterable[int]) -> list[Ref]:
    return [(known.session.id, seq) for seq in seqs]


def amount(points: int, rows: int = -1, events: int = 0) -> Amount:
    """Rows of one point each, unless said otherwise."""
    return Amount(points, points if rows < 0 else rows, events)
