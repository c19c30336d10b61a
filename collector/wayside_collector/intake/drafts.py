"""A batch of one session being put together, and where a stream of its frames is."""

from dataclasses import dataclass, field

from ..spool import Amount, Batch


@dataclass(slots=True)
class Stream:
    """Where a stream of frames is: the seq and point total of its next row or event, and the schemas it has defined."""

    seq: int = 0
    point: int = 0
    schemas: set[int] = field(default_factory=set)


@dataclass(slots=True)
class Draft:
    """A batch being put together. rows_seq, events_seq: the seq the next row or event has if no SEQ frame says
    otherwise.
    """

    first_seq: int
    rows: bytearray = field(default_factory=bytearray)
    events: bytearray = field(default_factory=bytearray)
    rows_seq: int = -1
    events_seq: int = -1
    counts: list[int] = field(default_factory=lambda: [0, 0, 0])
    composition: dict[int, int] = field(default_factory=dict)
    defines: dict[int, bytes] = field(default_factory=dict)
    time: float = 0.0

    def batch(self, session: int, next_seq: int, next_point: int, chain: str) -> Batch:
        """As it is to be stored; the session's totals are those after it."""
        return Batch(
            session,
            self.first_seq,
            next_seq,
            next_point,
            bytes(self.rows),
            bytes(self.events),
            Amount(*self.counts),
            tuple(self.composition.items()),
            self.time,
            self.defines,
            chain,
        )
