"""The OTLP sink: rows become requests, one after the other.

At least once: a row whose answer was lost comes again, with the same times. A request that is refused is sent again in
halves until the row that is refused is found. Points that a collector refuses in an answer that is a success must not
be sent again, says the specification, nor does it say which they were: they are counted, and told once.
"""

import asyncio
import logging
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar
from urllib.parse import urlsplit

from wayside.row import Event, Row

from ..base import Changes, Context, Parcel, Ref, Reject, Retry, Traits
from ..devices import DEVICE, DeviceBook
from ..http import HttpPeer, compress
from .encode import Unit, encode
from .judge import Judgement, judge
from .options import OtlpOptions

PATH = "/v1/metrics"
MAX_REFUSED = 20_000  #: rows refused in sends that did not end, five parcels; beyond it all are asked about anew
_REASONS = 3  # reasons one Reject spells out

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Tally:
    """What became of the rows of one send. again: nothing more is sent now."""

    taken: set[Ref] = field(default_factory=set)
    again: Judgement | None = None


class OtlpSink:
    """Exports. `clock` gives Unix time in seconds.

    Counters: `partial` points that a collector refused of requests that it took, `split` requests that were halved,
    `state_damaged` kept records that could not be read.
    """

    traits: ClassVar[Traits] = Traits(max_records=4000)

    def __init__(
        self,
        options: OtlpOptions,
        *,
        clock: Callable[[], float] = time.time,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        self._options = options
        self._clock = clock
        self._peer = HttpPeer(options, environ)
        bare = not urlsplit(options.endpoint).path.strip("/")
        self._url = options.endpoint.rstrip("/") + PATH if bare else options.endpoint
        self._context = Context("otlp", Path("."))
        self._devices = DeviceBook({})
        self._told = False
        self._refused: dict[Ref, str] = {}  # and why; until a send that ends can tell it

    async def open(self, context: Context) -> None:
        """Read the files the options name; connects nowhere. Raises Retry when one cannot be read."""
        self._context = context
        self._devices = DeviceBook(context.state)
        self._count("state_damaged", self._devices.damaged)
        await self._peer.open()

    async def close(self) -> None:
        await self._peer.close()

    async def send(self, parcel: Parcel) -> Changes:
        units = list(self._units(parcel))
        tally = Tally()
        left = [unit for unit in units if unit.ref not in self._refused]
        for bundle in bundles(left, self._options.max_points_per_send):
            await self._push(bundle, tally)
        changes, self._devices.changes = self._devices.changes, {}
        if tally.again is not None:
            again = tally.again
            if len(self._refused) > MAX_REFUSED:
                self._refused.clear()
            raise Retry(
                again.message,
                not_before=again.not_before,
                delivered=parcel.refs() - {unit.ref for unit in units} | tally.taken,
                uncertain=again.uncertain,
                changes=changes,
            )
        refused = {unit.ref: self._refused.pop(unit.ref) for unit in units if unit.ref in self._refused}
        if refused:
            reasons = list(dict.fromkeys(refused.values()))
            raise Reject("; ".join(reasons[:_REASONS]), refused, changes=changes)
        return changes

    def _units(self, parcel: Parcel) -> Iterator[Unit]:
        for part in parcel.parts:
            session = part.session
            for record in part.records:
                if isinstance(record, Row) and record.names:
                    points = len(record.names) + (record.step is not None)
                    yield Unit((session.id, record.seq), session, record, points, self._devices.of(session.host))
                elif isinstance(record, Event) and record.kind == DEVICE and session.kind == "system":
                    self._devices.describe(session.host, record.data)

    async def _push(self, units: Sequence[Unit], tally: Tally) -> None:
        """Send these; in halves where something among them is refused."""
        if tally.again is not None:
            return
        judged = await self._post(units)
        if judged.verdict == "taken":
            tally.taken.update(unit.ref for unit in units)
            self._tell(judged)
        elif judged.verdict == "again":
            tally.again = judged
        elif len(units) > 1:
            self._count("split", 1)
            await self._push(units[: len(units) // 2], tally)
            await self._push(units[len(units) // 2 :], tally)
        else:
            self._refused[units[0].ref] = judged.message

    async def _post(self, units: Sequence[Unit]) -> Judgement:
        """Send once. Lost on the way is told as a judgement, too."""
        options = self._options
        # In a thread, since it takes tens of milliseconds and every other sink shares this loop.
        body, headers = await asyncio.to_thread(
            lambda: compress(encode(units, options.service_name, options.resource), options.compression)
        )
        try:
            answer = await self._peer.post(self._url, body, {"Content-Type": "application/x-protobuf", **headers})
        except Retry as trouble:
            return Judgement("again", str(trouble), trouble.not_before, trouble.uncertain)
        return judge(answer, self._url, self._clock())

    def _tell(self, judged: Judgement) -> None:
        """Of a part that was refused: counted each time, and said once."""
        self._count("partial", judged.partial)
        if judged.partial and not self._told:
            self._told = True
            _log.error("sink %s: %s; they are lost; further ones are only counted", self._context.name, judged.message)

    def _count(self, name: str, by: int) -> None:
        if by:
            self._context.count(name, by)


def bundles(units: Iterable[Unit], limit: int) -> Iterator[list[Unit]]:
    """The rows in requests of at most so many points; a row with more has one for itself."""
    bundle: list[Unit] = []
    size = 0
    for unit in units:
        if bundle and size + unit.points > limit:
            yield bundle
            bundle, size = [], 0
        bundle.append(unit)
        size += unit.points
    if bundle:
        yield bundle
