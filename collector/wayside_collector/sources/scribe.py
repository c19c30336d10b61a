"""Rows and events of one session, written as frames into its inlet, for senders that know no frames: JSON lines and
HTTP.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from wayside import wire

from ..intake import Inlet, Intake
from ..plausible import check_count
from ..spool import SpoolError
from .frames import FrameWriter


class Scribe:
    """Writes where its session is. What was written is stored by `store`; one caller at a time."""

    def __init__(self, intake: Intake, inlet: Inlet) -> None:
        self.inlet = inlet
        self._intake = intake
        self._writer = FrameWriter(inlet.known.schemas)
        self._begin_anew()

    def _begin_anew(self) -> None:
        self._stream = self.inlet.stream()
        self.next_seq, self._next_point = self._stream.seq, self._stream.point
        self._frames: list[bytes] = []
        self._lost = 0
        self._writer.announce_again()
        self._in_doubt = False

    def row(self, time: float, step: int | None, metrics: Mapping[str, float], *, auto_step: bool = False) -> None:
        """Raises wire.WireError for one that is too large, or a name that is none; then nothing is written."""
        flags = wire.COMMIT | (wire.AUTO_STEP if auto_step else 0)
        self._frames.append(self._writer.row(time, step, metrics, flags))
        self.next_seq += 1
        self._next_point += len(metrics)

    def event(self, time: float, step: int | None, kind: str, data: dict[str, Any]) -> None:
        """Raises wire.WireError for one that is too large; then nothing is written."""
        self._frames.append(self._writer.event(time, step, kind, data))
        self.next_seq += 1

    def skip_to(self, seq: int) -> None:
        """The next row has this seq; those between are lost, for good, and booked as lost at the client."""
        if seq != self.next_seq:
            self._frames.append(wire.seq_frame(seq, self._next_point))
            self.next_seq = seq

    async def renew(self) -> None:
        """Begin where the session is: what was written and not stored never was."""
        if self._in_doubt:
            async with self.inlet.turn:  # a hand-over that nobody waits for any more may be under way
                self._begin_anew()
        elif self._frames:
            self._begin_anew()

    async def store(self, lost: int = 0) -> None:
        """What was written is on disk when this returns; raises SpoolError, or wire.WireError where no session has as
        many rows, and then it never came. lost: rows that would have followed, and do not come.
        """
        check_count(self.next_seq + lost, self._next_point)
        self._lost = lost
        await store_all(self._intake, [self])

    def _hand_in(self) -> bool:
        """What was written is the inlet's; whether there was anything."""
        frames, self._frames = b"".join(self._frames), []
        lost, self._lost = self._lost, 0
        self.inlet.take(self._stream, frames)
        if lost:
            self.inlet.book_loss(lost, 0)
        # Should somebody cancel us now, it is known only later what became of it.
        self._in_doubt = bool(frames or lost)
        return self._in_doubt

    def _stored(self) -> None:
        self._in_doubt = False
        if self.inlet.stream().seq != self._stream.seq:  # some of it was booked as lost, or was none
            self._begin_anew()


async def store_all(intake: Intake, scribes: Iterable[Scribe]) -> None:
    """What these have written is on disk when this returns; raises SpoolError, and then nothing of it is."""
    written = [scribe for scribe in scribes if scribe._hand_in()]
    try:
        await intake.store([scribe.inlet for scribe in written])
    except SpoolError:
        for scribe in written:
            scribe._begin_anew()
        raise
    for scribe in written:
        scribe._stored()
