"""Files of an artifact that we write: in a folder of their own in the media folder, which becomes the session's when
the artifact is logged.
"""

import base64
import json
import os
from typing import Any, Dict, List

from ..segments import FILE_MODE, FOLDER_MODE, make_own
from ..settings import read_settings, socket_candidates
from .medium import Medium, Refused
from .place import find_media_root, latest_root

STAGED = "staged-"  #: how a folder is called that belongs to no session yet


def new_folder() -> str:
    """An empty folder where the current run's media go, or would go; raises OSError."""
    root = latest_root()
    if root is None:
        settings = read_settings(os.environ)
        root = find_media_root(socket_candidates(settings), settings.dir)
    path = os.path.join(root, STAGED + os.urandom(8).hex())
    make_own(root)
    make_own(path)
    return path


def hand_in(folder: str, root: str, session: str) -> str:
    """Make a staged folder the session's; where its files are then. One that cannot be moved stays."""
    home = os.path.join(root, session)
    target = os.path.join(home, os.path.basename(folder)[len(STAGED) :])
    for base, _, files in os.walk(folder):
        os.chmod(base, FOLDER_MODE)
        for file in files:
            os.chmod(os.path.join(base, file), FILE_MODE)
    try:
        make_own(home)
        os.rename(folder, target)
    except OSError:
        return folder
    return target


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
