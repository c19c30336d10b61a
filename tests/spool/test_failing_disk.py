"""A disk that is full or fails: what cannot be stored is told so, what was stored stays, and it works again after."""

import contextlib
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
from spool.failing import FailingFiles
from spool.making import WITHIN, as_contents, begin, contents, make_batch, opened, put
from wayside_collector.spool import SinkCommit, SpoolError
from wayside_collector.spool.files import segment_files
from wayside_collector.spool.upkeep import BALLAST


def make_failing(made: list[FailingFiles]) -> Any:
    def make(folder: Path) -> FailingFiles:
        made.append(FailingFiles(folder))
        return made[-1]

    return make


def test_after_a_failed_sync_nothing_of_that_cycle_counts(tmp_path: Path) -> None:
    """The batches are not there, the file is not used again, and the same batches are stored when handed in anew."""
    made: list[FailingFiles] = []
    with opened(tmp_path, make_files=make_failing(made)) as spool:
        key = begin(spool).key
        first, second = make_batch(key, 0, events=1), make_batch(key, 4, events=1)
        (before,) = put(spool, first)
        made[0].fail_syncs = 1
        with pytest.raises(SpoolError, match="could not be written"):
            put(spool, second)
        assert spool.last_error is not None
        assert list(contents(spool).values()) == [as_contents(first)]
        assert begin(spool).next_seq == 4
        (after,) = put(spool, second)
        assert list(contents(spool).values()) == [as_contents(first), as_contents(second)]
        assert before.rows is not None
        assert after.rows is not None
        assert after.rows.file > before.rows.file
        assert spool.last_error is None
    with opened(tmp_path) as spool:
        assert list(contents(spool).values()) == [as_contents(first), as_contents(second)]


def test_a_failure_leaves_nothing_behind_on_the_disk(tmp_path: Path) -> None:
    """Files begun for it go, and what it added to a file is cut off: a hundred failures fill no disk."""
    made: list[FailingFiles] = []
    with opened(tmp_path, make_files=make_failing(made)) as spool:
        key = begin(spool).key
        put(spool, make_batch(key, 0))
        files = {path: path.stat().st_size for _, _, path in segment_files(tmp_path)}
        made[0].fail_syncs = 3
        for _ in range(3):
            with pytest.raises(SpoolError):
                put(spool, make_batch(key, 3, rows=1000, events=5))
        assert {path: path.stat().st_size for _, _, path in segment_files(tmp_path)} == files
        assert spool.size == sum(files.values())


def test_a_disk_without_room_for_rows_holds_up_no_sinks_accounts(tmp_path: Path) -> None:
    """A commit that came in beside rows that do not fit is committed, the rows alone are refused."""
    made: list[FailingFiles] = []
    with opened(tmp_path, make_files=make_failing(made)) as spool:
        key = begin(spool).key
        made[0].room = 10
        for turn in range(5):
            rows: Future[Any] = spool.append([make_batch(key, 0)])
            commit = spool.commit(SinkCommit("jsonl", turn, {}, str(turn)))
            with pytest.raises(SpoolError, match="free space in"):
                rows.result(WITHIN)
            commit.result(WITHIN)
            assert spool.sink("jsonl") == (turn, str(turn))
        assert spool.full
        assert spool.last_error is not None
        made[0].room = None
        put(spool, make_batch(key, 0))
        assert not spool.full
        assert spool.last_error is None


def test_a_full_disk_gives_the_ballast_back(tmp_path: Path) -> None:
    """Eight megabytes are set aside while there is room, and are free at the moment the disk is full."""
    made: list[FailingFiles] = []
    with opened(tmp_path, make_files=make_failing(made)) as spool:
        assert (tmp_path / "ballast").stat().st_blocks * 512 >= BALLAST
        key = begin(spool).key
        made[0].room = 0
        with pytest.raises(SpoolError):
            put(spool, make_batch(key, 0))
        assert not (tmp_path / "ballast").exists()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 40 MiB of its own, where this user may make one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=40m", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("only root can mount a small disk; the same is tested with a scripted one above")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def fill(path: Path) -> None:
    """Write until there is no room left, to the last byte."""
    with path.open("wb", buffering=0) as file:
        for size in (1 << 20, 1 << 12, 1):
            with contextlib.suppress(OSError):
                while file.write(bytes(size)) == size:
                    pass


def test_a_disk_that_is_really_full(small_disk: Path) -> None:
    """Rows are refused, nothing told to be stored is lost, sinks still commit; with room it works again by itself."""
    path = small_disk / "spool"
    stored = []
    with opened(path) as spool:
        key = begin(spool).key
        put(spool, make_batch(key, 0))
        stored.append(as_contents(make_batch(key, 0)))
        others = small_disk / "others"
        fill(others)
        seq = 3
        refused = 0
        while refused < 3:
            batch = make_batch(key, seq, rows=8000)
            try:
                put(spool, batch)
            except SpoolError:
                refused += 1
                spool.commit(SinkCommit("jsonl", refused, {}, "books")).result(WITHIN)
            else:
                stored.append(as_contents(batch))
                seq = batch.next_seq
            assert refused or seq < 3_000_000
        assert not (path / "ballast").exists()
        assert list(contents(spool).values()) == stored
        assert begin(spool).next_seq == seq
        others.unlink()
        put(spool, batch)
        stored.append(as_contents(batch))
        assert list(contents(spool).values()) == stored
        assert not spool.full
    with opened(path) as spool:
        assert list(contents(spool).values()) == stored
        assert spool.sink("jsonl") == (3, "books")


def test_a_spool_opens_on_a_full_disk(small_disk: Path) -> None:
    """What it holds can be read and delivered: the ballast is what its database then has."""
    path = small_disk / "spool"
    with opened(path) as spool:
        key = begin(spool).key
        put(spool, make_batch(key, 0))
    fill(small_disk / "others")
    with opened(path) as spool:
        assert list(contents(spool).values()) == [as_contents(make_batch(key, 0))]
        spool.commit(SinkCommit("jsonl", 1, {}, "books")).result(WITHIN)
        assert spool.sink("jsonl") == (1, "books")


def test_a_bug_in_what_was_handed_in_ends_no_wait_in_silence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Should the writer stop for a reason nobody thought of: everyone who waits or comes later is told."""

    def stop(stored: object) -> None:
        raise ValueError("a bug")

    heard: list[str] = []
    monkeypatch.setattr(threading, "excepthook", lambda told: heard.append(str(told.exc_value)))
    with opened(tmp_path, on_stored=stop) as spool:
        key = begin(spool).key
        for _ in range(2):
            with pytest.raises(SpoolError, match="start the collector anew: ValueError: a bug"):
                put(spool, make_batch(key, 0))
        assert "a bug" in (spool.last_error or "")
    assert heard == ["a bug"]


def test_whoever_stops_waiting_stops_nothing(tmp_path: Path) -> None:
    """A task that is cancelled while it waits gives up its answer, not the writer: what it handed in is stored, or
    fails, and so does what comes after it.
    """
    made: list[FailingFiles] = []
    with opened(tmp_path, make_files=make_failing(made)) as spool:
        key = begin(spool).key
        for fails in (0, 1):
            made[0].fail_syncs = fails
            assert not spool.append([make_batch(key, 3 * fails)]).cancel()
            begin(spool)  # in the writer's order: that batch is done with
        (stored,) = put(spool, make_batch(key, 3))
        assert stored.first_seq == 3
        assert len(contents(spool)) == 2
