"""Files that media are made of: read at once when small, kept open when large, within a limit."""

import gc
import os
from pathlib import Path

import pytest
from wayside.media.medium import MAX_OPEN, READ_AT_ONCE, Source


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.fixture
def large(tmp_path: Path) -> Path:
    path = tmp_path / "large"
    path.write_bytes(bytes(READ_AT_ONCE + 1))
    return path


def test_so_many_are_kept_open(large: Path) -> None:
    """Further ones are read from their path; all are closed when nobody needs them any more."""
    gc.collect()
    before = open_files()
    kept = [Source(large) for _ in range(MAX_OPEN + 10)]
    assert open_files() == before + MAX_OPEN
    large.write_bytes(b"x" * (READ_AT_ONCE + 1))
    assert len(kept[-1].read()) == len(kept[0].read()) == READ_AT_ONCE + 1
    kept.clear()
    gc.collect()
    assert open_files() == before
    assert Source(large)._fd >= 0


def test_a_file_that_is_replaced(large: Path, tmp_path: Path) -> None:
    """Is read as it was."""
    source = Source(large)
    other = tmp_path / "other"
    other.write_bytes(b"new")
    other.replace(large)
    assert source.read() == bytes(READ_AT_ONCE + 1)


def test_a_pipe_is_no_file_to_wait_for(tmp_path: Path) -> None:
    """Nobody writes into it, and nothing waits."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    assert Source(path).read() == b""
