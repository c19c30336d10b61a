"""What is done when the spool's database will not open: it is moved away, and a new one is made from what can still
be read.

The segment files carry everything but the accounts: sessions, schemas, batches, each under the number it had. Cursors,
books, state and dead letters are taken from the damaged database, table by table, as far as it still answers; a sink
whose position is lost begins at the oldest row again, and what it had already may come twice where the sink cannot
tell.

A file may also hold blocks that were never told to be stored, those of a cycle that failed or was cut off; what came
of them later begins where they began, and takes their place.
"""

import contextlib
import json
import os
import sqlite3
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from . import accounts, index
from .batch import Amount, Batch, Extent
from .files import CONTEXT, ROWS, Block, read_blocks, segment_files

_NOTHING = Amount()
_TABLES = ("sessions", "sinks", "cursors", "state", "dead_letters", "lost", "schemas")
_HELLO, _SCHEMA, _ROW, _NAMED_ROW, _EVENT, _SEQ = 1, 2, 3, 4, 5, 6  # frame types of the wire, told by their heads


def set_aside(path: Path) -> Path:
    """Move a damaged database (with its WAL), if there is one, to `damaged/`; returns its new path."""
    folder = path.parent / "damaged"
    folder.mkdir(exist_ok=True)
    target = folder / f"{path.name}-{time.strftime('%Y%m%dT%H%M%S')}-{time.monotonic_ns()}"
    for suffix in ("", "-wal", "-shm"):
        with contextlib.suppress(FileNotFoundError):
            os.rename(f"{path}{suffix}", f"{target}{suffix}")
    return target


@dataclass(slots=True)
class _Found:
    """A batch as its blocks tell it."""

    session: bytes
    first_seq: int
    next_seq: int
    time: float
    next_point: int = 0
    rows: Extent | None = None
    events: Extent | None = None
    amount: Amount = _NOTHING
    composition: dict[int, int] = field(default_factory=dict)
    finishes: bool = False


@dataclass(slots=True)
class _Contents:
    """What all segment files hold. sessions: id to key and record; schemas: (id, number) to frame."""

    files: list[tuple[int, str, float]] = field(default_factory=list)
    sessions: dict[bytes, tuple[int, bytes, float]] = field(default_factory=dict)
    schemas: dict[tuple[bytes, int], bytes] = field(default_factory=dict)
    batches: dict[int, _Found] = field(default_factory=dict)
    damaged: int = 0


class Salvaged(NamedTuple):
    """What a new database holds. damaged: blocks left out. accounts: tables that the old one still gave. lost: those
    that it did not.
    """

    sessions: int
    batches: int
    damaged: int
    accounts: tuple[str, ...]
    lost: tuple[str, ...]

    def __str__(self) -> str:
        left_out = f", {self.damaged} damaged blocks left out" if self.damaged else ""
        kept = ", ".join(self.accounts) or "none"
        found = f"{self.sessions} sessions and {self.batches} batches found in the files{left_out}"
        return f"{found}; accounts kept: {kept}"


def salvage(db: sqlite3.Connection, damaged: Path, folder: Path) -> Salvaged:
    """Fill a new database from the files and from what a damaged one still tells; what it holds then."""
    found = _read_files(folder)
    _supersede(found.batches)
    db.execute("BEGIN IMMEDIATE")
    try:
        rescued = _copy_accounts(db, damaged)
        for number, chain, born in found.files:
            db.execute("INSERT INTO files VALUES (?, ?, ?)", (number, chain, born))
        keys = _put_sessions(db, found)
        batches = _put_batches(db, found, keys)
        _number_on(db)
        db.execute("COMMIT")
    except BaseException:
        db.execute("ROLLBACK")
        raise
    lost = tuple(table for table in _TABLES if table not in rescued)
    return Salvaged(len(keys), batches, found.damaged, tuple(rescued), lost)


def _read_files(folder: Path) -> _Contents:
    found = _Contents()
    for number, chain, path in segment_files(folder):
        found.files.append((number, chain, path.stat().st_mtime))
        try:
            whole = path.read_bytes()
        except OSError:
            found.damaged += 1
            continue
        for offset, block, data in read_blocks(whole):
            if block is None:
                found.damaged += 1
            elif block.kind == CONTEXT:
                _take_context(found, block, data)
            else:
                _take_block(found, block, Extent(number, offset, block.length), data)
    return found


def _take_context(found: _Contents, block: Block, data: bytes) -> None:
    for kind, number, frame in _frames(data):
        if kind == _HELLO:
            found.sessions.setdefault(block.session, (block.first_seq, frame, block.time))
        elif kind == _SCHEMA:
            found.schemas[block.session, number] = frame


def _take_block(found: _Contents, block: Block, extent: Extent, data: bytes) -> None:
    batch = found.batches.setdefault(block.batch, _Found(block.session, block.first_seq, block.next_seq, block.time))
    if block.kind == ROWS:
        batch.rows = extent
    else:
        batch.events = extent
    points = rows = events = point = 0
    for kind, number, frame in _frames(data):
        if kind == _SEQ:
            point = struct.unpack_from("<Q", frame, 16)[0]
        elif kind == _EVENT:
            events += 1
            batch.finishes = batch.finishes or _event_kind(frame) == "finish"
        elif kind in (_ROW, _NAMED_ROW):
            width = (len(frame) - 32) // 8 if kind == _ROW else len(json.loads(frame[24:-8]))
            schema = number if kind == _ROW else -1
            batch.composition[schema] = batch.composition.get(schema, 0) + 1
            rows += 1
            points += width
            point += width
    batch.amount = batch.amount.plus(Amount(points, rows, events))
    batch.next_point = max(batch.next_point, point)


def _frames(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Frames by the lengths in their heads: type, number of the schema, the whole frame."""
    position = 0
    while position + 8 <= len(data):
        (word,) = struct.unpack_from("<Q", data, position)
        length = word & 0xFFFFFFFF
        if length < 16 or position + length > len(data):
            return
        yield word >> 32 & 0xFF, word >> 48, data[position : position + length]
        position += length


def _event_kind(frame: bytes) -> Any:
    with contextlib.suppress(ValueError, AttributeError, RecursionError):
        return json.loads(frame[24:-8]).get("kind")
    return None


def _supersede(batches: dict[int, _Found]) -> None:
    """Leave out what was written again: a later batch of a session begins where it begins, and whatever stood from
    there on is not what was stored.
    """
    order: dict[bytes, list[int]] = {}
    for number in sorted(batches):
        batch = batches[number]
        before = order.setdefault(batch.session, [])
        while before and batches[before[-1]].first_seq >= batch.first_seq:
            del batches[before.pop()]
        before.append(number)


def _put_sessions(db: sqlite3.Connection, found: _Contents) -> dict[bytes, int]:
    """Sessions of the files that the damaged database did not tell; the key of each."""
    _forget_nameless(db)
    keys = {bytes.fromhex(id): key for key, id in db.execute("SELECT key, id FROM sessions")}
    taken = set(keys.values())
    for id, (key, record, started) in sorted(found.sessions.items(), key=lambda item: item[1][0]):
        if id in keys:
            continue
        if key in taken or key <= 0:
            key = max(taken, default=0) + 1
        db.execute(
            "INSERT INTO sessions (key, id, record, started) VALUES (?, ?, ?, ?)", (key, id.hex(), record, started)
        )
        keys[id] = key
        taken.add(key)
    for (id, number), frame in found.schemas.items():
        if id in keys:
            db.execute("INSERT OR IGNORE INTO schemas VALUES (?, ?, ?)", (keys[id], number, frame))
    return keys


def _forget_nameless(db: sqlite3.Connection) -> None:
    """Sessions whose id is damaged: the files know them by the right one, under the key that is free then."""
    db.execute("DELETE FROM sessions WHERE length(id) % 2 OR id GLOB '*[^0-9a-f]*'")


def _put_batches(db: sqlite3.Connection, found: _Contents, keys: dict[bytes, int]) -> int:
    totals = {key: (seq, point) for key, seq, point in db.execute("SELECT key, next_seq, next_point FROM sessions")}
    count = 0
    for number, batch in sorted(found.batches.items()):
        key = keys.get(batch.session)
        if key is None:  # its context block was damaged: nobody knows whose rows these are
            found.damaged += 1
            continue
        index.add_batch(
            db,
            number,
            Batch(
                key,
                batch.first_seq,
                batch.next_seq,
                batch.next_point,
                b"",
                b"",
                batch.amount,
                tuple(batch.composition.items()),
                batch.time,
                finishes=batch.finishes,
            ),
            batch.rows,
            batch.events,
        )
        seq, point = totals[key]
        totals[key] = max(seq, batch.next_seq), max(point, batch.next_point)
        count += 1
    db.executemany(
        "UPDATE sessions SET next_seq = ?, next_point = ? WHERE key = ?",
        [(seq, point, key) for key, (seq, point) in totals.items()],
    )
    return count


def _copy_accounts(db: sqlite3.Connection, damaged: Path) -> list[str]:
    """Tables that the damaged database still gives whole."""
    rescued = []
    for table in _TABLES:
        columns = ", ".join(row[1] for row in db.execute(f"PRAGMA table_info({table})"))
        try:
            with contextlib.closing(sqlite3.connect(f"{damaged.absolute().as_uri()}?mode=ro", uri=True)) as old:
                old.text_factory = _text  # one text that is none any more does not cost the whole table
                rows = old.execute(f"SELECT {columns} FROM {table}").fetchall()
            marks = ",".join("?" * len(columns.split(",")))
            db.executemany(f"INSERT INTO {table} ({columns}) VALUES ({marks})", rows)
            rescued.append(table)
        except sqlite3.Error:
            db.execute(f"DELETE FROM {table}")
    return rescued


def _text(data: bytes) -> str:
    return data.decode(errors="replace")


def _number_on(db: sqlite3.Connection) -> None:
    """Batches to come have numbers above every one that a sink's position may mean."""
    (newest,) = db.execute("SELECT coalesce(max(id), 0) FROM batches").fetchone()
    highest = max(newest, *accounts.positions(db).values(), 0)
    db.execute("DELETE FROM sqlite_sequence WHERE name = 'batches'")
    db.execute("INSERT INTO sqlite_sequence (name, seq) VALUES ('batches', ?)", (highest,))
