"""Rows that come as names and numbers, written as frames: the samplers' and those of JSON lines."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from wayside import wire

MAX_SCHEMAS = 256  #: of one such session; a sender whose names change with every row has its names written out instead


class FrameWriter:
    """Frames of one session, one after the other, with schemas announced at first use.

    schemas: number to names, of a session that goes on.
    """

    def __init__(self, schemas: Mapping[int, tuple[str, ...]] = MappingProxyType({})) -> None:
        self._schemas = {names: number for number, names in schemas.items()}
        self._next = max(schemas, default=-1) + 1
        self._announced: set[int] = set()
        self._slots = sum(map(len, schemas.values()))  # names in all of them

    def row(self, time: float, step: int | None, metrics: Mapping[str, float], flags: int = wire.COMMIT) -> bytes:
        """A row; raises wire.WireError when it is too large or a name is too long."""
        names = tuple(metrics)
        number = self._schemas.get(names)
        if number is None:
            if self._next >= MAX_SCHEMAS or self._slots + len(names) > wire.MAX_SLOTS:
                return wire.named_row_frame(time, step, dict(metrics), flags)
            number = self._next
        frames = b""
        if number not in self._announced:
            frames = wire.schema_frame(number, names)
            wire.read_schema(frames, wire.scan(frames).spans[0])  # names within the limits, or WireError
            if names not in self._schemas:
                self._slots += len(names)
                self._schemas[names] = number
                self._next += 1
            self._announced.add(number)
        return frames + wire.row_frame(number, time, step, tuple(metrics.values()), flags)

    def announce_again(self) -> None:
        """What was written last was not stored, schemas included."""
        self._announced.clear()

    def event(self, time: float, step: int | None, kind: str, data: dict[str, Any]) -> bytes:
        """An event; raises wire.WireError when it is too large or too deep."""
        wire.check_depth(data)
        return wire.event_frame(time, step, kind, data)
