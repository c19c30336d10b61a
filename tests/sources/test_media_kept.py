"""A user's files that his client kept as they were logged: taken first, and what is gone or changed is told."""

import logging
import os
from pathlib import Path
from typing import Any

import pytest
from sources.place import RECORD, Place, until
from sources.test_media import event, hello, place_of_media, put_file, stored
from wayside import row

pytestmark = pytest.mark.asyncio

ID = RECORD["session"]


async def log_files(place: Place, *files: dict[str, Any]) -> list[dict[str, Any]]:
    """What becomes of the files of an artifact."""
    peer = await hello(place)
    await peer.send(event({"name": "m", "type": "model", "upload": True, "files": list(files)}, row.ARTIFACT))
    await peer.stored(1)
    found: list[dict[str, Any]] = stored(place)[0].data["files"]
    return found


async def test_what_was_kept_goes_before_what_lies_there_now() -> None:
    """The file may be gone or another one; the client's name of it goes when the event is stored."""
    async with place_of_media((Path("/dev/shm"),)) as place:
        over = place.folder / "over.pt"
        over.write_bytes(b"second")
        names = [put_file(place, f"ab12/{index}", b"first") for index in range(2)]
        for name in names:
            os.utime(name, (1.0, 1.0))
        told = {"size": 5, "mtime": 1.0}
        files = await log_files(
            place,
            {"path": "gone.pt", "source": str(place.folder / "gone.pt"), "kept": "ab12/0", **told},
            {"path": "over.pt", "source": str(over), "kept": "ab12/1", **told},
        )
        assert [place.spool.media.path(file["held"]).read_bytes() for file in files] == [b"first"] * 2
        assert [Path(file["source"]).name for file in files] == ["gone.pt", "over.pt"]
        assert not any({"lost", "changed", "kept"} & set(file) for file in files)
        await until(lambda: not any(name.exists() for name in names), "the client's names are gone")


@pytest.mark.parametrize("kept", ["ab12/0", "../../spool/spool.db", 3])
async def test_what_cannot_be_had_so_is_read_where_it_lies(kept: object) -> None:
    """Whatever is said of it; and a file that has been written over since is marked."""
    async with place_of_media((Path("/dev/shm"),)) as place:
        over = place.folder / "over.pt"
        over.write_bytes(b"second")
        found = {"path": "over.pt", "source": str(over), "kept": kept, "size": 5, "mtime": 1.0}
        (file,) = await log_files(place, found)
        assert place.spool.media.path(file["held"]).read_bytes() == b"second"
        assert (file["changed"], "lost" in file) == (True, False)
        assert (place.folder / "spool").exists()


async def test_what_is_gone_or_changed_is_told(caplog: pytest.LogCaptureFixture) -> None:
    """A warning of each artifact: how many files, and which is the first."""
    caplog.set_level(logging.WARNING)
    async with place_of_media((Path("/dev/shm"),)) as place:
        over = place.folder / "over.pt"
        over.write_bytes(b"second")
        gone = {"path": "gone.pt", "source": str(place.folder / "gone.pt"), "size": 5, "mtime": 1.0}
        await log_files(place, gone, {**gone, "path": "b"}, dict(gone, path="over.pt", source=str(over)))
        said = [record.getMessage() for record in caplog.records if "artifact" in record.getMessage()]
        assert len(said) == 2
        words = (("2 of 3 files", "gone.pt", "vanished"), ("1 of 3 files", "over.pt", "written over"))
        assert all(word in line for line, wanted in zip(said, words, strict=True) for word in wanted)
