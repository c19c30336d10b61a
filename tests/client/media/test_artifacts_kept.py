"""What the client keeps of a user's files when an artifact is logged: scripts delete and overwrite them at once."""

from pathlib import Path
from typing import Any

import pytest
import wayside
from client.conftest import Place
from client.media.heard import finished, of_kind
from wayside.media import place as places
from wayside.media import staging
from wayside.media.medium import READ_AT_ONCE

SESSION = "0" * 32


@pytest.fixture
def run(place: Place) -> wayside.Run:
    return wayside.init(project="p")


def kept_below(place: Place) -> tuple[Path, list[dict[str, Any]]]:
    """The session's media folder, and the files that its first artifact lists."""
    found = finished(place)
    record = found.records[0]
    return Path(str(record["media_root"])) / str(record["session"]), of_kind(found, "artifact")[0]["files"]


def test_a_small_file_is_kept_as_it_was_logged(run: wayside.Run, place: Place, tmp_path: Path) -> None:
    """Whether it is deleted afterwards, or written over in place; its path stays its own."""
    paths = [tmp_path / "gone.pt", tmp_path / "over.pt"]
    artifact = wayside.Artifact("ckpt", "model")
    for path in paths:
        path.write_bytes(b"first")
        artifact.add_file(str(path))
    times = [path.stat().st_mtime for path in paths]
    run.log_artifact(artifact)
    run.log_artifact(artifact)
    paths[0].unlink()
    paths[1].write_bytes(b"second, and longer")
    home, files = kept_below(place)
    assert [(file["source"], file["size"], file["mtime"]) for file in files] == [
        (str(path), 5, time) for path, time in zip(paths, times, strict=True)
    ]
    kept = [home / file["kept"] for file in files]
    assert [path.read_bytes() for path in kept] == [b"first"] * 2
    assert [path.stat().st_mtime for path in kept] == pytest.approx(times, abs=1e-4)


def test_a_large_file_is_kept_by_another_name(run: wayside.Run, place: Place) -> None:
    """Where one file system holds both: nothing is copied, and deleting it deletes no byte."""
    weights = place.beside / "weights.pt"
    weights.write_bytes(bytes(READ_AT_ONCE + 1))
    number = weights.stat().st_ino
    run.log_artifact(str(weights), name="ckpt")
    weights.unlink()
    home, (file,) = kept_below(place)
    assert (home / file["kept"]).stat().st_ino == number


def test_no_more_is_copied_in_a_call(
    run: wayside.Run, place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is beyond is linked where it can be, else read where it lies; nor does the folder pass its limit."""
    monkeypatch.setattr("wayside.media.staging.MAX_COPIED", 10)
    for index in range(3):
        (place.beside / f"{index}.pt").write_bytes(bytes(5))
    artifact = wayside.Artifact("ckpt", "model")
    artifact.add_dir(str(place.beside), name="data")
    artifact._entries = {name: one for name, one in artifact._entries.items() if name.endswith(".pt")}
    run.log_artifact(artifact)
    monkeypatch.setattr("wayside.media.staging.MEMORY_LIMIT", 19)
    monkeypatch.setattr("wayside.media.staging.RUN_LIMIT", 19)
    run.log_artifact(artifact)
    home, files = kept_below(place)
    assert [(home / file["kept"]).stat().st_nlink for file in files] == [1, 1, 2]
    second = of_kind(finished(place), "artifact")[1]["files"]
    assert ["kept" in file for file in second] == [False, False, False]


def test_what_was_written_into_it_may_be_logged_again(run: wayside.Run, place: Place) -> None:
    """Also when the collector has taken its files by then, as `link_artifact` does after `log_artifact`."""
    artifact = wayside.Artifact("notes", "text")
    with artifact.new_file("a.txt") as file:
        file.write("hello")
    run.log_artifact(artifact)
    Path(str(artifact.files()[0].local_path)).unlink()
    run.link_artifact(artifact, "registry")
    assert len(of_kind(finished(place), "artifact")) == 2


def test_what_a_script_writes_is_not_written_into_memory(
    memory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be gigabytes, for which the pod is charged: it lies below WAYSIDE_DIR, and moves where it finds room."""
    monkeypatch.setenv("WAYSIDE_DIR", str(tmp_path))
    monkeypatch.setattr(places, "_latest", str(memory / "media"))
    monkeypatch.setattr(staging, "MEMORY_LIMIT", 5)
    for text, moves in (("small", True), ("larger", False)):
        folder = Path(staging.new_folder())
        assert folder.parent == tmp_path / "media"
        (folder / "model.pt").write_text(text)
        now = Path(staging.hand_in(str(folder), str(memory / "media"), SESSION))
        assert (now / "model.pt").read_text() == text
        assert (now.parent == memory / "media" / SESSION, folder.exists()) == (moves, not moves)
