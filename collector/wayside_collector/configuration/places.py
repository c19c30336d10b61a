"""Where a collector listens and looks for journals: where its clients, in the same environment, look and write."""

import os
from collections.abc import Mapping
from pathlib import Path

from wayside.roots import own_folder
from wayside.settings import read_settings, socket_candidates

from .config import Config


def socket_path(config: Config, environ: Mapping[str, str]) -> Path:
    """Where to listen: as configured, else the first of the clients' usual places that this user can use."""
    if config.top.socket:
        return Path(config.top.socket).expanduser().absolute()
    settings = read_settings(environ)
    candidates = [Path(path) for path in socket_candidates(settings)]
    for path in candidates[:-1]:
        folder = path.parent if path.parent.exists() else path.parent.parent
        # /run/wayside is used when it is there; a folder of ours is made only in the user's own runtime directory.
        made = path.parent.exists() or str(folder) == settings.runtime_dir
        if made and os.access(folder, os.W_OK | os.X_OK):
            return path
    return candidates[-1]


def journal_roots_of(socket: Path, folder: Path, environ: Mapping[str, str]) -> list[Path]:
    """Where clients of this socket and this WAYSIDE_DIR keep their journals; see `wayside.roots`."""
    return [
        Path(os.path.realpath(socket.parent)),
        Path(own_folder(os.path.realpath(read_settings(environ).shared_memory))),
        Path(os.path.realpath(folder)),
    ]
