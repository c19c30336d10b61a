"""The note beside the socket, when somebody else takes it away."""

import json
from pathlib import Path

from wayside_collector.sources.note import Note


def test_a_note_that_somebody_deleted_is_left_again(tmp_path: Path) -> None:
    """With its folder, or alone: the next call leaves it anew, and one that is there is not written again."""
    note, path = Note(tmp_path / "collector.json"), tmp_path / "collector.json"
    note.leave("http://here/")
    first = path.stat().st_ino
    note.leave("http://here/")
    assert path.stat().st_ino == first
    path.unlink()
    note.leave("http://here/")
    assert json.loads(path.read_text())["url"] == "http://here/"


def test_a_note_of_another_collector_is_replaced(tmp_path: Path) -> None:
    """What a killed one left says where nobody is any more."""
    path = tmp_path / "collector.json"
    path.write_text('{"url": "http://gone/"}')
    Note(path).leave("http://here/")
    assert json.loads(path.read_text())["url"] == "http://here/"
