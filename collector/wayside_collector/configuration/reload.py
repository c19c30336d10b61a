"""Reads the configuration again when it is told to, or when its file or one that it names has changed.

All or nothing: a file that is wrong leaves everything as it was, and is said in the log, in `/status` and as a metric.

A change is found by looking at the files each second. Kubernetes exchanges a mounted folder by a symbolic link, some
mounts tell nobody of changes (NFS, subPath), and editors replace files instead of writing them: a look sees them all,
costs a few system calls, and needs no library. What is seen to change must stand still for one look before it is
read, so that nobody reads half a file.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from .changes import Changes, Loaded, Mark, compare, mark, read
from .config import ConfigError

LOOK = 1.0  #: seconds between looks: Kubernetes itself takes up to a minute to bring a change

log = logging.getLogger(__name__)


class Reload:
    """loaded: Unix time of the last one that was taken. follow: does what the changes say; raises ConfigError when it
    cannot, and then nothing is changed.
    """

    def __init__(
        self, loaded: Loaded, environ: Mapping[str, str], follow: Callable[[Changes], Awaitable[None]]
    ) -> None:
        self.file = loaded.file
        self.loaded = time.time()
        self.last_error: str | None = None
        self.needs_restart: tuple[str, ...] = ()
        self._environ = environ
        self._current = loaded
        self._follow = follow
        self._asked = asyncio.Event()

    def ask(self) -> None:
        """Read it again, changed or not."""
        self._asked.set()

    async def run(self) -> None:
        """Until cancelled."""
        tried = seen = dict(self._current.marks)
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK):
                    await self._asked.wait()
            asked = self._asked.is_set()
            self._asked.clear()
            now = await asyncio.to_thread(_look, self._current.files)
            still, seen = now == seen, now
            if asked or (still and now != tried):
                await self.read_again()
                tried = seen = dict(self._current.marks) if self.last_error is None else now

    async def read_again(self) -> None:
        """Read it and follow it, or keep the old one and say why."""
        try:
            new = await asyncio.to_thread(read, self.file, self._environ)
            changes = compare(self._current, new)
            await self._follow(changes)
        except ConfigError as problem:
            self._refuse("; ".join(problem.problems))
            return
        except (ImportError, OSError, ValueError) as problem:  # a file changed after it was checked
            self._refuse(str(problem))
            return
        self._current = Loaded(changes.config, new.file, new.marks)
        self.needs_restart = changes.needs_restart
        self.loaded, self.last_error = time.time(), None
        log.info("the configuration was read again: %s", changes)
        if self.needs_restart:
            log.warning("%s: another value takes effect at the next start only", ", ".join(self.needs_restart))

    def _refuse(self, problem: str) -> None:
        self.last_error = problem
        log.error("the configuration cannot be used, the one before stays in force: %s", problem)

    def status(self) -> dict[str, Any]:
        """For `/status`."""
        return {
            "file": str(self.file) if self.file is not None else None,
            "loaded": self.loaded,
            "last_error": self.last_error,
            "needs_restart": list(self.needs_restart),
        }


def _look(files: list[str]) -> dict[str, Mark]:
    return {name: mark(Path(name)) for name in files}
