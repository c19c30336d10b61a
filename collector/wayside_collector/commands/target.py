"""Where a command writes what may be long: to stdout, or into a file that is there whole or not at all."""

import contextlib
import io
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from .history import Misused, Unanswered


@contextlib.contextmanager
def target(path: Path | None, binary: bool) -> Iterator[IO[bytes]]:
    """Where to write: stdout, or a file that takes its name when all of it is there. Raises Misused, Unanswered."""
    if path is None:
        if binary and sys.stdout.isatty():
            raise Misused("this is nothing to look at in a terminal: give -o FILE")
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    with _told(path):
        if path.is_dir():
            raise Misused(f"{path} is a folder: -o names a file")
        straight = path.exists() and not path.is_file()  # a pipe, or a device: nothing to be renamed
        path = path if straight else path.resolve()
        handle, name = (-1, "") if straight else _beside(path)
    if straight:
        with io.BufferedWriter(_File(path, path)) as file:
            yield file
        return
    try:
        with io.BufferedWriter(_File(handle, path)) as file:
            yield file
            file.flush()
            with _told(path):
                os.fsync(file.fileno())
                os.fchmod(file.fileno(), 0o666 & ~_umask())
                Path(name).rename(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


class _File(io.FileIO):
    """A file that tells what becomes of it itself, so that nothing else that fails meanwhile is taken for it."""

    def __init__(self, file: Path | int, where: Path) -> None:
        self._where = where
        with _told(where):
            super().__init__(file, "w")

    def write(self, data: Any) -> int:
        with _told(self._where):
            return super().write(data)


@contextlib.contextmanager
def _told(path: Path) -> Iterator[None]:
    """What fails with this file, in a sentence; but a reader that went away is none to be told."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as problem:
        raise Unanswered(
            f"{path} cannot be written: {problem.strerror or problem}; -o names another place"
        ) from problem


def _beside(path: Path) -> tuple[int, str]:
    return tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
