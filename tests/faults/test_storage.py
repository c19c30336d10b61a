"""Disks that are full, refuse to sync or to allocate: nothing accepted is lost in silence, and the trainer never
notices.
"""

import time
from pathlib import Path

import pytest
from oracle.world import World, wait_for

from .conftest import Shim

pytestmark = pytest.mark.timeout(180)


def running(world: World) -> bool:
    return all(producer.process is not None and producer.process.poll() is None for producer in world.producers)


def rows_stored(world: World) -> int:
    return int(world.status()["ingest"]["received_rows"])


def test_a_disk_that_fails_to_sync_lets_no_journal_go(world: World, shim: Shim) -> None:
    """While fdatasync fails nothing is let go; when it works again everything is stored, once."""
    world.collector_environ = shim.environ(world.folder)
    world.start_collector()
    world.start_producer(world.add_producer(), 0.02)
    wait_for(lambda: rows_stored(world) > 0, 30, "the first rows")
    shim.fail("fdatasync=5")
    wait_for(lambda: world.status()["spool"]["last_error"], 30, "the spool to say that it cannot be written")
    stored = rows_stored(world)
    time.sleep(0.5)
    assert rows_stored(world) == stored
    assert world.status()["ready"] is not True
    shim.mend()
    wait_for(lambda: rows_stored(world) > stored, 30, "rows to be stored again")
    assert running(world)
    assert world.conclude() == []


def test_a_full_disk_below_the_spool_is_survived(small_disk: Path, tmp_path: Path) -> None:
    """A spool on a disk that fills up goes on by dropping the oldest, booked; the trainer goes on, and the books
    balance.
    """
    options = f"spool: {{path: {small_disk}/spool, max_size: 1GiB}}\n"
    world = World(tmp_path / "world", seed=2, options=options)
    try:
        world.start_collector()
        world.start_producer(world.add_producer(), 0.002)
        wait_for(lambda: rows_stored(world) > 400_000, 120, "more rows than the disk holds")
        assert running(world)
        problems = [problem for problem in world.conclude() if "missing" not in problem]
        assert problems == []
    finally:
        world.close()


def test_a_disk_filled_by_someone_else_and_freed_loses_nothing_that_is_not_booked(
    small_disk: Path, tmp_path: Path
) -> None:
    """While another file takes the whole disk, rows wait in the journal; once it is gone, they are stored."""
    options = f"spool: {{path: {small_disk}/spool, max_size: 10MiB}}\n"
    world = World(tmp_path / "world", seed=3, options=options)
    try:
        world.start_collector()
        world.start_producer(world.add_producer(), 0.02)
        wait_for(lambda: rows_stored(world) > 0, 30, "the first rows")
        filler = small_disk / "filler"
        _fill(filler)
        wait_for(lambda: world.status()["spool"]["last_error"], 60, "the spool to say that the disk is full")
        stored = rows_stored(world)
        filler.unlink()
        wait_for(lambda: rows_stored(world) > stored + 100, 60, "rows to be stored again")
        assert running(world)
        assert world.conclude() == []
    finally:
        world.close()


def test_a_journal_on_a_full_file_system_never_kills_the_trainer(small_disk: Path, tmp_path: Path) -> None:
    """With no room for segments rows are dropped and booked; there is no SIGBUS, and what was accepted before
    arrives.
    """
    beside = small_disk / "socket"
    beside.mkdir()
    world = World(tmp_path / "world", seed=4, memory=beside)
    try:
        world.start_collector()
        world.start_producer(world.add_producer(), 0.0)
        _fill(small_disk / "filler", leave=300_000)
        time.sleep(2.0)
        assert running(world)
        (small_disk / "filler").unlink()
        assert world.conclude() == []
    finally:
        world.close()


def test_a_trainer_whose_file_system_cannot_allocate_goes_on(world: World, shim: Shim) -> None:
    """When posix_fallocate fails below the socket's folder, log() goes on and every row not kept is booked."""
    world.producer_environ = shim.environ(world.beside)
    world.start_collector()
    world.start_producer(world.add_producer(), 0.02)
    shim.fail("fallocate=28")
    time.sleep(1.5)
    assert running(world)
    shim.mend()
    time.sleep(0.5)
    assert world.conclude() == []


def _fill(path: Path, leave: int = 0) -> None:
    """Take all the room there is, but for `leave` bytes."""
    block = b"x" * 65536
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(block)
        except OSError:
            size = path.stat().st_size
            file.truncate(max(0, size - leave))
