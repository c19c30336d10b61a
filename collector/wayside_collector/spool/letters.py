"""Dead letters in the spool's database: rows and events that a sink refused for good. Statements, and nothing else.

A letter is *dead* until it is replayed; then it *waits*, and the sink's books count it so, until the sink has taken it
(it is removed) or refused it again (a new letter takes its place). Each of these is part of the transaction that
moves the sink's books. Dead ones have a limit, in number and in bytes; those that wait are never removed for it.
"""

import json
import sqlite3
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from .batch import DeadLetter

MAX_DEAD_LETTERS = 10_000  #: of one sink: enough to see what is wrong; the oldest go first, the books have them all
MAX_DEAD_SIZE = 64 << 20  #: bytes of one sink's: thousands of ordinary rows, and the database stays a small one

COLUMNS = "id, sink, time, session, seq, reason, points, record, replayed"


class KeptLetter(NamedTuple):
    """A dead letter as it is kept. replayed: Unix time in seconds when it was told to go again; None while it is
    dead.
    """

    id: int
    sink: str
    time: float
    session: int
    seq: int
    reason: str
    points: int
    record: bytes
    replayed: float | None


@dataclass(frozen=True, slots=True)
class Choice:
    """Which letters: all that fulfil everything that is not None. reason: a part of the text. since, until: Unix time
    in seconds of the refusal. sessions: keys. ids: numbers. waits: whether they wait to be delivered again.
    """

    sink: str | None = None
    reason: str | None = None
    since: float | None = None
    until: float | None = None
    sessions: tuple[int, ...] | None = None
    ids: tuple[int, ...] | None = None
    waits: bool | None = None

    def where(self) -> tuple[str, list[object]]:
        """As SQL, and its values."""
        terms: list[tuple[str, object]] = [
            ("sink = ?", self.sink),
            ("instr(lower(reason), lower(?))", self.reason),
            ("time >= ?", self.since),
            ("time <= ?", self.until),
            ("session IN (SELECT value FROM json_each(?))", _list(self.sessions)),
            ("id IN (SELECT value FROM json_each(?))", _list(self.ids)),
            ("(replayed IS NOT NULL) = ?", self.waits),
        ]
        given = [(text, value) for text, value in terms if value is not None]
        return " AND ".join(text for text, _ in given) or "1", [value for _, value in given]


def _list(values: Sequence[int] | None) -> str | None:
    return None if values is None else json.dumps(list(values))


# --- writing, within the writer's transaction -----------------------------------------------------------------------


def bury(
    db: sqlite3.Connection,
    sink: str,
    letters: Iterable[DeadLetter],
    most: int = MAX_DEAD_LETTERS,
    size: int = MAX_DEAD_SIZE,
) -> int:
    """Keep letters; how many older ones had to go for the limits. most, size: those."""
    db.executemany(
        "INSERT INTO dead_letters (sink, time, session, seq, reason, points, record) VALUES (?, ?, ?, ?, ?, ?, ?)",
        [(sink, *letter) for letter in letters],
    )
    return db.execute(
        "DELETE FROM dead_letters WHERE id IN (SELECT id FROM (SELECT id, row_number() OVER newest AS place, "
        "sum(length(record)) OVER newest AS bytes FROM dead_letters WHERE sink = ? AND replayed IS NULL "
        "WINDOW newest AS (ORDER BY id DESC)) WHERE place > ? OR (bytes > ? AND place > 1))",
        (sink, most, size),
    ).rowcount


def revive(db: sqlite3.Connection, ids: Iterable[int]) -> None:
    """These wait from now on."""
    now = time.time()
    db.executemany("UPDATE dead_letters SET replayed = ? WHERE id = ?", [(now, id) for id in ids])


def settle(db: sqlite3.Connection, ids: Iterable[int]) -> None:
    """These waited, and are done: delivered, or refused anew."""
    db.executemany("DELETE FROM dead_letters WHERE id = ?", [(id,) for id in ids])


def drop(db: sqlite3.Connection, choice: Choice) -> int:
    """Remove letters that are dead; how many."""
    where, values = choice.where()
    return db.execute(f"DELETE FROM dead_letters WHERE replayed IS NULL AND {where}", values).rowcount


# --- reading --------------------------------------------------------------------------------------------------------


def read(db: sqlite3.Connection, choice: Choice, limit: int, after: int = 0) -> list[KeptLetter]:
    """The oldest of them, with a number above `after`."""
    where, values = choice.where()
    query = f"SELECT {COLUMNS} FROM dead_letters WHERE id > ? AND {where} ORDER BY id LIMIT ?"
    return [KeptLetter(*row) for row in db.execute(query, [after, *values, limit])]


def count(db: sqlite3.Connection, choice: Choice) -> int:
    where, values = choice.where()
    return int(db.execute(f"SELECT count(*) FROM dead_letters WHERE {where}", values).fetchone()[0])
