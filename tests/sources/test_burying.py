"""Removing journals of dead owners, whatever lies in their folders; and what an orphan's record may name."""

import os
from pathlib import Path

import pytest
from sources.place import RECORD, opened_place
from sources.test_named import ID, OTHER, STRANGER, write
from standins.other_user import needs_root
from wayside import wire
from wayside.segments import DROPPED, JOURNALS, boot_id
from wayside_collector.sources.burying import bury, set_aside
from wayside_collector.sources.quarantine import MAX_PIECES, Quarantine

RUBBISH = b"rubbish!" * 100


def quarantine(tmp_path: Path) -> Quarantine:
    return Quarantine(tmp_path / "damaged")


def test_a_journal_is_removed_whole(tmp_path: Path) -> None:
    """Segments, lock and account of drops go, and the folder with them."""
    folder = write(tmp_path)
    (folder / DROPPED).write_bytes(bytes(16))
    (folder / "00000001.seg").write_bytes(bytes(4096))  # prepared, never begun
    bury(folder, quarantine(tmp_path), read_to=1)
    assert not folder.exists()
    assert not (tmp_path / "damaged").exists()


def test_what_was_not_read_is_kept_for_a_person(tmp_path: Path) -> None:
    """Rows are never removed unread, whoever thinks that there are none: they are copied first, and counted."""
    folder, kept = write(tmp_path), quarantine(tmp_path)
    rows = (folder / "00000000.seg").read_bytes()
    bury(folder, kept, read_to=0)
    assert not folder.exists()
    assert (tmp_path / "damaged" / f"{ID}-00000000.seg").read_bytes() == rows
    assert kept.count == 1


def test_what_cannot_be_read_is_kept_for_a_person(tmp_path: Path) -> None:
    """Its bytes lie in the folder for damaged pieces, and it is counted."""
    folder, kept = write(tmp_path), quarantine(tmp_path)
    (folder / "00000001.seg").write_bytes(RUBBISH)
    bury(folder, kept, read_to=1)
    assert not folder.exists()
    assert (tmp_path / "damaged" / f"{ID}-00000001.seg").read_bytes() == RUBBISH
    assert kept.count == 1


@pytest.mark.parametrize("kind", ["FIFO", "link", "folder", "file"])
def test_what_is_not_ours_stays_and_the_lock_goes(tmp_path: Path, kind: str) -> None:
    """Nothing waits for it, follows it or copies it; without a lock the folder is nobody's orphan any more."""
    folder, kept = write(tmp_path), quarantine(tmp_path)
    secret = tmp_path / "secret"
    secret.write_text("mine")
    odd = folder / ("notes.txt" if kind == "file" else "00000001.seg")
    if kind == "FIFO":
        os.mkfifo(odd)
    elif kind == "link":
        odd.symlink_to(secret)
    elif kind == "folder":
        odd.mkdir()
    else:
        odd.write_text("mine")
    bury(folder, kept, read_to=1)
    assert [path.name for path in folder.iterdir()] == [odd.name]
    assert secret.read_text() == "mine"
    assert kept.count == 0


def test_a_folder_that_became_a_link_is_left_alone(tmp_path: Path) -> None:
    """What it leads to keeps everything."""
    victim = write(tmp_path / "victim")
    (tmp_path / JOURNALS).mkdir()
    (tmp_path / JOURNALS / ID).symlink_to(victim)
    bury(tmp_path / JOURNALS / ID, quarantine(tmp_path))
    assert not set_aside(tmp_path / JOURNALS / ID, quarantine(tmp_path))
    assert sorted(path.name for path in victim.iterdir()) == ["00000000.seg", "lock"]


def test_a_journal_of_which_nothing_can_be_made_is_set_aside(tmp_path: Path) -> None:
    """Its segments are kept, a bounded piece of each, a FIFO among them is not waited for; without room it stays."""
    folder, kept = write(tmp_path), quarantine(tmp_path)
    os.mkfifo(folder / "00000001.seg")
    os.truncate(folder / "00000000.seg", 1 << 30)  # sparse
    assert set_aside(folder, kept)
    (piece,) = (tmp_path / "damaged").iterdir()
    assert piece.stat().st_size <= 16 << 20
    assert [path.name for path in folder.iterdir()] == ["00000001.seg"]
    other = write(tmp_path, OTHER)
    for number in range(MAX_PIECES):
        (tmp_path / "damaged" / str(number)).touch()
    assert not set_aside(other, kept)
    assert (other / "00000000.seg").exists()


def orphan(root: Path, folder_name: str, **record: object) -> Path:
    """A journal whose record says more, its owner dead."""
    folder = write(root, folder_name)
    frames = wire.json_frame(wire.HELLO, {**RECORD, "session": folder_name, **record})
    frames += wire.named_row_frame(1e9, 0, {"loss": 0.5})
    header = wire.SegmentHeader(wire.HEADER_SIZE + len(frames), True, 0, 0, 0, boot_id(), bytes.fromhex(folder_name))
    (folder / "00000000.seg").write_bytes(header.pack() + frames)
    return folder


@pytest.mark.asyncio
async def test_an_orphan_cannot_speak_for_another_session() -> None:
    """A record that names another session than its folder is set aside, and the other session hears nothing of it."""
    async with opened_place() as place:
        orphan(place.folder, OTHER, session=ID)
        await place.journals.look_for_orphans()
        assert not list(place.registry.all())
        assert place.journals.set_aside == 1
        assert not (place.folder / JOURNALS / OTHER).exists()


@needs_root
@pytest.mark.asyncio
async def test_an_orphan_s_record_leads_only_to_what_its_owner_had() -> None:
    """It may name a socket's folder elsewhere, where its last rows lie; what lies there is read, and removed, only when
    it belongs to the same user.
    """
    async with opened_place() as place:
        elsewhere = place.folder / "elsewhere"
        theirs = write(elsewhere, ID)
        os.chown(theirs, STRANGER, -1)
        orphan(place.folder, ID, addresses=[str(elsewhere / "w.sock"), 7, "/a\0b/w.sock", str(place.folder / "w.sock")])
        await place.journals.look_for_orphans()
        while await place.journals.look():
            pass
        assert len(place.rows("r1")) == 1
        assert sorted(path.name for path in theirs.iterdir()) == ["00000000.seg", "lock"]
        os.chown(theirs, os.geteuid(), -1)
        orphan(place.folder, ID, addresses=[str(elsewhere / "w.sock")])
        await place.journals.look_for_orphans()
        while await place.journals.look():
            pass
        assert not theirs.exists()


@pytest.mark.asyncio
@pytest.mark.parametrize("addresses", [7, None, "text", {"a": 1}, [None, 7, [], "/a\0b/w.sock"]])
async def test_an_orphan_s_record_may_say_anything(addresses: object) -> None:
    """What is no list of addresses names none: the rows are taken, and nobody stumbles."""
    async with opened_place() as place:
        orphan(place.folder, ID, addresses=addresses)
        await place.journals.look_for_orphans()
        while await place.journals.look():
            pass
        assert len(place.rows("r1")) == 1
