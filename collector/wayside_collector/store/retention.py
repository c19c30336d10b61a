"""What the store lets go of, so that it keeps within its limits: what is old, and when it is too big, first what was
not heard of for the longest time.

A run that is still being written loses its oldest points only when nothing else is left to let go of; their summaries
stay, and so does its place in every list. PostgreSQL, which gets back the room of a table but not of a row, lets the
points of whole weeks go instead, the oldest first.
"""

from typing import NamedTuple

from .database import Database
from .streams import period_of

FRESH = 3600.0  #: seconds a run is taken to be alive after its last row was stored
STEP = 512  #: blocks let go of at a time, of a run that is alive
KEEP_FORGOTTEN = 30 * 86400.0  #: seconds; what the spool could still send again is not older than its `max_age`
ROOM = 0.9  #: what is left of the limit once it was met, so that it is not met again at once


class Limits(NamedTuple):
    """max_age: seconds. max_size: bytes."""

    max_age: float
    max_size: int


class Gone(NamedTuple):
    """What was let go of."""

    runs_removed: int = 0
    blocks_removed: int = 0


class Retention:
    """Lets go, each run in a transaction of its own."""

    def __init__(self, db: Database, limits: Limits) -> None:
        self._db = db
        self._limits = limits

    def run(self, now: float) -> Gone:
        """Raises StoreError."""
        runs = self._remove_old(now)
        blocks = self._remove_old_points(now)
        if self._db.size() > self._limits.max_size:
            more, points = self._make_room(now)
            runs, blocks = runs + more, blocks + points
        if runs or blocks:
            self._db.shrink()
        return Gone(runs, blocks)

    def _remove_old(self, now: float) -> int:
        found = self._db.query("SELECT run FROM runs WHERE touched < ? ORDER BY run", now - self._limits.max_age)
        for (run,) in found:
            self._remove(run, now)
        with self._db.transaction():
            self._db.run("DELETE FROM forgotten WHERE time < ?", now - KEEP_FORGOTTEN)
        return len(found)

    def _remove_old_points(self, now: float) -> int:
        """Points of periods that are over for long enough."""
        oldest = period_of(now - self._limits.max_age)
        with self._db.transaction():
            return self._db.drop_blocks_before(oldest)

    def _make_room(self, now: float) -> tuple[int, int]:
        runs = blocks = 0
        while self._db.size() > self._limits.max_size * ROOM:
            with self._db.transaction():
                dropped = self._db.drop_oldest_blocks()
            if dropped is not None:
                blocks += dropped
                if not dropped:
                    break
                continue
            found = self._db.query("SELECT run FROM runs WHERE touched < ? ORDER BY touched, run LIMIT 1", now - FRESH)
            if found:
                self._remove(found[0][0], now)
                runs += 1
            else:
                gone = self._thin()
                if not gone:
                    break
                blocks += gone
        return runs, blocks

    def _remove(self, run: int, now: float) -> None:
        """A run, with all that is known of it but how far its sessions were."""
        streams = "SELECT t.stream FROM streams t JOIN sessions s ON s.session = t.session WHERE s.run = ?"
        with self._db.transaction():
            self._db.run(
                "INSERT INTO forgotten (session, next_seq, time) SELECT id, next_seq, ? FROM sessions WHERE run = ?"
                " ON CONFLICT (session) DO UPDATE SET next_seq = excluded.next_seq, time = excluded.time",
                now, run,
            )  # fmt: skip
            self._db.run("DELETE FROM blocks WHERE series IN (SELECT series FROM series WHERE run = ?)", run)
            self._db.run(f"DELETE FROM blocks WHERE series IN (SELECT -x.stream FROM ({streams}) x)", run)
            self._db.run("DELETE FROM summaries WHERE series IN (SELECT series FROM series WHERE run = ?)", run)
            for table in ("spans", "tail", "streams"):
                self._db.run(f"DELETE FROM {table} WHERE stream IN ({streams})", run)
            self._db.run("DELETE FROM hosting WHERE session IN (SELECT session FROM sessions WHERE run = ?)", run)
            for table in ("series", "hosting", "events", "media", "facts", "strides", "sessions", "runs"):
                self._db.run(f"DELETE FROM {table} WHERE run = ?", run)

    def _thin(self) -> int:
        """The oldest blocks there are, but for each stream's newest."""
        sql = (
            "SELECT p.stream, p.number, t.first_series, t.width FROM spans p JOIN streams t ON t.stream = p.stream"
            " JOIN blocks b ON b.series = -p.stream AND b.number = p.number AND b.period = p.period"
            " WHERE p.level = 0 AND p.number < t.blocks - 1 ORDER BY p.first_time, p.stream LIMIT ?"
        )
        found = self._db.query(sql, STEP)
        with self._db.transaction():
            for stream, number, first, width in found:
                sql = "DELETE FROM blocks WHERE number = ? AND (series = ? OR series BETWEEN ? AND ?)"
                self._db.run(sql, number, -stream, first, first + width - 1)
        return sum(width + 1 for _, _, _, width in found)
