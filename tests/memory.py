"""Memory-backed folders of the tests' own, all below one that goes when the tests end, however they end.

A trainer that a test kills leaves its journal where its client put it, and what lies in a user's own folder of
/dev/shm counts against the limit of all that user's runs. So every client and collector here is told another place.
"""

import contextlib
import os
import shutil
import tempfile
from pathlib import Path

SHARED_MEMORY = Path("/dev/shm")
MEMORY = SHARED_MEMORY / f"wayside-tests-{os.getpid()}"
ENVIRON = {"WAYSIDE_SHARED_MEMORY": str(MEMORY)}  #: for every client and collector that a test starts


def begin() -> None:
    """Make the folder; and remove those of tests that were killed."""
    for folder in SHARED_MEMORY.glob("wayside-tests-*"):
        pid = folder.name.rpartition("-")[2]
        if not Path("/proc", pid).exists():
            shutil.rmtree(folder, ignore_errors=True)
    MEMORY.mkdir(exist_ok=True)
    MEMORY.chmod(0o1777)  # as /dev/shm itself: some tests run as another user
    os.environ.update(ENVIRON)


def end() -> None:
    with contextlib.suppress(OSError):
        shutil.rmtree(MEMORY)


def make_folder(prefix: str) -> Path:
    """A new folder in memory."""
    MEMORY.mkdir(exist_ok=True)
    return Path(tempfile.mkdtemp(prefix=prefix, dir=MEMORY))
