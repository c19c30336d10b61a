"""Folders of collectors that are gone, such as those of deleted pods on a node: which there are, since when nobody has
them, and what became of each. What they hold is delivered by `commands/adopting.py`.

That a folder is nobody's is known by its locks: the spool's, and those of journals, which end with their processes,
also in another container. That it stays so is known by waiting: a sidecar that crashed comes back, after five minutes
at most, and must find its folder as it left it.
"""

import contextlib
import logging
import os
import shutil
import stat
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from wayside.segments import JOURNALS

from ..spool.lock import holder_of
from .segments import Owner, holds_frames, journal_folders, owner_of

QUIET = 20.0  #: seconds a folder must be nobody's before it is taken: a collector that is restarted at once has it back
AGAIN = 60.0  #: seconds before the next attempt at a folder in which something was left
FORGOTTEN = 3600.0  #: seconds an empty folder stays nobody's before it goes: kubelet restarts after five minutes
UNUSED = 30 * 86400.0  #: seconds after which a folder goes that nothing was ever kept in: its pod may still live
MAX_FOLDERS = 10_000  #: looked at below one root: a node has some hundred pods a day

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Adopted:
    """What came of it since the start. emptied: folders all of which was delivered. left: those in which something is
    waiting.
    """

    emptied: int = 0
    left: int = 0
    removed: int = 0
    last_error: str | None = None


@dataclass(slots=True)
class _Seen:
    """A folder that is nobody's. next_try: not before, on the clock. emptied: when that was found."""

    since: float
    next_try: float = 0.0
    emptied: float | None = None
    left: bool = False


class Abandoned:
    """below: roots; each folder in them is one collector's. clock: seconds that only grow."""

    def __init__(self, below: Iterable[Path], clock: Callable[[], float] = time.monotonic) -> None:
        self.adopted = Adopted()
        self._below = list(below)
        self._clock = clock
        self._seen: dict[Path, _Seen] = {}

    def look(self) -> list[Path]:
        """Folders whose turn it is to be emptied. Removes those that were, long enough ago. Blocks."""
        now = self._clock()
        folders = [folder for root in self._below for folder in _folders(root)]
        self._seen = {folder: seen for folder, seen in self._seen.items() if folder in set(folders)}
        due = []
        for folder in folders:
            if _is_somebodys(folder):
                self._seen.pop(folder, None)
                continue
            seen = self._seen.setdefault(folder, _Seen(now))
            if not _is_used(folder):
                if time.time() - _modified(folder) > UNUSED:
                    self._remove_unused(folder)
            elif seen.emptied is not None:
                if now - seen.emptied > FORGOTTEN:
                    self._remove(folder)
            elif now - seen.since >= QUIET and now >= seen.next_try:
                due.append(folder)
        self._count()
        return due

    def emptied(self, folder: Path) -> None:
        """All of it is delivered."""
        self.adopted.emptied += 1
        seen = self._seen.setdefault(folder, _Seen(self._clock()))
        seen.emptied, seen.left = self._clock(), False
        self._count()

    def left(self, folder: Path, why: str) -> None:
        """Something is left in it: later again."""
        seen = self._seen.setdefault(folder, _Seen(self._clock()))
        if self.adopted.last_error != why:
            log.warning("%s is not empty yet, tried again: %s", folder, why)
        self.adopted.last_error = why
        seen.next_try, seen.left = self._clock() + AGAIN, True
        self._count()

    def _count(self) -> None:
        self.adopted.left = sum(seen.left for seen in self._seen.values())
        if not self.adopted.left:
            self.adopted.last_error = None

    def _remove_unused(self, folder: Path) -> None:
        """Only what is empty: a folder with anything in it that is not ours is somebody else's."""
        with contextlib.suppress(OSError):
            if _is_plain(folder / JOURNALS):
                (folder / JOURNALS).rmdir()
            folder.rmdir()
            self._seen.pop(folder, None)
            self.adopted.removed += 1
            log.info("removed %s, which was empty: nothing was ever kept there", folder)

    def _remove(self, folder: Path) -> None:
        if (why := undelivered_in(folder)) is not None:
            self._seen[folder].emptied = None
            self.left(folder, why)
            return
        try:
            shutil.rmtree(folder)
        except OSError as problem:
            self.left(folder, f"it cannot be removed: {problem.strerror}")
            return
        self._seen.pop(folder, None)
        self.adopted.removed += 1
        log.info("removed %s: everything in it was delivered, and nobody came back for it", folder)


def undelivered_in(folder: Path) -> str | None:
    """What waits there for a person, whatever its collector delivered, in words: journals that nobody was to take, and
    what could not be read. None when nothing does.
    """
    kept = sum(holds_frames(journal) for journal in journal_folders(folder))
    if kept:
        return f"{kept} journals kept offline: `wayside-collector sync {folder}`"
    damaged = folder / "spool" / "damaged"
    pieces = sum(len(names) for _, _, names in os.walk(damaged))
    return f"{pieces} pieces that could not be read: look at {damaged}, then remove it" if pieces else None


def _folders(root: Path) -> list[Path]:
    """Folders, and no links to any: who may write there must not lead us elsewhere."""
    try:
        with os.scandir(root) as entries:
            found = [Path(entry.path) for entry in entries if entry.is_dir(follow_symlinks=False)]
    except OSError:
        return []  # no pod has been here yet
    return sorted(found)[:MAX_FOLDERS]


def _is_plain(folder: Path) -> bool:
    try:
        return stat.S_ISDIR(folder.lstat().st_mode)
    except OSError:
        return False


def _is_used(folder: Path) -> bool:
    """Whether it bears a mark of ours: a spool's lock, or a session's journal. Others, too, call a folder `spool`."""
    spool = folder / "spool"
    if _is_plain(spool) and os.path.lexists(spool / "lock"):
        return True
    return _is_plain(folder / JOURNALS) and bool(journal_folders(folder))


def _is_somebodys(folder: Path) -> bool:
    """Whether a collector has its spool, or a process writes a journal. What is a link is not looked through: closing
    a file of our own spool would give up our own lock.
    """
    spool = folder / "spool"
    if _is_plain(spool) and not (spool / "lock").is_symlink() and holder_of(spool / "lock") is not None:
        return True
    if not _is_plain(folder / JOURNALS):
        return False
    return any(owner_of(journal) is Owner.LIVES for journal in journal_folders(folder))


def _modified(folder: Path) -> float:
    try:
        return folder.stat().st_mtime
    except OSError:
        return time.time()
