"""Files of media that a sink keeps for itself, under the names that the spool gave them, up to a limit: the oldest go.

    <folder>/<session id>/<seq>-<number>[.<ending>]

A file is another name of the spool's where one file system holds both, a copy elsewhere; it is synced before `keep`
returns. One that comes again is known by its name.
"""

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from wayside.row import MEDIA, Event

from ..media_events import copied, objects
from ..media_folder import MediaFile, MediaFolder

SLACK = 10  #: beyond the limit a tenth of it goes at once: each look reads every name


class KeptMedia:
    """limit: bytes. count: adds to the sink's counters. Methods raise OSError, and belong to one thread at a time."""

    def __init__(self, folder: Path, limit: int, count: Callable[[str, int], None]) -> None:
        self._folder = MediaFolder(folder)
        self._limit = limit
        self._count = count
        self._size: int | None = None

    @property
    def folder(self) -> Path:
        return self._folder.folder

    def keep(self, event: Event, source: Callable[[str], Path]) -> Event:
        """The event, its files kept here; what the limit has no room for is told in it."""
        if event.kind != MEDIA or not any("file" in one for one in objects(event.data)):
            return event
        data = copied(event.data)
        for one in objects(data):
            name = one.get("file")
            if isinstance(name, str):
                try:
                    self._keep_one(one, name, source(name))
                except FileNotFoundError:  # of a dead letter that goes again: the spool let go of it long ago
                    one.pop("file")
                    one["lost"] = "its file is gone"
                    self._count("media_gone", 1)
        return event._replace(data=data)

    def _keep_one(self, one: dict[str, Any], name: str, source: Path) -> None:
        if not self._folder.has(name):
            with open(source, "rb") as file:
                size = os.fstat(file.fileno()).st_size
                if size > self._limit:
                    one.pop("file")
                    one["lost"] = f"larger than max_media, {self._limit} bytes"
                    self._count("media_too_large", 1)
                    return
                if not self._folder.link(file.fileno(), name):
                    self._folder.copy(file.fileno(), name, size)
            self._size = self._measured() + size
            if self._size > self._limit:
                self._trim()

    def path(self, name: str) -> Path | None:
        """Where a file is; None where it is not, or is none."""
        return self._folder.path(name) if self._folder.has(name) else None

    def _measured(self) -> int:
        if self._size is None:
            self._size = sum(file.size for file in self._folder.files())
        return self._size

    def _trim(self) -> None:
        """Remove the oldest."""
        found = sorted(self._folder.files(), key=self._age)
        total = sum(file.size for file in found)
        gone = []
        for file in found:
            if total <= self._limit - self._limit // SLACK:
                break
            gone.append(file.name)
            total -= file.size
        self._folder.remove(gone)
        self._count("media_removed", len(gone))
        self._size = total

    def _age(self, file: MediaFile) -> float:
        with contextlib.suppress(OSError):
            return os.lstat(self._folder.folder / file.name).st_ctime
        return 0.0

    def sessions(self) -> Iterator[str]:
        """Ids of those that anything is kept of."""
        yield from {file.name.partition("/")[0] for file in self._folder.files()}

    def forget(self, session: str) -> None:
        """Everything of a session."""
        shutil.rmtree(self.folder / session, ignore_errors=True)
        self._size = None
