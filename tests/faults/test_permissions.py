"""Folders that cannot be written any more: the spool's, and the journals'."""

import errno
import subprocess
from pathlib import Path

import pytest
from oracle.instruments import Shim, SmallDisk
from oracle.producer import read_claims
from oracle.world import World, wait_for

pytestmark = pytest.mark.timeout(180)


def stored(world: World) -> int:
    return int(world.status()["ingest"]["received_rows"])


def test_a_spool_whose_disk_becomes_read_only_lets_nothing_go(world: World, shim: Shim) -> None:
    """As a kernel does to a disk that fails, every write and sync is answered EROFS: the collector says so and stays,
    and stores on when it can write again.
    """
    world.collector_environ = shim.environ(world.spool_db.parent)
    world.start_collector()
    world.start_producer(world.add_producer(), 0.05)
    wait_for(lambda: stored(world) > 0, 30, "the first rows")
    shim.fail(" ".join(f"{call}={errno.EROFS}" for call in ("pwrite", "fdatasync", "fsync", "fallocate")))
    wait_for(lambda: world.status()["spool"]["last_error"], 60, "the spool to say that it cannot be written")
    before = stored(world)
    wait_for(lambda: read_claims(str(world.producers[0].claims))[1] > before + 2000, 60, "the trainer to go on")
    assert stored(world) == before
    shim.mend()
    wait_for(lambda: stored(world) > before, 60, "rows to be stored again")
    assert world.conclude() == []


def test_a_trainer_whose_journal_folder_is_read_only_goes_on(small_disk: SmallDisk, tmp_path: Path) -> None:
    """No journal can be made beside the socket: the trainer finds another place, and everything arrives."""
    beside = small_disk.folder / "socket"
    world = World(tmp_path / "world", seed=7, memory=beside)
    try:
        world.start_collector()
        for path in (beside, beside / "journals"):
            path.mkdir(exist_ok=True)
        subprocess.run(["mount", "--bind", str(beside / "journals"), str(beside / "journals")], check=True)
        subprocess.run(["mount", "-o", "remount,bind,ro", str(beside / "journals")], check=True)
        try:
            producer = world.add_producer()
            world.start_producer(producer, 0.05)
            wait_for(lambda: read_claims(str(producer.claims))[1] > 500, 60, "the trainer to go on")
            wait_for(lambda: stored(world) > 300, 60, "its rows, from wherever they are")
            assert list((beside / "journals").iterdir()) == []
        finally:
            subprocess.run(["umount", "-l", str(beside / "journals")], check=True)
        assert world.conclude() == []
    finally:
        world.close()
