"""Disks that are full, refuse to sync or to allocate: nothing accepted is lost in silence, and the trainer never
notices.
"""

import contextlib
import time
from pathlib import Path

import pytest
from oracle.instruments import Shim, SmallDisk
from oracle.world import World, wait_for

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


def test_a_full_disk_below_the_spool_is_survived(small_disk: SmallDisk, tmp_path: Path) -> None:
    """A spool on a disk that fills up goes on by dropping the oldest, booked; the trainer goes on, and the books
    balance.
    """
    world = World(tmp_path / "world", seed=2, spool=small_disk.folder / "spool", options=", max_size: 1GiB")
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
    small_disk: SmallDisk, tmp_path: Path
) -> None:
    """While another file takes the whole disk, rows wait in the journal; once it is gone, they are stored."""
    world = World(tmp_path / "world", seed=3, spool=small_disk.folder / "spool", options=", max_size: 10MiB")
    try:
        world.start_collector()
        world.start_producer(world.add_producer(), 0.02)
        wait_for(lambda: rows_stored(world) > 0, 30, "the first rows")
        small_disk.fill()
        wait_for(lambda: world.status()["spool"]["last_error"], 60, "the spool to say that the disk is full")
        stored = rows_stored(world)
        small_disk.free()
        wait_for(lambda: rows_stored(world) > stored + 100, 60, "rows to be stored again")
        assert running(world)
        assert world.conclude() == []
    finally:
        world.close()


def test_a_journal_on_a_full_file_system_never_kills_the_trainer(small_disk: SmallDisk, tmp_path: Path) -> None:
    """With no room for segments rows are dropped and booked; there is no SIGBUS, and what was accepted before
    arrives.
    """
    beside = small_disk.folder / "socket"
    beside.mkdir()
    world = World(tmp_path / "world", seed=4, memory=beside)
    try:
        world.start_collector()
        world.start_producer(world.add_producer(), 0.0)
        small_disk.fill(leave=300_000)
        time.sleep(2.0)
        assert running(world)
        small_disk.free()
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


def test_a_collector_starts_beside_a_full_disk(small_disk: SmallDisk, tmp_path: Path) -> None:
    """Where not even a note finds room beside the socket, the collector listens all the same, and leaves the note once
    there is room.
    """
    with contextlib.closing(World(tmp_path / "world", seed=5, memory=small_disk.folder / "socket")) as world:
        small_disk.fill()
        world.begin_collector()
        wait_for((world.beside / "wayside.sock").exists, 60, "the collector to listen")
        assert not world.note.exists() or not world.note.read_text()
        small_disk.free()
        wait_for(lambda: world.status()["ready"], 60, "the note")
        world.start_producer(world.add_producer(), 0.02)
        assert world.conclude() == []
