"""Where the blocks of a batch go: its rows to the file of its chain, its events to theirs, each file begun with what
makes it readable by itself. Used by the writer's thread alone.
"""

import sqlite3
import zlib
from collections.abc import Callable
from dataclasses import dataclass

from . import index
from .batch import Batch, Extent
from .files import CONTEXT, EVENTS, ROLL_AGE, ROLL_SIZE, ROWS, Active, Block, Files


@dataclass(slots=True)
class _Context:
    """What a file must say of a session before its rows: its id, its record, its schemas by number."""

    id: bytes
    record: bytes
    schemas: dict[int, bytes]


class Placer:
    """Appends batches to the active files. next_file, next_batch: numbers not yet used."""

    def __init__(self, files: Files, clock: Callable[[], float], next_file: int, next_batch: int) -> None:
        self._files = files
        self._clock = clock
        self._next_file = next_file
        self._next_batch = next_batch
        self._contexts: dict[int, _Context] = {}
        self._introduced: dict[int, set[tuple[int, int]]] = {}  # file to (session, schema) its context blocks hold

    @property
    def now(self) -> float:
        """Unix time in seconds."""
        return self._clock()

    def place(self, db: sqlite3.Connection, batch: Batch) -> tuple[int, Extent | None, Extent | None]:
        """Write a batch's blocks; its number and where they are. Raises OSError."""
        number, self._next_batch = self._next_batch, self._next_batch + 1
        context = self._contexts.get(batch.session)
        if context is None:
            context = self._contexts[batch.session] = _read_context(db, batch.session)
        context.schemas.update(batch.defines)
        rows = self._append(number, batch, batch.chain, ROWS) if batch.rows else None
        events = self._append(number, batch, "events", EVENTS) if batch.events else None
        return number, rows, events

    def _append(self, number: int, batch: Batch, chain: str, kind: int) -> Extent:
        active = self._active(chain)
        data = batch.rows if kind == ROWS else batch.events
        context = self._contexts[batch.session]
        introduced = self._introduced.setdefault(active.number, set())
        used = sorted({schema for schema, _ in batch.composition if schema >= 0}) if kind == ROWS else []
        missing = [schema for schema in used if (batch.session, schema) not in introduced]
        text = b"".join(context.schemas.get(schema, b"") for schema in missing)
        if (batch.session, -1) not in introduced:
            text = context.record + text
        if text:
            said = (batch.session, batch.next_seq, batch.time, len(text), zlib.crc32(text))
            self._files.append(active, Block(CONTEXT, context.id, number, *said), text)
            introduced.update((batch.session, schema) for schema in (-1, *missing))
        told = (batch.first_seq, batch.next_seq, batch.time, len(data), zlib.crc32(data))
        return self._files.append(active, Block(kind, context.id, number, *told), data)

    def _active(self, chain: str) -> Active:
        active = self._files.active.get(chain)
        if active is not None and (active.size > ROLL_SIZE or self._clock() - active.born > ROLL_AGE):
            self._close(active)
            active = None
        if active is None:
            number, self._next_file = self._next_file, self._next_file + 1
            active = self._files.begin(chain, number, self._clock())
        return active

    def close_old(self) -> None:
        """Close files that are old, though nothing more came for them: only closed ones leave the disk."""
        for active in list(self._files.active.values()):
            if self._clock() - active.born > ROLL_AGE:
                self._close(active)

    def _close(self, active: Active) -> None:
        self._introduced.pop(active.number, None)
        self._files.close_chain(active.chain)

    def abandon(self) -> None:
        """What was placed since the last transaction does not count."""
        self._files.abandon()
        self._introduced.clear()
        self._contexts.clear()

    def leave(self) -> None:
        """Nobody knows whether what was placed counts: it stays as it is, and no file of it is appended to again."""
        self._files.close()
        self._introduced.clear()
        self._contexts.clear()

    def forget(self, session: int) -> None:
        """A session is over; should it come again, it is read from the database."""
        self._contexts.pop(session, None)


def _read_context(db: sqlite3.Connection, session: int) -> _Context:
    id, record = index.session_context(db, session)
    return _Context(bytes.fromhex(id), record, index.schemas(db, session))
