"""A spool in memory, for models of what feeds it: it stores or fails as it is told, and outlives whoever uses it."""

from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from standins.journal_reading import Frames
from wayside import wire
from wayside.row import Event, Row
from wayside_collector.media_folder import MediaFolder
from wayside_collector.spool import Batch, Extent, Held, Loss, SessionRow, SpoolError, Stored


class Crash(BaseException):
    """The collector dies here."""


@dataclass
class MemorySpool:
    """What is stored of every session. script: what becomes of the next hand-overs: "fails", "dies before" it is
    stored, or "dies after"; any further one is stored. dies_at_end: before the end of a session is written.
    """

    batches_: list[Batch] = field(default_factory=list)
    losses: list[Loss] = field(default_factory=list)
    script: list[str] = field(default_factory=list)
    dies_at_end: bool = False
    _sessions: dict[str, SessionRow] = field(default_factory=dict)
    _schemas: dict[int, dict[int, bytes]] = field(default_factory=dict)
    _decoded: dict[int, list[Row | Event]] = field(default_factory=dict)

    media = MediaFolder(Path("/nonexistent"))

    def media_held(self, sessions: Iterable[int]) -> Held:
        return Held(0, 0)

    # --- as `Spool` has it ----------------------------------------------------------------------------------------

    def begin_session(
        self, id: str, record: bytes, started: float, journals: Iterable[str] = ()
    ) -> "Future[SessionRow]":
        assert started == started, "SQLite has no NaN"
        old = self._sessions.get(id)
        key = len(self._sessions) + 1
        row = old or SessionRow(key, id, record, 0, 0, started, None, False, None, ())
        self._sessions[id] = row._replace(record=record, ended=None, journals=tuple(journals))
        return _done(self._sessions[id])

    def end_session(self, key: int, time: float, finish: tuple[int, int] | None = None) -> "Future[None]":
        row = self._by_key(key)
        self._sessions[row.id] = row._replace(ended=time, finish=finish, journals=())
        return _done(None)

    def append(self, batches: Sequence[Batch], losses: Sequence[Loss] = ()) -> "Future[list[Stored]]":
        fate = self.script.pop(0) if self.script else "stored"
        if self.dies_at_end and any(b'"reason"' in batch.events for batch in batches):
            raise Crash
        if fate == "fails":
            failed: Future[list[Stored]] = Future()
            failed.set_exception(SpoolError("told to fail"))
            return failed
        if fate == "dies before":
            raise Crash
        for batch in batches:
            row = self._by_key(batch.session)
            assert batch.first_seq >= row.next_seq, "a batch goes back"
            assert all(0 <= number < 1 << 63 for number in (batch.first_seq, batch.next_seq, batch.next_point))
            assert batch.time - batch.time == 0, "SQLite has no NaN"
            self._sessions[row.id] = row._replace(next_seq=batch.next_seq, next_point=batch.next_point)
            self._schemas.setdefault(row.key, {}).update(batch.defines)
        for loss in losses:
            row = self._by_key(loss.session)
            assert 0 <= loss.first_seq < loss.next_seq < 1 << 63
            assert 0 <= loss.points < 1 << 63
            if row.next_seq < loss.next_seq:
                point = row.next_point + loss.points
                self._sessions[row.id] = row._replace(next_seq=loss.next_seq, next_point=point)
        self.batches_ += batches
        self.losses += losses
        if fate == "dies after":
            raise Crash
        return _done([])

    def sessions(self) -> list[SessionRow]:
        return list(self._sessions.values())

    def schemas(self, session: int) -> dict[int, bytes]:
        return self._schemas.get(session, {})

    def lost_by_client(self, session: int) -> tuple[int, int]:
        mine = [loss for loss in self.losses if loss.session == session]
        return sum(loss.next_seq - loss.first_seq for loss in mine), sum(loss.points for loss in mine)

    def query(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """The one question the intake has: the number of a session's last batch with events."""
        (session,) = values
        found = [number for number, batch in self._numbered(session) if batch.events]
        return [(max(found, default=None),)]

    def batches(self, after: int, limit: int, session: int) -> list[Stored]:
        return [
            Stored(number, session, one.first_seq, one.next_seq, one.time, None, Extent(number, 0, 0), one.amount, ())
            for number, one in self._numbered(session)
            if number > after
        ][:limit]

    def read(self, extent: Extent) -> bytes:
        return self.batches_[extent.file - 1].events

    # --- what a test asks -----------------------------------------------------------------------------------------

    def key_of(self, session: str) -> int | None:
        row = self._sessions.get(session)
        return row.key if row is not None else None

    def records(self, key: int) -> list[Row | Event]:
        """Rows and events of a session, in the order of their numbers, as stored; each number once."""
        found: list[Row | Event] = []
        for number, batch in self._numbered(key):
            if number not in self._decoded:
                self._decoded[number] = self._decode(batch)
            found += self._decoded[number]
        seqs = [record.seq for record in found]
        assert seqs == sorted(set(seqs)), "stored twice, or out of order"
        return found

    def _decode(self, batch: Batch) -> list[Row | Event]:
        rows, events = self._read(batch.session, batch.rows).rows, self._read(batch.session, batch.events).events
        assert (sum(len(row.values) for row in rows), len(rows), len(events)) == batch.amount
        found = sorted([*rows, *events], key=lambda record: record.seq)
        assert all(batch.first_seq <= record.seq < batch.next_seq for record in found)
        return found

    def _read(self, key: int, data: bytes) -> Frames:
        frames = Frames(defined={number: self._names(frame) for number, frame in self.schemas(key).items()})
        frames.take(data)
        return frames

    @staticmethod
    def _names(frame: bytes) -> tuple[str, ...]:
        return wire.read_schema(frame, wire.scan(frame).spans[0])

    def _numbered(self, session: int) -> list[tuple[int, Batch]]:
        return [(number, batch) for number, batch in enumerate(self.batches_, 1) if batch.session == session]

    def _by_key(self, key: int) -> SessionRow:
        (row,) = [row for row in self._sessions.values() if row.key == key]
        return row


def _done(result: Any) -> "Future[Any]":
    future: Future[Any] = Future()
    future.set_result(result)
    return future
