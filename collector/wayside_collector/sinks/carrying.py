"""Media on their way to where no file of ours is seen: small ones go in the event, what is larger is told of."""

import base64
from collections.abc import Callable
from pathlib import Path

from wayside.row import ARTIFACT, MEDIA, SAVE, Event

from ..media_events import copied, files_of, objects

MAX_INLINE = 64 << 10  #: bytes of a file that go in its event: as much as a client puts there itself
BESIDE = (MEDIA, ARTIFACT, SAVE)  #: kinds of event that have no place among numbers


def carried(event: Event, find: Callable[[str], Path], count: Callable[[str, int], None]) -> Event:
    """The event as another collector gets it. find: where a file of the spool is. count: adds to a counter. Blocks on
    the file system.
    """
    if event.kind not in BESIDE:
        return event
    data = copied(event.data)
    for one in objects(data) if event.kind == MEDIA else ():
        if isinstance(one.get("file"), str):
            body = _body(find(one.pop("file")))
            if body is None:
                one["lost"] = f"left where it was logged: more than {MAX_INLINE} bytes"
                count("media_left_out", 1)
            else:
                one["base64"] = base64.b64encode(body).decode()
    if event.kind != MEDIA:
        data.pop("seen", None)
        for one in files_of(data):
            one.pop("held", None)
    return event._replace(data=data)


def _body(path: Path) -> bytes | None:
    """A small file's bytes; None for one that is large, or gone."""
    try:
        with path.open("rb") as file:
            body = file.read(MAX_INLINE + 1)
    except OSError:
        return None
    return body if len(body) <= MAX_INLINE else None
