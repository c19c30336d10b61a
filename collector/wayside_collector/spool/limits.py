"""How much the spool may hold, and which file goes first when that is too much."""

import os
from dataclasses import dataclass
from pathlib import Path

from . import index
from .database import Database
from .files import ROLL_AGE, Files

FULL_SHARE = 4  #: a full disk of which the spool holds less than this part is filled by others: then rows wait


@dataclass(frozen=True, slots=True)
class SpoolOptions:
    """Where the spool lies and how much it may hold: bytes and seconds. max_media: bytes of files that came with
    events. max_linked: bytes of people's own files that are held by another name.
    """

    path: Path
    max_size: int = 1 << 30
    max_age: float = 7 * 86400.0
    max_media: int = 2 << 30
    max_linked: int = 100 << 30


def next_to_drop(
    database: Database, files: Files, options: SpoolOptions, now: float, *, full: bool
) -> tuple[int, str, str] | None:
    """The next file to drop, its chain, and why: "age", "size" or "disk"; None while the limits are kept.

    System samples go before scalars, scalars before events, the oldest file first. full: the disk had no room for the
    last rows.
    """
    active = {file.number for file in files.uncounted}
    closed = [found for found in database.read(index.files) if found[0] not in active]
    for number, chain, born in closed:
        if now - born > options.max_age + ROLL_AGE:
            return number, chain, "age"
    reason = "size" if files.size > options.max_size else "disk" if full and _fills_the_disk(files, options) else None
    if reason is None:
        return None
    for wanted in ("system", "scalars", "events"):
        for number, chain, _ in closed:
            if chain == wanted:
                return number, chain, reason
    return None


def _fills_the_disk(files: Files, options: SpoolOptions) -> bool:
    """Whether it is the spool itself that takes the room there is."""
    disk = os.statvfs(options.path)
    return files.size * FULL_SHARE > disk.f_blocks * disk.f_frsize
