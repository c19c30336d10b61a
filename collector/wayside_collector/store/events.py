"""Events, page by page: at most so many, and at most so many bytes of them."""

import json
from collections.abc import Sequence
from typing import Any

from .answers import EventInfo, EventPage
from .database import Database

MAX_BYTES = 8 << 20  #: of what the events of one page say; one alone may be 4 MiB, the longest frame

Place = tuple[float, str, int]  # time, session and seq


def page(db: Database, run: tuple[int, str], kinds: Sequence[str], limit: int, after: Place | None) -> EventPage:
    """The next events of a run (key and id) by time, session and seq."""
    where, values = "e.run = ?", list[Any]([run[0]])
    if kinds:
        where, values = f"{where} AND e.kind IN ({', '.join('?' * len(kinds))})", [*values, *kinds]
    if after is not None:
        time, session, seq = after
        where += " AND (e.time > ? OR (e.time = ? AND (s.id > ? OR (s.id = ? AND e.seq > ?))))"
        values += [time, time, session, session, seq]
    rest = f"FROM events e JOIN sessions s ON s.session = e.session WHERE {where} ORDER BY e.time, s.id, e.seq LIMIT ?"
    sizes = [size for (size,) in db.query(f"SELECT length(e.data) {rest}", *values, limit + 1)]
    count = _fitting(sizes[:limit])
    found = db.query(f"SELECT s.id, s.rank, e.seq, e.time, e.step, e.kind, e.data {rest}", *values, count)
    last = found[-1] if len(sizes) > count else None
    return EventPage([_event(run[1], row) for row in found], None if last is None else (last[3], last[0], last[2]))


def _fitting(sizes: Sequence[int]) -> int:
    """How many of them fit, the first in any case."""
    total = 0
    for count, size in enumerate(sizes):
        total += size
        if total > MAX_BYTES and count:
            return count
    return len(sizes)


def _event(run: str, row: tuple[Any, ...]) -> EventInfo:
    session, rank, seq, time, step, kind, data = row
    return EventInfo(run, session, rank, seq, time, step, kind, json.loads(data))
