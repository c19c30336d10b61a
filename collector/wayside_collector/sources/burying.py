"""Removing a journal that nobody needs any more; what could not be read of it is set aside first.

What lies in the folder may be anything: only plain files of the journal's owner are read or copied, a bounded piece of
each, and what else there is keeps the folder where it is.
"""

import contextlib
import logging
import os
from pathlib import Path

from wayside import wire
from wayside.segments import DROPPED

from .confined import Forbidden, journal_folder, open_plain
from .quarantine import Quarantine
from .segments import read_segment

log = logging.getLogger(__name__)


def bury(folder: Path, quarantine: Quarantine, read_to: int = 0) -> None:
    """A journal's folder with what was stored, or prepared and never used. read_to: the segments below this number were
    read; one that was not is never removed without a copy. The lock goes last: without it nobody would know the owner
    for dead.
    """
    with contextlib.suppress(OSError):
        with journal_folder(folder) as opened:
            for name in sorted(os.listdir(opened), key=lambda name: name == "lock"):
                if name.endswith(".seg"):
                    with contextlib.suppress(Forbidden):
                        _keep_unread(opened, folder / name, quarantine, read_to)
                        os.unlink(name, dir_fd=opened)
                elif name in ("lock", DROPPED):
                    os.unlink(name, dir_fd=opened)
        folder.rmdir()


def set_aside(folder: Path, quarantine: Quarantine) -> bool:
    """Every segment of a journal of which nothing can be made; False where there is no room, and it stays."""
    try:
        with journal_folder(folder) as opened:
            for name in sorted(name for name in os.listdir(opened) if name.endswith(".seg")):
                with contextlib.suppress(Forbidden):
                    if _copy(opened, folder / name, quarantine) is None:
                        return False
                    os.unlink(name, dir_fd=opened)
    except OSError:
        return False
    bury(folder, quarantine)
    return True


def _keep_unread(opened: int, path: Path, quarantine: Quarantine, read_to: int) -> None:
    try:
        found = read_segment(opened, path)
    except wire.WireError as problem:
        copy = _copy(opened, path, quarantine)
        log.error("%s is no journal segment (%s); %s", path, problem, f"kept as {copy}" if copy else "removed")
        return
    if found is not None:
        found.close()
        if found.header.number >= read_to:
            copy = _copy(opened, path, quarantine)
            log.error("%s was not read, a fault of Wayside's; %s", path, f"kept as {copy}" if copy else "removed")


def _copy(opened: int, path: Path, quarantine: Quarantine) -> Path | None:
    fd = open_plain(opened, path.name)
    try:
        return quarantine.take_bytes(fd, os.fstat(fd).st_size, f"{path.parent.name}-{path.name}")
    finally:
        os.close(fd)
