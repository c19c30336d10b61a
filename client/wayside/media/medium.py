"""What all media have in common: what they hold while they wait, and what they become on the writer's thread."""

import math
import os
from typing import Any, Dict, NamedTuple, Optional, Tuple

MAX_FILE = 32 << 20  #: bytes of one encoded medium: minutes of compressed video; what is larger is an artifact
READ_AT_ONCE = 1 << 20  #: bytes of a file that are read when its object is made; of larger ones the open file is kept
HEAD = 1024  #: first bytes of a file, which say what it is
MAX_OPEN = 64  #: files kept open so: a process may have 1024, and the rest is the training's


class Encoded(NamedTuple):
    """A medium as its event has it. about: caption, sizes, values. format: the ending of `data`'s file. points: numbers
    that go with it, below its name, as a row of their own.
    """

    about: Dict[str, Any]
    format: str = ""
    data: Optional[bytes] = None
    points: Tuple[Tuple[str, float], ...] = ()


class Refused(Exception):
    """A medium that cannot be kept. The message says why, the same for all of its kind."""


class Medium:
    """An object that `log()` takes beside numbers. Made and copied in the training's thread, encoded in the writer's.

    Of wandb's media objects scripts use nothing but the constructor, so all else is private.
    """

    _type = ""  # as the event says it: "image", "table", …

    def _held(self) -> int:
        """Bytes that wait in the queue."""
        return 1024

    def _snapshot(self) -> "Medium":
        """What stays as it is now, whatever the script does with this object."""
        return self

    def _encode(self) -> Encoded:
        """What its event says; raises Refused. Runs in the writer's thread."""
        raise NotImplementedError


class Source:
    """A file as it was when its object was made: temporary files are often gone a moment later.

    A small one is read at once. Of a larger one the open file is kept, which holds its bytes through unlinking and
    renaming, but not through writing into it.
    """

    _open = 0

    def __init__(self, path: Any) -> None:
        """Raises OSError for what is no readable file."""
        self.path: str = os.path.abspath(os.fspath(path))
        self._data: Optional[bytes] = None
        self._fd = -1
        fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            self.size = os.fstat(fd).st_size
            if os.path.isdir(self.path):
                raise IsADirectoryError(f"{self.path} is a folder, not a file")
            self.head = _read(fd, min(self.size, HEAD))
            if self.size <= READ_AT_ONCE:
                self._data = _read(fd, self.size)
            elif Source._open < MAX_OPEN:
                Source._open += 1
                self._fd, fd = fd, -1
        finally:
            if fd >= 0:
                os.close(fd)

    @property
    def format(self) -> str:
        """The ending of its name, without the dot."""
        return os.path.splitext(self.path)[1][1:].lower()

    @property
    def held(self) -> int:
        """Bytes of memory."""
        return len(self._data) if self._data is not None else 0

    def read(self) -> bytes:
        """Its bytes; raises Refused when it is too large or gone."""
        if self._data is not None:
            return self._data
        if self.size > MAX_FILE:
            raise Refused(f"a file is larger than {MAX_FILE >> 20} MiB; log_artifact() takes files of any size")
        try:
            if self._fd >= 0:
                return _read(self._fd, self.size)
            with open(self.path, "rb") as file:
                return file.read(MAX_FILE)
        except OSError as problem:
            raise Refused(f"a file could not be read: {problem.strerror}") from problem

    def __del__(self) -> None:
        if getattr(self, "_fd", -1) >= 0:
            os.close(self._fd)
            Source._open -= 1


def _read(fd: int, size: int) -> bytes:
    parts = []
    offset = 0
    while offset < size:
        part = os.pread(fd, size - offset, offset)
        if not part:
            break
        parts.append(part)
        offset += len(part)
    return b"".join(parts)


def finite(number: Any) -> Any:
    """The same number; raises ValueError for one that JSON has no word for."""
    if not math.isfinite(number):
        raise ValueError(f"{number} is not finite")
    return number


def caption_of(caption: Any) -> Dict[str, Any]:
    """A caption as the event has it."""
    from ..values import MAX_TEXT, text_of

    return {} if caption is None else {"caption": text_of(caption)[:MAX_TEXT]}
