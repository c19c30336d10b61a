"""When a run is looked at for its framework: at its first row and a minute later, since frameworks are imported late.

Each look is a thread of its own, gone in a moment: package metadata lies on disks that may be slow. What a second look
finds is told only when it is something else.
"""

import threading
import time
from typing import Any, Callable, Dict, Optional

from . import row
from .primus import SAYS

AGAIN = 60.0  #: seconds after the first look


class Detection:
    """gather: what is found; None where nobody looks. tell: puts an event into the journal. debug: whether the lines
    that AMD's guide has people look for are said.
    """

    def __init__(
        self, gather: Optional[Callable[[], Dict[str, Any]]], tell: Callable[[str, Dict[str, Any]], None], debug: bool
    ) -> None:
        self._gather = gather
        self._tell = tell
        self._debug = debug
        self._looks = 0
        self._due = 0.0
        self._found: Optional[Dict[str, Any]] = None
        self._thread: Optional[threading.Thread] = None

    def look(self, now: float) -> None:
        """The run has logged something; now: monotonic seconds."""
        if self._debug and self._looks == 0:
            self._say("✓ Metrics data queued for reporting")
        if self._gather is None or self._looks == 2 or now < self._due:
            self._looks = self._looks or 1
            return
        self._looks += 1
        self._due = now + AGAIN
        thread = threading.Thread(target=self._run, name="wayside-detect", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # the interpreter is ending, and since Python 3.12 begins no thread any more
            self._run()
        else:
            self._thread = thread

    def settle(self, logged: bool) -> None:
        """The run is about to end: what was not begun is."""
        if logged and self._looks == 0:
            self.look(time.monotonic())

    def wait(self, seconds: float) -> None:
        """For a look under way."""
        if self._thread is not None:
            self._thread.join(seconds)

    def _run(self) -> None:
        assert self._gather is not None
        try:
            found = self._gather()
        except Exception as problem:  # noqa: BLE001 -- modules of anybody's may fail in any way when looked at
            self._say(f"the framework could not be detected: {problem!r}")
            return
        if found == self._found:
            return
        self._found = found
        self._tell(row.DETECTION, found)
        named = [name for name in (found.get("framework"), found.get("base_framework")) if name]
        self._say(f"framework: {' + '.join(dict.fromkeys(named)) or 'none known'} ({found.get('confidence')})")
        self._say("✓ Detection data queued for reporting")

    def _say(self, text: str) -> None:
        if self._debug:
            say_as_primus(text)


def say_hooked(text: str) -> None:
    """A line about the hook, where the environment asks for such lines."""
    import os

    from .reading import switch

    if switch(os.environ, ("PRIMUS_LENS_WANDB_DEBUG",), False, []):
        say_as_primus(text)


def say_as_primus(text: str) -> None:
    """A line as AMD's exporter begins them, on stderr."""
    import sys

    try:
        sys.stderr.write(f"{SAYS}{text}\n")
    except Exception:  # noqa: BLE001 -- nothing that is said to the user is worth a training
        return
