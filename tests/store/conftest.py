"""Stores to test with: a file of SQLite, and a database in a PostgreSQL of Debian's, which starts once a session."""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from standins.postgres_server import create_database, postgres
from wayside_collector.store import Reader, Writer, connect
from wayside_collector.store.database import Database

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """A PostgreSQL's address, to be filled with a database's name."""
    with postgres() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where an empty store may be; of each engine in turn."""
    return fresh_url(request, tmp_path)


def fresh_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return str(tmp_path / f"store-{next(_numbers)}.db")
    return create_database(request.getfixturevalue("server"), f"store_{next(_numbers)}")


@pytest.fixture
def fresh(request: pytest.FixtureRequest, url: str, tmp_path: Path) -> Callable[[], str]:
    """Makes further empty stores of the same engine."""
    if url.startswith("postgresql"):
        return lambda: create_database(request.getfixturevalue("server"), f"store_{next(_numbers)}")
    return lambda: str(tmp_path / f"store-{next(_numbers)}.db")


@pytest.fixture
def opened() -> Iterator[Callable[[str], Database]]:
    """Opens and migrates stores, and closes them in the end."""
    found: list[Database] = []

    def open(url: str) -> Database:
        db = connect(url)
        found.append(db)
        db.migrate()
        return db

    yield open
    for db in found:
        db.close()


@pytest.fixture
def db(url: str, opened: Callable[[str], Database]) -> Database:
    return opened(url)


@pytest.fixture
def writer(db: Database) -> Writer:
    return Writer(db)


@pytest.fixture
def reader(url: str, db: Database) -> Iterator[Reader]:
    found = Reader(url)
    yield found
    found.close()
