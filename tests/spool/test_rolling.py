"""One cycle may fill more than a file: what is begun, filled and followed within it counts like any other."""

import errno
import os
from pathlib import Path

import pytest
from spool.failing import FailingFiles
from spool.making import as_contents, begin, contents, make_batch, opened, put
from wayside_collector.spool import SpoolError, files, placing
from wayside_collector.spool.files import Active


class Watched(FailingFiles):
    """synced: number to how much of each file was synced."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.synced: dict[int, int] = {}

    def sync_one(self, active: Active) -> None:
        super().sync_one(active)
        self.synced[active.number] = active.size


@pytest.fixture
def small_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(placing, "ROLL_SIZE", 1 << 10)


def sizes(folder: Path) -> dict[int, int]:
    return {number: path.stat().st_size for number, _, path in files.segment_files(folder)}


@pytest.mark.usefixtures("small_files")
def test_files_filled_within_one_cycle_are_synced_and_known(tmp_path: Path) -> None:
    """Told to be stored, every byte of every one of them is on disk; the next start finds all of it, and reads it."""
    with opened(tmp_path, make_files=Watched) as spool:
        key = begin(spool).key
        batches = [make_batch(key, 10 * number, rows=10) for number in range(20)]
        put(spool, *batches[:3])
        put(spool, *batches[3:])
        watched = spool._files
        assert isinstance(watched, Watched)
        assert watched.synced == sizes(tmp_path)
        assert len(watched.synced) > 5
    with opened(tmp_path) as spool:
        assert list(contents(spool).values()) == [as_contents(batch) for batch in batches]
        assert spool.query("SELECT number FROM files ORDER BY number") == [(number,) for number in sizes(tmp_path)]


@pytest.mark.usefixtures("small_files")
def test_files_filled_within_a_failed_cycle_leave_nothing(tmp_path: Path) -> None:
    """Those that were begun in it go, and what it added to the one before is cut off."""
    with opened(tmp_path, make_files=Watched) as spool:
        watched = spool._files
        assert isinstance(watched, Watched)
        key = begin(spool).key
        batches = [make_batch(key, 10 * number, rows=10) for number in range(20)]
        put(spool, batches[0])
        before = sizes(tmp_path)
        descriptors = len(os.listdir("/proc/self/fd"))
        for _ in range(3):
            watched.fail_syncs = 1
            with pytest.raises(SpoolError, match=os.strerror(errno.EIO)):
                put(spool, *batches[1:])
            assert sizes(tmp_path) == before
            assert spool.size == sum(before.values())
        assert len(os.listdir("/proc/self/fd")) <= descriptors
        put(spool, *batches[1:])
    with opened(tmp_path) as spool:
        assert list(contents(spool).values()) == [as_contents(batch) for batch in batches]
