"""Media on their way to where no file of ours is seen, and what sinks of numbers make of them."""

import base64
from pathlib import Path

from wayside.row import ARTIFACT, MEDIA
from wayside_collector.media_events import without_bytes
from wayside_collector.sinks.carrying import MAX_INLINE, carried
from wayside_collector.testing import make_event


def test_small_files_go_in_the_event(tmp_path: Path) -> None:
    """A table's cells, too; a large one is told of and counted, and the event itself stays as it was."""
    (tmp_path / "small").write_bytes(b"abc")
    (tmp_path / "large").write_bytes(b"x" * (MAX_INLINE + 1))
    counts: list[tuple[str, int]] = []
    rows = [[{"media": {"type": "image", "file": "small"}}], [{"media": {"type": "image", "file": "large"}}]]
    event = make_event(MEDIA, {"name": "t", "type": "table", "values": {"columns": ["p"], "rows": rows}}, seq=1)
    found = carried(event, lambda name: tmp_path / name, lambda name, by: counts.append((name, by)))
    one, two = (row[0]["media"] for row in found.data["values"]["rows"])
    assert base64.b64decode(one["base64"]) == b"abc"
    assert "file" not in one
    assert "left where it was logged" in two["lost"]
    assert counts == [("media_left_out", 1)]
    assert event.data["values"]["rows"][0][0]["media"] == {"type": "image", "file": "small"}


def test_a_file_that_is_gone_is_told(tmp_path: Path) -> None:
    """It stops nothing."""
    event = make_event(MEDIA, {"name": "a", "type": "image", "file": "none"}, seq=1)
    assert "lost" in carried(event, lambda name: tmp_path / name, lambda name, by: None).data


def test_an_artifact_goes_as_a_reference() -> None:
    """What this collector holds of it means nothing to another."""
    data = {"name": "m", "seen": True, "files": [{"path": "w", "source": "/x/w", "held": "y"}]}
    found = carried(make_event(ARTIFACT, data, seq=1), Path, lambda name, by: None)
    assert found.data == {"name": "m", "files": [{"path": "w", "source": "/x/w"}]}


def test_other_events_go_as_they_are() -> None:
    """The very same."""
    event = make_event("alert", {"file": "x"}, seq=1)
    assert carried(event, Path, lambda name, by: None) is event


def test_a_message_has_no_bytes() -> None:
    """Nor a table's rows: what it is and where it stands, a few hundred characters."""
    told = without_bytes({"name": "t", "values": {"columns": ["a"], "rows": [[1]] * 1000}, "base64": "AAAA"})
    assert told == {"name": "t", "values": {"columns": ["a"], "rows": []}}
