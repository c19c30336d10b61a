"""What is done when the spool's database will not open: it is moved away, and a new one is made from what can still
be read.

The segment files carry everything but the accounts: sessions, schemas, batches. Cursors, books and state are taken
from the damaged database, table by table, as far as it still answers; a sink whose cursor is lost begins at the
oldest row again, and what it had already may come twice where the sink cannot tell.
"""

import contextlib
import json
import os
import sqlite3
import struct
import time
from pathlib import Path

from . import index
from .batch import Amount, Batch, Extent
from .files import CONTEXT, EVENTS, HEADER, ROWS, Block, Damaged, read_block

_ACCOUNTS = ("sinks", "cursors", "state", "dead_letters", "lost")


def set_aside(path: Path) -> Path:
    """Move a damaged database (with its WAL) to `damaged/`; returns its new path."""
    folder = path.parent / "damaged"
    folder.mkdir(exist_ok=True)
    target = folder / f"{path.name}-{time.strftime('%Y%m%dT%H%M%S')}-{os.getpid()}"
    for suffix in ("", "-wal", "-shm"):
        with contextlib.suppress(FileNotFoundError):
            os.rename(f"{path}{suffix}", f"{target}{suffix}")
    return target


def reindex(db: sqlite3.Connection, damaged: Path, folder: Path) -> str:
    """Fill a new database from the files and from what the damaged one still tells; returns a sentence for people."""
    sessions = batches = bad = 0
    known: dict[bytes, int] = {}
    db.execute("BEGIN IMMEDIATE")
    for path in sorted(folder.glob("*-*.spool"), key=lambda path: path.stem.rpartition("-")[2]):
        chain, _, number = path.stem.rpartition("-")
        db.execute(
            "INSERT INTO files VALUES (?, ?, ?)",
            (int(number), chain, path.stat().st_mtime),
        )
        found, lost = _blocks(path)
        bad += lost
        for block, offset, data in found:
            if block.kind == CONTEXT:
                sessions += _introduce(db, block, data, known)
            elif block.session in known:
                _store(db, known[block.session], block, Extent(int(number), offset, block.length), data)
                batches += 1
            else:
                bad += 1
    db.execute("COMMIT")
    rescued = _copy_accounts(db, damaged)
    lost_part = f", {bad} damaged blocks left out" if bad else ""
    kept = ", ".join(rescued) or "none"
    return f"{sessions} sessions and {batches} batches found in the files{lost_part}; accounts kept: {kept}"


def _blocks(path: Path) -> tuple[list[tuple[Block, int, bytes]], int]:
    """Every whole block of a file with its offset, and how many were damaged; a damaged header ends the file."""
    import zlib

    whole = path.read_bytes()
    found: list[tuple[Block, int, bytes]] = []
    offset = bad = 0
    while offset + HEADER.size <= len(whole):
        try:
            block = read_block(whole, offset)
        except Damaged:
            return found, bad + 1
        data = whole[offset + HEADER.size : offset + HEADER.size + block.length]
        if len(data) == block.length and zlib.crc32(data) == block.crc:
            found.append((block, offset, data))
        else:
            bad += 1
        offset += HEADER.size + block.length + -block.length % 8
    return found, bad


def _introduce(db: sqlite3.Connection, block: Block, data: bytes, known: dict[bytes, int]) -> int:
    """A context block: the session's record first if this is its first in the file, then schema frames."""
    new = 0
    position = 0
    while position + 8 <= len(data):
        (word,) = struct.unpack_from("<Q", data, position)
        length, kind, number = word & 0xFFFFFFFF, word >> 32 & 0xFF, word >> 48
        frame = data[position : position + length]
        if kind == 1 and block.session not in known:
            known[block.session] = index.add_session(db, block.session.hex(), frame, block.stored_at, ()).key
            new = 1
        elif kind == 2 and block.session in known:
            db.execute("INSERT OR IGNORE INTO schemas VALUES (?, ?, ?)", (known[block.session], number, frame))
        position += max(8, length)
    return new


def _store(db: sqlite3.Connection, session: int, block: Block, extent: Extent, data: bytes) -> None:
    amount, composition = _count(db, session, data)
    batch = Batch(session, block.first_seq, block.next_seq, 0, b"", b"", amount, composition, block.stored_at)
    rows = extent if block.kind == ROWS else None
    events = extent if block.kind == EVENTS else None
    twin = db.execute(
        "SELECT id FROM batches WHERE session = ? AND first_seq = ? AND next_seq = ? AND "
        "(rows_file IS NULL) = ? AND (events_file IS NULL) = ?",
        (session, block.first_seq, block.next_seq, rows is not None, events is not None),
    ).fetchone()
    if twin is None:
        index.add_batch(db, batch, rows, events)
        return
    part = "rows" if rows else "events"
    db.execute(
        f"UPDATE batches SET {part}_file=?, {part}_offset=?, {part}_length=?, "
        "points=points+?, rows=rows+?, events=events+?, composition=composition||? WHERE id=?",
        (*extent, *amount, index.pack_composition(composition), twin[0]),
    )


def _count(db: sqlite3.Connection, session: int, data: bytes) -> tuple[Amount, tuple[tuple[int, int], ...]]:
    """What a block holds, by the lengths of its frames alone."""
    points = rows = events = 0
    composition: dict[int, int] = {}
    position = 0
    while position + 8 <= len(data):
        (word,) = struct.unpack_from("<Q", data, position)
        length, kind, number = word & 0xFFFFFFFF, word >> 32 & 0xFF, word >> 48
        if kind == 3:
            rows += 1
            points += (length - 32) // 8
            composition[number] = composition.get(number, 0) + 1
        elif kind == 4:
            rows += 1
            points += len(json.loads(data[position + 24 : position + length - 8]))
            composition[-1] = composition.get(-1, 0) + 1
        elif kind == 5:
            events += 1
        position += max(8, length)
    return Amount(points, rows, events), tuple(composition.items())


def _copy_accounts(db: sqlite3.Connection, damaged: Path) -> list[str]:
    """Tables of accounts that the damaged database still gives whole."""
    rescued = []
    for table in _ACCOUNTS:
        try:
            with contextlib.closing(sqlite3.connect(f"file:{damaged}?mode=ro", uri=True)) as old:
                rows = old.execute(f"SELECT * FROM {table}").fetchall()
            if rows:
                marks = ",".join("?" * len(rows[0]))
                db.executemany(f"INSERT OR REPLACE INTO {table} VALUES ({marks})", rows)
            rescued.append(table)
        except sqlite3.Error:
            continue
    return rescued
