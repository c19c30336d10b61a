"""What became of a user's files between the call that logged them and the look of the collector."""

import logging
import os
from typing import Any

from wayside.row import Event

from ..media_events import files_of

CLOCK = 0.001  #: seconds by which a file's time may differ: it was told as a float

log = logging.getLogger(__name__)


def is_changed(one: dict[str, Any], found: os.stat_result) -> bool:
    """Whether a file is another by now than the one that was logged."""
    told = one.get("mtime")
    return isinstance(told, (int, float)) and (abs(told - found.st_mtime) > CLOCK or one.get("size") != found.st_size)


def tell_files(run: str, event: Event) -> None:
    """Say it when files were logged that are gone, or are other ones by now."""
    files = files_of(event.data)
    for what, some in (
        ("cannot be had", [one for one in files if "lost" in one]),
        ("had been written over when it was read", [one for one in files if one.get("changed") is True]),
    ):
        if some:
            first, why = some[0], str(some[0].get("lost") or "it is taken as it is now")
            told = "run %.80s, %s %.80r: %d of %d files, first %.200r, %s: %s"
            values = (event.kind, event.data.get("name"), len(some), len(files), first.get("source"), what, why)
            log.warning(told, run, *values)
