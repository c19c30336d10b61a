"""The media folder: where files of media wait for the collector, which moves them into its own.

It is `media/` beside the collector's socket, which both sides see even where they share nothing else, or below
WAYSIDE_DIR. The session record names it (`media_root`); each session has a folder of its own in it.
"""

import contextlib
import os
from collections import deque
from typing import Deque, Iterable, List, Optional, Tuple

from ..roots import FREE_SHARE, is_memory, read_mounts
from ..segments import FILE_MODE, make_own

FOLDER = "media"
MEMORY_LIMIT = 64 << 20  #: bytes of a session's media where they lie in memory: the pod is charged for it
RUN_LIMIT = 1 << 30  #: bytes of a session's media that wait on a disk for a collector


_latest: Optional[str] = None  # what was found last, which is where the current run's media go


def latest_root() -> Optional[str]:
    """The folder of the run begun last; None before the first."""
    return _latest


def find_media_root(addresses: Iterable[str], overflow: str) -> str:
    """Beside the first socket whose folder is there, can be written, and has room; else below WAYSIDE_DIR."""
    global _latest
    for address in addresses:
        folder = os.path.dirname(os.path.realpath(address))
        if os.path.isdir(folder) and os.access(folder, os.W_OK | os.X_OK) and _has_room(folder):
            break
    else:
        folder = os.path.realpath(overflow)
    _latest = os.path.join(folder, FOLDER)
    return _latest


def _has_room(folder: str) -> bool:
    return not is_memory(folder, read_mounts()) or _free(folder) >= FREE_SHARE * MEMORY_LIMIT


def _free(folder: str) -> int:
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize


def _ending(form: str) -> str:
    """What a file of this format is called by: eight plain characters at most, whatever a user's file was called."""
    last = form.rpartition(".")[2].lower()
    return "".join(one for one in last if one.isascii() and one.isalnum())[:8] or "bin"


class Place:
    """One session's folder of media. Used by the writer's thread alone."""

    def __init__(self, root: str, session: str) -> None:
        self.root = root
        self.path = os.path.join(root, session)
        self._session = session
        self._number = 0
        self._written = 0
        self._limit = 0  # known when the folder is there, whoever made it
        self._waiting: Deque[Tuple[int, str]] = deque()  # files of events that are not stored yet, by their seq
        self._unsaid: List[str] = []  # files of the event that is being made

    def write(self, data: bytes, form: str) -> str:
        """A file with these bytes; its name below the root. Raises OSError, also where it would pass the limit."""
        self._make()
        self._ask_for(len(data))
        number, self._number = self._number, self._number + 1
        name = f"{number}.{_ending(form)}"
        building = os.path.join(self.path, f".{name}")
        fd = os.open(building, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)
        try:
            os.fchmod(fd, FILE_MODE)
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(fd, rest) :]
            os.rename(building, os.path.join(self.path, name))
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(building)
            raise
        finally:
            os.close(fd)
        self._written += len(data)
        self._unsaid.append(os.path.join(self.path, name))
        return f"{self._session}/{name}"

    def said(self, seq: int) -> None:
        """The event that names what was written since the last is in the journal, before `seq`."""
        self._waiting.extend((seq, path) for path in self._unsaid)
        self._unsaid.clear()

    def take_back(self) -> None:
        """There will be no such event."""
        for path in self._unsaid:
            with contextlib.suppress(OSError):
                os.unlink(path)
        self._unsaid.clear()

    def let_go(self, stored: int) -> None:
        """Remove files of events that the collector has stored, where it could not do that itself: it has its own."""
        while self._waiting and self._waiting[0][0] <= stored:
            with contextlib.suppress(OSError):
                os.unlink(self._waiting.popleft()[1])

    def _make(self) -> None:
        if self._limit and os.path.isdir(self.path):
            return
        make_own(self.root)
        make_own(self.path)
        self._limit = MEMORY_LIMIT if is_memory(os.path.realpath(self.path), read_mounts()) else RUN_LIMIT

    def _ask_for(self, size: int) -> None:
        if self._written + size > self._limit:
            self._written = sum(self._sizes())
        if self._written + size > self._limit:
            raise OSError(
                f"media of this session that wait in {self.path} would be more than {self._limit >> 20} MiB together"
            )

    def _sizes(self) -> List[int]:
        sizes = []
        for entry in os.scandir(self.path):
            with contextlib.suppress(OSError):
                sizes.append(entry.stat(follow_symlinks=False).st_size)
        return sizes

    def leave(self) -> None:
        """Remove the folder where nothing waits in it."""
        with contextlib.suppress(OSError):
            os.rmdir(self.path)
