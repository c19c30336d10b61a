"""Writes parcels into the store, each in one transaction. What is known already is left out, by (session, seq)."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby
from typing import NamedTuple, Protocol

from wayside.row import Event, Row

from ..session import Session
from . import facts, media, strides
from .database import Database
from .known import Entry, enter, is_time, settle_run, speaker, stored_seqs, take_finish
from .streams import Full, Streams
from .texts import key_text, to_json

MAX_SERIES = 200_000  #: series of one run: what a page or a person could still look through; a series costs 0.3 KB


class Lot(Protocol):
    """Rows and events of one session, as a sink gets them."""

    @property
    def session(self) -> Session: ...
    @property
    def records(self) -> Sequence[object]: ...
    @property
    def open_runs(self) -> tuple[Session, ...]: ...


class Written(NamedTuple):
    """What came of a parcel. doubles: rows and events that were there. refused: (session, seq) of rows of a run that
    has all the series it may have. too_deep: likewise, of events that are nested too deep. untimed: rows whose time
    could not be one, filed under their session's start.
    """

    points: int = 0
    doubles: int = 0
    untimed: int = 0
    refused: frozenset[tuple[str, int]] = frozenset()
    too_deep: frozenset[tuple[str, int]] = frozenset()

    def plus(self, other: "Written") -> "Written":
        counts = (self.points + other.points, self.doubles + other.doubles, self.untimed + other.untimed)
        return Written(*counts, self.refused | other.refused, self.too_deep | other.too_deep)


class _Gathered:
    """What a parcel holds of one session. hosted: a run's session and the first and last time it was open."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.rows: dict[int, Row] = {}
        self.events: dict[int, Event] = {}
        self.hosted: dict[str, tuple[Session, float, float]] = {}
        self.untimed = 0

    def add(self, lot: Lot) -> None:
        records = [record for record in lot.records if isinstance(record, Row | Event)]
        times = [record.time for record in records]
        if not all(map(is_time, times)):
            records = [self._timed(record) for record in records]
            times = [record.time for record in records]
        self.rows.update((record.seq, record) for record in records if isinstance(record, Row))
        self.events.update((record.seq, record) for record in records if isinstance(record, Event))
        for run in lot.open_runs if times else ():
            _, first, last = self.hosted.get(run.run.id, (run, times[0], times[0]))
            self.hosted[run.run.id] = (run, min(first, *times), max(last, *times))

    def _timed(self, record: Row | Event) -> Row | Event:
        if is_time(record.time):
            return record
        self.untimed += 1
        return record._replace(time=self.session.started if is_time(self.session.started) else 0.0)


class Writer:
    """Writes into a migrated database. clock: Unix time in seconds."""

    def __init__(self, db: Database, *, max_series: int = MAX_SERIES, clock: Callable[[], float] = time.time) -> None:
        self._db = db
        self._streams = Streams(db, max_series, clock)
        self._clock = clock

    def write(self, lots: Iterable[Lot]) -> Written:
        """One parcel; all of it is on disk when this returns. Raises StoreError, and then nothing of it is."""
        gathered: dict[str, _Gathered] = {}
        for lot in lots:
            gathered.setdefault(lot.session.id, _Gathered(lot.session)).add(lot)
        written, runs = Written(), set[int]()
        with self._db.transaction():
            for one in gathered.values():
                written = written.plus(self._write_session(one, runs))
            for run in runs:
                settle_run(self._db, run)
        return written

    def _write_session(self, one: _Gathered, runs: set[int]) -> Written:
        entry = enter(self._db, one.session, self._clock())
        runs.update(self._host(entry, one.hosted))
        found = len(one.rows) + len(one.events)
        rows, events = self._fresh(entry, one)
        refused = self._write_rows(entry, one.session, rows)
        deep = self._write_events(entry, one.session, events)
        events = [event for event in events if event.seq not in deep]
        rows = [row for row in rows if row.seq not in refused]
        fresh: list[Row | Event] = [*rows, *events]
        if fresh:
            self._note(entry, fresh)
        ended = take_finish(self._db, entry, events)
        if ended:
            self._streams.seal(entry.session)
        if ended or entry.new:
            runs.add(entry.run)
        points = sum(len(row.names) for row in rows)
        doubles = found - len(fresh) - len(refused) - len(deep)
        told = (frozenset((one.session.id, seq) for seq in seqs) for seqs in (refused, deep))
        return Written(points, doubles, one.untimed, *told)

    def _fresh(self, entry: Entry, one: _Gathered) -> tuple[list[Row], list[Event]]:
        """What is not stored yet, in the order of the seqs."""
        old = [seq for seqs in (one.rows, one.events) for seq in seqs if seq < entry.next_seq]
        known = stored_seqs(self._db, entry, min(old), max(old)) if old else set[int]()
        rows = [one.rows[seq] for seq in sorted(one.rows.keys() - known)]
        return rows, [one.events[seq] for seq in sorted(one.events.keys() - known)]

    def _write_rows(self, entry: Entry, session: Session, rows: Sequence[Row]) -> set[int]:
        """Returns the seqs of the rows that are refused."""
        groups: dict[tuple[tuple[str, ...], bool], list[Row]] = {}
        for (names, stepped), some in groupby(rows, lambda row: (row.names, row.step is not None)):
            groups.setdefault((names, stepped), []).extend(some)
        refused: set[int] = set()
        for (names, _), group in groups.items():
            try:
                self._streams.append(entry.session, entry.run, names, group)
            except Full:
                refused.update(row.seq for row in group)
        if session.kind == "run":
            self._cover(entry.run, [row.step for row in rows if row.step is not None and row.seq not in refused])
        return refused

    def _cover(self, run: int, steps: Sequence[int]) -> None:
        """The run has had these steps."""
        if not steps:
            return
        bounds = (run, max(steps), min(steps))
        sql = "SELECT first, last, stride, count FROM strides WHERE run = ? AND "
        known = [strides.Stretch(*row) for row in self._db.query(f"{sql} first <= ? AND last >= ?", *bounds)]
        fresh = strides.uncovered(steps, known)
        if not fresh:
            return
        before = self._db.query(f"{sql} first <= ? ORDER BY first DESC LIMIT 1", run, fresh[0])
        last = strides.Stretch(*before[0]) if before else None
        found = strides.extend(last, fresh)
        if last is not None:
            self._db.run("DELETE FROM strides WHERE run = ? AND first = ?", run, last.first)
        self._db.put("strides", ("run", "first", "last", "stride", "count"), [(run, *one) for one in found])

    def _write_events(self, entry: Entry, session: Session, events: Sequence[Event]) -> set[int]:
        """Returns the seqs of the events that are nested too deep."""
        who = speaker(entry, session)
        lines, deep = [], set[int]()
        for event in events:
            try:
                data = to_json(event.data)
            except RecursionError:
                deep.add(event.seq)
                continue
            lines.append((entry.session, event.seq, entry.run, event.time, event.step, key_text(event.kind), data))
            facts.take(self._db, who, event)
        self._db.put("events", ("session", "seq", "run", "time", "step", "kind", "data"), lines)
        shown = media.rows_of(entry.run, entry.session, [event for event in events if event.seq not in deep])
        self._db.put("media", ("session", "seq", "run", "name", "type", "step", "time"), shown)
        return deep

    def _note(self, entry: Entry, fresh: Sequence[Row | Event]) -> None:
        """When the session was last heard, and which seqs it has sent."""
        active = max(record.time for record in fresh)
        next_seq = max(record.seq for record in fresh) + 1
        rows = [record for record in fresh if isinstance(record, Row)]
        self._db.run(
            "UPDATE sessions SET rows = rows + ?, points = points + ?,"
            " next_seq = CASE WHEN next_seq < ? THEN ? ELSE next_seq END,"
            " active = CASE WHEN active < ? THEN ? ELSE active END WHERE session = ?",
            len(rows), sum(len(row.names) for row in rows), next_seq, next_seq, active, active, entry.session,
        )  # fmt: skip
        self._db.run(
            "UPDATE runs SET active = CASE WHEN active < ? THEN ? ELSE active END, touched = ? WHERE run = ?",
            active, active, self._clock(), entry.run,
        )  # fmt: skip

    def _host(self, entry: Entry, hosted: Mapping[str, tuple[Session, float, float]]) -> set[int]:
        """A sampler's session measures where these runs are. Returns those whose session was not known before: it may
        be an attempt of which no row has come yet.
        """
        begun: set[int] = set()
        for session, first, last in hosted.values():
            found = enter(self._db, session, self._clock())
            run = found.run
            if found.new:
                begun.add(run)
            self._db.run(
                "INSERT INTO hosting (run, session, first_time, last_time) VALUES (?, ?, ?, ?)"
                " ON CONFLICT (run, session) DO UPDATE SET"
                " first_time = CASE WHEN excluded.first_time < hosting.first_time THEN excluded.first_time"
                " ELSE hosting.first_time END,"
                " last_time = CASE WHEN excluded.last_time > hosting.last_time THEN excluded.last_time"
                " ELSE hosting.last_time END",
                run, entry.session, first, last,
            )  # fmt: skip
        return begun
