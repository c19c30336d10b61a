"""What sinks keep in the spool's database: position and books, cursors, state. Statements, and nothing else.

SQLite does not notice a bit that flips within a value. So every row carries a sum over its key and its values, and
one whose sum is wrong is told for what it is: a position is then 0 and a text empty, which nobody ever writes, and of
kept state it is left out.
"""

import sqlite3
import zlib
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from . import letters
from .batch import SinkCommit

Value = int | str | bytes | None


class Account(NamedTuple):
    """A sink's. kind: of the sink that committed it last, None when it did not say."""

    position: int
    books: str
    kind: str | None


DAMAGED = Account(0, "", None)

# --- writing, within the writer's transaction -----------------------------------------------------------------------


def commit(db: sqlite3.Connection, commit: SinkCommit) -> int:
    """All of it; how many dead letters had to go for their limits."""
    row = (commit.sink, commit.position, commit.books, commit.kind)
    db.execute("INSERT OR REPLACE INTO sinks (name, position, books, kind, sum) VALUES (?, ?, ?, ?, ?)", _summed(row))
    for session, cursor in commit.cursors.items():
        if cursor is None:
            db.execute("DELETE FROM cursors WHERE sink = ? AND session = ?", (commit.sink, session))
        else:
            given = _summed((commit.sink, session, cursor))
            db.execute("INSERT OR REPLACE INTO cursors (sink, session, cursor, sum) VALUES (?, ?, ?, ?)", given)
    put_state(db, commit.sink, commit.state.items())
    letters.revive(db, commit.revived)
    letters.settle(db, commit.settled)
    return letters.bury(db, commit.sink, commit.letters) if commit.letters else 0


def put_state(db: sqlite3.Connection, owner: str, changes: Iterable[tuple[str, bytes | None]]) -> None:
    for key, value in changes:
        if value is None:
            db.execute("DELETE FROM state WHERE owner = ? AND key = ?", (owner, key))
        else:
            given = _summed((owner, key, value))
            db.execute("INSERT OR REPLACE INTO state (owner, key, value, sum) VALUES (?, ?, ?, ?)", given)


# --- reading: texts as bytes, since what is no UTF-8 any more cannot be read as text at all -------------------------


def sink(db: sqlite3.Connection, name: str) -> Account | None:
    """None for one that never committed."""
    query = "SELECT position, CAST(books AS BLOB), CAST(kind AS BLOB), sum FROM sinks WHERE name = ?"
    return next((_account(name, *row) for row in db.execute(query, (name,))), None)


def positions(db: sqlite3.Connection) -> dict[str, int]:
    """How far each sink is, by name."""
    query = "SELECT CAST(name AS BLOB), position, CAST(books AS BLOB), CAST(kind AS BLOB), sum FROM sinks"
    rows = [(_text(row[0]), *row[1:]) for row in db.execute(query)]
    return {name: _account(name, *row).position for name, *row in rows if name is not None}


def kinds(db: sqlite3.Connection) -> dict[str, str | None]:
    """What kind each sink is, by name."""
    query = "SELECT CAST(name AS BLOB), position, CAST(books AS BLOB), CAST(kind AS BLOB), sum FROM sinks"
    rows = [(_text(row[0]), *row[1:]) for row in db.execute(query)]
    return {name: _account(name, *row).kind for name, *row in rows if name is not None}


def cursors(db: sqlite3.Connection, sink: str) -> dict[int, str]:
    query = "SELECT session, CAST(cursor AS BLOB), sum FROM cursors WHERE sink = ?"
    found = {}
    for session, data, sum in db.execute(query, (sink,)):
        if isinstance(session, int):
            found[session] = _text(data) or "" if _is_whole((sink, session, data), sum) else ""
    return found


def state(db: sqlite3.Connection, owner: str) -> tuple[dict[str, bytes], list[str]]:
    """What is kept, and the keys of what is damaged."""
    found: dict[str, bytes] = {}
    damaged = []
    for key, value, sum in _state_rows(db, owner):
        if isinstance(value, bytes) and _is_whole((owner, key, value), sum):
            found[key] = value
        else:
            damaged.append(key)
    return found, damaged


def _state_rows(db: sqlite3.Connection, owner: str) -> Iterator[tuple[str, Any, Any]]:
    query = "SELECT CAST(key AS BLOB), CAST(value AS BLOB), sum FROM state WHERE owner = ?"
    for key, value, sum in db.execute(query, (owner,)):
        yield key.decode(errors="replace"), value, sum


def _account(name: str, position: Any, books: Any, kind: Any, sum: Any) -> Account:
    text, of_kind = _text(books), _text(kind)
    if text is None or not isinstance(position, int) or not _is_whole((name, position, books, kind), sum):
        return DAMAGED
    return Account(position, text, of_kind)


def _text(data: bytes | None) -> str | None:
    try:
        return data.decode() if data is not None else None
    except UnicodeDecodeError:
        return None


def _summed(values: tuple[Value, ...]) -> tuple[Value, ...]:
    return (*values, _sum(values))


def _is_whole(values: tuple[Value, ...], sum: Any) -> bool:
    return bool(sum == _sum(values))


def _sum(values: tuple[Value, ...]) -> int:
    return zlib.crc32(b"\0".join(_bytes(value) for value in values))


def _bytes(value: Value) -> bytes:
    return value if isinstance(value, bytes) else b"" if value is None else str(value).encode()
