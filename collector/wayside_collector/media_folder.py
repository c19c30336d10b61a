"""Files that came with events: pictures, tables, links to checkpoints. One folder for each session,

    <session id>/<seq>-<number>[.<ending>]

so the name says to which event a file belongs. The spool has such a folder, and so has a sink that keeps files: a file
is another name of one that is there where one file system holds both, a copy elsewhere.

In the spool the table `media` of the database, written in the transaction that stores the event, says which of them
count. A file is there and synced before that transaction; its owner's copy is let go only after it. What a crash
leaves in between, or after every sink has passed the event, has no row in the table and is removed at the next start.
"""

import contextlib
import errno
import os
import re
import stat
import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

NAME = re.compile(r"([0-9a-f]{32})/([0-9]{1,16})-[0-9]{1,6}(\.[a-z0-9]{1,8})?")  #: session, seq, number
_PIECE = 1 << 20  # bytes read at a time
_NO_LINK = (errno.EXDEV, errno.EPERM, errno.EACCES, errno.EMLINK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOENT)


class MediaFile(NamedTuple):
    """A file of an event. linked: it is another name of a file that somebody else keeps, or did."""

    name: str
    size: int
    linked: bool = False


class MediaFolder:
    """The files. Methods that change something raise OSError; any thread may call them, for one name one at a time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._changing = threading.Lock()
        self._filled: Counter[Path] = Counter()  # folders into which something is being put: they stay though empty

    def path(self, name: str) -> Path:
        """Where a file is, or would be; raises ValueError for a name that none has."""
        if not NAME.fullmatch(name):
            raise ValueError(f"{name!r:.100} is no name of a media file")
        return self.folder / name

    def has(self, name: str) -> bool:
        """Whether it is there: a plain file."""
        try:
            return stat.S_ISREG(os.lstat(self.path(name)).st_mode)
        except (OSError, ValueError):
            return False

    def link(self, fd: int, name: str, *, sync: bool = True) -> bool:
        """Give an opened file this name, too; False where the file system has no way to. sync: whether its bytes and
        its name are to be on disk when this returns.
        """
        path = self.path(name)
        with self._filling(path.parent), _opened(path.parent) as folder:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path.name, dir_fd=folder)  # of an attempt that was not stored
            try:
                # With a folder's descriptor Python follows the link that /proc is, to the very file that was opened.
                os.link(f"/proc/self/fd/{fd}", path.name, dst_dir_fd=folder, follow_symlinks=True)
            except OSError as problem:
                if problem.errno in _NO_LINK:
                    return False
                raise
            if sync:
                os.fsync(fd)
                os.fsync(folder)
        return True

    def copy(self, fd: int, name: str, size: int) -> None:
        """The first `size` bytes of an opened file under this name, synced."""
        path = self.path(name)
        with self._filling(path.parent):
            _copy(fd, path, size)

    def sync(self, session: str) -> None:
        """Get the names of a session's files onto the disk."""
        sync_folder(self.folder / session)

    @contextlib.contextmanager
    def _filling(self, folder: Path) -> Iterator[None]:
        with self._changing:
            new = not folder.is_dir()
            folder.mkdir(mode=0o750, parents=True, exist_ok=True)
            self._filled[folder] += 1
        try:
            if new:
                sync_folder(self.folder)
                sync_folder(self.folder.parent)
            yield
        finally:
            with self._changing:
                self._filled[folder] -= 1
                if not self._filled[folder]:
                    del self._filled[folder]

    def remove(self, names: Iterable[str]) -> None:
        """Unlink these, and folders that are empty then."""
        folders: dict[Path, None] = {}
        for name in names:
            path = self.path(name)
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
            folders[path.parent] = None
        with self._changing:
            for folder in folders:
                if folder not in self._filled:
                    with contextlib.suppress(OSError):  # there are others in it
                        os.rmdir(folder)

    def files(self) -> Iterator[MediaFile]:
        """Everything that lies there."""
        for session in _entries(self.folder):
            for entry in _entries(session.path) if session.is_dir(follow_symlinks=False) else ():
                found = entry.stat(follow_symlinks=False)
                yield MediaFile(f"{session.name}/{entry.name}", found.st_size, found.st_nlink > 1)


def remove_strays(media: MediaFolder, names: Iterable[str]) -> None:
    """What nothing refers to; and folders that are empty, from whenever."""
    for name in names:
        with contextlib.suppress(OSError):
            os.unlink(media.folder / name)
    for session in _entries(media.folder):
        with contextlib.suppress(OSError):
            os.rmdir(session.path)


def _entries(folder: str | Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as found:
            return list(found)
    except OSError:
        return []


@contextlib.contextmanager
def _opened(folder: Path) -> Iterator[int]:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        yield fd
    finally:
        os.close(fd)


def _copy(fd: int, path: Path, size: int) -> None:
    new = path.with_name(f"{path.name}.new")
    target = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o640)
    try:
        position = 0
        while position < size:
            piece = os.pread(fd, min(_PIECE, size - position), position)
            if not piece:
                raise OSError(errno.EIO, "it became shorter while it was copied")
            position += os.pwrite(target, piece, position)
        os.fsync(target)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(new)
        raise
    finally:
        os.close(target)
    os.rename(new, path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
