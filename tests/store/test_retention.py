"""What the store lets go of, and what stays. On both engines."""

from collections.abc import Callable
from random import random

import pytest
from wayside.row import Row
from wayside_collector.session import Session
from wayside_collector.store import Database, Reader, Writer
from wayside_collector.store.retention import Gone, Limits, Retention
from wayside_collector.store.streams import PERIOD
from wayside_collector.store.walk import Range
from wayside_collector.testing import FakeClock, make_event, make_parcel, make_session

DAY = 86400.0
START = 1_767_225_600.0 // PERIOD * PERIOD
PLENTY = 1 << 40
sqlite_only = pytest.mark.parametrize("url", ["sqlite"], indirect=True)


def write(db: Database, session: Session, start: float, count: int = 1500, *, seq: int = 0, gap: float = 1.0) -> int:
    """Rows from `start` on, stored as they came; returns how many points were new."""
    rows = [
        Row(number, start + gap * (number - seq), number, True, False, ("loss", "lr"), (1.0 * number, random()))
        for number in range(seq, seq + count)
    ]
    clock = FakeClock(start + gap * count)
    return Writer(db, clock=clock).write(make_parcel(session, rows).parts).points


def keep(db: Database, now: float, *, max_age: float = 30 * DAY, max_size: int = PLENTY) -> Gone:
    return Retention(db, Limits(max_age, max_size)).run(now)


def count(db: Database) -> dict[str, int]:
    tables = (
        "runs",
        "sessions",
        "streams",
        "series",
        "spans",
        "summaries",
        "blocks",
        "tail",
        "events",
        "strides",
        "hosting",
    )
    return {table: db.query(f"SELECT count(*) FROM {table}")[0][0] for table in tables}


def test_runs_that_were_not_heard_for_long_go(db: Database, reader: Reader) -> None:
    """With all that is known of them; others are as before, and what comes of them again is not taken for new."""
    old, young = make_session("old", rank=0, started=START), make_session("young", rank=0, started=START)
    write(db, old, START)
    Writer(db, clock=FakeClock(START)).write(
        make_parcel(old, [make_event("alert", {"title": "t"}, seq=1500, time=START + 1500)]).parts
    )
    write(db, young, START + 20 * DAY)
    before = count(db)
    assert keep(db, START + 29 * DAY) == Gone()
    assert count(db) == before
    assert keep(db, START + 40 * DAY).runs_removed == 1
    assert [run.id for run in reader.runs().runs] == ["young"]
    after = count(db)
    assert after["events"] == 0
    assert all(after[table] * 2 == before[table] for table in before if table not in ("events", "hosting"))
    assert write(db, old, START) == 0  # the spool was slow to hear of it: those are doubles for ever
    assert write(db, old, START + 41 * DAY, 10, seq=1501) == 20
    (curve,) = reader.curves("old", "loss")
    assert curve.steps == list(range(1501, 1511))


def test_a_session_that_goes_twice_is_remembered_as_far_as_it_came(db: Database) -> None:
    """What it sent between is no less a double than what it sent before, for as long as after any other end."""
    session = make_session("r", rank=0, started=START)
    write(db, session, START, 100)
    assert keep(db, START + 31 * DAY).runs_removed == 1
    assert write(db, session, START + 31 * DAY, 400, seq=100) == 800
    assert keep(db, START + 62 * DAY).runs_removed == 1
    keep(db, START + 91 * DAY)
    assert write(db, session, START, 500) == 0


def test_old_points_of_a_living_run_go_and_their_summaries_stay(db: Database, reader: Reader) -> None:
    """A long run's oldest points are let go of; its charts, its series and its extremes are told from summaries."""
    session = make_session("r", rank=0, started=START)
    write(db, session, START, 1024, gap=60.0)
    write(db, session, START + 60 * DAY, 1024, seq=1024)
    info = reader.series("r")
    whole = reader.curves("r", "loss", max_points=1000)
    gone = keep(db, START + 60 * DAY + 2000)
    assert gone.runs_removed == 0
    assert gone.blocks_removed == 2 * 3  # two blocks, each of two metrics and the axes
    assert reader.series("r") == info
    (curve,) = reader.curves("r", "loss", max_points=5000)
    assert (curve.kind, curve.count, min(curve.mins), max(curve.maxs)) == ("buckets", 2048, 0.0, 2047.0)
    assert curve.counts[:2] == [512, 512]
    (recent,) = reader.curves("r", "loss", Range("step", 1024, None), max_points=5000)
    assert (recent.kind, recent.count) == ("points", 1024)
    assert whole[0].count == 2048
    assert write(db, session, START, 1024, gap=60.0) == 0


@sqlite_only
def test_a_store_that_is_too_big_lets_the_longest_silent_runs_go(db: Database, reader: Reader) -> None:
    """The runs that were not heard for the longest time, as many as must be and no more; not those that are alive."""
    for number in range(4):
        write(db, make_session(f"r{number}", rank=0, started=START), START + number * DAY, 30_000, gap=0.1)
    now = START + 3 * DAY + 3000
    size = db.size()
    gone = keep(db, now, max_size=int(size * 0.8))
    assert gone.runs_removed in (1, 2)
    kept = [run.id for run in reader.runs().runs]
    assert sorted(kept) == [f"r{number}" for number in range(gone.runs_removed, 4)]
    assert db.size() < size * 0.8


@sqlite_only
def test_the_only_run_loses_its_oldest_points(db: Database, reader: Reader) -> None:
    """When nothing but a living run is left, its oldest blocks go, and its newest and its summaries stay."""
    session = make_session("r", rank=0, started=START)
    write(db, session, START, 60_000, gap=0.01)
    gone = keep(db, START + 700, max_size=700_000)
    assert gone.runs_removed == 0
    assert gone.blocks_removed > 0
    (curve,) = reader.curves("r", "loss", max_points=1000)
    assert (curve.count, min(curve.mins), max(curve.maxs)) == (60_000, 0.0, 59_999.0)
    (end,) = reader.curves("r", "loss", Range("step", 59_900, None), max_points=1000)
    assert end.kind == "points"
    assert write(db, session, START, 60_000, gap=0.01) == 0


@sqlite_only
def test_room_is_given_back(db: Database) -> None:
    """A file is smaller after a run has gone."""
    write(db, make_session("r", rank=0, started=START), START, 80_000)
    before = db.query("PRAGMA page_count")[0][0]
    assert keep(db, START + 50 * DAY).runs_removed == 1
    assert db.query("PRAGMA page_count")[0][0] < before * 0.75


def test_a_clock_gone_wild_costs_no_run(db: Database, reader: Reader) -> None:
    """A run whose times are of 1970 is not taken for old while it is being written."""
    session = make_session("r", rank=0, started=10.0)
    rows = [Row(seq, 10.0 + seq, seq, True, False, ("loss",), (1.0,)) for seq in range(600)]
    Writer(db, clock=lambda: START).write(make_parcel(session, rows).parts)
    assert keep(db, START + 60).runs_removed == 0
    assert reader.runs().total == 1


def test_what_is_forgotten_is_forgotten_in_the_end(db: Database, opened: Callable[[str], Database]) -> None:
    """How far the sessions of removed runs were is kept as long as the spool may send them again, and no longer."""
    write(db, make_session("r", rank=0, started=START), START, 10)
    assert keep(db, START + 40 * DAY).runs_removed == 1
    assert db.query("SELECT count(*) FROM forgotten")[0][0] == 1
    keep(db, START + 80 * DAY)
    assert db.query("SELECT count(*) FROM forgotten")[0][0] == 0


@pytest.mark.parametrize("url", ["postgres"], indirect=True)
def test_postgres_lets_whole_weeks_go(db: Database, reader: Reader) -> None:
    """When it is too big, the points of the oldest weeks, but never of the newest; no run, and no summary."""
    session = make_session("r", rank=0, started=START)
    for week in range(4):
        write(db, session, START + week * PERIOD, 6000, seq=week * 6000)
    now, size = START + 3 * PERIOD + 6000, db.size()
    assert keep(db, now, max_size=size - 1).blocks_removed > 0
    assert db.size() < size * 0.9
    assert keep(db, now, max_size=size - 1) == Gone()
    keep(db, now, max_size=1)
    assert keep(db, now, max_size=1) == Gone()
    (curve,) = reader.curves("r", "loss", max_points=1000)
    assert (curve.count, min(curve.mins), max(curve.maxs)) == (24_000, 0.0, 23_999.0)
    (end,) = reader.curves("r", "loss", Range("step", 23_900, None))
    assert end.kind == "points"
