"""Tables are made once, brought up to date, and never taken by an older program. On both engines."""

import threading
from collections.abc import Callable

import pytest
from wayside_collector.store import Database, Reader, StoreError, Writer, connect
from wayside_collector.testing import make_parcel, make_rows, make_session


def test_a_store_is_made_once(url: str, opened: Callable[[str], Database]) -> None:
    """Opening a store again changes nothing of it."""
    Writer(opened(url)).write(make_parcel(make_session("r"), make_rows(10)).parts)
    again = opened(url)
    assert again.query("SELECT number, name FROM migrations") == [(1, "tables"), (2, "namespaces"), (3, "media")]
    assert again.query("SELECT id FROM runs") == [("r",)]


def test_several_collectors_may_start_at_once(url: str) -> None:
    """Whoever is first makes the tables; the others wait, and find them."""
    problems: list[StoreError] = []

    def migrate() -> None:
        db = connect(url)
        try:
            db.migrate()
        except StoreError as problem:
            problems.append(problem)
        finally:
            db.close()

    threads = [threading.Thread(target=migrate) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []


def test_a_newer_store_is_left_alone(url: str, opened: Callable[[str], Database]) -> None:
    """A program older than the store says so, and what to do."""
    opened(url).run("INSERT INTO migrations (number, name) VALUES (99, 'later')")
    with pytest.raises(StoreError, match=r"newer version.*update this collector"):
        opened(url)


def test_a_reader_cannot_write(url: str, db: Database) -> None:
    """What reads has no way to change a store, whatever is asked of it."""
    reading = connect(url, reading=True)
    with pytest.raises(StoreError, match=r"read-?only"):
        reading.run("DELETE FROM runs")
    reading.close()


def test_a_reader_of_nothing_says_so(tmp_path: object) -> None:
    """Before there is a store, asking one is an error that says where it would be."""
    reader = Reader(f"{tmp_path}/none.db")
    with pytest.raises(StoreError, match=r"no store yet at .*none\.db"):
        reader.runs()
    reader.close()


def test_a_reader_sees_one_moment(url: str, writer: Writer, db: Database) -> None:
    """What is asked within a snapshot is of one moment, whatever is written meanwhile."""
    writer.write(make_parcel(make_session("r1"), make_rows(1)).parts)
    reading = connect(url, reading=True)
    with reading.snapshot():
        before = reading.query("SELECT count(*) FROM runs")
        writer.write(make_parcel(make_session("r2"), make_rows(1)).parts)
        assert reading.query("SELECT count(*) FROM runs") == before
    assert reading.query("SELECT count(*) FROM runs") == [(2,)]
    reading.close()


def test_a_store_of_before_is_brought_up_to_date(url: str, db: Database) -> None:
    """Its runs belong to no namespace."""
    Writer(db).write(make_parcel(make_session("r"), make_rows(3)).parts)
    for statement in (
        "DROP INDEX runs_by_namespace",
        "ALTER TABLE runs DROP COLUMN namespace",
        "DROP TABLE media",
        "DELETE FROM migrations WHERE number > 1",
    ):
        db.run(statement)
    db.migrate()
    assert db.query("SELECT id, namespace FROM runs") == [("r", "")]
