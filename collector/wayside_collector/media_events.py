"""What media, artifacts and saved files are as events: which files one names before it is stored, and which it has in
the spool afterwards. Pure.

A picture's file is its client's until the event is stored: `"file"` then is its name in the spool's media folder, or
`"lost"` says why there is none. A file of an artifact has `"held"` where the spool has it, `"lost"` where it could not
be had, and is to be read from its `"source"` where it has neither and the artifact is `"seen"`.
"""

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from wayside import wire
from wayside.row import ARTIFACT, MEDIA, SAVE, Event

MAX_CELLS = 1000  #: pictures in the cells of one table that are looked for: each is a file
MAX_FILES = 10_000  #: files of one artifact, as many as a client names
_CELL = "media"


class Sender(NamedTuple):
    """Who is at the other end. uid: the user, None where nobody knows any more. trusted: whether it could read by
    itself whatever we can, being of our user and seeing the same files. adopted: whether it is gone, and a journal of
    this user's that was found speaks for it.
    """

    uid: int | None = None
    trusted: bool = False
    adopted: bool = False


UNKNOWN = Sender()


def names_files(event: Event) -> bool:
    """Whether files must be taken, or left, before the event is stored."""
    if event.kind == MEDIA:
        return any("file" in one for one in objects(event.data))
    return event.kind in (ARTIFACT, SAVE) and bool(files_of(event.data))


def objects(data: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A medium, and those in the cells of a table."""
    yield data
    left = MAX_CELLS
    for cell in _cells(data):
        if isinstance(cell, dict) and isinstance(cell.get(_CELL), dict) and left:
            left -= 1
            yield cell[_CELL]


def _cells(data: Mapping[str, Any]) -> Iterator[Any]:
    values = data.get("values")
    rows = values.get("rows") if isinstance(values, dict) else None
    for row in rows if isinstance(rows, list) else ():
        yield from row if isinstance(row, list) else ()


def files_of(data: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The entries of an artifact's files, or of saved ones."""
    found = data.get("files")
    return [one for one in found if isinstance(one, dict)][:MAX_FILES] if isinstance(found, list) else []


def held_files(event: Event) -> list[str]:
    """Names in the spool's media folder of what a stored event has there."""
    if event.kind == MEDIA:
        return [name for one in objects(event.data) if isinstance(name := one.get("file"), str)]
    if event.kind in (ARTIFACT, SAVE):
        return [name for one in files_of(event.data) if isinstance(name := one.get("held"), str)]
    return []


def frame_of(event: Event) -> bytes:
    """An event's frame; with nothing but a word of it where that would be too long."""
    with contextlib.suppress(wire.WireError):
        return wire.event_frame(event.time, event.step, event.kind, event.data)
    kept = {key: value for key, value in event.data.items() if key in ("name", "type", "index", "of")}
    return wire.event_frame(
        event.time, event.step, event.kind, {**kept, "lost": "too long with the names of its files"}
    )


def copied(value: Any) -> Any:
    """JSON's objects and lists anew: an event is its parcel's, and goes to other sinks, too."""
    if isinstance(value, Mapping):
        return {key: copied(one) for key, one in value.items()}
    return [copied(one) for one in value] if isinstance(value, list) else value


def without_bytes(data: Mapping[str, Any]) -> dict[str, Any]:
    """A medium as text for who wants no bytes: without them, and without what has the length of a table."""
    told = copied(data)
    for one in objects(told):
        one.pop("base64", None)
    values = told.get("values")
    if isinstance(values, dict) and "rows" in values:
        told["values"] = {"columns": values.get("columns"), "rows": []}
    return dict(told)


def content_type(data: Mapping[str, Any]) -> str:
    """The MIME type of a medium's bytes, by their format."""
    return _TYPES.get(str(data.get("format", "")).lower(), "application/octet-stream")


_TYPES = {
    **{ending: f"image/{ending}" for ending in ("png", "jpeg", "gif", "webp", "bmp")},
    **{"jpg": "image/jpeg", "html": "text/html; charset=utf-8", "json": "application/json"},
    **{"mp4": "video/mp4", "webm": "video/webm", "ogg": "video/ogg"},
    **{"wav": "audio/wav", "mp3": "audio/mpeg", "flac": "audio/flac"},
}
