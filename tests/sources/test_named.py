"""Journals that clients name: opened below allowed roots only, never through a link, only plain files of their own."""

import asyncio
import os
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
from sources.place import RECORD, opened_place
from standins.other_user import as_user, needs_root, talk
from wayside import wire
from wayside.segments import DROPPED, JOURNALS, boot_id
from wayside_collector.configuration.access import ClientsSection
from wayside_collector.sources.confined import Forbidden, journal_folder, open_plain, shared_memory_of
from wayside_collector.sources.named import NamedJournals, still_readable
from wayside_collector.sources.segments import MAX_SEGMENT, Owner, any_segment, owner_of, read_dropped, read_segment
from wayside_collector.sources.socket import SocketSource

ID = str(RECORD["session"])
OTHER = "6" * 32
ME = os.geteuid()
STRANGER = 61234


def write(root: Path, session: str = ID) -> Path:
    """A journal of one segment, whose owner is gone; its folder."""
    folder = root / JOURNALS / session
    folder.mkdir(parents=True)
    frames = wire.json_frame(wire.HELLO, {**RECORD, "session": session})
    frames += wire.named_row_frame(1e9, 0, {"loss": 0.5})
    header = wire.SegmentHeader(wire.HEADER_SIZE + len(frames), True, 0, 0, 0, boot_id(), bytes.fromhex(session))
    (folder / "00000000.seg").write_bytes(header.pack() + frames)
    (folder / "lock").touch()
    return folder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """An allowed root, with a journal in it."""
    made = tmp_path / "allowed"
    made.mkdir()
    write(made)
    return made


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """A journal of the same session in a folder that is no root."""
    made = tmp_path / "elsewhere"
    made.mkdir()
    return write(made)


def read(path: Path) -> None:
    """One segment, by its path."""
    with journal_folder(path.parent) as folder:
        read_segment(folder, path)


def find(root: Path, *, owner: int = ME, beside: Path | None = None, **journal: Any) -> tuple[list[Path], str]:
    found = NamedJournals(beside or root, [root]).find({"session": ID, "journal": journal}, owner)
    assert bool(found.folders) != bool(found.reason)
    return found.folders, found.reason


def named(root: Path) -> Path:
    return root / JOURNALS / ID


def test_a_journal_below_a_root_is_read(root: Path) -> None:
    """By its path, or where the client sees the socket's folder elsewhere by the path relative to that."""
    assert find(root, path=str(named(root))) == ([named(root)], "")
    assert find(root, path="/nowhere/journals/" + ID, relative=f"{JOURNALS}/{ID}") == ([named(root)], "")
    assert find(root)[1] != ""


def test_a_journal_elsewhere_is_not(root: Path, elsewhere: Path) -> None:
    """However good it is, and however it is spelt."""
    for path in (
        str(elsewhere),
        f"{root}/../elsewhere/{JOURNALS}/{ID}",
        f"{root}/{JOURNALS}/../../elsewhere/{JOURNALS}/{ID}",
        f"{root}/{JOURNALS}/../{JOURNALS}/{ID}",
        os.path.relpath(named(root)),
        f"{named(root)}/../../../elsewhere/{JOURNALS}/{ID}",
        f"{named(root)}\0",
        str(root),
        "/",
        "",
    ):
        assert find(root, path=path)[0] == [], path
    for relative in (f"../elsewhere/{JOURNALS}/{ID}", str(elsewhere), f"{JOURNALS}/../../elsewhere/{JOURNALS}/{ID}"):
        assert find(root, relative=relative)[0] == [], relative


@pytest.mark.parametrize(
    "value", [7, None, [], {}, True, "x" * 100_000], ids=["int", "null", "list", "object", "bool", "long"]
)
def test_what_is_no_path_is_no_journal(root: Path, value: Any) -> None:
    """A client may say anything; the answer is `unreadable`, and short."""
    for key in ("path", "relative", "kept"):
        folders, reason = find(root, **{key: value})
        assert folders == []
        assert len(reason) <= 1000
    assert NamedJournals(root, [root]).find({"session": ID, "journal": value}, ME).folders == []
    assert NamedJournals(root, [root]).find({"session": value, "journal": {"path": str(named(root))}}, ME).folders == []


@pytest.mark.parametrize("which", ["session", "journals", "root"])
def test_no_link_is_followed(tmp_path: Path, root: Path, elsewhere: Path, which: str) -> None:
    """Neither a session's folder, nor the one above it, nor a root itself may be a link to somewhere else."""
    target = {"session": named(root), "journals": root / JOURNALS, "root": root}[which]
    shutil.rmtree(target)
    target.symlink_to({"session": elsewhere, "journals": elsewhere.parent, "root": elsewhere.parent.parent}[which])
    assert named(root).resolve() == elsewhere
    assert find(root, path=str(named(root)))[0] == []
    assert any_segment(named(root)) is None
    assert owner_of(named(root)) is Owner.UNKNOWN
    assert read_dropped(named(root)) == (0, 0)


def test_a_folder_exchanged_for_a_link_after_the_check_is_not_followed(root: Path, elsewhere: Path) -> None:
    """Each use opens the folder anew, step by step: what was checked before counts for nothing."""
    (folder,), _ = find(root, path=str(named(root)))
    segment = any_segment(folder)
    assert segment is not None
    shutil.rmtree(folder)
    folder.symlink_to(elsewhere)
    before = sorted(path.name for path in elsewhere.iterdir())
    assert any_segment(folder) is None
    with pytest.raises(NotADirectoryError):
        segment.unlink()
    segment.close()
    assert sorted(path.name for path in elsewhere.iterdir()) == before


def test_a_segment_exchanged_for_another_is_not_unlinked(root: Path) -> None:
    """What is removed is what was read, and not what now has its name."""
    segment = any_segment(named(root))
    assert segment is not None
    segment.path.rename(segment.path.with_suffix(".old"))
    segment.path.write_text("mine")
    segment.unlink()
    segment.close()
    assert segment.path.read_text() == "mine"


@pytest.mark.parametrize("kind", ["FIFO", "socket", "folder", "link to a device", "link to a segment", "dangling"])
@pytest.mark.parametrize("name", ["00000000.seg", "lock", DROPPED])
def test_only_plain_files_are_opened(root: Path, tmp_path: Path, kind: str, name: str) -> None:
    """Anything else in a journal's folder is passed over at once: nothing waits for it, reads it or follows it."""
    folder = named(root)
    good = next(folder.glob("*.seg"))
    good.rename(tmp_path / "good.seg")
    for leftover in folder.iterdir():
        leftover.unlink()
    odd = folder / name
    if kind == "FIFO":
        os.mkfifo(odd)
    elif kind == "socket":
        os.mknod(odd, 0o140600)
    elif kind == "folder":
        odd.mkdir()
    else:
        target = {"link to a device": "/dev/zero", "dangling": "/nowhere"}.get(kind, tmp_path / "good.seg")
        odd.symlink_to(target)
    began = time.monotonic()
    assert any_segment(folder) is None
    assert owner_of(folder) is Owner.UNKNOWN
    assert read_dropped(folder) == (0, 0)
    assert find(root, path=str(folder))[0] == []
    with pytest.raises(Forbidden):
        read(odd)
    assert time.monotonic() - began < 10, "somebody waited for it"


@needs_root
def test_a_device_is_not_even_opened(root: Path) -> None:
    """Opening some devices does something; this one would be read for ever."""
    folder = named(root)
    try:
        os.mknod(folder / "00000009.seg", 0o020666, os.makedev(1, 5))  # /dev/zero
    except PermissionError:
        pytest.skip("no device can be made here: run these tests with CAP_MKNOD")
    with journal_folder(folder) as fd, pytest.raises(Forbidden, match="no plain file"):
        open_plain(fd, "00000009.seg")


def test_a_huge_file_is_no_segment(root: Path) -> None:
    """A sparse file of a tebibyte that says all of it is committed costs nothing but a refusal."""
    path = next(named(root).glob("*.seg"))
    with path.open("r+b") as file:
        file.truncate(MAX_SEGMENT + 1)
        file.seek(8)
        file.write((1 << 62).to_bytes(8, "little"))
    with pytest.raises(wire.WireError, match="no segment has"):
        read(path)
    assert any_segment(named(root)) is None
    huge = named(root) / DROPPED
    huge.write_bytes(b"")
    os.truncate(huge, 1 << 40)
    assert read_dropped(named(root)) == (0, 0)


def test_a_segment_of_another_session_is_not_taken(root: Path) -> None:
    """Put into a session's folder by copy or hard link, it does not become this session's."""
    theirs = next(write(root, OTHER).glob("*.seg"))
    for path in named(root).glob("*.seg"):
        path.unlink()
    os.link(theirs, named(root) / "00000000.seg")
    assert any_segment(named(root)) is None
    assert find(root, path=str(named(root)))[0] == []


@needs_root
def test_a_hard_link_to_somebody_else_s_file_is_not_read(root: Path) -> None:
    """The folder is the client's, the file another's: a hard link brought it here, and it is not opened."""
    for path in (named(root), *named(root).iterdir()):
        os.chown(path, STRANGER, -1)
    segment = next(named(root).glob("*.seg"))
    assert find(root, path=str(named(root)), owner=STRANGER)[0] == [named(root)]
    os.chown(segment, 0, -1)
    assert find(root, path=str(named(root)), owner=STRANGER)[0] == []
    with pytest.raises(Forbidden, match="belongs to user 0"):
        read(segment)


def test_a_folder_of_another_user_is_not_read_for_this_one(root: Path) -> None:
    """A client is read its own journals only, also where the collector could read the other's."""
    folders, reason = find(root, path=str(named(root)), owner=STRANGER)
    assert folders == []
    assert f"belongs to user {ME}" in reason


@needs_root
@pytest.mark.asyncio
async def test_a_client_cannot_have_another_s_journal_read() -> None:
    """Over the socket, by another user's process that knows the session's id: `unreadable`, with the reason, counted;
    nothing of it is taken.
    """
    async with opened_place() as place:
        folder = write(place.folder)
        (folder / "lock").unlink()  # else it would be taken as what a dead owner left
        place.folder.chmod(0o755)
        clients = ClientsSection(mode="0666")
        place.socket = SocketSource(place.socket.path, place.intake, place.journals, "http://here/", clients)
        hello = wire.json_frame(wire.HELLO, {**RECORD, "journal": {"path": str(folder)}})
        path = place.socket.path
        async with place.listening():
            heard = await asyncio.to_thread(as_user, STRANGER, (STRANGER,), lambda: talk(path, hello))
            (span,) = wire.scan(heard).spans
            answer = wire.read_json(heard, span)
            assert answer["journal"] == "unreadable"
            assert f"belongs to user {ME}" in answer["reason"]
            assert place.socket.refusals.counts() == {("socket", "journal"): 1}
            assert place.rows("r1") == []


def test_what_is_kept_elsewhere_belongs_to_it(root: Path, elsewhere: Path, tmp_path: Path) -> None:
    """Where what the client keeps cannot be read, all must be sent; where it keeps nothing yet, the rest is read."""
    path = str(named(root))
    disk = tmp_path / "disk"
    disk.mkdir()
    own = NamedJournals(root, [root, disk])
    kept = str(disk / JOURNALS / ID)

    def ask(**more: Any) -> tuple[list[Path], bool]:
        found = own.find({"session": ID, "journal": {"path": path, **more}}, ME)
        return found.folders, found.whole

    assert ask(kept=kept, keeps=False) == ([named(root), Path(kept)], True)
    assert ask(kept=kept, keeps=True) == ([], True)
    assert ask(kept=kept) == ([], True)
    write(disk)
    assert ask(kept=kept, keeps=True) == ([named(root), Path(kept)], True)
    assert ask(kept=str(elsewhere), keeps=True) == ([], True)
    assert ask(kept=str(elsewhere), keeps=False) == ([named(root)], False)


def test_each_user_s_own_folder_in_shared_memory_is_a_root(monkeypatch: pytest.MonkeyPatch, root: Path) -> None:
    """/dev/shm/wayside-<uid>, where it is a folder of that user's own, and only for that user."""
    uid = STRANGER if ME == 0 else ME
    mine = shared_memory_of(uid)
    assert str(mine) == f"/dev/shm/wayside-{uid}"
    try:
        mine.mkdir()
        if ME == 0:
            os.chown(mine, uid, -1)
        folder = write(mine)
        if ME == 0:
            for path in (mine / JOURNALS, folder, *folder.iterdir()):
                os.chown(path, uid, -1)
        assert find(root, path=str(folder), owner=uid)[0] == [folder]
        assert find(root, path=str(folder), owner=uid + 1)[0] == []
        assert still_readable([str(folder)], [root]) == [folder]
        if ME == 0:
            os.chown(mine, 0, -1)
            assert find(root, path=str(folder), owner=uid)[0] == []
    finally:
        shutil.rmtree(mine)


def test_after_a_restart_the_same_holds(root: Path, elsewhere: Path) -> None:
    """Folders that were named before are looked at again: gone, elsewhere, or a link by now, they are not read."""
    mine = str(named(root))
    kept = str(root / JOURNALS / OTHER)
    assert still_readable([mine, kept], [root]) == [Path(mine), Path(kept)]
    assert still_readable([kept], [root]) == []
    assert still_readable([mine, str(elsewhere)], [root]) == [Path(mine)]
    assert still_readable([mine], []) == []
    shutil.rmtree(mine)
    Path(mine).symlink_to(elsewhere)
    assert still_readable([mine], [root]) == []
