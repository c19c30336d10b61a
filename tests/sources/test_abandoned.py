"""Which folders of collectors that are gone are taken, and when: never one that somebody has, or may come back for."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from standins.lock_holder import LockHolder
from wayside_collector.sources import abandoned
from wayside_collector.sources.abandoned import AGAIN, FORGOTTEN, QUIET, UNUSED, Abandoned


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def pods(tmp_path: Path) -> Path:
    made = tmp_path / "pods"
    made.mkdir()
    return made


@pytest.fixture
def found(pods: Path, clock: Clock) -> Abandoned:
    return Abandoned([pods], clock)


@pytest.fixture
def holder() -> Iterator[LockHolder]:
    made = LockHolder()
    yield made
    made.close()


def spool(folder: Path) -> Path:
    """A folder with a spool in it, held by nobody."""
    (folder / "spool").mkdir(parents=True)
    (folder / "spool" / "lock").touch()
    return folder


def test_taken_after_a_while(pods: Path, clock: Clock, found: Abandoned) -> None:
    """A folder is taken once nobody has had it for QUIET seconds, and not before."""
    pod = spool(pods / "one")
    assert found.look() == []
    clock.now += QUIET - 1
    assert found.look() == []
    clock.now += 1
    assert found.look() == [pod]


def test_one_that_is_held_is_left_alone(pods: Path, clock: Clock, found: Abandoned, holder: LockHolder) -> None:
    """While a process has the spool's lock it is not taken, and when that has ended the waiting begins."""
    pod = spool(pods / "one")
    holder.hold(str(pod / "spool"))
    found.look()
    clock.now += 10 * QUIET
    assert found.look() == []
    holder.drop(str(pod / "spool"))
    assert found.look() == []
    clock.now += QUIET
    assert found.look() == [pod]


def test_a_collector_that_comes_back_has_it_again(
    pods: Path, clock: Clock, found: Abandoned, holder: LockHolder
) -> None:
    """One that was restarted in between begins the waiting anew."""
    pod = spool(pods / "one")
    found.look()
    holder.hold(str(pod / "spool"))
    clock.now += QUIET
    assert found.look() == []
    holder.drop(str(pod / "spool"))
    clock.now += QUIET
    assert found.look() == []


def test_a_training_that_writes_its_journal_there(
    pods: Path, clock: Clock, found: Abandoned, holder: LockHolder
) -> None:
    """A folder without a spool in which a living process keeps its journal is that process's."""
    journal = pods / "one" / "journals" / ("0" * 32)
    journal.mkdir(parents=True)
    (journal / "lock").touch()
    holder.hold(str(journal))
    found.look()
    clock.now += QUIET
    assert found.look() == []
    holder.drop(str(journal))
    found.look()
    clock.now += QUIET
    assert found.look() == [pods / "one"]


def test_what_is_left_is_tried_again(pods: Path, clock: Clock, found: Abandoned) -> None:
    """A folder that could not be emptied is told of, and has its next turn after AGAIN seconds."""
    pod = spool(pods / "one")
    found.look()
    clock.now += QUIET
    assert found.look() == [pod]
    found.left(pod, "the gateway is away")
    assert (found.adopted.left, found.adopted.last_error) == (1, "the gateway is away")
    assert found.look() == []
    clock.now += AGAIN
    assert found.look() == [pod]
    found.emptied(pod)
    assert (found.adopted.left, found.adopted.emptied, found.adopted.last_error) == (0, 1, None)


def test_an_emptied_one_goes_much_later(pods: Path, clock: Clock, found: Abandoned) -> None:
    """It stays for whoever may come back, is not opened again, and goes after an hour."""
    pod = spool(pods / "one")
    found.look()
    clock.now += QUIET
    found.look()
    found.emptied(pod)
    clock.now += FORGOTTEN - 1
    assert found.look() == []
    assert pod.exists()
    clock.now += 2
    assert found.look() == []
    assert not pod.exists()
    assert found.adopted.removed == 1


def test_one_that_was_never_used(pods: Path, clock: Clock, found: Abandoned) -> None:
    """A folder without anything in it may be a living pod's, and goes after a month only."""
    (pods / "fresh").mkdir()
    (pods / "old").mkdir()
    long_ago = time.time() - UNUSED - 1
    os.utime(pods / "old", (long_ago, long_ago))
    clock.now += 10 * FORGOTTEN
    assert found.look() == []
    assert (pods / "fresh").exists()
    assert not (pods / "old").exists()


def test_what_is_not_ours_is_never_removed(pods: Path, clock: Clock, found: Abandoned) -> None:
    """A folder that bears no mark of ours is another software's, whatever it calls its folders, and is not touched."""
    data = pods / "postgresql" / "data"
    data.mkdir(parents=True)
    (data / "base").touch()
    (pods / "postfix" / "spool").mkdir(parents=True)
    (pods / "postfix" / "journals").mkdir()
    long_ago = time.time() - UNUSED - 1
    for folder in (pods / "postgresql", pods / "postfix"):
        os.utime(folder, (long_ago, long_ago))
    for _ in range(2):
        assert found.look() == []
        clock.now += 10 * FORGOTTEN
    assert (data / "base").exists()
    assert (pods / "postfix" / "spool").exists()
    assert found.adopted.removed == 0


@pytest.mark.parametrize("kept", ["journals/" + "0" * 32 + "/0.seg", "spool/damaged/journals/piece"])
def test_what_waits_for_a_person_keeps_its_folder(pods: Path, clock: Clock, found: Abandoned, kept: str) -> None:
    """A journal that appeared after the folder was emptied, or a piece that could not be read, is told of, not removed;
    once it is gone the folder has its turn again.
    """
    pod = spool(pods / "one")
    found.look()
    clock.now += QUIET
    found.look()
    found.emptied(pod)
    (pod / kept).parent.mkdir(parents=True)
    (pod / kept).write_bytes(b"x" * 100)
    clock.now += FORGOTTEN + 1
    assert found.look() == []
    assert (pod / kept).exists()
    assert (found.adopted.left, found.adopted.removed) == (1, 0)
    assert str(pod) in str(found.adopted.last_error)
    clock.now += AGAIN
    assert found.look() == [pod]


def test_links_lead_nowhere(pods: Path, clock: Clock, found: Abandoned, tmp_path: Path) -> None:
    """Neither a folder nor a spool that is a link is looked at: whoever writes there must not lead us to our own."""
    ours = spool(tmp_path / "ours")
    (pods / "link").symlink_to(ours)
    (pods / "half").mkdir()
    (pods / "half" / "spool").symlink_to(ours / "spool")
    found.look()
    clock.now += QUIET
    assert found.look() == []
    assert (ours / "spool" / "lock").exists()


def test_a_root_that_is_not_there(tmp_path: Path) -> None:
    """Before the first pod there is no folder, and nothing to do."""
    assert Abandoned([tmp_path / "nowhere"]).look() == []


def test_so_many_folders_are_looked_at(
    pods: Path, clock: Clock, found: Abandoned, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond the limit folders wait, in the order of their names, until others are gone."""
    monkeypatch.setattr(abandoned, "MAX_FOLDERS", 2)
    for name in "abc":
        spool(pods / name)
    found.look()
    clock.now += QUIET
    assert [folder.name for folder in found.look()] == ["a", "b"]
