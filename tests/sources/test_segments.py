"""The segments of one journal: found by their numbers, wherever they lie and however many there are."""

import sys
from pathlib import Path
from typing import Any

from wayside import wire
from wayside.segments import JOURNALS, boot_id
from wayside_collector.sources.segments import Segments

SESSION = "5" * 32

_opened: list[str] = []


def _hear(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "open" and isinstance(arguments[0], str) and arguments[0].endswith(".seg"):
        _opened.append(arguments[0])


def write(folder: Path, name: int, number: int, *, rows: int = 1, sealed: bool = True) -> Path:
    """A segment of a session's journal."""
    folder.mkdir(parents=True, exist_ok=True)
    frames = wire.json_frame(wire.HELLO, {"session": SESSION})
    frames += b"".join(wire.named_row_frame(1e9, step, {"loss": 0.5}) for step in range(rows))
    end = wire.HEADER_SIZE + len(frames)
    header = wire.SegmentHeader(end, sealed, number, number, 0, boot_id(), bytes.fromhex(SESSION))
    path = folder / f"{name:08d}.seg"
    path.write_bytes(header.pack() + frames)
    return path


def folders(tmp_path: Path) -> list[Path]:
    return [tmp_path / place / JOURNALS / SESSION for place in ("hot", "kept")]


def walk(segments: Segments) -> list[Path]:
    """Every segment, one after the other, each removed once it was read, as the collector does."""
    found: list[Path] = []
    number = 0
    while (segment := segments.find(number)) is not None:
        found.append(segment.path)
        number = segment.header.number + 1
        segment.close()
        segment.path.unlink()
    return found


def test_a_long_journal_is_read_in_order_and_each_file_is_looked_into_once(tmp_path: Path) -> None:
    """Days of a kept journal are thousands of files: to find the next one must not mean to open them all."""
    hot, kept = folders(tmp_path)
    paths = [write(kept, number, number) for number in range(300)]
    paths += [write(hot, name, number) for name, number in ((0, 301), (1, 300))][::-1]
    sys.addaudithook(_hear)
    _opened.clear()
    assert walk(Segments([hot, kept])) == paths
    assert len(_opened) < 4 * 302 * 2  # an opening is two: of the path, and of what was found there


def test_of_two_copies_the_one_with_more_in_it_is_read(tmp_path: Path) -> None:
    """The link's copy is a second behind, until it is sealed."""
    hot, kept = folders(tmp_path)
    write(kept, 0, 0)
    more, less = write(hot, 7, 1, rows=5, sealed=False), write(kept, 1, 1, rows=3, sealed=False)
    segments = Segments([kept, hot])
    for number, path in ((0, kept / "00000000.seg"), (1, more)):
        segment = segments.find(number)
        assert segment is not None
        segment.close()
        assert segment.path == path
    more.unlink()
    segment = segments.find(1)
    assert segment is not None
    segment.close()
    assert segment.path == less


def test_what_comes_and_goes_meanwhile_is_found_and_forgotten(tmp_path: Path) -> None:
    """A file that appears, one whose name holds another segment now, and one that is gone."""
    hot, kept = folders(tmp_path)
    segments = Segments([hot, kept])
    assert segments.find(0) is None
    first = write(hot, 0, 0)
    for number, path in ((0, first), (1, None)):
        segment = segments.find(number)
        assert (segment and segment.path) == path
        if segment is not None:
            segment.close()
    write(hot, 0, 4)
    assert segments.find(1) is None
    assert walk(segments) == [first]
