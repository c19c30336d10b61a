"""The remote write sink: rows become requests, one after the other, each taken whole or halved.

At least once: what is sent again because an answer or a commit was lost is the same samples with the same times, which
the receiver keeps once. Prometheus then refuses those that it has newer ones of: refused rows of a session that was
under way before this start, up to the first that is taken, are therefore taken to be there already.
"""

import asyncio
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from ..base import Changes, Context, Parcel, Ref, Reject, Retry, Traits
from ..devices import DeviceBook
from ..http import HttpPeer
from .encode import HEADERS, Series, encode
from .judge import Judgement, judge
from .naming import Naming
from .options import RemoteWriteOptions
from .series import SeriesMaker, Unit, bundles, gather

PROBE = "wayside_remote_write_probe"  #: a series of our own, to ask with from which time on samples are taken
SLICE = 5000  #: points that are made ready in one go while the event loop waits, some 5 ms
MAX_REACHED = 20_000  #: sessions of which it is remembered how far they got; beyond it all are forgotten
MAX_REFUSED = 20_000  #: rows refused in sends that did not end, five parcels; beyond it all are asked about anew
_REASONS = 3  # reasons one Reject spells out


@dataclass(slots=True)
class Tally:
    """What became of the units of one send. again: nothing more is sent now."""

    taken: set[Ref] = field(default_factory=set)
    again: Judgement | None = None


class RemoteWriteSink:
    """Pushes samples. `clock` gives Unix time in seconds.

    Counters: `superseded` values that shared a millisecond with a later one, `late`, `too_old` and `refused` points
    that the receiver does not take, `already_there` points that it had, `unmarked` series whose end it did not take,
    `split` requests that were halved, `state_damaged` kept records that could not be read.
    """

    traits: ClassVar[Traits] = Traits(max_records=4000)

    def __init__(
        self,
        options: RemoteWriteOptions,
        *,
        clock: Callable[[], float] = time.time,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        self._options = options
        self._clock = clock
        self._peer = HttpPeer(options, environ)
        self._context = Context("remote_write", Path("."))
        self._opened = 0.0
        self._maker = SeriesMaker(options, Naming({}), DeviceBook({}))
        self._reached: dict[str, int] = {}  # by session, the greatest seq that was taken since the start
        self._doubtful: set[Ref] = set()  # rows that were sent, and no answer came
        self._refused: dict[Ref, str] = {}  # and why; until a send that ends can tell it

    async def open(self, context: Context) -> None:
        """Read the files the options name; connects nowhere. Raises Retry when one cannot be read."""
        self._context = context
        self._opened = self._clock()
        naming, devices = Naming(context.state), DeviceBook(context.state)
        self._count("state_damaged", naming.damaged + devices.damaged)
        self._maker = SeriesMaker(self._options, naming, devices)
        self._reached.clear()
        await self._peer.open()

    async def close(self) -> None:
        await self._peer.close()

    async def send(self, parcel: Parcel) -> Changes:
        units = await self._make_units(parcel)
        tally = Tally()
        left = [unit for unit in units if unit.ref not in self._refused]
        for bundle in bundles(left, self._options.max_samples_per_send):
            await self._push(bundle, tally)
            if tally.again is not None:
                break
        return self._end(parcel, units, tally)

    async def _make_units(self, parcel: Parcel) -> list[Unit]:
        """In the order of time, since a request may not go back in it."""
        units: list[Unit] = []
        points = 0
        for part in parcel.parts:
            for record in part.records:
                for unit in self._maker.units(part, (record,)):
                    units.append(unit)
                    points += len(unit.samples)
                if points > SLICE:
                    points = 0
                    await asyncio.sleep(0)
        units.sort(key=lambda unit: unit.time)
        return units

    # --- requests ----------------------------------------------------------------------------------------------------

    async def _push(self, units: Sequence[Unit], tally: Tally) -> None:
        """Send these; in halves where something among them is refused, the earlier first."""
        if tally.again is not None:
            return
        samples, superseded = gather(units, self._maker.sent)
        try:
            judged = await self._post(samples) if samples else Judgement("taken")
        except asyncio.CancelledError:
            self._doubtful.update(unit.ref for unit in units)
            raise
        if judged.verdict == "taken":
            self._count("superseded", superseded)
            self._take(units, tally)
        elif judged.verdict == "again":
            tally.again = judged
            if judged.uncertain:
                self._doubtful.update(unit.ref for unit in units)
        elif judged.verdict == "old" and await self._is_too_old(units, tally):
            self._refuse(units, judged, tally)
        elif len(units) > 1:
            self._count("split", 1)
            await self._push(units[: len(units) // 2], tally)
            await self._push(units[len(units) // 2 :], tally)
        else:
            self._refuse(units, judged, tally)

    async def _is_too_old(self, units: Sequence[Unit], tally: Tally) -> bool:
        """Whether not even the latest of them is taken: asked with a series of our own, since a later sample of theirs
        that is taken would shut out the earlier ones.
        """
        if len(units) == 1:
            return True
        labels = {**self._options.external_labels, "__name__": PROBE}
        judged = await self._post({Series(tuple(sorted(labels.items()))): [(units[-1].time, 0.0)]})
        return judged.verdict == "old"

    async def _post(self, samples: Mapping[Series, Sequence[tuple[int, float]]]) -> Judgement:
        """Send once. Lost on the way is told as a judgement, too."""
        body = await asyncio.to_thread(encode, samples, self._options.protocol)
        url = self._options.endpoint
        try:
            answer = await self._peer.post(url, body, HEADERS[self._options.protocol])
        except Retry as trouble:
            return Judgement("again", str(trouble), trouble.not_before, trouble.uncertain)
        return judge(answer, url, self._clock())

    def _take(self, units: Sequence[Unit], tally: Tally) -> None:
        if len(self._reached) > MAX_REACHED:
            self._reached.clear()
        for unit in units:
            self._maker.took(unit)
            session, seq = unit.ref
            self._reached[session] = max(seq, self._reached.get(session, seq))
            tally.taken.add(unit.ref)

    def _refuse(self, units: Sequence[Unit], judged: Judgement, tally: Tally) -> None:
        for unit in units:
            points = len(unit.samples)
            if unit.ends:
                self._count("unmarked", points)
                self._maker.took(unit)
                tally.taken.add(unit.ref)
            elif judged.verdict == "late" and self._may_be_there(unit):
                self._count("already_there", points)
                tally.taken.add(unit.ref)
            else:
                self._count({"late": "late", "old": "too_old"}.get(judged.verdict, "refused"), points)
                self._refused[unit.ref] = judged.message

    def _may_be_there(self, unit: Unit) -> bool:
        id, seq = unit.ref
        if id in self._reached:
            return seq <= self._reached[id] or unit.ref in self._doubtful
        return unit.session.started < self._opened or unit.ref in self._doubtful

    def _count(self, name: str, by: int) -> None:
        if by:
            self._context.count(name, by)

    # --- the end of a send -------------------------------------------------------------------------------------------

    def _end(self, parcel: Parcel, units: Sequence[Unit], tally: Tally) -> Changes:
        """Nothing waits in here: it happens whole or not at all."""
        naming, devices = self._maker.naming, self._maker.devices
        changes = {**naming.take_changes(), **devices.changes}
        devices.changes = {}
        if tally.again is not None:
            delivered = parcel.refs() - {unit.ref for unit in units} | tally.taken
            again = tally.again
            if len(self._refused) > MAX_REFUSED:
                self._refused.clear()
            # What was refused comes again with what waits, and is not sent then: by then it would look taken.
            raise Retry(
                again.message,
                not_before=again.not_before,
                delivered=delivered,
                uncertain=again.uncertain,
                changes=changes,
            )
        self._doubtful.clear()
        refused = {unit.ref: self._refused.pop(unit.ref) for unit in units if unit.ref in self._refused}
        if refused:
            reasons = list(dict.fromkeys(refused.values()))
            more = f" (and {len(reasons) - _REASONS} more reasons)" if len(reasons) > _REASONS else ""
            raise Reject("; ".join(reasons[:_REASONS]) + more, refused, changes=changes)
        return changes
