"""Files that events name: taken before the event is stored, checked, confined; the client's go only after it."""

import asyncio
import contextlib
import hashlib
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sources.place import RECORD, FailingSpool, Peer, Place, opened_place, until
from wayside import row, wire
from wayside.row import Event
from wayside_collector.media_events import held_files
from wayside_collector.sources.media import MAX_FILE, MAX_RUN, MediaSource
from wayside_collector.spool import Spool, SpoolOptions

pytestmark = pytest.mark.asyncio

ID = RECORD["session"]
PICTURE = b"\x89PNG and so on"


@contextlib.asynccontextmanager
async def place_of_media(files: tuple[Path, ...] = ()) -> AsyncIterator[Place]:
    """A place that takes files, whose client keeps its own in `media` beside the socket."""
    async with opened_place() as place:
        place.intake.claims = MediaSource(place.spool.media, place.folder, [place.folder], files)
        async with place.listening():
            yield place


def put_file(place: Place, name: str = "1.png", data: bytes = PICTURE) -> Path:
    path = place.folder / "media" / ID / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def medium(name: str = "1.png", data: bytes = PICTURE, **fields: Any) -> dict[str, Any]:
    told = {"file": f"{ID}/{name}", "size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    return {"name": "eval/a", "type": "image", "format": "png", **told, **fields}


def event(data: dict[str, Any], kind: str = row.MEDIA) -> bytes:
    return wire.event_frame(1e9, 3, kind, data)


async def hello(place: Place, **record: Any) -> Peer:
    peer = await place.connect()
    await peer.hello(media_root=str(place.folder / "media"), **record)
    return peer


def stored(place: Place) -> list[Event]:
    return [record for record in place.records("r1") if isinstance(record, Event) and record.kind != row.FINISH]


async def test_a_file_is_the_spools_when_its_event_is_stored() -> None:
    """Under the event's own name, with its bytes; the client's name of it is gone, and rows around it are untouched."""
    async with place_of_media() as place:
        mine = put_file(place)
        peer = await hello(place)
        rows = wire.schema_frame(0, ("loss",)) + wire.row_frame(0, 1e9, 1, [0.5])
        await peer.send(rows + event(medium()) + wire.row_frame(0, 1e9, 2, [0.25]))
        await peer.stored(3)
        (found,) = stored(place)
        assert found.seq == 1
        assert found.data["file"] == f"{ID}/1-0.png"
        assert place.spool.media.path(found.data["file"]).read_bytes() == PICTURE
        assert [one.values for one in place.rows("r1")] == [(0.5,), (0.25,)]
        await until(lambda: not mine.exists(), "the client's name is let go")
        assert place.spool.media_held().owned == len(PICTURE)


async def test_pictures_in_the_cells_of_a_table_are_taken() -> None:
    """Each under a name of its own."""
    async with place_of_media() as place:
        put_file(place)
        put_file(place, "2.png", b"other")
        cells = [[1, {"media": medium()}], [2, {"media": medium("2.png", b"other")}]]
        peer = await hello(place)
        await peer.send(event({"name": "t", "type": "table", "values": {"columns": ["n", "p"], "rows": cells}}))
        await peer.stored(1)
        (found,) = stored(place)
        assert held_files(found) == [f"{ID}/0-0.png", f"{ID}/0-1.png"]
        assert [place.spool.media.path(name).read_bytes() for name in held_files(found)] == [PICTURE, b"other"]


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "gone": (medium("7.png"), "No such file"),
    "longer": (medium(size=3), "14 bytes, not 3"),
    "changed": (medium(sha256="0" * 64), "checksum"),
    "outside": (medium(file=f"{ID}/../../spool/spool.db"), "no file of its session"),
    "absolute": (medium(file="/etc/passwd"), "no file of its session"),
    "of another": (medium(file=f"{'6' * 32}/1.png"), "no file of its session"),
    "no text": (medium(file=7), "no file of its session"),
    "a link": (medium("link.png"), "no file of its session"),
    "a linked file": (medium("5.png"), "no plain file"),
}


@pytest.mark.parametrize("case", BAD)
async def test_what_cannot_be_had_is_told_in_the_event(case: str) -> None:
    """The event is stored without it, the reason in its place, and counted."""
    data, reason = BAD[case]
    async with place_of_media() as place:
        mine = put_file(place)
        (mine.parent / "5.png").symlink_to(mine)
        peer = await hello(place)
        await peer.send(event(dict(data)))
        await peer.stored(1)
        (found,) = stored(place)
        assert reason in found.data["lost"]
        assert "file" not in found.data
        assert place.intake.counters.media_lost == 1
        assert not held_files(found)


async def test_a_folder_below_no_allowed_root_is_not_read(tmp_path: Path) -> None:
    """Whatever the client says; nor one that a link leads to."""
    (tmp_path / "media" / ID).mkdir(parents=True)
    (tmp_path / "media" / ID / "1.png").write_bytes(PICTURE)
    async with place_of_media() as place:
        peer = await place.connect()
        await peer.hello(media_root=str(tmp_path / "media"), media_place="../media")
        await peer.send(event(medium()))
        await peer.stored(1)
        (place.folder / "media").mkdir()
        (place.folder / "media" / ID).symlink_to(tmp_path / "media" / ID)
        again = await hello(place)
        await again.send(wire.seq_frame(1, 0) + event(medium()))
        await again.stored(2)
        assert [sorted(one.data) for one in stored(place)] == [["format", "lost", "name", "sha256", "size", "type"]] * 2


async def test_a_file_has_a_size() -> None:
    """The limit holds for one file, and what waits of its run together."""
    async with place_of_media() as place:
        large = put_file(place, "9.bin", b"")
        os.truncate(large, MAX_FILE + 1)
        peer = await hello(place)
        await peer.send(event(medium("9.bin", size=MAX_FILE + 1)))
        await peer.stored(1)
        assert "the limit is" in stored(place)[0].data["lost"]


async def test_a_run_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits of all its sessions counts; beyond it the next file is told to be lost."""
    async with place_of_media() as place:
        put_file(place)
        monkeypatch.setattr(place.intake, "_held", lambda inlet: MAX_RUN - 5)
        peer = await hello(place)
        await peer.send(event(medium()))
        await peer.stored(1)
        assert "the limit" in stored(place)[0].data["lost"]


async def test_what_was_not_stored_is_taken_again() -> None:
    """The client's file stays until the event is stored, whatever fails in between."""
    async with place_of_media() as place:
        mine = put_file(place)
        failing = FailingSpool(place)
        failing.fails = True
        peer = await hello(place)
        await peer.send(event(medium()))
        await until(lambda: failing.asked, "asked")
        assert mine.exists()
        failing.fails = False
        again = await hello(place)
        await again.send(event(medium()))
        await again.stored(1)
        assert place.spool.media.path(stored(place)[0].data["file"]).read_bytes() == PICTURE


async def test_a_crash_before_the_event_is_stored_leaves_nothing_behind() -> None:
    """A file in the spool that no stored event names is removed at the next start; one that is named stays."""
    async with place_of_media() as place:
        put_file(place)
        peer = await hello(place)
        await peer.send(event(medium()))
        await peer.stored(1)
        kept = place.spool.media.path(stored(place)[0].data["file"])
        stray = place.spool.media.folder / ID / "77-0.png"
        stray.write_bytes(b"stray")
        (place.spool.media.folder / ID / "78-0.png.new").write_bytes(b"half")
        await asyncio.to_thread(place.spool.close)
        spool = Spool(SpoolOptions(place.folder / "spool"))
        await asyncio.to_thread(spool.open)
        try:
            assert kept.read_bytes() == PICTURE
            assert sorted(path.name for path in kept.parent.iterdir()) == [kept.name]
            assert not stray.exists()
        finally:
            await asyncio.to_thread(spool.close)


async def test_files_of_an_artifact_are_held_by_another_name(tmp_path: Path) -> None:
    """Below the allowed folders; the user may rotate his checkpoint away, and the bytes stay. Nothing is copied."""
    async with place_of_media((Path("/dev/shm"),)) as place:
        weights = place.folder / "weights.pt"
        weights.write_bytes(b"w" * 100)
        told = [
            {"path": "weights.pt", "source": str(weights), "size": 100, "mtime": 1.0},
            {"path": "gone.pt", "source": str(place.folder / "gone.pt"), "size": 1, "mtime": 1.0},
        ]
        peer = await hello(place)
        await peer.send(event({"name": "m", "type": "model", "upload": True, "files": told}, row.ARTIFACT))
        await peer.stored(1)
        (found,) = stored(place)
        weights.unlink()
        assert found.data["seen"] is True
        assert found.data["files"][0]["held"] == f"{ID}/0-0"
        assert found.data["files"][1]["lost"] == "vanished"
        assert place.spool.media.path(f"{ID}/0-0").read_bytes() == b"w" * 100
        assert place.spool.media_held() == (0, 100)


async def test_an_artifact_that_may_not_be_read_stays_a_reference() -> None:
    """Of a client that is not of our user, where no folder is allowed; nothing is opened."""
    async with place_of_media() as place:
        weights = place.folder / "weights.pt"
        weights.write_bytes(b"w")
        told = [{"path": "weights.pt", "source": str(weights), "size": 1, "mtime": 1.0, "held": f"{ID}/0-0"}]
        peer = await hello(place)
        inlet = place.intake.find(ID)
        assert inlet is not None
        inlet.sender = inlet.sender._replace(trusted=False)
        await peer.send(
            event({"name": "m", "type": "model", "upload": True, "seen": True, "files": told}, row.ARTIFACT)
        )
        await peer.stored(1)
        (found,) = stored(place)
        assert "seen" not in found.data
        assert not held_files(found)


@pytest.mark.parametrize("origin", [{"via": "b" * 32}, {"posted": ["json", "r1"]}])
async def test_what_comes_from_elsewhere_names_no_files(origin: dict[str, Any]) -> None:
    """By a gateway or a request: whatever folders are allowed, nothing is opened, and no client's file goes."""
    async with place_of_media((Path("/dev/shm"),)) as place:
        mine = put_file(place)
        weights = place.folder / "weights.pt"
        weights.write_bytes(b"w")
        record = {**RECORD, "media_root": str(place.folder / "media"), "posted": origin.get("posted", [])}
        inlet = await place.intake.begin(record, via=origin.get("via"))
        told = [
            {"path": "w", "source": str(weights), "size": 1, "mtime": 1.0},
            {"path": "o", "source": str(mine), "size": len(PICTURE), "owned": True},
        ]
        artifact = {"name": "m", "type": "model", "upload": True, "seen": True, "files": told}
        inlet.take(inlet.stream(), event(medium()) + event(artifact, row.ARTIFACT))
        await place.intake.store([inlet])
        picture, found = stored(place)
        assert "names no files of this machine" in picture.data["lost"]
        assert "seen" not in found.data
        assert not held_files(picture) + held_files(found)
        assert mine.exists()
        assert not list(place.spool.media.files())


@pytest.mark.parametrize("source", ["/etc/hostname", "../x", "relative", 5, "/dev/shm/../../etc/passwd"])
async def test_only_files_below_the_allowed_folders_are_read(source: object) -> None:
    """No other path, and none that leads out of them."""
    async with place_of_media((Path("/dev/shm"),)) as place:
        peer = await hello(place)
        inlet = place.intake.find(ID)
        assert inlet is not None
        inlet.sender = inlet.sender._replace(trusted=False)
        told = [{"path": "x", "source": source, "size": 1, "mtime": 1.0}]
        await peer.send(event({"name": "m", "upload": True, "files": told}, row.ARTIFACT))
        await peer.stored(1)
        assert "lost" in stored(place)[0].data["files"][0]


async def test_an_artifacts_own_files_are_taken_like_media() -> None:
    """Below the client's media folder, whoever it is and whatever folders are allowed; the client's names go, and the
    folders between, when the event is stored, and the session's own when it ends.
    """
    async with place_of_media() as place:
        mine = put_file(place, "ab12/deep/notes.txt", b"own")
        told = [{"path": "notes.txt", "source": f"/elsewhere/media/{ID}/ab12/deep/notes.txt", "size": 3, "owned": True}]
        peer = await hello(place)
        inlet = place.intake.find(ID)
        assert inlet is not None
        inlet.sender = inlet.sender._replace(trusted=False)
        await peer.send(event({"name": "m", "type": "model", "upload": True, "files": told}, row.ARTIFACT))
        await peer.stored(1)
        (found,) = stored(place)
        assert place.spool.media.path(found.data["files"][0]["held"]).read_bytes() == b"own"
        await until(lambda: not mine.parent.parent.exists(), "its folders are gone")
        await peer.send(event({"exit_code": 0}, row.FINISH))
        await peer.stored(2)
        await place.intake.end(inlet)
        assert not (place.folder / "media" / ID).exists()


@pytest.mark.parametrize("below", ["../../spool/spool.db", "link/x", "none"])
async def test_an_artifacts_own_file_lies_below_its_folder(below: str) -> None:
    """Nothing else is taken for it, nor unlinked."""
    async with place_of_media() as place:
        mine = put_file(place)
        other = place.folder / "other"
        other.mkdir()
        (other / "x").write_bytes(b"not yours")
        (mine.parent / "link").symlink_to(other)
        told = [{"path": "x", "source": f"{mine.parent}/{below}", "size": 3, "owned": True}]
        peer = await hello(place)
        await peer.send(event({"name": "m", "upload": True, "files": told}, row.ARTIFACT))
        await peer.stored(1)
        assert "lost" in stored(place)[0].data["files"][0]
        assert (other / "x").exists()
        assert (place.folder / "spool/spool.db").exists()
