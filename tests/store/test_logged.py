"""Every row of a run comes out as it went in, however many, and whatever happens meanwhile. On both engines."""

import random
import struct
from collections.abc import Callable, Sequence

import pytest
from store.test_writing import START, cut, history
from wayside.row import Event, Row
from wayside_collector.session import Session
from wayside_collector.store import Database, Writer, connect
from wayside_collector.store.logged import Logged
from wayside_collector.store.retention import Limits, Retention
from wayside_collector.testing import FakeClock, make_parcel, make_rows, make_session

Told = tuple[str, int, float, int | None, tuple[tuple[str, bytes], ...]]


def told(logged: Logged) -> list[Told]:
    """All rows, values by their bits: so that nan is nan, and -0.0 is not 0.0."""
    return [
        (owner.session, row.seq, row.time, row.step, _bits(row.names, row.values)) for owner, row in logged
    ]  # fmt: skip


def _bits(names: Sequence[str], values: Sequence[float]) -> tuple[tuple[str, bytes], ...]:
    return tuple(sorted((name, struct.pack("<d", value)) for name, value in zip(names, values, strict=True)))


def wanted(sessions: Sequence[tuple[Session, list[Row | Event]]], run: str) -> list[Told]:
    """What must come, session by session in the order of rank and start."""
    own = sorted((one for one in sessions if one[0].run.id == run), key=lambda one: (one[0].rank or 0, one[0].started))
    return [
        (session.id, row.seq, row.time, row.step, _bits(row.names, row.values))
        for session, records in own
        for row in records
        if isinstance(row, Row) and row.names
    ]


@pytest.mark.timeout(60)
def test_every_row_in_its_order(url: str, db: Database, writer: Writer) -> None:
    """Rows of changing names, with and without steps, of several sessions: each once, whole, by rank and seq."""
    sessions = history(3, rows=1600)
    for parcel in cut(random.Random(3), sessions, 500):
        writer.write(parcel)
    reading = connect(url, reading=True)
    for run in ("a", "b"):
        logged = Logged(reading, run, lambda key: True)
        assert logged.names == ["acc", "loss", "lr"]
        found = told(logged)
        assert found == wanted(sessions, run)
        assert logged.points == sum(len(metrics) for *_, metrics in found)
    reading.close()


def test_only_what_is_wanted(url: str, writer: Writer) -> None:
    """A metric and a rank alone: rows hold nothing else, and rows without it are not told."""
    sessions = history(4, rows=700)
    for session, records in sessions:
        writer.write(make_parcel(session, records).parts)
    reading = connect(url, reading=True)
    found = told(Logged(reading, "a", lambda key: key.name == "lr" and key.rank == 1))
    every = [(*row[:4], tuple(one for one in row[4] if one[0] == "lr")) for row in wanted(sessions[1:2], "a")]
    assert found == [row for row in every if row[4]]
    assert not list(Logged(reading, "a", lambda key: False))
    reading.close()


def test_what_comes_meanwhile_is_not_in_it(url: str, writer: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows written while it is read, which also move the tail into blocks, change nothing of what is told."""
    monkeypatch.setattr("wayside_collector.store.logged.VALUES", 1)  # a block at a time
    session = make_session("r", rank=0)
    rows = make_rows(3000)
    writer.write(make_parcel(session, rows[:1300]).parts)
    reading = connect(url, reading=True)
    logged = Logged(reading, "r", lambda key: True)
    coming = iter(logged)
    found = [next(coming)[1].seq for _ in range(700)]
    writer.write(make_parcel(session, rows[1300:]).parts)
    assert found + [row.seq for _, row in coming] == list(range(1300))
    reading.close()


def test_what_is_let_go_of_meanwhile_is_left_out(url: str, db: Database, opened: Callable[[str], Database]) -> None:
    """A run that is removed while it is read ends early; another run that gets its keys is not told in its place."""
    for run in ("old", "new"):
        session = make_session(run, rank=0)
        if run == "new":
            reading = connect(url, reading=True)
            logged = Logged(reading, "old", lambda key: True)
            assert Retention(db, Limits(86400.0, 1 << 40)).run(START + 90 * 86400).runs_removed == 1
        rows = make_rows(2000, {run: 1.0})
        Writer(db, clock=FakeClock(START)).write(make_parcel(session, rows).parts)
    assert [row.seq for _, row in logged] == list(range(1536, 2000)), "its tail was read before, its blocks are gone"
    assert logged.points == 2000
    reading.close()


def test_samples_of_its_time(url: str, writer: Writer) -> None:
    """What the samplers measured comes after the run's own rows, from its first row's time to its last's."""
    run, system = make_session("r", rank=0), make_session("system", kind="system", host="node")
    samples = [row._replace(step=None) for row in make_rows(30, {"host/cpu": 0.5}, time=START)]
    writer.write(make_parcel(run, make_rows(5, seq=0)).parts)
    writer.write(make_parcel(system, samples[:10]).parts)
    writer.write(make_parcel(system, samples[10:20], open_runs=(run,)).parts)
    writer.write(make_parcel(system, samples[20:]).parts)
    reading = connect(url, reading=True)
    found = [(owner.kind, owner.host, row.seq, row.step) for owner, row in Logged(reading, "r", lambda key: True)]
    assert found[:5] == [("run", "host-a", seq, seq) for seq in range(5)]
    assert found[5:] == [("system", "node", seq, None) for seq in range(10, 20)]
    reading.close()
