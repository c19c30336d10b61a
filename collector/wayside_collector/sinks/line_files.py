"""Numbered files of lines that are only appended to, and where each stands.

A file is synced before its offset is committed with the cursor, and cut back to that offset at a start, so what a
crash left half-delivered is gone when it comes again. A file that is shorter than its offset, or gone, was damaged by
someone else: it is left as it is, said, and a new one begun, at a start and before each write. No link is followed to
a file, and nothing but a plain file is written to.
"""

import contextlib
import json
import logging
import os
import stat
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple, Protocol

import msgspec

from .base import Changes

log = logging.getLogger(__name__)


class Place(NamedTuple):
    """Where a stream of lines stands: its file's number, and the bytes of it that count."""

    number: int
    offset: int


class Layout(Protocol):
    """Where the files of a stream lie, and how they are called. shared: whether others write into that folder, too."""

    def folder(self, stream: str, *, make: bool) -> Path: ...
    def name(self, stream: str, number: int) -> str: ...
    def shared(self, stream: str) -> bool: ...


class LineFiles:
    """state: the places as they were kept. count: adds to a counter of the sink's."""

    def __init__(
        self,
        layout: Layout,
        max_size: int,
        max_files: int,
        state: Mapping[str, bytes],
        count: Callable[[str, int], None],
    ) -> None:
        self._layout = layout
        self._max_size = max_size
        self._max_files = max_files
        self._count = count
        self._places = dict(self._kept_places(state))

    def _kept_places(self, state: Mapping[str, bytes]) -> Iterator[tuple[str, Place]]:
        """Where streams stood; one that does not say begins anew, after the files that are there."""
        for stream, text in state.items():
            try:
                number, offset = msgspec.json.decode(text, type=tuple[int, int])
                yield stream, Place(number, offset)
            except (msgspec.MsgspecError, UnicodeError) as problem:
                log.error("where the files of %s stood is not known (%s): a new one is begun", stream, problem)
                self._count("damaged_places", 1)

    def cut_back(self) -> None:
        """Every file to what of it was committed. Raises OSError."""
        for stream, place in list(self._places.items()):
            path = self._path(stream, place.number, make=False)
            if self._is_whole(path, place.offset):
                if _size(path) > place.offset:
                    _cut(path, place.offset)
            else:
                self._places[stream] = Place(place.number + 1, 0)
            if not self._layout.shared(stream):
                with contextlib.suppress(FileNotFoundError):  # the next one, begun and not committed
                    self._path(stream, place.number + 1, make=False).unlink()

    def write(self, streams: Mapping[str, bytes]) -> Changes:
        """Append to each stream; what to keep of where they stand then. Raises OSError."""
        changes: dict[str, bytes | None] = {}
        for stream, lines in streams.items():
            place = self._places.get(stream) or self._first_place(stream, lines)
            path = self._path(stream, place.number)
            full = place.offset and place.offset + len(lines) > self._max_size
            if full or _is_foreign(path) or not self._is_whole(path, place.offset):
                newest = self._newest(stream) if self._layout.shared(stream) else 0
                place = Place(max(place.number, newest) + 1, 0)
                self._remove_oldest(stream, place.number)
                path = self._path(stream, place.number)
            _append(path, place.offset, lines, 0o644 if self._layout.shared(stream) else 0o640)
            changes[stream] = json.dumps([place.number, place.offset + len(lines)]).encode()
        # Only now: what could not be written stays where it was, and is written over when it comes again.
        for stream, text in changes.items():
            self._places[stream] = Place(*json.loads(text or b""))
        return changes

    def _path(self, stream: str, number: int, *, make: bool = True) -> Path:
        return self._layout.folder(stream, make=make) / self._layout.name(stream, number)

    def _is_whole(self, path: Path, offset: int) -> bool:
        """Whether what was delivered is still there; said and counted where it is not."""
        size = _size(path)
        if size >= offset:
            return True
        log.error("%s has %d bytes, %d were delivered: someone changed it; a new file is begun", path, size, offset)
        self._count("damaged_files", 1)
        return False

    def _first_place(self, stream: str, lines: bytes) -> Place:
        """A new stream begins after files that are there already, which are someone else's; except that the last one is
        ours when it begins with our own first line: written, and cut short before its offset was committed.
        """
        newest = self._newest(stream)
        first = lines[: lines.index(b"\n") + 1]
        path = self._path(stream, newest)
        if newest and not _is_foreign(path) and first.startswith(_first_line(path, len(first))):
            return Place(newest, 0)
        return Place(newest + 1, 0)

    def _newest(self, stream: str) -> int:
        """The highest number of a stream's files, 0 where there are none."""
        folder = self._layout.folder(stream, make=False)
        stem, ending = os.path.splitext(self._layout.name(stream, 2))
        endings = (path.stem.rpartition("-")[2] for path in folder.glob(f"{stem[: -len('00000002')]}*{ending}"))
        numbers = [int(found) for found in endings if found.isdecimal()]
        return max(numbers, default=int(os.path.lexists(folder / self._layout.name(stream, 1))))

    def _remove_oldest(self, stream: str, number: int) -> None:
        if number > self._max_files:
            old = self._path(stream, number - self._max_files)
            if old.exists():
                old.unlink()
                self._count("files_removed", 1)


def _size(path: Path) -> int:
    """Bytes of a plain file; 0 where there is none, and for what nobody shall write to."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return 0
    return found.st_size if _is_plain(found) else 0


def _is_foreign(path: Path) -> bool:
    """Whether there is something that nobody shall write to: a link, or a file that has another name."""
    try:
        return not _is_plain(path.lstat())
    except FileNotFoundError:
        return False


def _is_plain(found: os.stat_result) -> bool:
    return stat.S_ISREG(found.st_mode) and found.st_nlink == 1


def _open(path: Path, flags: int, mode: int = 0o640) -> int:
    """A plain file that has no other name; raises OSError."""
    fd = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, mode)
    found = os.fstat(fd)
    if not _is_plain(found):
        os.close(fd)
        raise OSError(0, "it is no plain file, or has another name", str(path))
    return fd


def _cut(path: Path, size: int) -> None:
    fd = _open(path, os.O_WRONLY)
    try:
        os.ftruncate(fd, size)
    finally:
        os.close(fd)


def _first_line(path: Path, most: int) -> bytes:
    """A file's first line, or what there is of it."""
    with open(_open(path, os.O_RDONLY), "rb") as file:
        return file.readline(most)


def _append(path: Path, offset: int, data: bytes, mode: int) -> None:
    """Write at `offset`, the end of what counts, and sync; raises OSError."""
    new = not os.path.lexists(path)
    fd = _open(path, os.O_WRONLY | (os.O_CREAT | os.O_EXCL if new else 0), mode)
    try:
        if os.fstat(fd).st_size > offset:
            os.ftruncate(fd, offset)
        written = 0
        while written < len(data):
            written += os.pwrite(fd, memoryview(data)[written:], offset + written)
        os.fdatasync(fd)
    finally:
        os.close(fd)
    if new:
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
