"""Files that a sink keeps for itself: under the spool's names, within a limit, each once."""

import os
from pathlib import Path
from typing import Any

import pytest
from sinks.test_jsonl import strict
from wayside.row import Event
from wayside_collector.sinks.base import Context
from wayside_collector.sinks.jsonl import JsonlOptions, JsonlSink
from wayside_collector.sinks.kept_media import KeptMedia
from wayside_collector.testing import make_event, make_parcel, make_session

ID = "5" * 32


def put(folder: Path, seq: int, size: int = 100) -> Event:
    path = folder / "spool" / ID / f"{seq}-0.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"%d" % (seq % 10) * size)
    return make_event("media", {"name": "a", "type": "image", "file": f"{ID}/{seq}-0.png", "size": size}, seq=seq)


class Shelf:
    """Kept media, and what they count."""

    def __init__(self, folder: Path, limit: int) -> None:
        self.counters: dict[str, int] = {}
        self.folder = folder
        self.kept = KeptMedia(folder / "kept", limit, self._count)

    def _count(self, name: str, by: int) -> None:
        self.counters[name] = self.counters.get(name, 0) + by

    def keep(self, event: Event) -> Event:
        return self.kept.keep(event, lambda name: self.folder / "spool" / name)

    def names(self) -> list[str]:
        return sorted(path.name for path in (self.folder / "kept").rglob("*.png"))


def test_a_file_is_kept_when_the_spools_is_gone(tmp_path: Path) -> None:
    """And kept once, however often it comes."""
    shelf = Shelf(tmp_path, 1000)
    event = put(tmp_path, 3)
    assert shelf.keep(event) == event
    (tmp_path / "spool" / ID / "3-0.png").unlink()
    assert shelf.keep(event) == event
    assert (tmp_path / "kept" / ID / "3-0.png").read_bytes() == b"3" * 100


def test_the_oldest_go(tmp_path: Path) -> None:
    """Beyond the limit, counted; the newest stay."""
    shelf = Shelf(tmp_path, 450)
    for seq in range(6):
        shelf.keep(put(tmp_path, seq))
        path = tmp_path / "spool" / ID / f"{seq}-0.png"
        os.utime(path)
    assert shelf.names()[-1] == "5-0.png"
    assert 3 <= len(shelf.names()) <= 4
    assert shelf.counters["media_removed"] == 6 - len(shelf.names())
    assert Shelf(tmp_path, 450).keep(put(tmp_path, 7)).data["file"]
    assert len(shelf.names()) <= 4


def test_one_that_is_too_large_is_told(tmp_path: Path) -> None:
    """In the event as it is delivered; the parcel's own stays as it was."""
    shelf = Shelf(tmp_path, 50)
    event = put(tmp_path, 1)
    found = shelf.keep(event)
    assert "max_media" in found.data["lost"]
    assert "file" in event.data
    assert shelf.counters == {"media_too_large": 1}


def test_a_file_that_is_gone_holds_nothing_up(tmp_path: Path) -> None:
    """As of a dead letter that is sent again after the spool let go of it: the event says so, and is counted."""
    shelf = Shelf(tmp_path, 1000)
    event = put(tmp_path, 1)
    (tmp_path / "spool" / ID / "1-0.png").unlink()
    assert shelf.keep(event).data["lost"] == "its file is gone"
    assert shelf.counters == {"media_gone": 1}


@pytest.mark.asyncio
async def test_jsonl_keeps_the_files_of_its_lines(tmp_path: Path) -> None:
    """Below its folder `media`, under the name that the line gives; a table's cells, too."""
    sink = JsonlSink(JsonlOptions())
    await sink.open(Context("jsonl", tmp_path / "jsonl", media=lambda name: tmp_path / "spool" / name))
    picture, cell = put(tmp_path, 1), put(tmp_path, 2)
    values = {"columns": ["p"], "rows": [[{"media": cell.data}]]}
    table: dict[str, Any] = {"name": "t", "type": "table", "values": values}
    await sink.send(make_parcel(make_session("r1", id=ID), [picture, make_event("media", table, seq=2)]))
    lines = [strict(line) for line in next((tmp_path / "jsonl").glob("*.jsonl")).read_text().splitlines()]
    named = [lines[0]["event"]["file"], lines[1]["event"]["values"]["rows"][0][0]["media"]["file"]]
    assert [(tmp_path / "jsonl/media" / name).read_bytes() for name in named] == [b"1" * 100, b"2" * 100]
