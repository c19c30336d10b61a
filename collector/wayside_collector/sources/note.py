"""The note beside the socket: where the collector's page is, for clients that want to name it without asking, and for
people; and where it looks for journals whose process is gone.
"""

import contextlib
import json
import logging
import os
import socket
from collections.abc import Sequence
from pathlib import Path

from .. import __version__
from ..outage import Outage

log = logging.getLogger(__name__)


class Note:
    """A file that is there while the socket is. What lies there before it was left is of another collector."""

    def __init__(self, path: Path, roots: Sequence[Path] = ()) -> None:
        self._path = path
        self._roots = [str(root) for root in roots]
        self._left = False
        self._outage = Outage(log)

    def leave(self, url: str) -> None:
        """Write it, unless it is there. Where it finds no room it is tried again at the next call: that keeps nobody
        from being served.
        """
        if self._left and self._path.exists():  # somebody may have deleted it, and the socket's folder with it
            return
        ours = {"url": url, "version": __version__, "pid": os.getpid(), "host": socket.gethostname()}
        text = json.dumps({**ours, "journals": self._roots})
        temporary = self._path.with_suffix(".tmp")
        try:
            temporary.write_text(text + "\n")
            temporary.replace(self._path)
            self._left = True
            self._outage.end("%s is written", self._path)
        except OSError as problem:
            self._outage.go_on("%s cannot be written, tried again: %s", self._path, problem, level=logging.WARNING)
            for path in (temporary, self._path):
                with contextlib.suppress(OSError):
                    path.unlink()

    def remove(self) -> None:
        """It is left anew when the socket is there again."""
        self._left = False
        with contextlib.suppress(OSError):
            self._path.unlink()
