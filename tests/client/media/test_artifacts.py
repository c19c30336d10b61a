"""Artifacts: named as wandb's, listing files by path; what a script writes into one is ours and goes with its event."""

import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import wayside
from client.conftest import Place
from client.media.heard import finished, of_kind
from wayside import surface
from wayside.media.artifacts import MAX_FILES, MAX_METADATA, MAX_NAME, Artifact


@pytest.fixture
def run(place: Place) -> wayside.Run:
    return wayside.init(project="p")


def artifacts(place: Place) -> list[dict[str, Any]]:
    return of_kind(finished(place), "artifact")


def test_files_and_folders_by_path(run: wayside.Run, place: Place, tmp_path: Path) -> None:
    """Each is listed under its name there, with where it lies, its size and its time."""
    model = tmp_path / "model.pt"
    model.write_bytes(b"weights")
    (tmp_path / "data/deep").mkdir(parents=True)
    (tmp_path / "data/deep/a.txt").write_text("a")
    (tmp_path / "data/b.txt").write_text("bb")
    artifact = wayside.Artifact("ckpt", "model", description="best", metadata={"loss": 0.5, "array": np.float32(1)})
    assert artifact.add_file(str(model), name="weights/last.pt").path == "weights/last.pt"
    artifact.add_dir(str(tmp_path / "data"), name="data")
    artifact.add_reference("s3://bucket/key", checksum=False)
    assert (artifact.size, artifact.file_count) == (10, 4)
    assert run.log_artifact(artifact, aliases=["best", "latest"]) is artifact
    assert artifact.wait() is artifact
    (told,) = artifacts(place)
    assert {key: told[key] for key in ("name", "type", "description", "aliases", "metadata", "upload", "left_out")} == {
        **{"name": "ckpt", "type": "model", "description": "best", "aliases": ["best", "latest"]},
        **{"metadata": {"loss": 0.5, "array": 1.0}, "upload": True, "left_out": 0},
    }
    files = [(file["path"], file["source"], file["size"]) for file in told["files"]]
    assert files == [
        ("weights/last.pt", str(model), 7),
        ("data/b.txt", str(tmp_path / "data/b.txt"), 2),
        ("data/deep/a.txt", str(tmp_path / "data/deep/a.txt"), 1),
    ]
    assert told["files"][0]["mtime"] == model.stat().st_mtime
    assert told["references"] == [{"name": "key", "uri": "s3://bucket/key"}]


def test_an_addresss_secrets_are_not_kept(run: wayside.Run, place: Place) -> None:
    """Passwords and signatures of a reference, as in a presigned address, are in neither the address nor the name."""
    artifact = wayside.Artifact("data", "dataset")
    artifact.add_reference("https://user:hunter2secret@host/set/x.bin?X-Amz-Signature=abcdef&token=tok3n")
    run.log_artifact(artifact)
    (told,) = artifacts(place)
    assert told["references"] == [{"name": "x.bin", "uri": "https://host/set/x.bin"}]


def test_what_the_script_writes(run: wayside.Run, place: Place) -> None:
    """Lies in the session's folder when it is logged, marked as ours, with a digest."""
    artifact = wayside.Artifact("notes", "text")
    with artifact.new_file("deep/readme.md", mode="w") as file:
        file.write("hello")
    with artifact.new_file("raw", mode="w+b") as file:
        file.write(b"\x00")
    artifact.add(wayside.Table(columns=["a"], data=[[wayside.Image(np.ones((2, 2)))]]), "eval")
    artifact["picture"] = wayside.Image(np.ones((2, 2)))
    wayside.log_artifact(artifact)
    found = finished(place)
    (told,) = of_kind(found, "artifact")
    home = Path(str(found.records[0]["media_root"])) / str(found.records[0]["session"])
    assert [file["path"] for file in told["files"]] == ["deep/readme.md", "raw", "eval.table.json", "picture.png"]
    for file in told["files"]:
        data = Path(file["source"]).read_bytes()
        assert file["owned"]
        assert Path(file["source"]).is_relative_to(home)
        assert (file["size"], file["sha256"]) == (len(data), hashlib.sha256(data).hexdigest())
    table = json.loads((home / os.path.relpath(told["files"][2]["source"], home)).read_text())
    assert table["columns"] == ["a"]
    assert table["rows"][0][0]["media"]["type"] == "image"


def test_what_the_script_wrote_is_gone(run: wayside.Run, place: Place) -> None:
    """Another process emptied the folder: logging it raises nothing, and lists the file without a digest."""
    artifact = wayside.Artifact("notes", "text")
    with artifact.new_file("a", mode="w") as file:
        file.write("x")
    assert artifact._folder is not None
    shutil.rmtree(artifact._folder)
    run.log_artifact(artifact)
    (told,) = artifacts(place)
    assert [(entry["path"], "sha256" in entry) for entry in told["files"]] == [("a", False)]


def test_an_artifact_made_before_the_run(place: Place) -> None:
    """What was written into it goes where the run's media go."""
    artifact = wayside.Artifact("early", "text")
    with artifact.new_file("a", mode="w") as file:
        file.write("x")
    run = wayside.init()
    run.log_artifact(artifact)
    found = finished(place)
    (told,) = of_kind(found, "artifact")
    assert str(found.records[0]["session"]) in told["files"][0]["source"]
    assert Path(told["files"][0]["source"]).read_text() == "x"


def test_a_path_is_an_artifact(run: wayside.Run, place: Place, tmp_path: Path) -> None:
    """A file or a folder, with wandb's own name for it unless one is given; without aliases it is the latest."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out/a").write_text("a")
    wayside.log_artifact(str(tmp_path / "out"), name="out", type="dataset", aliases=["v1"])
    wayside.log_artifact(tmp_path / "out/a")
    wayside.log_model(tmp_path / "out/a", "m")
    wayside.log_artifact("s3://bucket/key", "far", "dataset")
    told = artifacts(place)
    assert [(one["name"], one["type"], one["aliases"]) for one in told] == [
        ("out", "dataset", ["v1"]),
        (f"run-{run.id}-a", "unspecified", ["latest"]),
        ("m", "model", ["latest"]),
        ("far", "dataset", ["latest"]),
    ]
    assert told[-1]["references"] == [{"name": "key", "uri": "s3://bucket/key"}]


def test_a_path_that_is_not_there(run: wayside.Run, tmp_path: Path) -> None:
    """Is a ValueError, as with wandb."""
    with pytest.raises(ValueError, match="nothing is at"):
        run.log_artifact(tmp_path / "none")
    artifact = wayside.Artifact("a", "t")
    with pytest.raises(ValueError, match="Path is not a file"):
        artifact.add_file(str(tmp_path))
    with pytest.raises(ValueError, match="Path is not a directory"):
        artifact.add_dir(str(tmp_path / "none"))


@pytest.mark.parametrize(
    ("name", "kind", "named", "message"),
    [
        ("a b", "t", {}, "may only contain"),
        ("x" * (MAX_NAME + 1), "t", {}, "longer than 128"),
        ("a", "wandb-x", {}, "reserved"),
        ("a", "t", {"metadata": {str(key): 0 for key in range(MAX_METADATA + 1)}}, "more than 100 metadata keys"),
    ],
)
def test_what_wandb_refuses(name: str, kind: str, named: Any, message: str) -> None:
    """Is refused with its words."""
    with pytest.raises(ValueError, match=message):
        Artifact(name, kind, **named)


@pytest.mark.parametrize("name", ["../a", "a/../../b", "/", ""])
def test_a_name_stays_within(name: str, tmp_path: Path) -> None:
    """What leads out of an artifact is no name in it."""
    path = tmp_path / "f"
    path.write_text("x")
    with pytest.raises(ValueError, match="no name within an artifact"):
        Artifact("a", "t").add_reference("s3://b/k", name=name or "/")


def test_the_same_name_again(tmp_path: Path) -> None:
    """Replaces the file; a new file of a name that is there is refused; removing takes out a folder's files, too."""
    path = tmp_path / "f"
    path.write_text("x")
    artifact = Artifact("a", "t")
    artifact.add_file(str(path), name="d/f")
    artifact.add_file(str(path), name="d/f")
    artifact.add_file(str(path), name="e")
    assert artifact.get_entry("d/f").local_path == str(path)
    artifact.remove("d")
    assert [entry.path for entry in artifact.files()] == ["e"]
    with pytest.raises(FileNotFoundError):
        artifact.remove("d")
    with pytest.raises(KeyError):
        artifact.get_path("d/f")


def test_files_have_a_limit(run: wayside.Run, place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """Those beyond are counted in the event, and told."""
    artifact = Artifact("a", "t")
    for number in range(MAX_FILES + 3):
        artifact.add_reference(f"s3://b/{number}")
    run.log_artifact(artifact)
    (told,) = artifacts(place)
    assert (len(told["references"]), told["left_out"]) == (MAX_FILES, 3)
    assert "3 files are beyond what one artifact may list" in capsys.readouterr().err


def test_an_event_of_files_fits_a_frame(
    run: wayside.Run, place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long the names are; what is left out is counted."""
    monkeypatch.setattr(surface, "MAX_MANIFEST", 20_000)
    (tmp_path / "d").mkdir()
    for number in range(400):
        (tmp_path / "d" / f"{number:0100d}").write_text("x")
    run.log_artifact(tmp_path / "d", name="d")
    (told,) = artifacts(place)
    assert 0 < len(told["files"]) < 400
    assert len(told["files"]) + told["left_out"] == 400


def test_paths_are_not_masked(run: wayside.Run, place: Place, tmp_path: Path) -> None:
    """What looks like a key in a path must be found again; in the metadata it is masked."""
    secret = "ghp_" + "aB3d" * 9
    path = tmp_path / secret
    path.write_text("x")
    artifact = Artifact("a", "t", metadata={"note": f"key {secret}"})
    artifact.add_file(str(path))
    run.log_artifact(artifact)
    (told,) = artifacts(place)
    assert told["files"][0]["source"] == str(path)
    assert secret not in told["metadata"]["note"]


def test_saved_files(run: wayside.Run, place: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By pattern, under their names below the base; what is returned are paths, and no match is told."""
    (tmp_path / "ckpt/one").mkdir(parents=True)
    for name in ("ckpt/one/a.pt", "ckpt/b.pt"):
        (tmp_path / name).write_text("x")
    every = str(tmp_path / "ckpt/**/*.pt")
    assert sorted(wayside.save(every, base_path=str(tmp_path))) == sorted(
        str(tmp_path / name) for name in ("ckpt/one/a.pt", "ckpt/b.pt")
    )
    assert run.save(str(tmp_path / "ckpt/b.pt"), policy="now") == [str(tmp_path / "ckpt/b.pt")]
    assert run.save(str(tmp_path / "none.*")) == []
    assert "matches no file" in capsys.readouterr().err
    with pytest.raises(ValueError, match="policies are currently supported"):
        run.save(every, policy="often")
    first, second = of_kind(finished(place), "save")
    assert sorted(file["path"] for file in first["files"]) == ["ckpt/b.pt", "ckpt/one/a.pt"]
    assert first["policy"] == "live"
    assert [(file["path"], file["source"]) for file in second["files"]] == [("b.pt", str(tmp_path / "ckpt/b.pt"))]


def test_so_many_files_are_saved(
    run: wayside.Run, place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those beyond are counted in the event."""
    monkeypatch.setattr(surface, "MAX_SAVED", 3)
    for number in range(5):
        (tmp_path / f"{number}.pt").write_text("x")
    run.save(str(tmp_path / "*.pt"))
    (told,) = of_kind(finished(place), "save")
    assert (len(told["files"]), told["left_out"]) == (3, 2)


def test_what_is_in_the_runs_own_folder(run: wayside.Run, place: Place) -> None:
    """Is kept at the end, as wandb does with it; a folder nobody wrote into, or asked for, is not told of."""
    own = Path(run.dir)
    (own / "deep").mkdir()
    (own / "model.h5").write_text("weights")
    (own / "deep/notes[1].txt").write_text("n")
    (told,) = of_kind(finished(place), "save")
    assert sorted(file["path"] for file in told["files"]) == ["deep/notes[1].txt", "model.h5"]
    assert told["policy"] == "end"


def test_an_empty_folder_of_the_runs_own(run: wayside.Run, place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """Says nothing."""
    assert list(Path(run.dir).iterdir()) == []
    assert of_kind(finished(place), "save") == []
    assert "save" not in capsys.readouterr().err


def test_a_folder_of_the_runs_own_that_is_gone(run: wayside.Run, place: Place) -> None:
    """Costs nothing: the run ends as ever."""
    os.rmdir(run.dir)
    assert [event.kind for event in finished(place).events][-1] == "finish"
