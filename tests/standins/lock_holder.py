"""A process that holds journals' locks in a test's stead: to a process its own locks look free."""

import subprocess
import sys

_PROGRAM = """
import fcntl, os, sys
held = {}
for line in sys.stdin:
    what, path = line.rstrip("\\n").split(" ", 1)
    if what == "hold":
        held[path] = os.open(path, os.O_RDWR)
        fcntl.lockf(held[path], fcntl.LOCK_EX)
    elif path in held:
        os.close(held.pop(path))
    print(flush=True)
"""


class LockHolder:
    """Holds `lock` in the folders it is told of, until it is told otherwise or ends."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-S", "-c", _PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def hold(self, folder: str) -> None:
        """Take the lock over. Opening and closing the file gives up what this very process holds of it."""
        with open(f"{folder}/lock", "rb"):
            pass
        self._say(f"hold {folder}/lock")

    def drop(self, folder: str) -> None:
        self._say(f"drop {folder}/lock")

    def close(self) -> None:
        self._process.communicate()

    def _say(self, line: str) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        assert self._process.stdout.readline() == "\n", "the holder of locks has died"
