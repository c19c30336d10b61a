"""Where what cannot be read of journals is set aside, for a person to look at, and how often that was."""

import contextlib
import logging
import os
from pathlib import Path

MAX_PIECES = 64  #: pieces kept, of 16 MiB at most: enough to see what is wrong; the counter has them all
MAX_PIECE = 16 << 20  #: bytes of a piece: a segment of ours is 256 KiB, one of a row too wide for it 4 MiB

log = logging.getLogger(__name__)


class Quarantine:
    """A folder for pieces. count: pieces that could not be read; beyond MAX_PIECES they are only counted."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.count = 0

    def take_bytes(self, fd: int, size: int, name: str) -> Path | None:
        """Copy the first bytes of a file; where to, or None when it could not be."""
        self.count += 1
        target = self.folder / name
        with contextlib.suppress(OSError):
            if self._has_room():
                target.write_bytes(os.pread(fd, min(size, MAX_PIECE), 0))
                return target
        return None

    def _has_room(self) -> bool:
        self.folder.mkdir(parents=True, exist_ok=True)
        return len(os.listdir(self.folder)) < MAX_PIECES
