"""What a run has told when it is over: read back from its journal, which lies on disk as nobody took it."""

from typing import Any

import wayside
from client.conftest import Place
from standins.journal_reading import Frames, read_journal


def finished(place: Place) -> Frames:
    """End the current run and read all of it, however long its media take on a busy machine."""
    writer = wayside.run._media if wayside.run is not None else None
    if writer is not None:
        writer.finish(60)
    wayside.finish()
    return read_journal(*place.journals())


def of_kind(frames: Frames, kind: str) -> list[dict[str, Any]]:
    """The events of one kind, in order."""
    return [event.data for event in frames.events if event.kind == kind]


def media(frames: Frames) -> list[dict[str, Any]]:
    return of_kind(frames, "media")


def refused(frames: Frames) -> dict[str, int]:
    """What the client counted as refused, by reason."""
    told = of_kind(frames, "client")
    found: dict[str, int] = told[-1].get("refused", {}) if told else {}
    return found
