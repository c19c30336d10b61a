"""The gateway sink: rows and events go on to another collector, which answers once they are on its disk.

Identity: (session, seq), by which the gateway refuses what it has. A session's lots go one after the other, and none
overtakes one that was put off: so what a gateway's replica has of a session, it or another has had everything before.

Beside the parcels it tells the gateway in a heartbeat how this collector fares and which sessions live.
"""

import asyncio
import contextlib
import logging
import os
import random
import secrets
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import ClassVar

import msgspec
from wayside.row import FINISH, Event

from ... import __version__
from ...compression import COMPRESS
from ...relay import MAX_ALIVE, MEDIA, Balance, Delivery, Lot, Receipt, Sender, encode
from ..base import Changes, Context, Parcel, Ref, Reject, Report, Retry, Traits
from ..carrying import carried
from ..http import HttpPeer
from .encode import Bad, Packed, bundles, pack
from .judge import Judgement, judge
from .options import GatewayOptions

PATH = "/api/v1/batches"
REQUEST_SIZE = 2 << 20  #: bytes of frames in a request: a second of a busy node, and little memory at the gateway
MIN_REQUEST_SIZE = 64 << 10  #: where something on the way takes less, requests are made smaller down to this
REGROW = 100  #: requests taken in a row after which larger ones are tried again: what stood in the way may be gone
LAST_WORD = 1.0  #: seconds that a stop waits for a gateway to take the last books
MAX_LOTS = 256  #: sessions' lots in a request
MAX_UNKNOWN = 1000  #: records sent along in one request because the gateway does not know them
_REASONS = 3  # reasons one Reject spells out

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Tally:
    """What became of the lots of one send. held: session to why it was put off, of which nothing more is sent now."""

    delivered: set[Ref] = field(default_factory=set)
    refused: dict[Ref, str] = field(default_factory=dict)
    lost_cause: dict[str, str] = field(default_factory=dict)  # session to why nothing of it is taken
    held: dict[str, str] = field(default_factory=dict)
    runs: set[str] = field(default_factory=set)  # of what is held
    stop: Judgement | None = None

    def refuse(self, lots: Sequence[Packed], reason: str) -> None:
        for one in lots:
            self.lost_cause[one.session] = reason
            self.refused.update(dict.fromkeys(one.refs, reason))


class GatewaySink:
    """Feeds a gateway. `clock` gives Unix time in seconds, `chance` numbers from 0 to 1.

    Counters: `doubles` rows and events that the gateway had, `malformed` ones it could not read, `heartbeats_failed`.
    """

    traits: ClassVar[Traits] = Traits(max_records=10_000, shows=True)

    def __init__(
        self,
        options: GatewayOptions,
        *,
        clock: Callable[[], float] = time.time,
        chance: Callable[[], float] = random.random,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        self._options = options
        self._clock = clock
        self._chance = chance
        self._peer = HttpPeer(options, environ)
        self._url = options.endpoint.rstrip("/") + PATH
        self._size = REQUEST_SIZE
        self._taken = 0  # requests in a row, since it was changed
        self._context = Context("gateway", Path("."))
        self._id = ""
        self._started = clock()
        self._unknown: list[str] = []
        self._last = 0.0  # when something was sent last, by time.monotonic
        self._wake = asyncio.Event()
        self._beating: asyncio.Task[None] | None = None

    async def open(self, context: Context) -> None:
        """Read the files the options name, and begin to tell the gateway that this collector lives. Raises Retry."""
        await self.close()
        self._context = context
        self._id = context.state.get("id", b"").decode("ascii", "replace") or self._id or secrets.token_hex(16)
        await self._peer.open()
        self._beating = asyncio.get_running_loop().create_task(self._beat(), name=f"{context.name}-heartbeat")

    async def close(self) -> None:
        beating, self._beating = self._beating, None
        if beating is not None:
            beating.cancel()
            await asyncio.gather(beating, return_exceptions=True)
        if self._last:  # what became of the last rows stands in no request yet
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LAST_WORD):
                    await self._say_alive()
        await self._peer.close()

    async def send(self, parcel: Parcel) -> Changes:
        await self._wait_turn(parcel)
        bad: list[Bad] = []
        tally = Tally()
        # In a thread, since packing takes tens of milliseconds and every other sink shares this loop; and one request's
        # worth at a time, since a parcel of wide rows is large.
        told = partial(carried, find=self._context.media, count=self._context.count)
        packed = bundles(pack(parcel.parts, self._size, bad, told), self._size, MAX_LOTS)
        while tally.stop is None and (bundle := await asyncio.to_thread(next, packed, None)) is not None:
            await self._push(bundle, tally)
        tally.refused.update(bad)
        return self._end(tally)

    async def _wait_turn(self, parcel: Parcel) -> None:
        """While rows trickle, one request in an interval; those of a fleet do not come at the same instant. A session's
        end goes at once: it may be this collector's, too.
        """
        if sum(len(part.records) for part in parcel.parts) >= self.traits.max_records:
            return
        if any(isinstance(one, Event) and one.kind == FINISH for part in parcel.parts for one in part.records[-1:]):
            return
        interval = self._options.interval * (0.5 + self._chance())
        await asyncio.sleep(self._last + interval - time.monotonic())

    # --- one request after the other -------------------------------------------------------------------------------

    async def _push(self, bundle: Sequence[Packed], tally: Tally) -> None:
        """Send a bundle, in halves where something in it is refused, or it is too large. Of a session that was put off
        or refused, nothing that comes later is sent: it would be in the way of what was not taken.
        """
        lots = []
        for one in bundle:
            if one.session in tally.lost_cause:
                tally.refuse([one], tally.lost_cause[one.session])
            elif one.session not in tally.held:
                lots.append(one)
        if not lots or tally.stop is not None:
            return
        judged = await self._post([one.lot for one in lots])
        self._resize(judged)
        if judged.receipt is not None:
            self._settle(lots, judged.receipt, tally)
        elif judged.verdict in ("refused", "large") and len(lots) > 1:
            await self._push(lots[: len(lots) // 2], tally)
            await self._push(lots[len(lots) // 2 :], tally)
        elif judged.verdict == "refused":
            tally.refuse(lots, judged.message)
        else:
            tally.stop = judged

    def _resize(self, judged: Judgement) -> None:
        """Smaller requests where something on the way takes no more, and larger ones again after a while."""
        if judged.verdict == "large":
            self._size, self._taken = max(MIN_REQUEST_SIZE, self._size // 2), 0
        elif judged.verdict == "taken" and self._size < REQUEST_SIZE:
            self._taken += 1
            if self._taken >= REGROW:
                self._size, self._taken = min(REQUEST_SIZE, self._size * 2), 0

    def _settle(self, lots: Sequence[Packed], receipt: Receipt, tally: Tally) -> None:
        for one in lots:
            if one.session in receipt.refused:
                tally.refuse([one], f"the gateway refuses the session: {receipt.refused[one.session]}")
            elif one.session in receipt.later:
                tally.held[one.session] = receipt.later[one.session]
                tally.runs.add(one.run)
            else:
                tally.delivered.update(one.refs)
        for name in ("doubles", "malformed"):
            if getattr(receipt, name):
                self._context.count(name, getattr(receipt, name))

    async def _post(self, lots: list[Lot]) -> Judgement:
        """Send once. Lost on the way is told as a judgement, too."""
        report = self._context.report()
        asked = set(self._unknown)
        known = {lot.record.get("session") for lot in lots}
        strangers = [session for session in report.alive if session.id in asked and session.id not in known]
        lots = lots + [Lot(msgspec.to_builtins(session)) for session in strangers[:MAX_UNKNOWN]]
        delivery = Delivery(self._sender(report), lots=lots)
        body = await asyncio.to_thread(lambda: COMPRESS[self._options.compression](encode(delivery)))
        headers = {"Content-Type": MEDIA}
        if self._options.compression != "none":
            headers["Content-Encoding"] = self._options.compression
        self._last = time.monotonic()
        try:
            answer = await self._peer.post(self._url, body, headers)
        except Retry as trouble:
            return Judgement("again", str(trouble), uncertain=trouble.uncertain)
        judged = judge(answer, self._url, self._clock())
        if judged.receipt is not None:
            self._unknown = judged.receipt.unknown[:MAX_ALIVE]
            if self._unknown:
                self._wake.set()
        return judged

    def _sender(self, report: Report) -> Sender:
        books = report.books
        balance = Balance(
            books.received, books.delivered, books.waiting, dict(books.dropped), books.filtered, books.redelivered
        )
        return Sender(
            self._id,
            socket.gethostname()[:256],
            __version__,
            os.getpid(),
            self._started,
            [session.id for session in report.alive[:MAX_ALIVE]],
            balance,
            report.lost_rows,
            report.lost_points,
        )

    async def _beat(self) -> None:
        """Tell the gateway, when nothing else did for a while, that this collector lives, and which sessions do."""
        while True:
            self._wake.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._options.heartbeat * (0.8 + 0.4 * self._chance())):
                    await self._wake.wait()
                await asyncio.sleep(self._options.interval * self._chance())
            if self._unknown or time.monotonic() - self._last >= 0.8 * self._options.heartbeat:
                await self._say_alive()

    async def _say_alive(self) -> None:
        try:
            judged = await self._post([])
        except Exception:  # a mistake of ours must not end the heartbeats, as none ends a pump
            log.exception("sink %s: no heartbeat, for a mistake of ours; please report it", self._context.name)
        else:
            if judged.receipt is not None:
                return
            log.debug("sink %s: no heartbeat: %s", self._context.name, judged.message)
        self._context.count("heartbeats_failed", 1)

    # --- the end of a send -----------------------------------------------------------------------------------------

    def _end(self, tally: Tally) -> Changes:
        changes = {} if "id" in self._context.state else {"id": self._id.encode()}
        stop = tally.stop
        if stop is not None:
            raise Retry(
                stop.message,
                not_before=stop.not_before,
                delivered=tally.delivered,
                uncertain=stop.uncertain,
                changes=changes,
            )
        if tally.held:
            text = "; ".join(list(dict.fromkeys(tally.held.values()))[:_REASONS])
            raise Retry(f"the gateway puts off: {text}", delivered=tally.delivered, changes=changes, runs=tally.runs)
        if tally.refused:
            text = "; ".join(list(dict.fromkeys(tally.refused.values()))[:_REASONS])
            raise Reject(text, tally.refused, changes=changes)
        return changes
