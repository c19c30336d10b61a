"""The jsonl sink's first write to a file: its state knows nothing of it when the collector is killed right after."""

import asyncio
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import pytest
from wayside_collector.session import Session
from wayside_collector.sinks.base import Context
from wayside_collector.sinks.jsonl import JsonlOptions, JsonlSink
from wayside_collector.testing import make_parcel, make_rows, make_session

Layout = Literal["wayside", "primus"]


def send(
    folder: Path, layout: Layout, session: Session, count: int, state: dict[str, bytes], *, seq: int = 0
) -> dict[str, bytes]:
    """A sink's first send after its start, with what was committed before; returns the state after it."""

    async def work() -> dict[str, bytes]:
        sink = JsonlSink(JsonlOptions(layout=layout, max_size=700))
        await sink.open(Context("jsonl", folder, state))
        changes = await sink.send(make_parcel(session, make_rows(count, seq=seq, step=seq)))
        await sink.close()
        return {**state, **{key: value for key, value in changes.items() if value is not None}}

    return asyncio.run(work())


def steps(folder: Path) -> list[int]:
    return [
        json.loads(line)["step"] for path in sorted(folder.rglob("*.jsonl")) for line in path.read_text().splitlines()
    ]


@pytest.mark.parametrize("layout", ["wayside", "primus"])
def test_a_first_write_that_was_not_committed_is_written_over(tmp_path: Path, layout: Layout) -> None:
    """Killed between the first write and its commit: what comes again, cut differently, is there once."""
    session = make_session()
    send(tmp_path, layout, session, 5, {})
    send(tmp_path, layout, session, 8, {})
    assert steps(tmp_path) == list(range(8))


@pytest.mark.parametrize("layout", ["wayside", "primus"])
def test_a_first_line_that_was_torn_is_written_over(tmp_path: Path, layout: Layout) -> None:
    """The same when not even the first line came to its end."""
    session = make_session()
    send(tmp_path, layout, session, 1, {})
    (path,) = tmp_path.rglob("*.jsonl")
    path.write_bytes(path.read_bytes()[:-7])
    send(tmp_path, layout, session, 3, {})
    assert steps(tmp_path) == [0, 1, 2]


@pytest.mark.parametrize("layout", ["wayside", "primus"])
def test_files_of_someone_else_are_left_alone(tmp_path: Path, layout: Layout) -> None:
    """Files that were there before this sink began, of another run, stay as they are; a new one is begun."""
    send(tmp_path, layout, make_session(), 2, {})
    (path,) = tmp_path.rglob("*.jsonl")
    theirs = path.read_bytes().replace(b"17672256", b"16672256")
    path.write_bytes(theirs)
    send(tmp_path, layout, make_session(), 3, {})
    assert path.read_bytes() == theirs
    assert len(list(tmp_path.rglob("*.jsonl"))) == 2


@pytest.mark.parametrize("layout", ["wayside", "primus"])
def test_a_next_file_that_was_not_committed_is_gone(tmp_path: Path, layout: Layout) -> None:
    """Killed between a next file's first write and its commit: when what comes again fits the file before, it is there
    once.
    """
    session = make_session()
    state = send(tmp_path, layout, session, 2, {})
    send(tmp_path, layout, session, 9, state, seq=2)
    assert len(list(tmp_path.rglob("*.jsonl"))) == 2
    send(tmp_path, layout, session, 1, state, seq=2)
    assert steps(tmp_path) == [0, 1, 2]


@pytest.mark.parametrize("link", [os.link, os.symlink])
def test_a_first_file_with_another_name_is_left_alone(tmp_path: Path, link: Callable[[Path, Path], None]) -> None:
    """An empty file looks like one that was cut short before its first line; one with another name is not ours."""
    session = make_session()
    send(tmp_path, "wayside", session, 1, {})
    (path,) = tmp_path.rglob("*.jsonl")
    theirs = tmp_path / "theirs"
    theirs.touch()
    path.unlink()
    link(theirs, path)
    send(tmp_path, "wayside", session, 2, {})
    assert theirs.read_bytes() == b""
    assert steps(tmp_path) == [0, 1]
