"""Pictures, tables and histograms of a run: which there are, at which moments, and one of them as it is shown.

The events hold all that is told of them; the table `media` finds them by name. Bytes stand in the event where they are
few, else in a file of the folder beside the store (`folder_of`), under the name that the event gives.
"""

import base64
import binascii
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from wayside.row import MEDIA, Event

from ..media_events import content_type, objects
from ..media_folder import MediaFolder
from .database import Database
from .texts import key_text

MAX_NAMES = 1000  #: names of one run that are listed: what a person looks through
MAX_MOMENTS = 2000  #: moments of one name that are listed, the latest: more than a slider has places
MAX_ITEMS = 200  #: of one moment: what one picture's name holds on every rank
MAX_BYTES = 32 << 20  #: of their events' JSON, but for the first: of eight tables as long as an event may be
MAX_ROWS = 200  #: of a table that is shown: its first


class MediaName(msgspec.Struct, frozen=True):
    """What was logged under one name."""

    name: str
    type: str
    count: int
    first_step: int | None
    last_step: int | None
    last_time: float


class Moment(msgspec.Struct, frozen=True):
    """When something was logged under a name: its step, None where it had none, and its time."""

    step: int | None
    time: float


class MediaItem(msgspec.Struct, frozen=True):
    """One of them. data: as it was sent, without its bytes; of a table the first rows. rows: how many a table has.
    contents: which of its own bytes (0) and those in a table's cells (1, 2, …) can be had.
    """

    session: str
    rank: int | None
    seq: int
    step: int | None
    time: float
    data: dict[str, Any]
    rows: int | None
    contents: list[int]


class Content(NamedTuple):
    """Bytes, or the file that holds them."""

    type: str
    format: str
    body: bytes | Path


def folder_of(location: str) -> Path | None:
    """Where a store's files of media are; None for one that keeps none."""
    return None if "://" in location else Path(f"{location}.media")


def rows_of(run: int, session: int, events: Iterable[Event]) -> list[tuple[Any, ...]]:
    """Rows of the table, for the media among the events of a session."""
    return [
        (session, event.seq, run, key_text(str(event.data.get("name"))), _word(event.data), event.step, event.time)
        for event in events
        if event.kind == MEDIA
    ]


def _word(data: dict[str, Any]) -> str:
    return key_text(str(data.get("type")))[:40]


def names(db: Database, run: int) -> list[MediaName]:
    """By name."""
    found = db.query(
        "SELECT name, min(type), count(*), min(step), max(step), max(time) FROM media WHERE run = ?"
        " GROUP BY name ORDER BY name LIMIT ?",
        run, MAX_NAMES,
    )  # fmt: skip
    return [MediaName(*row) for row in found]


def moments(db: Database, run: int, name: str) -> list[Moment]:
    """The latest, in their order."""
    found = db.query(
        "SELECT step, max(time) AS latest FROM media WHERE run = ? AND name = ?"
        " GROUP BY step, CASE WHEN step IS NULL THEN time END ORDER BY latest DESC LIMIT ?",
        run, key_text(name), MAX_MOMENTS,
    )  # fmt: skip
    return [Moment(*row) for row in reversed(found)]


def items(db: Database, run: int, name: str, moment: Moment, folder: Path | None) -> list[MediaItem]:
    """What there is under a name at a moment, by rank, session and seq: the first of it where it is very much."""
    where, value = "m.step = ?", moment.step or 0.0
    if moment.step is None:
        where, value = "m.step IS NULL AND m.time = ?", moment.time
    found = db.query(
        "SELECT s.id, s.rank, e.session, e.seq, e.step, e.time, length(e.data) FROM media m"
        " JOIN sessions s ON s.session = m.session JOIN events e ON e.session = m.session AND e.seq = m.seq"
        f" WHERE m.run = ? AND m.name = ? AND {where} ORDER BY s.rank, s.id, e.seq LIMIT ?",
        run, key_text(name), value, MAX_ITEMS,
    )  # fmt: skip
    items: list[MediaItem] = []
    size = 0
    for id, rank, session, seq, step, time, length in found:
        size += length
        if items and size > MAX_BYTES:
            break
        # One after the other, and each cut before the next is read: they may be megabytes.
        for (text,) in db.query("SELECT data FROM events WHERE session = ? AND seq = ?", session, seq):
            items.append(_item((id, rank, seq, step, time, text), folder))
    return items


def content(db: Database, run: int, session: str, seq: int, number: int, folder: Path | None) -> Content | None:
    """The bytes of one of a medium's objects; None where there are none, or none any more."""
    found = db.query(
        "SELECT e.data FROM events e JOIN sessions s ON s.session = e.session"
        " WHERE e.run = ? AND s.id = ? AND e.seq = ? AND e.kind = ?",
        run, session, seq, MEDIA,
    )  # fmt: skip
    for (text,) in found:
        for place, one in enumerate(objects(json.loads(text))):
            if place == number:
                body = _body(one, folder)
                return None if body is None else Content(content_type(one), str(one.get("format", "")), body)
    return None


def _item(row: tuple[Any, ...], folder: Path | None) -> MediaItem:
    session, rank, seq, step, time, text = row
    data = json.loads(text)
    contents = [place for place, one in enumerate(objects(data)) if _has_body(one, folder)]
    for one in objects(data):
        one.pop("base64", None)
    count = _cut_rows(data)
    return MediaItem(session, rank, seq, step, time, data, count, contents)


def _cut_rows(data: dict[str, Any]) -> int | None:
    """How many rows a table has; no more than the first are left in it."""
    values = data.get("values")
    rows = values.get("rows") if isinstance(values, dict) else None
    if not isinstance(rows, list):
        return None
    count = len(rows)
    del rows[MAX_ROWS:]
    return count


def _has_body(one: dict[str, Any], folder: Path | None) -> bool:
    return isinstance(one.get("base64"), str) or _file(one, folder) is not None


def _body(one: dict[str, Any], folder: Path | None) -> bytes | Path | None:
    if isinstance(one.get("base64"), str):
        try:
            return base64.b64decode(one["base64"], validate=True)
        except (binascii.Error, ValueError):
            return None
    return _file(one, folder)


def _file(one: dict[str, Any], folder: Path | None) -> Path | None:
    name = one.get("file")
    if folder is None or not isinstance(name, str):
        return None
    kept = MediaFolder(folder)
    return kept.path(name) if kept.has(name) else None
