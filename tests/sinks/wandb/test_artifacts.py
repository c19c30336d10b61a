"""Artifacts and saved files at W&B, through the real SDK; offline, too."""

import json
from pathlib import Path

import pytest
from sinks.wandb.media import PICTURE, holding, inline, media, row
from standins.wandb_backend import WandbBackend
from standins.wandb_pump import MiniPump
from wayside.row import ARTIFACT, SAVE
from wayside_collector.testing import make_event, make_parcel, make_session

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(100)]


async def test_an_artifact_with_files_and_references(backend: WandbBackend, pump: MiniPump, tmp_path: Path) -> None:
    """Its files' bytes, a reference to what cannot be seen, description, metadata and aliases; once, though it is sent
    again after a restart.
    """
    (holding(pump, tmp_path) / "0-0").write_bytes(b"weights")
    held = {"path": "sub/weights.pt", "held": "0-0", "source": "/x/weights.pt"}
    told = {
        "name": "my model!", "type": "model", "description": "d", "aliases": ["best", "latest"], "metadata": {"k": 1},
        "upload": True, "seen": True, "files": [held, {"path": "b", "lost": "vanished"}],
        "references": [{"name": "data", "uri": "s3://bucket/key", "size": 5}],
    }  # fmt: skip
    session = make_session("r1")
    await pump.deliver(make_parcel(session, [make_event(ARTIFACT, told, seq=0, step=3), row(1, 10)]), 50)
    (artifact,) = backend.artifacts
    assert (artifact.name, artifact.type, artifact.aliases) == ("my-model-", "model", ["best", "latest"])
    assert (artifact.asked["description"], json.loads(artifact.asked["metadata"])) == ("d", {"k": 1})
    assert backend.uploads[f"artifacts/{artifact.id}/sub/weights.pt"] == b"weights"
    manifest = json.loads(backend.uploads[f"artifacts/{artifact.id}/wandb_manifest.json"])
    assert manifest["contents"]["data"]["ref"] == "s3://bucket/key"
    assert pump.counts["files_lost"] == 1
    assert len(backend.run("r1").rows) == 1
    await pump.reopen()
    holding(pump, tmp_path)
    pump.done.clear()
    await pump.deliver(make_parcel(session, [make_event(ARTIFACT, told, seq=0, step=3)]), 50)
    assert len(backend.artifacts) == 1


@pytest.mark.long
async def test_an_artifact_that_is_refused_is_a_dead_letter(backend: WandbBackend, pump: MiniPump) -> None:
    """With W&B's words; the rows beside it arrive."""
    backend.fail("CreateArtifact", 400, body='{"errors": [{"message": "no such type"}]}', times=100)
    session = make_session("r1")
    told = {"name": "m", "type": "model", "references": [{"name": "d", "uri": "s3://b/k"}]}
    await pump.deliver(make_parcel(session, [make_event(ARTIFACT, told, seq=0), row(1, 1)]), 60)
    assert "no such type" in pump.rejected[session.id, 0]
    assert len(backend.run("r1").rows) == 1


@pytest.mark.long
async def test_files_that_cannot_be_seen_are_references(backend: WandbBackend, pump: MiniPump) -> None:
    """An artifact of a trainer whose files the collector may not read says where they are."""
    told = {"name": "m", "type": "model", "files": [{"path": "w.pt", "source": "/data/w.pt", "size": 3}]}
    await pump.deliver(make_parcel(make_session("r1"), [make_event(ARTIFACT, told, seq=0)]), 50)
    (artifact,) = backend.artifacts
    manifest = json.loads(backend.uploads[f"artifacts/{artifact.id}/wandb_manifest.json"])
    assert manifest["contents"]["w.pt"]["ref"] == "file:///data/w.pt"


async def test_saved_files_are_files_of_the_run(backend: WandbBackend, pump: MiniPump, tmp_path: Path) -> None:
    """Also at the top of its folder; a path stays in it."""
    folder = holding(pump, tmp_path)
    (folder / "0-0").write_bytes(b"one")
    (folder / "0-1").write_bytes(b"two")
    files = [{"path": "notes.txt", "held": "0-0"}, {"path": "../../deep/b.txt", "held": "0-1"}]
    await pump.deliver(
        make_parcel(make_session("r1"), [make_event(SAVE, {"policy": "now", "files": files}, seq=0)]), 50
    )
    assert (backend.uploads["notes.txt"], backend.uploads["deep/b.txt"]) == (b"one", b"two")


async def test_offline_the_files_lie_in_the_runs_folder(offline: MiniPump, tmp_path: Path) -> None:
    """Where `wandb sync` finds them; they are delivered when they and their line are on disk."""
    held = holding(offline, tmp_path) / "0-0"
    held.write_bytes(b"weights")
    told = {"name": "m", "type": "model", "files": [{"path": "w.pt", "held": "0-0"}]}
    picture = media(1, "x", type="image", **inline(PICTURE, "png"))
    await offline.deliver(make_parcel(make_session("r1"), [row(0, 10), picture, make_event(ARTIFACT, told, seq=2)]), 30)
    assert found(tmp_path, "media/images/x_*.png") == [PICTURE]
    held.unlink()
    assert b"weights" in found(tmp_path, "staging/**/*"), "the spool's file goes when it is delivered"
    assert offline.retries == []


def found(folder: Path, pattern: str) -> list[bytes]:
    return [path.read_bytes() for path in folder.rglob(pattern) if path.is_file()]
