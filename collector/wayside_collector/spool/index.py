"""The tables of the spool's database: statements and the shapes of rows. Pure but for the connection handed in."""

import contextlib
import json
import sqlite3
import struct
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from . import losses
from .accounts import put_state
from .batch import Amount, Batch, Extent, SessionRow, Stored

FORMAT = 1  #: of the tables below; raised when they change, with a way to bring those of the one before along

TABLES = """
CREATE TABLE sessions (
  key INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, record BLOB NOT NULL,
  next_seq INTEGER NOT NULL DEFAULT 0, next_point INTEGER NOT NULL DEFAULT 0, started REAL NOT NULL, ended REAL,
  finished INTEGER NOT NULL DEFAULT 0, finish TEXT, journals TEXT NOT NULL DEFAULT '[]');
CREATE TABLE schemas (session INTEGER NOT NULL, number INTEGER NOT NULL, frame BLOB NOT NULL,
  PRIMARY KEY (session, number)) WITHOUT ROWID;
CREATE TABLE files (number INTEGER PRIMARY KEY, chain TEXT NOT NULL, born REAL NOT NULL);
CREATE TABLE batches (
  id INTEGER PRIMARY KEY AUTOINCREMENT, session INTEGER NOT NULL, first_seq INTEGER NOT NULL, next_seq INTEGER NOT NULL,
  time REAL NOT NULL, rows_file INTEGER, rows_offset INTEGER, rows_length INTEGER, events_file INTEGER,
  events_offset INTEGER, events_length INTEGER, points INTEGER NOT NULL, rows INTEGER NOT NULL, events INTEGER NOT NULL,
  composition BLOB NOT NULL);
CREATE INDEX batches_by_session ON batches (session);
CREATE INDEX batches_by_rows_file ON batches (rows_file);
CREATE INDEX batches_by_events_file ON batches (events_file);
CREATE TABLE sinks (name TEXT PRIMARY KEY, position INTEGER NOT NULL, books TEXT NOT NULL, kind TEXT,
  sum INTEGER) WITHOUT ROWID;
CREATE TABLE cursors (sink TEXT NOT NULL, session INTEGER NOT NULL, cursor TEXT NOT NULL, sum INTEGER,
  PRIMARY KEY (sink, session)) WITHOUT ROWID;
CREATE TABLE state (owner TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL, sum INTEGER,
  PRIMARY KEY (owner, key)) WITHOUT ROWID;
CREATE TABLE dead_letters (
  id INTEGER PRIMARY KEY AUTOINCREMENT, sink TEXT NOT NULL, time REAL NOT NULL, session INTEGER NOT NULL,
  seq INTEGER NOT NULL, reason TEXT NOT NULL, points INTEGER NOT NULL, record BLOB NOT NULL, replayed REAL);
CREATE INDEX dead_letters_by_sink ON dead_letters (sink, id);
CREATE INDEX dead_letters_by_session ON dead_letters (session);
CREATE TABLE lost (
  session INTEGER NOT NULL, reason TEXT NOT NULL, first_seq INTEGER NOT NULL, next_seq INTEGER NOT NULL,
  rows INTEGER NOT NULL, points INTEGER NOT NULL, time REAL NOT NULL,
  PRIMARY KEY (session, reason, first_seq)) WITHOUT ROWID;
"""

#: Apart from the others, since spools were made without it.
MEDIA = """
CREATE TABLE IF NOT EXISTS media (
  name TEXT PRIMARY KEY, batch INTEGER NOT NULL, session INTEGER NOT NULL, size INTEGER NOT NULL,
  linked INTEGER NOT NULL, time REAL NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS media_by_batch ON media (batch);
CREATE INDEX IF NOT EXISTS media_by_session ON media (session);
"""

_SPOOL = "(spool)"  # an owner of kept state that no sink can be called

_SESSION = "key, id, record, next_seq, next_point, started, ended, finished, finish, journals"
_BATCH = (
    "id, session, first_seq, next_seq, time, rows_file, rows_offset, rows_length, "
    "events_file, events_offset, events_length, points, rows, events, composition"
)


# --- writing, within the writer's transaction -----------------------------------------------------------------------


def add_session(db: sqlite3.Connection, id: str, record: bytes, started: float, journals: Iterable[str]) -> SessionRow:
    """The session of this id, new or known; a known one is alive again."""
    db.execute(
        "INSERT INTO sessions (id, record, started, journals) VALUES (?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET "
        "ended = NULL, record = excluded.record, journals = excluded.journals",
        (id, record, started, json.dumps(list(journals))),
    )
    return _session(db.execute(f"SELECT {_SESSION} FROM sessions WHERE id = ?", (id,)).fetchone())


def end_session(db: sqlite3.Connection, key: int, time: float, finish: tuple[int, int] | None) -> None:
    text = json.dumps(finish) if finish is not None else None
    db.execute("UPDATE sessions SET ended = ?, finish = ?, journals = '[]' WHERE key = ?", (time, text, key))


def add_batch(db: sqlite3.Connection, id: int, batch: Batch, rows: Extent | None, events: Extent | None) -> Stored:
    db.execute(
        f"INSERT INTO batches ({_BATCH}) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
        (
            *(id, batch.session, batch.first_seq, batch.next_seq, batch.time),
            *(rows or (None, None, None)),
            *(events or (None, None, None)),
            *batch.amount,
            pack_composition(batch.composition),
        ),
    )
    db.execute(
        "UPDATE sessions SET next_seq = ?, next_point = ?, finished = finished OR ? WHERE key = ?",
        (batch.next_seq, batch.next_point, batch.finishes, batch.session),
    )
    for number, frame in batch.defines.items():
        db.execute("INSERT OR IGNORE INTO schemas VALUES (?, ?, ?)", (batch.session, number, frame))
    place = (id, batch.session, batch.first_seq, batch.next_seq, batch.time)
    return Stored(*place, rows, events, batch.amount, batch.composition)


def note_cycle(db: sqlite3.Connection, cycle: int) -> None:
    """By this a transaction is known again."""
    put_state(db, _SPOOL, [("cycle", cycle.to_bytes(8, "little"))])


def last_cycle(db: sqlite3.Connection) -> int:
    """The cycle of the last transaction that counts; 0 before the first."""
    found = db.execute("SELECT value FROM state WHERE owner = ? AND key = 'cycle'", (_SPOOL,)).fetchone()
    return int.from_bytes(found[0], "little") if found is not None else 0


def drop_file(db: sqlite3.Connection, number: int) -> None:
    """Forget a file: its batches lose that part and what it amounted to; those that have nothing left go."""
    db.execute(
        "UPDATE batches SET rows_file=NULL, rows_offset=NULL, rows_length=NULL, points=0, rows=0, composition=x'' "
        "WHERE rows_file=?",
        (number,),
    )
    db.execute(
        "UPDATE batches SET events_file=NULL, events_offset=NULL, events_length=NULL, events=0 WHERE events_file=?",
        (number,),
    )
    db.execute("DELETE FROM files WHERE number=?", (number,))


def drop_empty(db: sqlite3.Connection, done: int) -> None:
    """Forget batches of which nothing is left, as far as everyone has read."""
    db.execute("DELETE FROM batches WHERE id <= ? AND rows_file IS NULL AND events_file IS NULL", (done,))


def forget_sessions(db: sqlite3.Connection, ended_before: float, keep: int) -> list[int]:
    """Forget sessions that are over, of which no batch and no dead letter is left: those that ended before a time, and
    the oldest beyond `keep`. Returns their keys.
    """
    over = [
        (key, ended)
        for key, ended in db.execute(
            "SELECT key, ended FROM sessions WHERE ended IS NOT NULL "
            "AND NOT EXISTS (SELECT 1 FROM batches WHERE session = sessions.key) "
            "AND NOT EXISTS (SELECT 1 FROM dead_letters WHERE session = sessions.key) ORDER BY ended"
        )
    ]
    beyond = len(over) - keep
    forgotten = [key for place, (key, ended) in enumerate(over) if place < beyond or ended < ended_before]
    for table, column in (("sessions", "key"), ("schemas", "session"), ("cursors", "session")):
        db.executemany(f"DELETE FROM {table} WHERE {column} = ?", [(key,) for key in forgotten])
    losses.forget(db, forgotten)
    return forgotten


# --- reading ----------------------------------------------------------------------------------------------------------


def sessions(db: sqlite3.Connection) -> list[SessionRow]:
    return [_session(row) for row in db.execute(f"SELECT {_SESSION} FROM sessions ORDER BY key")]


def session_context(db: sqlite3.Connection, key: int) -> tuple[str, bytes]:
    """A session's id and record."""
    id, record = db.execute("SELECT id, record FROM sessions WHERE key = ?", (key,)).fetchone()
    return id, record


def schemas(db: sqlite3.Connection, session: int) -> dict[int, bytes]:
    return dict(db.execute("SELECT number, frame FROM schemas WHERE session = ?", (session,)).fetchall())


def batches(db: sqlite3.Connection, after: int, limit: int, session: int | None = None) -> list[Stored]:
    """Batches with an id above `after`, in order; of one session, or of all."""
    where, values = ("id > ?", [after]) if session is None else ("id > ? AND session = ?", [after, session])
    return [
        _stored(row)
        for row in db.execute(f"SELECT {_BATCH} FROM batches WHERE {where} ORDER BY id LIMIT ?", [*values, limit])
    ]


def batches_of_file(db: sqlite3.Connection, number: int) -> Iterator[Stored]:
    query = f"SELECT {_BATCH} FROM batches WHERE rows_file = ? OR events_file = ? ORDER BY id"
    return (_stored(row) for row in db.execute(query, (number, number)))


def newest_of_file(db: sqlite3.Connection, number: int) -> int:
    """The highest batch in a file, 0 when there is none."""
    return int(
        db.execute(
            "SELECT coalesce(max(id), 0) FROM (SELECT max(id) AS id FROM batches WHERE rows_file = ?1 UNION ALL "
            "SELECT max(id) FROM batches WHERE events_file = ?1)",
            (number,),
        ).fetchone()[0]
    )


def count_batches(db: sqlite3.Connection) -> int:
    return int(db.execute("SELECT count(*) FROM batches").fetchone()[0])


def last_batch(db: sqlite3.Connection) -> int:
    """The id of the newest batch ever stored, 0 when there was none."""
    row = db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'batches'").fetchone()
    return int(row[0]) if row else 0


def files(db: sqlite3.Connection) -> list[tuple[int, str, float]]:
    """Number, chain and birth of every segment file, oldest first."""
    return db.execute("SELECT number, chain, born FROM files ORDER BY number").fetchall()


def _session(row: Sequence[Any]) -> SessionRow:
    finish = _list(row[8], int)
    journals = [folder for folder in _list(row[9], str) if "\0" not in folder]
    return SessionRow._make([*row[:7], bool(row[7]), finish if len(finish) == 2 else None, tuple(journals)])


def _list(text: Any, of: type) -> tuple[Any, ...]:
    """A kept list; empty where it is damaged: a journal nobody names is found where journals lie."""
    with contextlib.suppress(ValueError, TypeError):
        found = json.loads(text)
        return tuple(found) if isinstance(found, list) and all(isinstance(one, of) for one in found) else ()
    return ()


def _stored(row: Sequence[Any]) -> Stored:
    rows = Extent(*row[5:8]) if row[5] is not None else None
    events = Extent(*row[8:11]) if row[8] is not None else None
    return Stored(
        row[0], row[1], row[2], row[3], row[4], rows, events, Amount(*row[11:14]), unpack_composition(row[14])
    )


def pack_composition(composition: tuple[tuple[int, int], ...]) -> bytes:
    return struct.pack(f"<{2 * len(composition)}i", *(number for pair in composition for number in pair))


def unpack_composition(data: bytes) -> tuple[tuple[int, int], ...]:
    return tuple(struct.iter_unpack("<ii", data))
