"""How a row becomes bytes in a segment: by a schema announced there, or with its names written out."""

from functools import lru_cache
from typing import Any, NamedTuple, Optional, Sequence, Tuple

from . import wire
from .segments import Segment

PackInto = Any  # struct.Struct.pack_into, whose type says less than its name

row_struct = lru_cache(maxsize=256)(wire.row_struct)  # by width; a training logs a handful of sets of names


class Frame(NamedTuple):
    """A row or event on its way into the journal, by way of everything but the hot path. names is None for an event."""

    names: Optional[Tuple[str, ...]]
    values: Sequence[float]
    time: float
    step: Optional[int]
    flags: int
    encoded: bytes


class Ready(NamedTuple):
    """How rows of one set of names are packed into `segment`, which has announced them. map, words, limit: its own."""

    pack_into: PackInto
    size: int
    head: int
    width: int
    segment: Segment
    map: Any
    words: memoryview
    limit: int


def make_ready(names: Tuple[str, ...], number: int, segment: Segment) -> Ready:
    layout = row_struct(len(names))
    head = wire.row_head(len(names), number, 0)
    return Ready(layout.pack_into, layout.size, head, len(names), segment, segment.map, segment.words, segment.size)


def pack_row(frame: Frame, ready: Ready) -> bytes:
    step = wire.STEP_NONE if frame.step is None else frame.step
    head = ready.head | frame.flags << 40
    return row_struct(ready.width).pack(head, frame.time, step, *frame.values, head)


def pack_named_row(frame: Frame, names: Tuple[str, ...]) -> bytes:
    return wire.named_row_frame(frame.time, frame.step, dict(zip(names, frame.values)), frame.flags)
