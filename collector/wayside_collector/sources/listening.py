"""The Unix socket as a file: one collector's at a time, made where it shall be, watched, made again when it is gone.
What is said on it is `socket.py`'s business.
"""

import asyncio
import contextlib
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from ..spool.lock import Held, take_lock
from .json_lines import MAX_LINE
from .note import Note
from .peers import Door

LOOK_INTERVAL = 1.0  #: seconds between looks whether the socket is still there

Greet = Callable[[asyncio.StreamReader, asyncio.StreamWriter], None]

log = logging.getLogger(__name__)


class SocketHeld(Exception):
    """Another collector listens here; the message says which."""


class Listening:
    """One path. url: where the collector's page is, said by the note beside the socket. backlog: how many may wait to
    be greeted.
    """

    def __init__(self, path: Path, door: Door, url: str, backlog: int, roots: Sequence[Path] = ()) -> None:
        self._path = path
        self._door = door
        self._url = url
        self._backlog = backlog
        self._note = Note(path.parent / "collector.json", roots)

    async def run(self, greet: Greet) -> None:
        """Until cancelled. Raises SocketHeld, or OSError where no socket can be made at the start."""
        await self._serve(greet)
        while True:
            log.warning("%s is gone: made again", self._path)
            try:
                await self._serve(greet)
            except OSError as problem:  # the folder may go again while it is made
                log.warning("%s cannot be made again, tried each second: %s", self._path, problem)
                await asyncio.sleep(LOOK_INTERVAL)

    async def _serve(self, greet: Greet) -> None:
        """Listen until the socket's file is not ours any more: someone deleted it, perhaps with its whole folder."""
        with _naming_the_option(self._path):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            lock = _take_lock(self._path)
        ours: int | None = None
        try:
            # All processes of a pod may begin at the same instant: whom the backlog has no room for is sent away.
            try:
                listening = self._door.bind()
            except FileNotFoundError:
                return  # deleted while it was made
            server = await asyncio.start_unix_server(greet, sock=listening, limit=MAX_LINE, backlog=self._backlog)
            ours = _inode(self._path)
            log.info("listening on %s", self._path)
            try:
                while ours is not None and _inode(self._path) == ours:  # None: it was gone before we had looked
                    self._note.leave(self._url)
                    await asyncio.sleep(LOOK_INTERVAL)  # nothing tells of a file that is deleted
            finally:
                server.close()
        finally:
            if ours is not None and _inode(self._path) == ours:
                self._note.remove()
                with contextlib.suppress(OSError):
                    self._path.unlink()
            os.close(lock)


def _take_lock(path: Path) -> int:
    try:
        return take_lock(path.parent / "collector.lock")
    except Held as holder:
        raise SocketHeld(f"{holder} listens on {path}: stop it, or set another socket") from None


@contextlib.contextmanager
def _naming_the_option(path: Path) -> Iterator[None]:
    """What the file system refuses meanwhile becomes a sentence that names the socket and its option."""
    try:
        yield
    except OSError as problem:
        raise OSError(
            f"no socket can be made at {path} ({problem.strerror or problem}): choose another place with `socket` "
            "(WAYSIDE_SOCKET)"
        ) from problem


def _inode(path: Path) -> int | None:
    try:
        return path.lstat().st_ino
    except OSError:
        return None
