"""What only PostgreSQL can do to a store: go away, come back, and be written by several collectors."""

import threading
from collections.abc import Callable

import psycopg
import pytest
from wayside.row import Row
from wayside_collector.store import Database, Reader, StoreError, Writer, connect
from wayside_collector.store.streams import PERIOD
from wayside_collector.testing import FakeClock, make_parcel, make_rows, make_session

START = 1_767_225_600.0


@pytest.fixture(params=["postgres"])
def url(request: pytest.FixtureRequest, server: str) -> str:
    from standins.postgres_server import create_database

    name = f"only_{abs(hash(request.node.nodeid)):x}"
    return create_database(server, name)


def cut_off(url: str) -> None:
    """End every connection of writers and readers, as a restart of the server does."""
    with psycopg.connect(url, autocommit=True) as other:
        other.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name LIKE 'wayside%' AND datname = current_database()"
        )


def test_a_lost_connection_is_made_anew(url: str, db: Database, reader: Reader) -> None:
    """The parcel that met the loss fails and changes nothing; the next one finds a new connection."""
    session = make_session("r", rank=0)
    rows = make_rows(1000)
    writer = Writer(db)
    writer.write(make_parcel(session, rows[:600]).parts)
    assert reader.runs().total == 1
    cut_off(url)
    with pytest.raises(StoreError):
        writer.write(make_parcel(session, rows[600:]).parts)
    assert writer.write(make_parcel(session, rows).parts).points == 400
    with pytest.raises(StoreError):
        reader.runs()
    (curve,) = reader.curves("r", "train/loss", max_points=2000)
    assert curve.steps == list(range(1000))


def test_errors_hold_no_password() -> None:
    """Whatever libpq repeats of an address, its password is not in the text."""
    for url in (
        "postgresql://me:s3cret@127.0.0.1:1/db?connect_timeout=1",
        "postgresql://127.0.0.1:1/db?user=me&password=s3cret",
        "postgresql://me:s3cret@[nonsense/db",
        "postgresql://me:s3cret@127.0.0.1:1/db?nonsense=1",
    ):
        with pytest.raises(StoreError) as caught:
            connect(url).query("SELECT 1")
        assert "s3cret" not in str(caught.value)


def test_several_collectors_write_at_once(url: str, opened: Callable[[str], Database], reader: Reader) -> None:
    """Into one run, and into one session: every row is there once."""
    shared = make_session("r", rank=9)
    problems: list[BaseException] = []

    def write(db: Database, rank: int) -> None:
        session = make_session("r", rank=rank, id=f"a{rank:031x}")
        try:
            for begin in range(0, 1200, 100):
                rows = make_rows(1200)
                Writer(db).write(make_parcel(session, rows[begin : begin + 100]).parts)
                Writer(db).write(make_parcel(shared, rows[begin : begin + 100]).parts)
        except BaseException as problem:
            problems.append(problem)
            raise

    threads = [threading.Thread(target=write, args=(opened(url), rank)) for rank in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    curves = reader.curves("r", "train/loss", max_points=5000)
    assert [(curve.rank, curve.steps) for curve in curves] == [(rank, list(range(1200))) for rank in (0, 1, 2, 9)]


def test_points_lie_in_tables_of_weeks(db: Database, reader: Reader) -> None:
    """What is written in one week has a table of its own, which is dropped as a whole."""
    session = make_session("r", rank=0)
    for week in range(5):
        rows = [
            Row(seq, START, seq, True, False, ("loss",), (float(seq),)) for seq in range(week * 512, week * 512 + 512)
        ]
        Writer(db, clock=FakeClock(START + week * PERIOD)).write(make_parcel(session, rows).parts)
    tables = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'blocks'::regclass"
    assert db.query(tables) == [(5,)]
    with db.transaction():
        assert db.drop_blocks_before(int(START // PERIOD) + 2) == 2 * 2
    assert db.query(tables) == [(3,)]
    (curve,) = reader.curves("r", "loss", max_points=5000)
    assert (curve.count, min(curve.mins), max(curve.maxs)) == (2560, 0.0, 2559.0)
