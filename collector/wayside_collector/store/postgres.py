"""The store on PostgreSQL: one collector's, or a fleet's, written by any number of collectors and gateways.

Writers take turns by an advisory lock within their transactions: keys are given out and sessions gone on with without
a race, and no two of them can wait for each other. Blocks are partitioned by week, so that letting go of old points is
dropping a table.
"""

import contextlib
import re
import threading
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any

import psycopg
from psycopg import sql as composed

from .database import StoreError, StoreMissing, Value
from .migrations import scripts

LOCK = 0x57415953  #: "WAYS": the advisory lock of writers; that of migrations is the next
TIMEOUT = 10  #: seconds to connect
_PASSWORD = re.compile(r"(//[^:/@]*):[^@/]*@|(password=)[^\s&]*", re.IGNORECASE)


class PostgresDatabase:
    """See `Database`. url: as libpq takes it."""

    def __init__(self, url: str, *, reading: bool = False) -> None:
        self._url = url
        self._reading = reading
        self._connection: psycopg.Connection[tuple[Any, ...]] | None = None
        self._rooms: set[int] = set()
        self._thread = threading.RLock()  # a write that was given up may still go on when the next one comes
        self._types: dict[tuple[str, ...], list[int]] = {}
        self._given_up = False

    def _connected(self) -> psycopg.Connection[tuple[Any, ...]]:
        if self._connection is not None and (self._connection.closed or self._connection.broken):
            self.close()
        if self._connection is None:
            name = "wayside-reader" if self._reading else "wayside-writer"
            self._connection = psycopg.connect(
                self._url, autocommit=True, connect_timeout=TIMEOUT, application_name=name
            )
            if self._reading:
                self._connection.execute("SET default_transaction_read_only = on")
        return self._connection

    def migrate(self) -> None:
        with self._translated():
            connection = self._connected()
            with connection.transaction():
                connection.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK + 1])
                connection.execute(
                    "CREATE TABLE IF NOT EXISTS migrations (number INTEGER PRIMARY KEY, name TEXT NOT NULL,"
                    " applied TIMESTAMPTZ NOT NULL DEFAULT now())"
                )
                known = self.query("SELECT max(number) FROM migrations")[0][0] or 0
                for number, name, script in scripts("postgres", known, "in PostgreSQL"):
                    connection.execute(script)
                    self.run("INSERT INTO migrations (number, name) VALUES (?, ?)", number, name)

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        with self._thread, self._translated():
            connection = self._connected()
            try:
                with connection.transaction():
                    connection.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
                    yield
            except BaseException:
                self._rooms.clear()  # they may have been made in this transaction
                raise

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[None]:
        with self._thread, self._translated():
            connection = self._connected()
            self._refuse_if_given_up()
            with connection.transaction(force_rollback=True):
                connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
                yield

    def query(self, sql: str, *values: Value) -> list[tuple[Any, ...]]:
        self._refuse_if_given_up()
        with self._translated():
            return self._connected().execute(_marked(sql), values, binary=True).fetchall()

    def run(self, sql: str, *values: Value) -> None:
        with self._translated():
            self._connected().execute(_marked(sql), values)

    def run_many(self, sql: str, rows: Iterable[Sequence[Value]]) -> None:
        with self._translated(), self._connected().cursor() as cursor:
            cursor.executemany(_marked(sql), rows)

    def put(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[Value]]) -> None:
        if not rows:
            return
        named = composed.SQL(", ").join(map(composed.Identifier, columns))
        whole = (composed.Identifier(table), named)
        with self._translated(), self._connected().cursor() as cursor:
            key = (table, *columns)
            if key not in self._types:
                cursor.execute(composed.SQL("SELECT {1} FROM {0} LIMIT 0").format(*whole))
                self._types[key] = [column.type_code for column in cursor.description or ()]
            with cursor.copy(composed.SQL("COPY {} ({}) FROM STDIN (FORMAT BINARY)").format(*whole)) as copy:
                copy.set_types(self._types[key])
                for row in rows:
                    copy.write_row(row)

    def make_room_for(self, period: int) -> None:
        if period in self._rooms:
            return
        if period not in self._periods():
            named = (composed.Identifier(_partition(period)), composed.Literal(period), composed.Literal(period + 1))
            statement = (
                "CREATE TABLE {} PARTITION OF blocks FOR VALUES FROM ({}) TO ({}) WITH (toast_tuple_target = 8160)"
            )
            with self._translated():
                self._connected().execute(composed.SQL(statement).format(*named))
        self._rooms.add(period)

    def drop_blocks_before(self, period: int) -> int:
        return sum(self._drop(there) for there in self._periods() if there < period)

    def drop_oldest_blocks(self) -> int | None:
        """A table that is dropped gives its room back at once, where rows that are deleted only leave it for others."""
        there = self._periods()
        return self._drop(there[0]) if len(there) > 1 else 0

    def _periods(self) -> list[int]:
        """Those that have a table of their own, the oldest first."""
        found = self.query(
            "SELECT relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid"
            " WHERE i.inhparent = 'blocks'::regclass"
        )
        return sorted(int(str(name).removeprefix("blocks_")) for (name,) in found)

    def _drop(self, period: int) -> int:
        name = _partition(period)
        gone = self.query(f"SELECT count(*) FROM {name}")[0][0]
        self.run(f"DROP TABLE {name}")
        self._rooms.discard(period)
        return int(gone)

    def size(self) -> int:
        """Of the tables and indexes; what is deleted counts until the server has vacuumed it."""
        sql = (
            "SELECT coalesce(sum(pg_relation_size(c.oid) + CASE c.reltoastrelid WHEN 0 THEN 0"
            " ELSE pg_relation_size(c.reltoastrelid) END), 0)"
            " FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = current_schema()"
        )
        return int(self.query(sql)[0][0])

    def shrink(self) -> None:
        for table in ("blocks", "summaries", "spans", "tail", "events"):
            self.run(f"VACUUM {table}")

    def lost(self) -> bool:
        return False

    def _refuse_if_given_up(self) -> None:
        if self._given_up:
            raise StoreError("the store in PostgreSQL: the question was given up")

    def give_up(self) -> None:
        self._given_up = True
        if (connection := self._connection) is not None:
            with self._translated():
                connection.cancel_safe(timeout=TIMEOUT)

    def close(self) -> None:
        with self._thread:
            connection, self._connection = self._connection, None
            self._rooms.clear()
            if connection is not None:
                connection.close()

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except psycopg.errors.UndefinedTable as problem:
            raise StoreMissing("there is no store yet in PostgreSQL") from problem
        except psycopg.Error as problem:
            text = _PASSWORD.sub(r"\1\2", str(problem)).strip() or type(problem).__name__
            raise StoreError(f"the store in PostgreSQL: {text}") from problem


def _partition(period: int) -> str:
    return f"blocks_{period}"


@lru_cache(maxsize=512)
def _marked(sql: str) -> str:
    """Psycopg's marks for ours."""
    return sql.replace("%", "%%").replace("?", "%s")
