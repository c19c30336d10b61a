"""The spool's database: statements and the shapes of rows. Called from the writer's thread, and for reading under a
lock.
"""

import json
import sqlite3
import struct
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from .batch import Amount, Batch, Extent, SessionRow, SinkCommit, Stored

FORMAT = 1  #: of the tables below; raised when they change, with a step in `_upgrade`

_TABLES = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE sessions (
  key INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, record BLOB NOT NULL, next_seq INTEGER NOT NULL DEFAULT 0,
  next_point INTEGER NOT NULL DEFAULT 0, started REAL NOT NULL, ended REAL, journals TEXT NOT NULL DEFAULT '[]',
  finish TEXT);
CREATE TABLE schemas (session INTEGER NOT NULL, number INTEGER NOT NULL, frame BLOB NOT NULL,
  PRIMARY KEY (session, number)) WITHOUT ROWID;
CREATE TABLE files (number INTEGER PRIMARY KEY, chain TEXT NOT NULL, born REAL NOT NULL);
CREATE TABLE batches (
  id INTEGER PRIMARY KEY AUTOINCREMENT, session INTEGER NOT NULL, first_seq INTEGER NOT NULL, next_seq INTEGER NOT NULL,
  time REAL NOT NULL, rows_file INTEGER, rows_offset INTEGER, rows_length INTEGER, events_file INTEGER,
  events_offset INTEGER, events_length INTEGER, points INTEGER NOT NULL, rows INTEGER NOT NULL, events INTEGER NOT NULL,
  composition BLOB NOT NULL);
CREATE INDEX batches_by_rows_file ON batches (rows_file);
CREATE INDEX batches_by_events_file ON batches (events_file);
CREATE TABLE sinks (name TEXT PRIMARY KEY, position INTEGER NOT NULL, books TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE cursors (sink TEXT NOT NULL, session INTEGER NOT NULL, cursor TEXT NOT NULL,
  PRIMARY KEY (sink, session)) WITHOUT ROWID;
CREATE TABLE state (owner TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL,
  PRIMARY KEY (owner, key)) WITHOUT ROWID;
CREATE TABLE dead_letters (
  id INTEGER PRIMARY KEY AUTOINCREMENT, sink TEXT NOT NULL, time REAL NOT NULL, session INTEGER NOT NULL,
  seq INTEGER NOT NULL, reason TEXT NOT NULL, points INTEGER NOT NULL, record BLOB NOT NULL);
CREATE INDEX dead_letters_by_sink ON dead_letters (sink, id);
CREATE TABLE lost (
  session INTEGER NOT NULL, first_seq INTEGER NOT NULL, next_seq INTEGER NOT NULL, points INTEGER NOT NULL,
  reason TEXT NOT NULL, time REAL NOT NULL, PRIMARY KEY (session, first_seq)) WITHOUT ROWID;
"""

_BATCH = (
    "id, session, first_seq, next_seq, time, rows_file, rows_offset, rows_length, "
    "events_file, events_offset, events_length, points, rows, events, composition"
)


def connect(path: Path, *, create: bool = False) -> sqlite3.Connection:
    """The database, set up as the spool needs it; raises sqlite3.DatabaseError when it is none or too new."""
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5)
    try:
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=FULL")
        db.execute("PRAGMA secure_delete=OFF")  # Debian's default is on and costs half the speed
        db.execute("PRAGMA cache_size=-2048")
        db.execute("PRAGMA wal_autocheckpoint=1000")
        db.execute("PRAGMA journal_size_limit=8388608")
        if create:
            _prepare(db)
    except BaseException:
        db.close()
        raise
    return db


def _prepare(db: sqlite3.Connection) -> None:
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if version == 0:
        db.executescript(f"BEGIN; {_TABLES} PRAGMA user_version={FORMAT}; COMMIT;")
    elif version > FORMAT:
        raise sqlite3.DatabaseError(
            f"the spool was written by a newer collector (format {version}, this one knows {FORMAT}): upgrade this one"
        )
    found = db.execute("PRAGMA quick_check(1)").fetchone()[0]
    if found != "ok":
        raise sqlite3.DatabaseError(f"the spool's database is damaged: {found}")


# --- writing, within the writer's transaction -----------------------------------------------------------------------


def add_session(db: sqlite3.Connection, id: str, record: bytes, started: float, journals: Iterable[str]) -> SessionRow:
    """The session of this id, new or known; a known one is alive again."""
    db.execute(
        "INSERT INTO sessions (id, record, started, journals) VALUES (?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET "
        "ended = NULL, record = excluded.record, journals = excluded.journals",
        (id, record, started, json.dumps(list(journals))),
    )
    row = db.execute("SELECT * FROM sessions WHERE id = ?", (id,)).fetchone()
    return _session(row)


def add_batch(db: sqlite3.Connection, batch: Batch, rows: Extent | None, events: Extent | None) -> Stored:
    composition = pack_composition(batch.composition)
    cursor = db.execute(
        "INSERT INTO batches (session, first_seq, next_seq, time, rows_file, rows_offset, rows_length, events_file, "
        "events_offset, events_length, points, rows, events, composition) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
        (
            *(batch.session, batch.first_seq, batch.next_seq, batch.time),
            *(rows or (None, None, None)),
            *(events or (None, None, None)),
            *batch.amount,
            composition,
        ),
    )
    db.execute(
        "UPDATE sessions SET next_seq = ?, next_point = ? WHERE key = ?",
        (batch.next_seq, batch.next_point, batch.session),
    )
    for number, frame in batch.defines.items():
        db.execute("INSERT OR IGNORE INTO schemas VALUES (?, ?, ?)", (batch.session, number, frame))
    assert cursor.lastrowid is not None
    place = (cursor.lastrowid, batch.session, batch.first_seq, batch.next_seq, batch.time)
    return Stored(*place, rows, events, batch.amount, batch.composition)


def commit_sink(db: sqlite3.Connection, commit: SinkCommit) -> None:
    db.execute(
        "INSERT OR REPLACE INTO sinks VALUES (?, ?, ?)",
        (commit.sink, commit.position, commit.books),
    )
    for session, cursor in commit.cursors.items():
        if cursor is None:
            db.execute("DELETE FROM cursors WHERE sink = ? AND session = ?", (commit.sink, session))
        else:
            db.execute("INSERT OR REPLACE INTO cursors VALUES (?, ?, ?)", (commit.sink, session, cursor))
    put_state(db, commit.sink, commit.state.items())


def put_state(db: sqlite3.Connection, owner: str, changes: Iterable[tuple[str, bytes | None]]) -> None:
    for key, value in changes:
        if value is None:
            db.execute("DELETE FROM state WHERE owner = ? AND key = ?", (owner, key))
        else:
            db.execute("INSERT OR REPLACE INTO state VALUES (?, ?, ?)", (owner, key, value))


def drop_file(db: sqlite3.Connection, number: int) -> None:
    """Forget a file: its batches lose that part, those that have nothing left go."""
    db.execute("UPDATE batches SET rows_file=NULL, rows_offset=NULL, rows_length=NULL WHERE rows_file=?", (number,))
    db.execute(
        "UPDATE batches SET events_file=NULL, events_offset=NULL, events_length=NULL WHERE events_file=?", (number,)
    )
    db.execute("DELETE FROM files WHERE number=?", (number,))


# --- reading ----------------------------------------------------------------------------------------------------------


def sessions(db: sqlite3.Connection) -> list[SessionRow]:
    return [_session(row) for row in db.execute("SELECT * FROM sessions ORDER BY key")]


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


def last_batch(db: sqlite3.Connection) -> int:
    """The id of the newest batch ever stored, 0 when there was none."""
    row = db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'batches'").fetchone()
    return int(row[0]) if row else 0


def _session(row: Sequence[Any]) -> SessionRow:
    finish = tuple(json.loads(row[8])) if row[8] is not None else None
    return SessionRow._make([*row[:7], tuple(json.loads(row[7])), finish])


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
