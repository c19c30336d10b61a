"""Faults of what lies on disk and in memory: folders that go, pages of another boot, disks that are full or fail."""

import contextlib
import os
import shutil
import time
from pathlib import Path

import psutil
from wayside import wire
from wayside_collector.sources.segments import Owner, owner_of

from .held import stored_seqs
from .producer import read_claims
from .scene import Scene, bounded
from .world import SETTLES_WITHIN, World, wait_for

MOVES_WITHIN = 0.3  #: seconds from a journal's new folder to the first row in it


def delete_folder(scene: Scene) -> None:
    """The socket's folder, journals and all, goes and is made again. Whoever dies before he has begun anew takes with
    him what he had not handed over, and so does who was dead already: neither is promised otherwise, so the dead are
    read before, workers that come and go are sent home, and nobody is killed until all is handed over.
    """
    world = scene.world
    forking = [producer for producer in world.alive() if producer.style == "forks"]
    for producer in forking:
        world.kill_producer(producer)
    wait_for(lambda: not _dead(world) and not _workers(world), SETTLES_WITHIN, "the journals of the dead to be read")
    whole = scene.choose.random() < 0.5 and not scene.disks
    shutil.rmtree(world.beside if whole else world.beside / "journals", ignore_errors=True)
    wait_for(world.note.exists, 60, "the collector to listen again")
    wait_for(lambda: _begun_anew(world), SETTLES_WITHIN, "the journals to be begun anew")
    time.sleep(MOVES_WITHIN)
    accepted = {one.number: read_claims(str(one.claims))[1] - one.first for one in world.alive()}
    wait_for(lambda: _handed_over(world, accepted), SETTLES_WITHIN, "what was logged until then to be read")
    for producer in forking:
        world.restart_producer(producer, scene.pace())


def _workers(world: World) -> bool:
    """Whether a forked worker still lives."""
    pids = [read_claims(str(one.claims), slot)[2] for one in world.producers for slot in one.slots() if slot]
    return any(psutil.pid_exists(pid) and _status(pid) != psutil.STATUS_ZOMBIE for pid in pids)


def _status(pid: int) -> str:
    try:
        return str(psutil.Process(pid).status())
    except psutil.Error:
        return str(psutil.STATUS_ZOMBIE)


def _begun_anew(world: World) -> bool:
    """Whether everyone who lives has a journal, and has moved what the deleted one held: until then he logs into one
    that nobody can find.
    """
    owners = {_owner(folder) for folder in world.journals()}
    return all(
        one.process is not None and one.process.pid in owners and not _holds_deleted(one.process.pid)
        for one in world.alive()
    )


def _holds_deleted(pid: int) -> bool:
    """Whether a process has a segment open whose name is gone."""
    for entry in Path(f"/proc/{pid}/fd").glob("*"):
        with contextlib.suppress(OSError):
            if os.readlink(entry).endswith(".seg (deleted)"):
                return True
    return False


def _handed_over(world: World, accepted: dict[int, int]) -> bool:
    """Whether every producer's rows, as many as these, are stored or booked: a session's numbers count both."""
    stored = stored_seqs(world.spool_db)
    owners = {_owner(folder): folder.name for folder in world.journals()}
    return all(
        one.process is not None and stored.get(owners.get(one.process.pid, ""), 0) >= accepted.get(one.number, 0)
        for one in world.alive()
    )


def _owner(journal: Path) -> int:
    """The pid in a journal's lock."""
    try:
        return int((journal / "lock").read_text())
    except (OSError, ValueError):
        return 0


def earlier_boot(scene: Scene) -> None:
    """Collector and a trainer die, and what they leave says that it is of an earlier boot, whole as it is."""
    victim = scene.victim()
    scene.world.aim(victim)
    scene.world.kill_collector()
    scene.world.kill_producer(victim)
    for folder in _dead(scene.world):
        for path in folder.glob("*.seg"):
            age(path)
    scene.world.start_collector()
    scene.world.restart_producer(victim, bounded(victim, 0.01))


def age(path: Path) -> None:
    """Give a segment the boot id of another boot."""
    data = path.read_bytes()
    if not data.strip(b"\0"):
        return  # prepared, or killed while it was
    header = wire.read_segment_header(data)._replace(boot=b"an earlier boot.")
    with path.open("r+b") as file:
        file.write(header.pack()[: wire.HEADER_SIZE])


def fill_disk(scene: Scene) -> None:
    """Somebody else takes all the room under journals, spool or both, and gives it back."""
    full = scene.choose.sample(scene.disks, scene.choose.choice([1, 2]))
    leave, seconds = scene.choose.choice([0, 0, 300_000]), scene.choose.random() * 1.5
    dies = scene.choose.random() < 0.4
    victim = scene.victim()
    try:
        for disk in full:
            disk.fill(leave)
        time.sleep(seconds)
        if dies:
            scene.world.kill_collector()
            scene.world.kill_producer(victim)
    finally:
        for disk in full:
            disk.free()
    if dies:
        scene.world.start_collector()
        scene.world.restart_producer(victim, bounded(victim, 0.01))


def fail_calls(scene: Scene) -> None:
    """Syncing, writing or allocating fails for a while; a kill may fall into it."""
    assert scene.shim is not None
    what = scene.choose.choice(["fdatasync=5", "fsync=5", "pwrite=28", "fallocate=28", "fdatasync=5 pwrite=5"])
    seconds, dies = scene.choose.random(), scene.choose.random() < 0.4
    scene.shim.fail(what)
    try:
        time.sleep(seconds)
        if dies:
            scene.world.kill_collector()
    finally:
        scene.shim.mend()
    if dies:
        scene.world.start_collector()


def _dead(world: World) -> list[Path]:
    return [folder for folder in world.journals() if owner_of(folder) is Owner.DEAD and list(folder.glob("*.seg"))]
