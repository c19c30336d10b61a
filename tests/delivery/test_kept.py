"""What a sink keeps in the spool is damaged in ways that SQLite does not notice: the start goes on all the same."""

import asyncio
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from delivery.test_replay import Picky
from hypothesis import given, settings
from hypothesis import strategies as st
from spool.making import begin, make_batch, opened, put
from waiting import until_async
from wayside_collector.delivery.books import Books, from_text, to_text
from wayside_collector.delivery.election import Election
from wayside_collector.delivery.progress import MAX_OPEN, Progress
from wayside_collector.delivery.pump import Pump
from wayside_collector.delivery.shared import Shared
from wayside_collector.delivery.texts import BadText
from wayside_collector.registry import Registry
from wayside_collector.sinks.base import SinkOptions
from wayside_collector.spool import Amount, Spool

ROWS = 6  # of each of two sessions: half of them had arrived before the damage
NAMES = ("one", "two")  # two sinks; what is damaged is of the first
PLACES = ("sinks.position", "sinks.books", "cursors.cursor", "sinks.kind", "sinks.sum", "cursors.sum", "state.value")


def flip(path: Path, place: str, bit: int, row: int = 0) -> None:
    """One bit of one value of the first sink."""
    table, column = place.split(".")
    owner = {"sinks": "name", "cursors": "sink", "state": "owner"}[table]
    with closing(sqlite3.connect(path)) as db:
        select = f"SELECT typeof({column}), CAST({column} AS BLOB) FROM {table} WHERE {owner} = 'one'"
        found = db.execute(select).fetchall()
        kind, data = found[row % len(found)]
        sessions = [key for (key,) in db.execute("SELECT session FROM cursors WHERE sink = 'one'")]
        if kind == "integer":
            now: Any = int(data) ^ 1 << bit % 31
        else:
            flipped = bytearray(data)
            flipped[bit // 8 % len(data)] ^= 1 << bit % 8
            now = bytes(flipped)
        cast = "?" if kind != "text" else "CAST(? AS TEXT)"
        where = f"{owner} = 'one'" + (f" AND session = {sessions[row % len(sessions)]}" if table == "cursors" else "")
        assert db.execute(f"UPDATE {table} SET {column} = {cast} WHERE {where}", (now,)).rowcount == 1
        db.commit()


async def deliver(spool: Spool, sinks: dict[str, Picky], kind: str = "picky") -> dict[str, Pump]:
    """Everything that is stored, to each of these."""
    registry = Registry()
    registry.load(spool)
    election = Election(registry)
    for batch in spool.batches(0, 1000):
        election.see(batch, 0.0)
    shared = Shared(spool, registry, election, Path("."))
    pumps = {name: Pump(name, sink, SinkOptions(), shared, kind=kind) for name, sink in sinks.items()}
    for pump in pumps.values():
        await pump.load()
    tasks = [asyncio.create_task(pump.run()) for pump in pumps.values()]
    await until_async(lambda: all(pump.idle for pump in pumps.values()), "nothing left to deliver")
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    return pumps


def fresh() -> dict[str, Picky]:
    return {name: Picky(lambda seq: False) for name in NAMES}


def store(spool: Spool, first: int) -> None:
    for number in (1, 2):
        put(spool, make_batch(begin(spool, number).key, first, rows=ROWS // 2))


def check_books(pump: Pump, rows: int) -> None:
    books = pump.books
    assert books.received == books.delivered == Amount(2 * rows, rows, 0)


def half_delivered(folder: Path) -> None:
    """Both sinks had half of the rows, and keep something of their own."""
    with opened(folder) as spool:
        store(spool, 0)
        asyncio.run(deliver(spool, fresh()))
        for name in NAMES:
            spool.keep_state(name, [("key", b"what it keeps")]).result()
    with opened(folder) as spool:
        store(spool, ROWS // 2)


@settings(max_examples=25, deadline=None)
@given(place=st.sampled_from(PLACES), bit=st.integers(0, 4000), row=st.integers(0, 1))
@pytest.mark.timeout(60)
def test_a_flipped_bit_costs_at_most_rows_that_come_twice(place: str, bit: int, row: int) -> None:
    """Whatever was flipped of a sink's own: what it had not had arrives, its books balance, the flip is counted,
    and a second start finds nothing wrong; the other sink has each row once.
    """
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        half_delivered(folder)
        flip(folder / "spool.db", place, bit, row)
        with opened(folder) as spool:
            sinks = fresh()
            pumps = asyncio.run(deliver(spool, sinks))
            told = sum(pumps["one"].status().counters.values()) + spool.damaged
        assert told == 1
        new = [*range(ROWS // 2, ROWS)] * 2
        assert sinks["two"].seqs == sorted(new)
        assert sorted(set(sinks["one"].seqs)) in ([*range(ROWS // 2, ROWS)], [*range(ROWS)])
        assert len(sinks["one"].seqs) >= len(new)
        check_books(pumps["two"], 2 * ROWS)
        books = pumps["one"].books
        assert books.received == books.delivered
        with opened(folder) as spool:
            again = fresh()
            pumps = asyncio.run(deliver(spool, again))
            assert [sink.seqs for sink in again.values()] == [[], []]
            assert (pumps["one"].status().counters, spool.damaged) == ({}, 0)
            assert pumps["one"].books.delivered == books.delivered


@pytest.mark.parametrize("place", ["sinks.position", "sinks.books", "cursors.cursor", "state.value"])
def test_what_the_other_accounts_still_say_keeps_rows_from_coming_twice(tmp_path: Path, place: str) -> None:
    """The cursors stand in for the position, and the position for a cursor."""
    half_delivered(tmp_path)
    flip(tmp_path / "spool.db", place, 3)
    with opened(tmp_path) as spool:
        sinks = fresh()
        asyncio.run(deliver(spool, sinks))
    assert len(sinks["one"].seqs) == ROWS


def test_a_sink_of_another_kind_under_the_same_name_begins_anew(tmp_path: Path) -> None:
    """It gets all that is stored and nothing that the one before kept; the other sink's accounts stay."""
    half_delivered(tmp_path)
    with opened(tmp_path) as spool:
        sinks = fresh()
        one = asyncio.run(deliver(spool, {"one": sinks["one"]}, kind="other"))["one"]
        assert sinks["one"].seqs == sorted([*range(ROWS)] * 2)
        check_books(one, 2 * ROWS)
        assert (spool.state("one"), spool.kind_of("one")) == ({}, "other")
        assert spool.state("two") == {"key": b"what it keeps"}
        again = asyncio.run(deliver(spool, {"one": sinks["two"]}, kind="other"))["one"]
        assert sinks["two"].seqs == []
        check_books(again, 2 * ROWS)


CURSORS = {
    "no JSON": "{",
    "nothing": "",
    "a list": "[]",
    "text for a number": '{"read": "1", "open": [], "closed": null, "kept": null}',
    "open beyond what was read": '{"read": 3, "open": [[1, 9]], "closed": null, "kept": null}',
    "open backwards": '{"read": 9, "open": [[5, 2]], "closed": null, "kept": null}',
    "more open than memory": f'{{"read": {1 << 60}, "open": [[0, {MAX_OPEN}]], "closed": null, "kept": null}}',
    "half of what `every` needs": '{"read": 3, "open": [], "closed": null, "kept": [1]}',
}


@pytest.mark.parametrize("text", CURSORS.values(), ids=CURSORS)
def test_a_cursor_that_nobody_wrote_is_damaged(text: str) -> None:
    """It is told as that, whatever it looks like, and costs no memory."""
    with pytest.raises(BadText):
        Progress.from_text(text)


def test_a_cursor_comes_back_as_it_was() -> None:
    """What is written is what is read."""
    text = Progress(9, set(), 4).to_text([2, 3, 7])
    assert Progress.from_text(text) == Progress(9, {2, 3, 7}, 4)


@settings(max_examples=200, deadline=None)
@given(at=st.integers(0, 400), bit=st.integers(0, 7))
def test_no_flip_in_the_election_or_the_books_is_worse_than_damaged(at: int, bit: int) -> None:
    """Read although its sum is right: it is taken, or told to be damaged; nothing else is raised."""
    books = to_text(
        Books(delivered=Amount(3, 1, 0), dropped={"rejected": Amount(1, 1, 0)}), Amount(), [(7, "rows", "x")]
    )
    election = b'{"seen": 7, "runs": {"r1": {"speaking": 0, "since": [[1, 2]], "decide_at": 1.5, "vacant": false}}, '
    election += b'"spans": [[1, [[1, true]]]]}'
    for text, read in ((books.encode(), from_text), (election, Election(Registry()).load)):
        flipped = bytearray(text)
        flipped[at % len(text)] ^= 1 << bit
        try:
            read(bytes(flipped))
        except BadText:
            continue
