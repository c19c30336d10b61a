"""What media and artifacts are as events: which files they name, within limits; a long one is cut to a word."""

from typing import Any

import pytest
from wayside import wire
from wayside.row import ARTIFACT, MEDIA, SAVE, Event
from wayside_collector.media_events import (
    MAX_CELLS,
    MAX_FILES,
    content_type,
    files_of,
    frame_of,
    held_files,
    names_files,
    objects,
)


def event(kind: str, data: Any) -> Event:
    return Event(0, 1e9, 3, kind, data)


def table(cells: list[Any]) -> dict[str, Any]:
    return {"name": "t", "type": "table", "values": {"columns": ["p"], "rows": [[cell] for cell in cells]}}


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"values": 7},
        {"values": {"rows": 7}},
        {"values": {"rows": [7, None, [[]], [{"media": 3}], [{"media": None}]]}},
        {"files": 3},
        {"files": [1, None, "x"]},
        {"base64": "AA=="},
    ],
)
def test_what_names_no_file(data: dict[str, Any]) -> None:
    """Whatever a client sends is read without a fault."""
    for kind in (MEDIA, ARTIFACT, SAVE, "other"):
        assert not names_files(event(kind, data))
        assert held_files(event(kind, data)) == []


def test_what_names_files() -> None:
    """A picture, one in a table's cell, an artifact's and a saved file."""
    assert names_files(event(MEDIA, {"file": "x"}))
    assert names_files(event(MEDIA, table([1, {"media": {"file": "x"}}])))
    assert names_files(event(ARTIFACT, {"files": [{"path": "a"}]}))
    assert names_files(event(SAVE, {"files": [{"path": "a"}]}))
    assert held_files(event(ARTIFACT, {"files": [{"held": "x"}, {"path": "a"}]})) == ["x"]


def test_so_many_cells_are_looked_at() -> None:
    """Of a table with more pictures the first."""
    found = list(objects(table([{"media": {"file": str(n)}} for n in range(MAX_CELLS + 5)])))
    assert len(found) == 1 + MAX_CELLS


def test_so_many_files_are_read() -> None:
    """Of an artifact with more the first."""
    assert len(files_of({"files": [{"path": str(n)} for n in range(MAX_FILES + 5)]})) == MAX_FILES


def test_an_event_that_grew_too_long_keeps_its_name() -> None:
    """It says why the rest is not there, and fits."""
    found = frame_of(event(MEDIA, {"name": "a", "type": "table", "values": {"rows": ["x" * wire.MAX_FRAME]}}))
    (span,) = wire.scan(found).spans
    told = wire.read_event(found, span, 0)
    assert (told.step, told.data["name"]) == (3, "a")
    assert "too long" in told.data["lost"]


@pytest.mark.parametrize(
    ("format", "told"),
    [
        ("png", "image/png"),
        ("JPG", "image/jpeg"),
        ("svg", "application/octet-stream"),
        (None, "application/octet-stream"),
    ],
)
def test_the_type_of_bytes(format: object, told: str) -> None:
    """By their format; what is not known is nothing that a browser runs."""
    assert content_type({"format": format}) == told
