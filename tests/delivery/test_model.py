"""The pump against a reference: any sequence of rows, answers, failures, limits and deaths.

Looked at after every step: the books, in points, rows and events, against what the sink took and was committed; and
every send as it comes: nothing twice unless a crash or a lost answer came between, nothing out of its session's order,
nothing skipped.
"""

import asyncio
import contextlib
from collections import Counter
from typing import Any

import pytest
from delivery.shelf import ShelfSpool
from delivery.virtual import VirtualLoop, now
from delivery.world import ToldSink, World, hanging, refs_in_order
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from wayside_collector.delivery.books import Books
from wayside_collector.delivery.retention import drop_one
from wayside_collector.registry import Known
from wayside_collector.sinks.base import Parcel, Ref, Reject, Retry, SinkOptions, Traits
from wayside_collector.spool import Amount, SpoolError

ANSWERS = ["ok", "again", "later", "partly", "reject", "bug", "hang", "alone"]
LATER = 400.0  #: virtual seconds: beyond every backoff, and a send's limit
SETTLES = 0.000123  #: likewise: what is under way ends, and nothing else begins


class Killed(Exception):
    """The sink took the parcel, and the process dies before that is committed."""


class PumpMachine(RuleBasedStateMachine):
    """stored: what each row and event of the model amounts to. done, refused, lost: what is over and committed; taken,
    rejected, booked: the same, not committed yet. again: what may rightly come again.
    """

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner(loop_factory=VirtualLoop)
        self.stored: dict[Ref, Amount] = {}
        self.done: set[Ref] = set()
        self.refused: set[Ref] = set()
        self.lost: set[Ref] = set()
        self.booked: set[Ref] = set()
        self.taken: set[Ref] = set()
        self.rejected: set[Ref] = set()
        self.again: set[Ref] = set()
        self.times: Counter[Ref] = Counter()
        self.problem: AssertionError | None = None
        self.file = 1
        self.wanted: list[str] = []

    def teardown(self) -> None:
        if hasattr(self, "world"):
            self.run(self.finish())
        self.runner.close()

    def run(self, coroutine: Any) -> None:
        self.runner.run(coroutine)

    @initialize(unit=st.sampled_from(["row", "step"]), most=st.sampled_from([1, 3, 50]), exclude=st.booleans())
    def begin(self, unit: Any, most: int, exclude: bool) -> None:
        self.exclude = exclude
        self.steps = unit == "step"
        traits = Traits(unit=unit, max_records=most, step_timeout=30.0)
        self.world = World(ToldSink(traits), SinkOptions(exclude=("b",) if exclude else ()))
        self.sessions: list[Known] = [self.world.session(run) for run in ("r1", "r2", "r1")]
        self.step = {known.key: 0 for known in self.sessions}
        self.attach()
        self.run(self.world.start())

    def attach(self) -> None:
        """The model's eyes: it sees each send first, and each commit."""
        self.world.spool.on_commit = self.committed
        self.world.sink.otherwise = self.answer

    # --- what the sink does -----------------------------------------------------------------------

    def answer(self, sink: ToldSink, parcel: Parcel) -> Any:
        if self.world.spool.dead:
            return hanging(sink, parcel)  # nobody is there any more
        found = refs_in_order(parcel)
        try:
            self.check(found)
        except AssertionError as problem:  # the pump would take it for a bug of the sink
            self.problem = problem
            raise
        kind = self.wanted.pop(0) if self.wanted else "ok"
        if kind == "ok":
            self.taken.update(found)
            return {"n": str(len(self.times)).encode()}
        if kind == "killed":
            self.world.spool.dead = True
            self.again.update(found)
            return {}
        self.again.update(found)
        if kind == "hang":
            return hanging(sink, parcel)
        if kind == "bug":
            raise ZeroDivisionError("a bug")
        if kind == "alone":
            return self.in_trouble_alone(parcel)
        some = self.some(parcel)
        if kind == "reject":
            self.rejected.update(some)
            self.taken.update(set(found) - some)
            raise Reject("no", some, changes={"n": b"r"})
        self.taken.update(some if kind == "partly" else ())
        after = now() + 90 if kind == "later" else None
        raise Retry(kind, not_before=after, delivered=some if kind == "partly" else (), uncertain=kind == "later")

    def in_trouble_alone(self, parcel: Parcel) -> None:
        """The first run of the parcel is not taken, the others are."""
        run = parcel.parts[0].session.run.id
        others = Parcel([part for part in parcel.parts if part.session.run.id != run]).refs()
        self.taken |= others
        raise Retry("forbidden", delivered=others, runs=[run])

    def check(self, found: list[Ref]) -> None:
        self.check_order(found)
        for ref in found:
            assert ref in self.stored
            assert ref not in self.done | self.refused | self.taken | self.rejected, f"{ref} came twice"
            assert ref in self.again or not self.times[ref], f"{ref} came again for no reason"
            self.times[ref] += 1

    def some(self, parcel: Parcel) -> set[Ref]:
        """Every other record, whole."""
        records = [
            [(part.session.id, seq) for seq in _seqs(record)] for part in parcel.parts for record in part.records
        ]
        return {ref for record in records[::2] for ref in record}

    def check_order(self, found: list[Ref]) -> None:
        """Ascending within a session, and nothing older of it is still to come. Merged steps may stand aside their
        order when a late row passes them; they are looked at in the end.
        """
        if self.steps:
            return
        over = self.done | self.refused | self.lost | self.booked | self.taken | self.rejected
        for known in self.sessions:
            seqs = [seq for session, seq in found if session == known.session.id]
            assert seqs == sorted(seqs)
            for seq in range(min(seqs, default=0)):
                ref = (known.session.id, seq)
                assert ref in over or ref not in self.stored, f"{ref} was passed over"

    def committed(self) -> None:
        self.done |= self.taken
        self.refused |= self.rejected
        self.lost |= self.booked
        self.taken, self.rejected, self.booked = set(), set(), set()

    # --- what happens -----------------------------------------------------------------------------

    @rule(
        which=st.integers(0, 2),
        points=st.lists(
            st.sampled_from(["next", "next", "same", "back", "none", "b", "event"]), min_size=1, max_size=6
        ),
        named=st.booleans(),
    )
    def store(self, which: int, points: list[str], named: bool) -> None:
        known = self.sessions[which]
        first = self.world.next_seq[known.key]
        given: list[Any] = []
        for seq, point in enumerate(points, first):
            ref = known.session.id, seq
            if point == "event":
                given.append("alert")
                self.stored[ref] = Amount(0, 0, 1)
                continue
            self.step[known.key] += point == "next"
            step = {"none": None, "back": max(0, self.step[known.key] - 3)}.get(point, self.step[known.key])
            metrics = {"a": float(seq)} if point != "b" else {"a": float(seq), "b": 1.0}
            given.append((step, metrics))
            self.stored[ref] = Amount(1 if self.exclude else len(metrics), 1, 0)
        self.run(self.put(known, given, named))

    async def put(self, known: Known, given: list[Any], named: bool) -> None:
        self.world.store(known, given, file=self.file, named=named)

    @rule(
        kinds=st.lists(
            st.sampled_from(["ok", "again", "later", "partly", "reject", "bug", "hang", "alone"]), max_size=4
        )
    )
    def want(self, kinds: list[str]) -> None:
        self.wanted += kinds

    @rule(seconds=st.sampled_from([0.0, 0.01, 0.7, 5.0, 40.0, LATER]))
    def wait(self, seconds: float) -> None:
        self.run(asyncio.sleep(seconds))

    @rule(count=st.integers(1, 3))
    def fail_commits(self, count: int) -> None:
        self.world.spool.failing = count

    @rule(how=st.sampled_from(["killed", "stopped", "killed at the next commit", "killed after the next send"]))
    def restart(self, how: str) -> None:
        self.run(self.end_life(how))

    async def end_life(self, how: str) -> None:
        world = self.world
        if how == "killed at the next commit":
            world.spool.die_at_commit = True
            await asyncio.sleep(LATER)
        elif how == "killed after the next send":
            self.wanted = ["killed"]
            await asyncio.sleep(LATER)
        if how == "stopped":
            failing = world.spool.failing
            await world.stop()
            assert failing or not self.taken
        else:
            await world.die()
        self.again |= self.taken | self.rejected
        self.taken, self.rejected, self.booked = set(), set(), set()
        world.spool = ShelfSpool(world.shelf)
        world.sink = ToldSink(world.sink.traits)
        world.pump = world._make_pump()
        self.wanted = []
        self.attach()
        await world.start()

    @rule()
    def roll(self) -> None:
        """The next batches go to a new file, and the old one may be dropped."""
        self.file += 1

    @rule(events=st.booleans(), dies=st.booleans())
    def drop(self, events: bool, dies: bool) -> None:
        """The oldest file that is written no more is dropped to keep a limit."""
        self.run(self.drop_oldest(events, dies))

    async def drop_oldest(self, events: bool, dies: bool) -> None:
        shelf, active = self.world.shelf, (self.file, self.file + 1000)
        files = sorted(
            file for file, chain in shelf.files.items() if file not in active and (chain == "events") == events
        )
        if not files:
            return
        ids = {known.key: known.session.id for known in self.sessions}
        everything = {
            (ids[stored.session], seq)
            for stored in self.world.spool.batches_of_file(files[0])
            for seq in range(stored.first_seq, stored.next_seq)
        }
        gone = {ref for ref in everything if bool(self.stored[ref].events) == events}
        self.world.spool.over_limit = lambda: (files[0], shelf.files[files[0]], "size")  # type: ignore[attr-defined]
        before = self.dropped
        kept = False
        with contextlib.suppress(SpoolError):
            await drop_one(self.world.spool, [self.world.pump])  # type: ignore[arg-type]
            kept = True
        found = self.lost_of(gone, self.dropped.minus(before))
        if kept:
            self.lost |= found
        else:
            self.booked |= found
        if dies:
            await self.end_life("killed")

    @property
    def dropped(self) -> Amount:
        return self.world.pump.books.copy().dropped.get("spool_size", Amount())

    def lost_of(self, gone: set[Ref], booked: Amount) -> set[Ref]:
        """What of a dropped file was lost: all that was neither delivered nor refused. A merged step goes as a whole,
        also the rows of it that lie in another file.
        """
        found = gone - self.done - self.refused - self.lost - self.booked - self.taken - self.rejected
        if not self.steps:
            assert booked == _sum(self.stored[ref] for ref in found)
        return found

    # --- what must hold ---------------------------------------------------------------------------

    @invariant()
    def the_books_are_exact(self) -> None:
        if not hasattr(self, "world"):
            return
        self.run(asyncio.sleep(SETTLES))
        if self.problem is not None:
            raise self.problem
        books: Books = self.world.pump.books
        assert books.received == _sum(self.stored.values())
        assert books.delivered == self.sum(self.done)
        assert books.dropped.get("rejected", Amount()) == self.sum(self.refused)
        if not self.steps:
            assert books.dropped.get("spool_size", Amount()) == self.sum(self.lost | self.booked)
        assert books.received == _sum([books.delivered, books.waiting, *books.dropped.values()])
        assert all(number >= 0 for number in books.waiting)

    def sum(self, refs: set[Ref]) -> Amount:
        return _sum(self.stored[ref] for ref in refs)

    async def finish(self) -> None:
        """In the end everything arrives."""
        self.wanted = []
        self.world.spool.failing = 0
        self.world.spool.die_at_commit = False
        for _ in self.sessions:
            await asyncio.sleep(LATER)
        books = self.world.pump.books
        assert self.problem is None
        assert books.waiting == Amount()
        if not self.steps:
            assert self.done | self.refused | self.lost == set(self.stored)
        assert self.world.pump.idle
        await self.world.stop()
        position, _ = self.world.shelf.sinks["told"]
        assert position == self.world.shelf.last


def _seqs(record: Any) -> tuple[int, ...]:
    return tuple(getattr(record, "seqs", None) or (record.seq,))


def _sum(amounts: Any) -> Amount:
    total = Amount()
    for one in amounts:
        total = total.plus(one)
    return total


TestPump = pytest.mark.timeout(90)(PumpMachine.TestCase)
TestPump.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
