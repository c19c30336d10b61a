"""Dead letters replayed and dropped, on a real spool: once each, books exact, and an end in the middle loses none."""

import asyncio
import contextlib
import math
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from spool.making import begin, make_batch, opened, put
from waiting import until_async
from wayside.row import Row
from wayside_collector.delivery.dead_letters import DeadLetters, Impossible, Wanted
from wayside_collector.delivery.election import Election
from wayside_collector.delivery.letter_text import read_record, write_record
from wayside_collector.delivery.pump import Pump
from wayside_collector.delivery.shared import Shared
from wayside_collector.registry import Registry
from wayside_collector.sinks.base import Changes, Parcel, Reject, Retry, SinkOptions, Step
from wayside_collector.spool import Spool
from wayside_collector.testing import MemorySink, make_event

ROWS = 6


class Picky(MemorySink):
    """Refuses rows by their seq. hold: sends wait for it after they arrived, as if the answer were on its way.
    forbidden: runs that it does not take for ten minutes.
    """

    def __init__(self, refuses: Callable[[int], bool]) -> None:
        super().__init__()
        self.refuses = refuses
        self.hold: asyncio.Event | None = None
        self.down = False
        self.forbidden: set[str] = set()

    async def send(self, parcel: Parcel) -> Changes:
        if self.down:
            raise Retry("down")
        if self.forbidden:
            raise Retry("forbidden", runs=self.forbidden, not_before=time.time() + 600)
        if self.hold is not None:
            self.parts.extend(parcel.parts)
            await self.hold.wait()
        refused = {ref for ref in parcel.refs() if self.refuses(ref[1])}
        taken = [p._replace(records=[r for r in p.records if not self.refuses(r.seq)]) for p in parcel.parts]
        self.parts.extend(part for part in taken if part.records)
        if refused:
            raise Reject("not a number I like", refused)
        return {}

    @property
    def seqs(self) -> list[int]:
        return sorted(record.seq for record in self.records)  # type: ignore[union-attr]


@contextlib.asynccontextmanager
async def running(spool: Spool, sink: MemorySink) -> AsyncIterator[tuple[Pump, DeadLetters]]:
    """A pump over the spool, and what an operator has of its dead letters."""
    registry = Registry()
    registry.load(spool)
    election = Election(registry)
    for batch in spool.batches(0, 1000):
        election.see(batch, 0.0)
    pump = Pump("picky", sink, SinkOptions(), Shared(spool, registry, election, Path(".")))
    await pump.load()
    task = asyncio.create_task(pump.run())
    try:
        yield pump, DeadLetters(spool, registry, lambda name: pump if name == "picky" else None)
    finally:
        task.cancel()
        await asyncio.wait([task])


def check(pump: Pump, delivered: int, rejected: int, replayed: int) -> None:
    """The books, in rows: the law, and what each account says."""
    books = pump.books
    gone = sum(amount.rows for amount in books.dropped.values())
    assert books.received.rows == ROWS == books.delivered.rows + books.waiting.rows + gone
    assert (books.delivered.rows, books.dropped["rejected"].rows) == (delivered, rejected)
    assert books.replayed.rows == replayed
    assert books.ever_dropped()["rejected"].rows == rejected + replayed


def odd(seq: int) -> bool:
    return seq % 2 == 1


@pytest.mark.asyncio
async def test_what_is_replayed_arrives_once_and_the_books_follow(tmp_path: Path) -> None:
    """Rejected rows leave dropped{rejected}, are delivered, and are no dead letters any more; a second replay finds
    nothing, and a restart counts the same.
    """
    with opened(tmp_path) as spool:
        put(spool, make_batch(begin(spool).key, 0, rows=ROWS))
        sink = Picky(odd)
        async with running(spool, sink) as (pump, letters):
            await until_async(lambda: pump.idle, "nothing left to deliver")
            check(pump, 3, 3, 0)
            assert (await letters.find(Wanted(), 10))["total"] == 3
            sink.refuses = lambda seq: False
            assert await letters.replay(Wanted()) == {"picky": 3}
            assert await letters.replay(Wanted()) == {}
            await until_async(lambda: pump.idle, "nothing left to deliver")
            check(pump, ROWS, 0, 3)
            assert sink.seqs == list(range(ROWS))
            assert pump.status().dead_letters == 0
            await until_async(lambda: spool.query("SELECT count(*) FROM dead_letters") == [(0,)], "no dead letters")
        again = Picky(odd)
        async with running(spool, again) as (pump, _):
            check(pump, ROWS, 0, 3)
        assert again.seqs == []


@pytest.mark.asyncio
async def test_what_is_refused_again_is_a_dead_letter_again(tmp_path: Path) -> None:
    """Nothing is lost or counted twice, however often it is tried."""
    with opened(tmp_path) as spool:
        put(spool, make_batch(begin(spool).key, 0, rows=ROWS))
        sink = Picky(odd)
        async with running(spool, sink) as (pump, letters):
            await until_async(lambda: pump.idle, "nothing left to deliver")
            for turn in (1, 2):
                assert await letters.replay(Wanted(sink="picky")) == {"picky": 3}
                await until_async(lambda: pump.idle, "nothing left to deliver")
                check(pump, 3, 3, 3 * turn)
                assert pump.status().dead_letters == 3
            assert sink.seqs == [0, 2, 4]


@pytest.mark.asyncio
@pytest.mark.parametrize("accepted", [True, False], ids=["accepted", "refused again"])
async def test_a_letter_of_a_run_set_aside_ends_its_trouble(tmp_path: Path, accepted: bool) -> None:
    """Whether it is taken or refused, the run is tried again at once, and the pump goes on."""
    with opened(tmp_path) as spool:
        put(spool, make_batch(begin(spool).key, 0, rows=1))
        sink = Picky(lambda seq: True)
        async with running(spool, sink) as (pump, letters):
            await until_async(lambda: pump.idle, "nothing left to deliver")
            sink.forbidden = {"r1"}
            (batch,) = put(spool, make_batch(begin(spool).key, 1, rows=ROWS - 1))
            pump._shared.election.see(batch, 0.0)
            pump.stored([batch])
            await until_async(lambda: pump.status().failures > 0, "a failed send")
            sink.forbidden = set()
            sink.refuses = lambda seq: not accepted and seq == 0
            assert await letters.replay(Wanted()) == {"picky": 1}
            await until_async(lambda: pump.idle, "nothing left to deliver")
            check(pump, ROWS - (not accepted), int(not accepted), 1)
            assert pump.status().failures == 0


@pytest.mark.asyncio
async def test_an_end_between_sending_and_committing_finds_them_waiting(tmp_path: Path) -> None:
    """Cut off while the answer was on its way: after the start they wait, are sent once more as any row would be, and
    the books say so at each moment.
    """
    with opened(tmp_path) as spool:
        put(spool, make_batch(begin(spool).key, 0, rows=ROWS))
        sink = Picky(odd)
        async with running(spool, sink) as (pump, letters):
            await until_async(lambda: pump.idle, "nothing left to deliver")
            sink.refuses, sink.hold = (lambda seq: False), asyncio.Event()
            await letters.replay(Wanted())
            await until_async(lambda: 1 in sink.seqs, "row 1 at the sink")
            check(pump, 3, 0, 3)
            assert pump.books.waiting.rows == 3
        later = Picky(lambda seq: False)
        async with running(spool, later) as (pump, letters):
            await until_async(lambda: pump.idle, "nothing left to deliver")
            check(pump, ROWS, 0, 3)
            assert later.seqs == [1, 3, 5]
            assert await letters.replay(Wanted()) == {}


@pytest.mark.asyncio
async def test_letters_in_flight_are_not_the_cursors_business(tmp_path: Path) -> None:
    """Committed again and again while a dead sink has them in flight, they come from their letters alone after the next
    start, not from where their rows are stored as well.
    """
    with opened(tmp_path) as spool:
        put(spool, make_batch(begin(spool).key, 0, rows=ROWS))
        sink = Picky(odd)
        async with running(spool, sink) as (pump, letters):
            await until_async(lambda: pump.idle, "nothing left to deliver")
            sink.down = True
            for letter in (await letters.find(Wanted(), 10))["letters"]:
                failures = pump.status().failures
                assert await letters.replay(Wanted(ids=(letter["id"],))) == {"picky": 1}
                await until_async(
                    lambda before=failures: pump.status().failures > before or before > 0, "a failed send"
                )
        later = Picky(lambda seq: False)
        async with running(spool, later) as (pump, _):
            await until_async(lambda: pump.idle, "nothing left to deliver")
            check(pump, ROWS, 0, 3)
            assert later.seqs == [1, 3, 5]


@pytest.mark.asyncio
async def test_letters_are_chosen_by_what_is_known_of_them(tmp_path: Path) -> None:
    """By number, run, reason and time; what is not chosen stays; what is dropped stays in the books as rejected."""
    with opened(tmp_path) as spool:
        put(spool, make_batch(begin(spool).key, 0, rows=ROWS))
        async with running(spool, Picky(odd)) as (pump, letters):
            await until_async(lambda: pump.idle, "nothing left to deliver")
            for wanted in (Wanted(run="r2"), Wanted(reason="large"), Wanted(until=1.0), Wanted(sink="other")):
                assert (await letters.find(wanted, 10))["total"] == 0
            for wanted in (Wanted(run="r1"), Wanted(reason="A NUMBER"), Wanted(since=1.0)):
                assert (await letters.find(wanted, 10))["total"] == 3
            first, second, third = [letter["id"] for letter in (await letters.find(Wanted(), 10))["letters"]]
            assert await letters.drop(Wanted(ids=(second,))) == {"picky": 1}
            check(pump, 3, 3, 0)
            assert pump.status().dead_letters == 2
            assert (await letters.show(third))["record"]["row"]["seq"] == 5
            with pytest.raises(Impossible, match="no dead letter"):
                await letters.show(second)
            assert await letters.replay(Wanted(ids=(first,))) == {"picky": 1}
            await until_async(lambda: pump.idle, "nothing left to deliver")
            check(pump, 3, 3, 1)


@pytest.mark.asyncio
async def test_letters_of_a_sink_that_is_not_there_are_kept(tmp_path: Path) -> None:
    """They cannot be replayed, which is said, and can be dropped."""
    with opened(tmp_path) as spool:
        put(spool, make_batch(begin(spool).key, 0, rows=ROWS))
        async with running(spool, Picky(odd)) as (pump, letters):
            await until_async(lambda: pump.idle, "nothing left to deliver")
            alone = DeadLetters(spool, letters._registry, lambda name: None)
            with pytest.raises(Impossible, match="no sink picky"):
                await alone.replay(Wanted())
            assert await alone.drop(Wanted()) == {"picky": 3}


def test_a_refused_record_comes_back_as_it_was() -> None:
    """To the last bit, NaN and infinity too; a step comes back as a late one, since later ones have gone on."""
    row = Row(7, 0.1, None, True, False, ("a", "b", "c"), (0.1 + 0.2, math.inf, 5e-324))
    event = make_event("alert", {"title": "\ud800", "nested": [1, {"x": None}]}, seq=8)
    step = Step((1, 2), 0.1, 0.2, 3, {"a": -math.inf}, 2, False)
    assert read_record(write_record(row, False)) == (row, False)
    assert read_record(write_record(event, True)) == (event, True)
    assert read_record(write_record(step, True)) == (step._replace(late=True), True)
    (nan,) = read_record(write_record(row._replace(names=("a",), values=(math.nan,)), True))[0].values  # type: ignore[union-attr]
    assert math.isnan(nan)
