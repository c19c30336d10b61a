"""The SDK's folder: how much it takes, and what may go. Blocks; a file that vanishes meanwhile counts as nothing.

Below it, `wandb/run-…` are folders of online runs: W&B has what is in them, or the spool will send it again, so those
not in use may go. `wandb/offline-run-…` are the only copy of what was delivered to them, and are never touched.
"""

import os
import shutil
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple


class RunFolder(NamedTuple):
    path: str
    size: int
    changed: float


class Taken(NamedTuple):
    """total: bytes of everything. online: folders of online runs, the longest unchanged first."""

    total: int
    online: list[RunFolder]


def measure(folder: Path) -> Taken:
    total, online = 0, []
    for entry in _entries(folder):
        if entry.name != "wandb" or not entry.is_dir(follow_symlinks=False):
            total += _size(entry)
            continue
        for inner in _entries(entry.path):
            size = _size(inner)
            total += size
            if inner.name.startswith("run-") and inner.is_dir(follow_symlinks=False):
                online.append(RunFolder(inner.path, size, inner.stat(follow_symlinks=False).st_mtime))
    return Taken(total, sorted(online, key=lambda one: one.changed))


def trim(folder: Path, most: int, in_use: Collection[str]) -> Taken:
    """Remove folders of online runs, oldest first, until at most `most` bytes are taken; what is taken then."""
    taken = measure(folder)
    total, left = taken.total, []
    for one in taken.online:
        if total > most and one.path not in in_use:
            shutil.rmtree(one.path, ignore_errors=True)
            total -= one.size
        else:
            left.append(one)
    return Taken(total, left)


def _entries(folder: str | Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as found:
            return list(found)
    except OSError:
        return []


def _size(entry: os.DirEntry[str]) -> int:
    try:
        if not entry.is_dir(follow_symlinks=False):
            return entry.stat(follow_symlinks=False).st_size
    except OSError:
        return 0
    return sum(_size(inner) for inner in _entries(entry.path))
