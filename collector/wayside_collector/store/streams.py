"""Rows of one session and one set of names, on their way into blocks: the tail, the blocks, their summaries.

Nothing is remembered from one transaction to the next: several collectors may write into one PostgreSQL.
"""

import hashlib
import json
import struct
from array import array
from collections.abc import Callable, Sequence
from typing import NamedTuple

from wayside.row import Row

from .blocks import BLOCK, FAN, Axes, Summary, merge, pack_axes, pack_values, summarize
from .database import Database, Value, stored, told
from .stats import COLUMNS, Stat, read_stat
from .texts import key_text

PERIOD = 7 * 86400  #: seconds of one period: what is let go of at once
SPLIT = 512  #: sets of names of one session; rows of further ones are filed name by name

_SPAN = ("stream", "level", "number", "period", "count", "first_seq", "last_seq", "first_step", "last_step",
         "first_time", "last_time")  # fmt: skip
_SUMMARY = ("series", "level", "number", "count", "finite", "min", "max", "sum", "first", "last")
_SERIES = ("series", "stream", "run", "name", *COLUMNS)


class Stream(NamedTuple):
    """A row of `streams`."""

    stream: int
    width: int
    first_series: int
    blocks: int
    tail: int


class Full(Exception):
    """The run has as many series as it may have."""


class Streams:
    """Appends to streams, within a transaction. max_series: the most a run may have. clock: Unix time in seconds."""

    def __init__(self, db: Database, max_series: int, clock: Callable[[], float]) -> None:
        self._db = db
        self._max_series = max_series
        self._clock = clock

    def append(self, session: int, run: int, names: tuple[str, ...], rows: Sequence[Row]) -> None:
        """Rows with these names, all of them with steps or all without, in the order of their seqs. Raises Full before
        anything is changed.
        """
        stream = self._stream(session, run, names, rows[0].step is not None)
        if stream is not None:
            self._append(stream, rows)
            return
        for name in names:  # all of them before the first is used: either the whole row is stored, or nothing of it
            self._stream(session, run, (name,), rows[0].step is not None)
        for place, name in enumerate(names):
            single = self._stream(session, run, (name,), rows[0].step is not None)
            assert single is not None
            self._append(single, [row._replace(values=(row.values[place],)) for row in rows])

    def seal(self, session: int) -> None:
        """The session is over: what is left in its tails becomes blocks, be they short."""
        found = self._db.query(f"{_SELECT} WHERE session = ? AND tail > 0 ORDER BY stream", session)
        for stream in [Stream(*row) for row in found]:
            self._write_blocks(stream, self._tail(stream), [])

    def _stream(self, session: int, run: int, names: tuple[str, ...], stepped: bool) -> Stream | None:
        """The stream, made if need be; None where the session has too many sets of names for one more."""
        text = json.dumps([stepped, *names])
        digest = hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:32]
        found = self._db.query(f"{_SELECT} WHERE session = ? AND digest = ?", session, digest)
        if found:
            return Stream(*found[0])
        if len(names) > 1 and self._db.query("SELECT count(*) FROM streams WHERE session = ?", session)[0][0] >= SPLIT:
            return None
        if self._db.query("SELECT series FROM runs WHERE run = ?", run)[0][0] + len(names) > self._max_series:
            raise Full
        key = self._db.query("SELECT coalesce(max(stream), 0) + 1 FROM streams")[0][0]
        first = self._db.query("SELECT coalesce(max(series), 0) + 1 FROM series")[0][0]
        stream = Stream(key, len(names), first, 0, 0)
        self._db.run(
            "INSERT INTO streams (stream, session, digest, stepped, width, first_series, blocks, tail)"
            " VALUES (?, ?, ?, ?, ?, ?, 0, 0)",
            key, session, digest, int(stepped), len(names), first,
        )  # fmt: skip
        empty = Stat().row()
        series = [(first + place, key, run, key_text(name), *empty) for place, name in enumerate(names)]
        self._db.put("series", _SERIES, series)
        self._db.run("UPDATE runs SET series = series + ? WHERE run = ?", len(names), run)
        return stream

    # --- the tail -----------------------------------------------------------------------------------

    def _append(self, stream: Stream, rows: Sequence[Row]) -> None:
        if stream.tail + len(rows) < BLOCK:
            self._put_tail(stream, rows)
            self._db.run("UPDATE streams SET tail = tail + ? WHERE stream = ?", len(rows), stream.stream)
            return
        every = [*self._tail(stream), *rows]
        if stream.tail and every[stream.tail - 1].seq > every[stream.tail].seq:
            every.sort(key=lambda row: row.seq)
        whole = len(every) // BLOCK * BLOCK
        self._write_blocks(stream, every[:whole], every[whole:])

    def _tail(self, stream: Stream) -> list[Row]:
        return read_tail(self._db, stream.stream, stream.width) if stream.tail else []

    def _put_tail(self, stream: Stream, rows: Sequence[Row]) -> None:
        pack = struct.Struct(f"<{stream.width}d").pack
        lines = [(stream.stream, row.seq, row.time, row.step, pack(*row.values)) for row in rows]
        self._db.put("tail", ("stream", "seq", "time", "step", "data"), lines)

    # --- blocks -------------------------------------------------------------------------------------

    def _write_blocks(self, stream: Stream, rows: Sequence[Row], rest: Sequence[Row]) -> None:
        """Make blocks of rows, and leave the rest in the tail."""
        blocks: list[tuple[Value, ...]] = []
        spans: list[tuple[Value, ...]] = []
        summaries: list[tuple[Value, ...]] = []
        stats = self._stats(stream)
        number, period = stream.blocks, period_of(self._clock())
        self._db.make_room_for(period)
        for start in range(0, len(rows), BLOCK):
            part = rows[start : start + BLOCK]
            axes = _axes(part)
            blocks.append((-stream.stream, number, period, pack_axes(axes)))
            spans.append((stream.stream, 0, number, period, *_extent(axes)))
            for place, values in enumerate(zip(*[row.values for row in part], strict=True)):
                series, summary = stream.first_series + place, summarize(values)
                blocks.append((series, number, period, pack_values(values)))
                summaries.append((series, 0, number, *map(stored, summary)))
                stats[place] = stats[place].and_then(values, axes, summary)
            number += 1
        self._db.put("blocks", ("series", "number", "period", "data"), blocks)
        self._db.put("spans", _SPAN, spans)
        self._db.put("summaries", _SUMMARY, summaries)
        self._keep_stats(stream, stats)
        self._write_levels(stream, number)
        self._db.run("DELETE FROM tail WHERE stream = ?", stream.stream)
        self._put_tail(stream, rest)
        self._db.run("UPDATE streams SET blocks = ?, tail = ? WHERE stream = ?", number, len(rest), stream.stream)

    def _stats(self, stream: Stream) -> list[Stat]:
        sql = f"SELECT {', '.join(COLUMNS)} FROM series WHERE stream = ? ORDER BY series"
        return [read_stat(row) for row in self._db.query(sql, stream.stream)]

    def _keep_stats(self, stream: Stream, stats: Sequence[Stat]) -> None:
        fields = ", ".join(f"{name} = ?" for name in COLUMNS)
        rows = [(*stat.row(), stream.first_series + place) for place, stat in enumerate(stats)]
        self._db.run_many(f"UPDATE series SET {fields} WHERE series = ?", rows)

    def _write_levels(self, stream: Stream, blocks: int) -> None:
        """Summaries of the higher levels that are complete now."""
        level, before, after = 1, stream.blocks // FAN, blocks // FAN
        while after:
            for number in range(before, after):
                self._write_parent(stream, level, number)
            level, before, after = level + 1, before // FAN, after // FAN

    def _write_parent(self, stream: Stream, level: int, number: int) -> None:
        children = (level - 1, number * FAN, number * FAN + FAN - 1)
        spans = self._db.query(
            "SELECT sum(count), min(first_seq), max(last_seq), min(first_step), max(last_step), min(first_time),"
            " max(last_time), min(period) FROM spans WHERE stream = ? AND level = ? AND number BETWEEN ? AND ?",
            stream.stream, *children,
        )  # fmt: skip
        *extent, period = spans[0]
        self._db.put("spans", _SPAN, [(stream.stream, level, number, period, int(extent[0]), *extent[1:])])
        found = self._db.query(
            "SELECT m.series, m.count, m.finite, m.min, m.max, m.sum, m.first, m.last FROM series s"
            " JOIN summaries m ON m.series = s.series AND m.level = ? AND m.number BETWEEN ? AND ?"
            " WHERE s.stream = ? ORDER BY m.series, m.number",
            *children, stream.stream,
        )  # fmt: skip
        parts: dict[int, list[Summary]] = {}
        for series, *row in found:
            parts.setdefault(series, []).append(read_summary(row))
        lines = [(series, level, number, *map(stored, merge(some))) for series, some in parts.items()]
        self._db.put("summaries", _SUMMARY, lines)


_VALUE = struct.Struct("<d")
_SELECT = "SELECT stream, width, first_series, blocks, tail FROM streams"


def read_tail(db: Database, stream: int, width: int) -> list[Row]:
    """The rows that are in no block yet, without their names."""
    unpack = struct.Struct(f"<{width}d").unpack
    found = db.query("SELECT seq, time, step, data FROM tail WHERE stream = ? ORDER BY seq", stream)
    return [Row(seq, time, step, True, False, (), unpack(data)) for seq, time, step, data in found]


def read_tail_column(db: Database, stream: int, place: int) -> tuple[Axes, list[float]]:
    """The rows that are in no block yet: their axes, and their values at one place."""
    sql = "SELECT seq, time, step, substr(data, ?, 8) FROM tail WHERE stream = ? ORDER BY seq"
    found = db.query(sql, 8 * place + 1, stream)
    axes = axes_of([row[0] for row in found], [row[1] for row in found], [row[2] for row in found])
    return axes, [_VALUE.unpack(row[3])[0] for row in found]


def read_summary(row: Sequence[float | None]) -> Summary:
    """From count, finite, min, max, sum, first, last as they stand in the table."""
    count, finite, low, high, total, first, last = row
    return Summary(int(count or 0), int(finite or 0), told(low), told(high), total or 0.0, told(first), told(last))


def period_of(time: float) -> int:
    """The period of a moment. That of a block is when it was written: clocks of trainers may be wrong, and a run that
    is brought in late shall not be let go of at once.
    """
    return int(time // PERIOD)


def _axes(rows: Sequence[Row]) -> Axes:
    return axes_of([row.seq for row in rows], [row.time for row in rows], [row.step for row in rows])


def axes_of(seqs: Sequence[int], times: Sequence[float], steps: Sequence[int | None]) -> Axes:
    """Of rows that all have a step, or all have none."""
    known = [step for step in steps if step is not None]
    return Axes(array("q", seqs), array("d", times), array("q", known))


def _extent(axes: Axes) -> tuple[Value, ...]:
    """count, and the least and the greatest of each axis."""
    steps = (min(axes.steps), max(axes.steps)) if axes.steps else (None, None)
    return len(axes.seqs), min(axes.seqs), max(axes.seqs), *steps, min(axes.times), max(axes.times)
