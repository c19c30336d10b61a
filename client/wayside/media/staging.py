"""Files of an artifact that we write: in a folder of their own in the media folder, which becomes the session's when
the artifact is logged. And second names of the user's own: scripts delete a checkpoint, or write over it, as soon as it
was logged.
"""

import base64
import contextlib
import errno
import json
import os
import shutil
from typing import Any, Dict, List, Mapping, Tuple

from ..roots import is_memory, read_mounts
from ..segments import FILE_MODE, FOLDER_MODE, make_own
from ..settings import read_settings, socket_candidates
from .medium import READ_AT_ONCE, Medium, Refused
from .place import FOLDER, MEMORY_LIMIT, RUN_LIMIT, find_media_root, latest_root

MAX_COPIED = 16 << 20  #: bytes of small files copied in one call, some ten milliseconds; the others are linked
STAGED = "staged-"  #: how a folder is called that belongs to no session yet


def new_folder() -> str:
    """An empty folder for files of a run's artifacts: on a disk where there is one, since what scripts write may be
    gigabytes, and the pod is charged for memory; else where the current run's media go. Raises OSError.
    """
    settings = read_settings(os.environ)
    root = latest_root() or find_media_root(socket_candidates(settings), settings.dir)
    if is_memory(os.path.realpath(os.path.dirname(root)), read_mounts()):
        with contextlib.suppress(OSError):
            return _begin_below(os.path.join(os.path.realpath(settings.dir), FOLDER))
    return _begin_below(root)


def _begin_below(root: str) -> str:
    path = os.path.join(root, STAGED + os.urandom(8).hex())
    make_own(root)
    make_own(path)
    return path


def hand_in(folder: str, root: str, session: str) -> str:
    """Make a staged folder the session's; where its files are then. One that cannot be moved, and is too large to be
    copied, stays.
    """
    home = os.path.join(root, session)
    target = os.path.join(home, os.path.basename(folder)[len(STAGED) :])
    try:
        for base, _, files in os.walk(folder):
            os.chmod(base, FOLDER_MODE)
            for file in files:
                os.chmod(os.path.join(base, file), FILE_MODE)
        make_own(home)
        try:
            os.rename(folder, target)
        except OSError as problem:
            if problem.errno != errno.EXDEV or _size(folder) > _room(home):
                raise
            shutil.copytree(folder, target)
            shutil.rmtree(folder, ignore_errors=True)
    except OSError:
        return folder
    return target


def keep(files: Mapping[str, str], root: str, session: str) -> Dict[str, str]:
    """Keep a user's files (name to path) as they are now in the session's folder, where that is cheap: a small one as a
    copy, a larger one by a hard link. Returns what was kept, as name to name below the session's folder.
    """
    home = os.path.join(root, session)
    folder = os.path.join(home, os.urandom(8).hex())
    kept: Dict[str, str] = {}
    room, copied = 0, 0
    for name, path in files.items():
        target = os.path.join(folder, str(len(kept)))
        try:
            if not kept:
                for each in (root, home, folder):
                    make_own(each)
                room = _room(home)
            source = os.path.realpath(path)
            found = os.stat(source)
            if found.st_size > room:
                continue
            if found.st_size <= READ_AT_ONCE and copied + found.st_size <= MAX_COPIED:
                _copy(source, target, (found.st_atime, found.st_mtime))
                copied += found.st_size
            elif found.st_uid == os.geteuid():  # the collector takes no other's from this folder
                os.link(source, target)
            else:
                continue
        except OSError:  # another file system, or no room: the file is read where it lies, as ever
            continue
        room -= found.st_size
        kept[name] = f"{os.path.basename(folder)}/{os.path.basename(target)}"
    if not kept:
        for each in (folder, home):
            with contextlib.suppress(OSError):
                os.rmdir(each)
    return kept


def _room(home: str) -> int:
    """Bytes that the session's folder may still hold."""
    limit = MEMORY_LIMIT if is_memory(os.path.realpath(home), read_mounts()) else RUN_LIMIT
    return limit - _size(home)


def _size(folder: str) -> int:
    """Bytes of all files in it."""
    total = 0
    for base, _, files in os.walk(folder):
        for file in files:
            with contextlib.suppress(OSError):
                total += os.lstat(os.path.join(base, file)).st_size
    return total


def _copy(source: str, target: str, times: Tuple[float, float]) -> None:
    with open(source, "rb") as file:
        data = file.read(READ_AT_ONCE + 1)
    try:
        with open(target, "xb") as file:
            os.fchmod(file.fileno(), FILE_MODE)
            file.write(data)
        os.utime(target, times)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(target)
        raise


def write_medium(medium: Medium, folder: str, name: str) -> str:
    """A medium as a file below a folder; its path. A table's or histogram's is JSON. Raises ValueError and OSError."""
    try:
        encoded = medium._snapshot()._encode()
    except Refused as problem:
        raise ValueError(str(problem)) from problem
    if encoded.data is not None:
        data, ending = encoded.data, encoded.format
    else:
        values: Dict[str, Any] = encoded.about["values"]
        data, ending = json.dumps(_told(values), ensure_ascii=False).encode("utf-8", "replace"), f"{medium._type}.json"
    path = os.path.join(folder, name if name.endswith(f".{ending}") else f"{name}.{ending}")
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(data)
    return path


def _told(values: Dict[str, Any]) -> Dict[str, Any]:
    rows: List[List[Any]] = values.get("rows", [])
    for cells in rows:
        for index, cell in enumerate(cells):
            if isinstance(cell, Medium):
                found = cell._encode()
                inline = base64.b64encode(found.data).decode("ascii") if found.data is not None else None
                cells[index] = {"media": {"type": cell._type, **found.about, "format": found.format, "base64": inline}}
    return values
