"""The SDK's folder: how much it takes, and what may go. Blocks; a file that vanishes meanwhile counts as nothing.

Below it, `wandb/run-…` are folders of online runs: W&B has what is in them, or the spool will send it again, so those
not in use may go. `wandb/offline-run-…` are the only copy of what was delivered to them and are never touched, but for
those that a crash left without a single record, over which `wandb sync` stumbles.
"""

import os
import shutil
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

_HEADER = 7  # bytes that a run's file begins with
_ABANDONED = 300.0  # seconds after which a folder that holds nothing is not one that is just being made


class RunFolder(NamedTuple):
    path: str
    size: int
    changed: float


class Taken(NamedTuple):
    """total: bytes of everything. online: folders of online runs, the longest unchanged first. empty: folders of
    offline runs whose file holds nothing.
    """

    total: int
    online: list[RunFolder]
    empty: list[RunFolder]


def measure(folder: Path) -> Taken:
    total, online, empty = 0, [], []
    for entry in _entries(folder):
        if entry.name != "wandb" or not entry.is_dir(follow_symlinks=False):
            total += _size(entry)
            continue
        for inner in _entries(entry.path):
            size = _size(inner)
            total += size
            if not inner.is_dir(follow_symlinks=False):
                continue
            found = RunFolder(inner.path, size, _changed(inner))
            if inner.name.startswith("run-"):
                online.append(found)
            elif inner.name.startswith("offline-run-") and not _holds_something(inner.path):
                empty.append(found)
    return Taken(total, sorted(online, key=lambda one: one.changed), empty)


def _holds_something(folder: str) -> bool:
    """Whether a run's file is longer than the header it begins with, or is not there yet."""
    files = [entry for entry in _entries(folder) if entry.name.endswith(".wandb")]
    return not files or any(_size(file) > _HEADER for file in files)


def trim(folder: Path, most: int, in_use: Collection[str], now: float) -> Taken:
    """Remove folders of online runs, oldest first, until at most `most` bytes are taken; what is taken then. now: Unix
    time in seconds.
    """
    taken = measure(folder)
    for one in taken.empty:
        if one.path not in in_use and now - one.changed > _ABANDONED:
            shutil.rmtree(one.path, ignore_errors=True)
    total, left = taken.total, []
    for one in taken.online:
        if total > most and one.path not in in_use:
            shutil.rmtree(one.path, ignore_errors=True)
            total -= one.size
        else:
            left.append(one)
    return Taken(total, left, [])


def _entries(folder: str | Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as found:
            return list(found)
    except OSError:
        return []


def _changed(entry: os.DirEntry[str]) -> float:
    try:
        return entry.stat(follow_symlinks=False).st_mtime
    except OSError:
        return 0.0


def _size(entry: os.DirEntry[str]) -> int:
    try:
        if not entry.is_dir(follow_symlinks=False):
            return entry.stat(follow_symlinks=False).st_size
    except OSError:
        return 0
    return sum(_size(inner) for inner in _entries(entry.path))
