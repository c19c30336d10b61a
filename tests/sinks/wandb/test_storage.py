"""The SDK's folder and its limit."""

import os
from pathlib import Path

from wayside_collector.sinks.wandb.storage import measure, trim

NOW = 1_767_225_600.0


def run(folder: Path, name: str, size: int, age: float) -> str:
    path = folder / "wandb" / name
    (path / "logs").mkdir(parents=True)
    (path / "run-r.wandb").write_bytes(bytes(size))
    os.utime(path, (NOW - age, NOW - age))
    return str(path)


def test_everything_is_counted(tmp_path):
    """The ledger beside the run folders counts, too."""
    run(tmp_path, "run-1", 1000, 10)
    (tmp_path / "ledger").write_bytes(bytes(500))
    assert measure(tmp_path).total == 1500
    assert measure(tmp_path / "nowhere").total == 0


def test_online_folders_go_oldest_first(tmp_path):
    """Only as many as it takes, never one in use: W&B has what is in them."""
    oldest = run(tmp_path, "run-b", 1000, 300)
    in_use = run(tmp_path, "run-a", 1000, 400)
    newest = run(tmp_path, "run-c", 1000, 100)
    assert trim(tmp_path, 2500, {in_use}, NOW).total == 2000
    assert not Path(oldest).exists()
    assert Path(in_use).exists()
    assert Path(newest).exists()


def test_offline_folders_are_never_removed(tmp_path):
    """They are the only copy of what was delivered, synced or not."""
    offline = run(tmp_path, "offline-run-a", 5000, 4000)
    (Path(offline) / "run-r.wandb.synced").touch()
    assert trim(tmp_path, 100, set(), NOW).total == 5000
    assert Path(offline).exists()


def test_an_offline_folder_without_a_record_goes_after_a_while(tmp_path):
    """A crash while a run was being opened leaves a file of a header, over which `wandb sync` stumbles."""
    old = run(tmp_path, "offline-run-old", 7, 1000)
    new = run(tmp_path, "offline-run-new", 7, 10)
    used = run(tmp_path, "offline-run-used", 0, 1000)
    trim(tmp_path, 100, {used}, NOW)
    assert [Path(path).exists() for path in (old, new, used)] == [False, True, True]
