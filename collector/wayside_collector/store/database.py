"""The contract of an engine: SQL with `?` for values, and bulk inserts. All that is different between SQLite and
PostgreSQL is behind it; everything else in this package is written once.

SQL here is what both understand: ON CONFLICT, RETURNING, no functions of one of them. Not a number is NULL in both,
since SQLite has no other way to say it.
"""

import math
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

Value = None | int | float | str | bytes


class StoreError(Exception):
    """The store could not do what it was asked; trying again may help. The text is for an operator."""


class StoreMissing(StoreError):
    """There is none yet: nothing was ever written."""


class StoreDamaged(StoreError):
    """The file is no database any more, or a damaged one; trying again does not help."""


class Database(Protocol):
    """One connection, used by one thread at a time. Every method raises StoreError."""

    def migrate(self) -> None:
        """Make the tables, or bring them up to date. Safe to call from several processes at once."""

    def transaction(self) -> AbstractContextManager[None]:
        """The one writer's turn: all of it is on disk when it ends well, nothing of it when it does not."""

    def snapshot(self) -> AbstractContextManager[None]:
        """What is read within is of one moment."""

    def query(self, sql: str, *values: Value) -> list[tuple[Any, ...]]: ...

    def run(self, sql: str, *values: Value) -> None: ...

    def run_many(self, sql: str, rows: Iterable[Sequence[Value]]) -> None: ...

    def put(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[Value]]) -> None:
        """Insert many rows that are not there yet, the fastest way there is."""

    def make_room_for(self, period: int) -> None:
        """Blocks of this period are about to be put."""

    def drop_blocks_before(self, period: int) -> int:
        """Let the points of older periods go; returns how many blocks that were, or 0 where it is not told."""

    def drop_oldest_blocks(self) -> int | None:
        """Let the points of the oldest period go, but for the newest; returns how many blocks that were. None: this
        engine gets back the room of whatever is deleted, and needs no such thing.
        """

    def size(self) -> int:
        """Bytes in use."""

    def shrink(self) -> None:
        """Give back room that is free."""

    def lost(self) -> bool:
        """Whether what was connected to is not there any more, so that what is written now would be seen by nobody."""

    def give_up(self) -> None:
        """From another thread: what is being read ends soon, with StoreError, and nothing more can be read by this
        connection. May block for a moment.
        """

    def close(self) -> None:
        """Safe to call twice."""


def connect(url: str, *, reading: bool = False) -> Database:
    """An engine by its address: `postgresql://…`, or a path of a file. Nothing is connected yet. Raises StoreError."""
    if url.startswith(("postgresql://", "postgres://")):
        try:
            from .postgres import PostgresDatabase
        except ImportError as problem:
            raise StoreError(
                "a store on PostgreSQL needs psycopg: pip install 'wayside-collector[postgresql]'"
            ) from problem
        engine: Database = PostgresDatabase(url, reading=reading)
        return engine
    from .sqlite import SqliteDatabase

    return SqliteDatabase(Path(url), reading=reading)


def stored(value: float | None) -> float | None:
    """A number as it stands in a table."""
    return None if value is None or value != value else value


def told(value: float | None) -> float:
    """A number of a table as it was."""
    return math.nan if value is None else value
