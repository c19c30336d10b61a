"""The table of media files: which of them count, of which event, and which go first when they are too much. Pure but
for the connection handed in.
"""

import sqlite3
from collections.abc import Iterable
from typing import NamedTuple

from ..media_folder import NAME, MediaFile, MediaFolder

DROP_AT_ONCE = 1000  #: events that one look at the limits drops: each is booked in every sink
DISK_PIECE = 64 << 20  #: bytes of media that are dropped at once when the disk is full


class Held(NamedTuple):
    """Bytes that are held: copies of ours, and what links to other people's files may hold on to."""

    owned: int
    linked: int


def settle(db: sqlite3.Connection, folder: MediaFolder, now: float) -> list[str]:
    """At a start, and when the database was made anew: what belongs to an event that is stored counts. Returns what
    does not.
    """
    known = {name for (name,) in db.execute("SELECT name FROM media")}
    strays = []
    for file in folder.files():
        if file.name in known:
            continue
        found = NAME.fullmatch(file.name)
        row = (
            found
            and db.execute(
                "SELECT id, session FROM batches WHERE session = (SELECT key FROM sessions WHERE id = ?) "
                "AND first_seq <= ? AND next_seq > ? AND events_file IS NOT NULL",
                (found[1], int(found[2]), int(found[2])),
            ).fetchone()
        )
        if row:
            add(db, row[0], row[1], [file], now)
        else:
            strays.append(file.name)
    return strays


def add(db: sqlite3.Connection, batch: int, session: int, files: Iterable[MediaFile], now: float) -> None:
    db.executemany(
        "INSERT OR REPLACE INTO media VALUES (?, ?, ?, ?, ?, ?)",
        [(file.name, batch, session, file.size, file.linked, now) for file in files],
    )


def take_read(db: sqlite3.Connection, done: int) -> list[str]:
    """Files of batches that everyone has read, which count no longer."""
    return _take(db, "batch <= ?", done)


def take_of_file(db: sqlite3.Connection, number: int) -> list[str]:
    """Files of a segment file's events, which count no longer."""
    return _take(db, "batch IN (SELECT id FROM batches WHERE events_file = ?)", number)


def take_of_batch(db: sqlite3.Connection, batch: int) -> list[str]:
    """Files of one batch, which count no longer; nor does its event."""
    db.execute(
        "UPDATE batches SET events_file=NULL, events_offset=NULL, events_length=NULL, events=0 WHERE id=?", (batch,)
    )
    return _take(db, "batch = ?", batch)


def _take(db: sqlite3.Connection, where: str, value: int) -> list[str]:
    names = [name for (name,) in db.execute(f"SELECT name FROM media WHERE {where}", (value,))]
    if names:
        db.execute(f"DELETE FROM media WHERE {where}", (value,))
    return names


def held(db: sqlite3.Connection, sessions: Iterable[int] | None = None) -> Held:
    """What is held, of these sessions or of all."""
    found = {0: 0, 1: 0}
    if sessions is None:
        found.update(db.execute("SELECT linked, sum(size) FROM media GROUP BY linked").fetchall())
    for session in sessions or ():
        for linked, size in db.execute("SELECT linked, sum(size) FROM media WHERE session = ? GROUP BY 1", (session,)):
            found[linked] += size
    return Held(found[0], found[1])


class Bounds(NamedTuple):
    """What media may take: bytes of ours, bytes that links may hold on to, seconds."""

    max_media: int
    max_linked: int
    max_age: float


def next_to_drop(db: sqlite3.Connection, bounds: Bounds, now: float, *, full: bool) -> tuple[list[int], str] | None:
    """The batches whose files go next, oldest first, and why: "age", "size" or "disk"; None while the limits are
    kept. full: the disk had no room for the last rows.
    """
    old = db.execute(
        "SELECT DISTINCT batch FROM media WHERE time < ? ORDER BY batch LIMIT ?", (now - bounds.max_age, DROP_AT_ONCE)
    ).fetchall()
    if old:
        return [batch for (batch,) in old], "age"
    owned, linked = held(db)
    for kind, excess in ((0, owned - bounds.max_media), (1, linked - bounds.max_linked)):
        if excess > 0:
            return _oldest(db, "linked = ?", kind, excess), "size"
    if full and owned:
        return _oldest(db, "linked = ?", 0, DISK_PIECE), "disk"
    return None


def _oldest(db: sqlite3.Connection, where: str, value: int, size: int) -> list[int]:
    """The oldest batches that hold at least so many bytes."""
    found: list[int] = []
    for batch, held in db.execute(
        f"SELECT batch, sum(size) FROM media WHERE {where} GROUP BY batch ORDER BY batch LIMIT ?", (value, DROP_AT_ONCE)
    ):
        found.append(batch)
        size -= held
        if size <= 0:
            break
    return found
