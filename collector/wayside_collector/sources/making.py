"""What an operator is told when the socket cannot be made."""

import contextlib
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def making_socket(path: Path) -> Iterator[None]:
    """What the file system refuses meanwhile becomes a sentence that names the socket and its option."""
    try:
        yield
    except OSError as problem:
        raise OSError(
            f"no socket can be made at {path} ({problem.strerror or problem}): choose another place with `socket` "
            "(WAYSIDE_SOCKET)"
        ) from problem
