"""What never came: rows that clients had no room for, or that were posted past, by session and range. An account of
its own, outside every sink's. Pure but for the connection handed in.
"""

import sqlite3
from collections.abc import Iterable
from typing import NamedTuple

from .batch import Loss

MAX_RANGES = 100  #: of one session; later losses then lengthen the last range, whose `rows` still says how many
FORGOTTEN = 0  #: in the place of a session's key: what is left of sessions that are known no longer


class Lost(NamedTuple):
    """Rows of a session, by its id, that were lost from first_seq to below next_seq; fewer than the range is long
    where losses were put together. reason: "client" for want of room in its journal; "sender", who posts rows and
    passed their numbers over, or had them refused.
    """

    session: str
    reason: str
    first_seq: int
    next_seq: int
    rows: int
    points: int
    time: float


def add(db: sqlite3.Connection, losses: Iterable[Loss]) -> None:
    """Book losses; their sessions' numbers go on after them."""
    for loss in losses:
        _book(db, loss)
        db.execute(
            "UPDATE sessions SET next_seq = ?, next_point = next_point + ? WHERE key = ? AND next_seq < ?",
            (loss.next_seq, loss.points, loss.session, loss.next_seq),
        )


def _book(db: sqlite3.Connection, loss: Loss) -> None:
    rows = loss.next_seq - loss.first_seq
    count, last, end = db.execute(
        "SELECT count(*), max(first_seq), max(next_seq) FROM lost WHERE session = ? AND reason = ?",
        (loss.session, loss.reason),
    ).fetchone()
    if count and (count >= MAX_RANGES or end == loss.first_seq):
        db.execute(
            "UPDATE lost SET next_seq = ?, rows = rows + ?, points = points + ?, time = ? "
            "WHERE session = ? AND reason = ? AND first_seq = ?",
            (loss.next_seq, rows, loss.points, loss.time, loss.session, loss.reason, last),
        )
        return
    told = (loss.session, loss.reason, loss.first_seq, loss.next_seq, rows, loss.points, loss.time)
    db.execute("INSERT INTO lost VALUES (?, ?, ?, ?, ?, ?, ?)", told)


def forget(db: sqlite3.Connection, sessions: Iterable[int]) -> None:
    """Sessions that are known no longer: what they lost stays in the sums."""
    for session in sessions:
        db.execute(
            "INSERT INTO lost SELECT ?, reason, 0, 0, sum(rows), sum(points), max(time) FROM lost "
            "WHERE session = ? GROUP BY reason ON CONFLICT (session, reason, first_seq) DO UPDATE SET "
            "rows = rows + excluded.rows, points = points + excluded.points, time = max(time, excluded.time)",
            (FORGOTTEN, session),
        )
        db.execute("DELETE FROM lost WHERE session = ?", (session,))


def of_session(db: sqlite3.Connection, session: int) -> tuple[int, int]:
    """Rows and points of a session that are booked as lost at the client."""
    query = "SELECT sum(rows), sum(points) FROM lost WHERE session = ? AND reason = 'client'"
    rows, points = db.execute(query, (session,)).fetchone()
    return rows or 0, points or 0


def total(db: sqlite3.Connection) -> tuple[int, int]:
    """Rows and points lost at clients, ever."""
    rows, points = db.execute("SELECT sum(rows), sum(points) FROM lost").fetchone()
    return rows or 0, points or 0


def newest(db: sqlite3.Connection, limit: int) -> list[Lost]:
    """The latest losses of sessions that are known, newest first."""
    query = (
        "SELECT sessions.id, reason, first_seq, lost.next_seq, rows, points, time FROM lost "
        "JOIN sessions ON sessions.key = lost.session ORDER BY time DESC, first_seq DESC LIMIT ?"
    )
    return [Lost(*row) for row in db.execute(query, (limit,))]
