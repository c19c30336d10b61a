"""Where a command writes what may be long: to stdout, or into a file that is there whole or not at all."""

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

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
    if path.exists() and not path.is_file():  # a pipe, or a device: nothing to be renamed
        with path.open("wb") as file:
            yield file
        return
    path = path.resolve()
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
        with os.fdopen(handle, "wb") as file:
            try:
                yield file
                file.flush()
                os.fsync(file.fileno())
                os.fchmod(file.fileno(), 0o666 & ~_umask())
                Path(name).rename(path)
            except BaseException:
                Path(name).unlink(missing_ok=True)
                raise
    except OSError as problem:
        raise Unanswered(
            f"{path} cannot be written: {problem.strerror or problem}; -o names another place"
        ) from problem


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
