"""A spool in memory, for tests of what delivers from it: the same answers as the real one's, and deaths at will.

A `Shelf` is what lies on the disk. A `ShelfSpool` is one process's view of it: `dead` stops every write, as a killed
process does; `die_at_commit` kills it at its next commit, before anything of that is on disk; `failing` makes so many
commits fail and nothing else.
"""

from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wayside import wire
from wayside_collector.media_folder import MediaFolder
from wayside_collector.spool import (
    Amount,
    Batch,
    Choice,
    Damaged,
    Extent,
    KeptLetter,
    PartName,
    SinkCommit,
    SpoolError,
    Stored,
)


@dataclass
class Shelf:
    """files: number to chain. damaged: extents whose bytes are wrong."""

    batches: dict[int, Stored] = field(default_factory=dict)
    data: dict[Extent, bytes] = field(default_factory=dict)
    files: dict[int, str] = field(default_factory=dict)
    sinks: dict[str, tuple[int, str]] = field(default_factory=dict)
    cursors: dict[str, dict[int, str]] = field(default_factory=dict)
    state: dict[str, dict[str, bytes]] = field(default_factory=dict)
    letters: dict[str, list[Any]] = field(default_factory=dict)
    damaged: set[Extent] = field(default_factory=set)
    last: int = 0
    written: int = 0


class ShelfSpool:
    """What delivery asks of a spool."""

    media = MediaFolder(Path("/nonexistent"))

    def __init__(self, shelf: Shelf) -> None:
        self.shelf = shelf
        self.dead = False
        self.die_at_commit = False
        self.failing = 0
        self.unreadable = 0
        self.commits = 0
        self.counted: int | None = None  # how many batches it says there are, None for the truth
        self.on_commit: Any = lambda: None

    def media_over_limit(self) -> None:
        return None

    # --- writing ----------------------------------------------------------------------------------

    def append(self, batch: Batch, file: int) -> Stored:
        """Store a batch in a file of its chain; a file's number holds one chain and its events a file of their own."""
        shelf = self.shelf
        shelf.last += 1
        rows = self._place(file, batch.chain, batch.rows)
        events = self._place(file + 1000, "events", batch.events)
        place = (shelf.last, batch.session, batch.first_seq, batch.next_seq, batch.time)
        stored = shelf.batches[shelf.last] = Stored(*place, rows, events, batch.amount, batch.composition)
        return stored

    def _place(self, file: int, chain: str, data: bytes) -> Extent | None:
        if not data:
            return None
        self.shelf.files[file] = chain
        self.shelf.written += len(data)
        extent = Extent(file, self.shelf.written, len(data))
        self.shelf.data[extent] = data
        return extent

    def commit(self, commit: SinkCommit, *, lazy: bool = False) -> "Future[int]":
        future: Future[int] = Future()
        self.dead = self.dead or self.die_at_commit
        if self.dead or self.failing:
            self.failing = max(0, self.failing - 1)
            future.set_exception(SpoolError("the disk is gone"))
            return future
        shelf, name = self.shelf, commit.sink
        shelf.sinks[name] = commit.position, commit.books
        _change(shelf.cursors.setdefault(name, {}), commit.cursors)
        _change(shelf.state.setdefault(name, {}), commit.state)
        shelf.letters.setdefault(name, []).extend(commit.letters)
        self.commits += 1
        self.on_commit()
        future.set_result(0)
        return future

    def drop(self, file: int) -> "Future[None]":
        future: Future[None] = Future()
        if self.dead:
            future.set_exception(SpoolError("the disk is gone"))
            return future
        chain = self.shelf.files.pop(file)
        part: PartName = "events" if chain == "events" else "rows"
        for stored in self.batches_of_file(file):
            self.shelf.batches[stored.id] = stored.without(part)
        self.shelf.data = {extent: data for extent, data in self.shelf.data.items() if extent.file != file}
        future.set_result(None)
        return future

    # --- reading ----------------------------------------------------------------------------------

    def read(self, extent: Extent) -> bytes:
        if extent in self.shelf.damaged:
            raise Damaged("the bytes are not those that were written")
        if extent not in self.shelf.data:
            raise FileNotFoundError(f"segment file {extent.file} is gone")
        return self.shelf.data[extent]

    def batches(self, after: int, limit: int, session: int | None = None) -> list[Stored]:
        if self.unreadable:
            self.unreadable -= 1
            raise SpoolError("the database cannot be read")
        return [
            stored
            for id, stored in sorted(self.shelf.batches.items())
            if id > after and session in (None, stored.session)
        ][:limit]

    def batches_of_file(self, file: int) -> list[Stored]:
        found = self.shelf.batches.values()
        return [one for one in found if any(part is not None and part.file == file for part in (one.rows, one.events))]

    def count_batches(self) -> int:
        return self.counted if self.counted is not None else len(self.shelf.batches)

    def last_batch(self) -> int:
        return self.shelf.last

    def sink(self, name: str) -> tuple[int, str] | None:
        return self.shelf.sinks.get(name)

    def kind_of(self, name: str) -> str | None:
        return None

    def cursors(self, name: str) -> dict[int, str]:
        return dict(self.shelf.cursors.get(name, {}))

    def state(self, name: str) -> dict[str, bytes]:
        return dict(self.shelf.state.get(name, {}))

    def letters(self, choice: Choice, limit: int, after: int = 0) -> list[KeptLetter]:
        """None of them waits here: what becomes of replayed ones is asked of a real spool."""
        return []

    def dead_letters(self, name: str) -> int:
        return len(self.shelf.letters.get(name, []))


def _change(kept: dict[Any, Any], changes: Any) -> None:
    for key, value in changes.items():
        if value is None:
            kept.pop(key, None)
        else:
            kept[key] = value


def make_batch(
    session: int,
    first_seq: int,
    points: list[tuple[int | None, dict[str, float]] | str],
    schemas: dict[int, tuple[str, ...]],
    *,
    chain: str = "scalars",
    time: float = 0.0,
    named: bool = False,
) -> Batch:
    """A batch of rows, (step, metrics), and events, their kind; names are added to the session's schemas, unless rows
    carry them themselves (`named`).
    """
    rows = events = b""
    composition: dict[int, int] = {}
    defines: dict[int, bytes] = {}
    total = count = told = 0
    for seq, point in enumerate(points, first_seq):
        at = time + seq
        if isinstance(point, str):
            events += wire.seq_frame(seq, 0) + wire.event_frame(at, None, point, {"text": str(seq)})
            told += 1
            continue
        step, metrics = point
        number = -1 if named else _schema(schemas, tuple(metrics), defines)
        frame = (
            wire.named_row_frame(at, step, metrics)
            if named
            else wire.row_frame(number, at, step, list(metrics.values()), 0)
        )
        rows += wire.seq_frame(seq, 0) + frame
        composition[number] = composition.get(number, 0) + 1
        total += len(metrics)
        count += 1
    return Batch(
        session,
        first_seq,
        first_seq + len(points),
        0,
        rows,
        events,
        Amount(total, count, told),
        tuple(composition.items()),
        time + first_seq,
        defines,
        chain,
    )


def _schema(schemas: dict[int, tuple[str, ...]], names: tuple[str, ...], defines: dict[int, bytes]) -> int:
    for number, known in schemas.items():
        if known == names:
            return number
    number = len(schemas)
    schemas[number] = names
    defines[number] = wire.schema_frame(number, names)
    return number
