"""`rebuild` when the new store cannot be written: that is said, and what was there is as it was."""

from pathlib import Path

import pytest
import yaml
from commands.history import tell
from wayside_collector.commands import rebuild
from wayside_collector.store import Reader, StoreError, Writer
from wayside_collector.store.writer import Written

Capture = pytest.CaptureFixture[str]
LINE = '{"time":5.5,"step":0,"run":"r","rank":0,"session":"%032x","seq":%d,"metrics":{"loss":0.5}}\n'


class FullDisk(Writer):
    """A writer that finds no room."""

    def write(self, *asked: object, **options: object) -> Written:
        raise StoreError("the disk is full")


@pytest.fixture
def configured(tmp_path: Path) -> Path:
    """A configuration with a store, of which nothing is there yet, and three JSON lines."""
    config = {"dir": str(tmp_path / "data"), "sinks": {"store": {}, "jsonl": {"path": str(tmp_path)}}, "sources": {}}
    path = tmp_path / "wayside.yaml"
    path.write_text(yaml.safe_dump(config))
    (tmp_path / "rows-1.jsonl").write_text("".join(LINE % (1, seq) for seq in range(3)))
    (tmp_path / "data" / "store").mkdir(parents=True)
    return path


def test_the_old_store_stays(configured: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reason is told without advice that does not fit; the store answers as before, and no half one is left."""
    assert tell(capsys, "rebuild", "--config", str(configured)).code == 0
    folder = configured.parent / "data" / "store"
    before = sorted(path.name for path in folder.iterdir())
    monkeypatch.setattr(rebuild, "Writer", FullDisk)
    told = tell(capsys, "rebuild", "--config", str(configured))
    assert (told.code, told.out) == (1, "")
    assert "not rebuilt: the disk is full; nothing was changed\n" in told.err
    assert "--url" not in told.err
    assert sorted(path.name for path in folder.iterdir()) == before
    reader = Reader(str(folder / "store.db"))
    assert reader.run("r").id == "r"
    reader.close()


def test_elsewhere(configured: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    """Into a store that is there already nothing is said to be unchanged; one that cannot be asked is named."""
    place = str(configured.parent / "other.db")
    with monkeypatch.context() as patch:
        patch.setattr(rebuild, "Writer", FullDisk)
        told = tell(capsys, "rebuild", "--config", str(configured), "--to", place)
    assert (told.code, "not rebuilt: the disk is full; what is written so far stays" in told.err) == (1, True)
    told = tell(capsys, "rebuild", "--config", str(configured), "--to", "postgresql://who:s3cret@127.0.0.1:1/none")
    assert (told.code, "not rebuilt: " in told.err, "s3cret" in told.err + told.out) == (1, True, False)
