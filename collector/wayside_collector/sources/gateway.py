"""What other collectors feed us (`sinks/gateway` there): lots of their sessions' rows and events go into the spool, and
are answered once they are on disk.

A session lives as long as its collector says, or sends of it. No end of ours is ever put into one: its numbers are its
own, another replica of this gateway may have what follows, and the collector tells the true end when it can.
"""

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Callable, Iterable, Mapping, Sequence

from wayside import wire

from ..intake import Full, Intake, Refused
from ..intake.relayed import MAX_WRITTEN, Crowded, Fitted, RelayedInlet
from ..relay import VERSIONS, Delivery, Lot, Receipt
from ..session import in_namespace
from ..spool import Batch, SpoolError
from .feeders import MAX_FEEDERS, OWNER, Feeder, Feeders

MAX_AT_ONCE = 256  #: deliveries in hand: a commit holds what all of them brought, and takes a hundredth of a second
BACKLOG_SHARE = 0.9  #: of the spool's size limit, beyond which deliveries are put off: what is here would be dropped
BUSY_PAUSE = 5  #: seconds after which a delivery that was put off may come again, at least; at most twice that
CROWDED_PAUSE = 1  #: likewise, where only too many came at once
SILENT = 600.0  #: seconds after which the sessions of a collector that says nothing are let go
UNHEARD = 60.0  #: seconds a session stays of which nothing comes, and which its collector does not call alive
LOOK = 5.0  #: seconds between two looks for such sessions
MAX_UNKNOWN = 1000  #: sessions asked for in one answer
MAX_OVER = 10_000  #: sessions remembered as finished, which their collector may call alive for a moment longer

log = logging.getLogger(__name__)


class Busy(Exception):
    """Not now; the message is for whoever sent it. retry_after: seconds."""

    def __init__(self, message: str, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class GatewaySource:
    """Takes deliveries. monotonic: time to measure by. chance: numbers from 0 to 1."""

    def __init__(
        self,
        intake: Intake,
        *,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.feeders = Feeders()
        self._intake = intake
        self._clock = clock
        self._monotonic = monotonic
        self._chance = chance
        self._in_hand = 0
        self._open = False
        self._turns: dict[str, asyncio.Lock] = {}
        self._heard: dict[str, float] = {}  # collector to when, by `monotonic`
        self._sessions: dict[str, tuple[str, float]] = {}  # session to its collector, and until when it lives unheard
        self._over: dict[str, None] = {}

    # --- life ---------------------------------------------------------------------------------------------------

    def resume(self) -> None:
        """Accounts as they were kept. Raises SpoolError."""
        self.feeders.resume(self._intake.spool.state(OWNER))

    def expect(self, inlets: Iterable[RelayedInlet]) -> None:
        """These sessions were open when we last stopped: they live until their collector has had time to say so. From
        now on deliveries are taken.
        """
        self._open = True
        for inlet in inlets:
            via = str(inlet.known.session.via)
            self._heard.setdefault(via, self._monotonic())
            self._sessions[inlet.client_id] = via, self._monotonic() + UNHEARD

    async def run(self) -> None:
        """Let go of sessions that nobody speaks of, until cancelled."""
        try:
            while True:
                await asyncio.sleep(LOOK)
                with contextlib.suppress(
                    SpoolError
                ):  # the spool's own trouble is told elsewhere; the next look is soon
                    await self.look()
        finally:
            self._open = False

    async def look(self) -> None:
        """One look for such sessions."""
        now = self._monotonic()
        silent = {id for id, heard in self._heard.items() if now - heard > SILENT}
        for session, (via, until) in list(self._sessions.items()):
            if now > until or via in silent:
                inlet = self._intake.find(session)
                if isinstance(inlet, RelayedInlet):
                    async with inlet.taking:
                        await self._intake.let_go(inlet)
                self._sessions.pop(session, None)
        for id in silent:
            log.warning("collector %s was not heard for %g s: its sessions are let go", id[:8], SILENT)
            self._heard.pop(id, None)
            self._turns.pop(id, None)

    @property
    def alive(self) -> int:
        """Collectors that were heard lately."""
        return len(self._heard)

    # --- one delivery -------------------------------------------------------------------------------------------

    def check_room(self) -> None:
        """Raises Busy while deliveries are better kept where they are."""
        spool = self._intake.spool
        if not self._open:
            raise self._busy("the gateway is starting or stopping")
        if spool.last_error is not None:
            raise self._busy("the gateway's spool cannot be written")
        if spool.size > BACKLOG_SHARE * spool.options.max_size:
            raise self._busy("the gateway's spool is all but full: its sinks are behind")
        if self._in_hand >= MAX_AT_ONCE:
            raise self._busy(f"{MAX_AT_ONCE} deliveries are in hand", CROWDED_PAUSE)

    def _busy(self, message: str, pause: int = BUSY_PAUSE) -> Busy:
        return Busy(message, pause + round(pause * self._chance()))

    async def take(self, delivery: Delivery, namespace: str | None) -> Receipt:
        """Everything in it is on disk when this returns, but for what the receipt says. Raises Busy, and then nothing
        of it is.
        """
        self.check_room()
        id = f"{namespace}.{delivery.sender.id}" if namespace is not None else delivery.sender.id
        if id not in self._heard and len(self._heard) >= MAX_FEEDERS:
            raise self._busy(f"{MAX_FEEDERS} collectors deliver here, the limit")
        self._in_hand += 1
        try:
            async with self._turns.setdefault(id, asyncio.Lock()):
                return await self._take(id, delivery, namespace)
        except SpoolError as problem:
            raise self._busy(f"the gateway's spool cannot be written: {problem}") from problem
        finally:
            self._in_hand -= 1

    async def _take(self, id: str, delivery: Delivery, namespace: str | None) -> Receipt:
        feeder = self.feeders.of(id)
        feeder.hear(delivery.sender, namespace, self._clock())
        self._heard[id] = self._monotonic()
        refused: dict[str, str] = {}
        later: dict[str, str] = {}
        # New ones all at once: each costs a commit, which they share.
        inlets = [self._live(lot, namespace) for lot in delivery.lots]
        new = [lot for lot, inlet in zip(delivery.lots, inlets, strict=True) if inlet is None]
        begun = await asyncio.gather(*(self._begin(lot, id, namespace) for lot in new), return_exceptions=True)
        lots = [(inlet, lot) for lot, inlet in zip(delivery.lots, inlets, strict=True) if inlet is not None]
        for lot, came in zip(new, begun, strict=True):
            session = str(lot.record.get("session"))[:32]
            if isinstance(came, RelayedInlet):
                lots.append((came, lot))
            elif isinstance(came, Full):
                later[session] = str(came)
            elif isinstance(came, Refused):
                refused[session] = str(came)
            else:
                raise came
        doubles, malformed = await self._store(feeder, lots, refused, later)
        await self._end(id, lots, delivery.sender.alive)
        alive = [session for session in delivery.sender.alive if session not in self._over]
        unknown = [session for session in alive if not self._knows(id, session, namespace)]
        return Receipt(list(VERSIONS), refused, later, unknown[:MAX_UNKNOWN], doubles, malformed)

    def _live(self, lot: Lot, namespace: str | None) -> RelayedInlet | None:
        """The session's way in, where it is open already, and was fed to us from this namespace."""
        inlet = self._intake.find(str(lot.record.get("session")))
        if not isinstance(inlet, RelayedInlet) or inlet.known.session.namespace != namespace:
            return None
        return inlet if inlet.known.ended is None else None

    async def _begin(self, lot: Lot, id: str, namespace: str | None) -> RelayedInlet:
        """Raises Refused or Full."""
        inlet = await self._intake.begin(in_namespace(lot.record, namespace), via=id, namespace=namespace)
        assert isinstance(inlet, RelayedInlet)  # intake refuses what comes another way
        return inlet

    async def _store(
        self,
        feeder: Feeder,
        lots: Sequence[tuple[RelayedInlet, Lot]],
        refused: dict[str, str],
        later: dict[str, str],
    ) -> tuple[int, int]:
        """Rows and events that were there, and that made no sense."""
        counters = self._intake.counters
        inlets = sorted({inlet.key: inlet for inlet, _ in lots}.values(), key=lambda inlet: inlet.key)
        async with contextlib.AsyncExitStack() as taking:
            for inlet in inlets:
                await taking.enter_async_context(inlet.taking)
            fitted = await self._fit(lots, refused, later)
            before = counters.doubles, counters.malformed  # nothing is awaited from here until the next look at them
            for inlet, one in fitted:
                inlet.take_lot(one)
            doubles, malformed = counters.doubles - before[0], counters.malformed - before[1]
            after: list[Feeder] = []

            def note(batches: Sequence[Batch]) -> Mapping[str, Mapping[str, bytes]]:
                after.append(feeder.with_stored(batches))
                return {OWNER: {feeder.id: after[0].to_text()}}

            await self._intake.store(inlets, note)
            kept = after[0] if after else feeder
            kept.doubles += doubles
            kept.malformed += malformed
            self.feeders.put(kept)
        if gone := self.feeders.forget():
            self._intake.spool.keep_state(OWNER, [(id, None) for id in gone])
        return doubles, malformed

    async def _fit(
        self, lots: Sequence[tuple[RelayedInlet, Lot]], refused: dict[str, str], later: dict[str, str]
    ) -> list[tuple[RelayedInlet, Fitted]]:
        """Those that can be taken, of inlets whose `taking` is held."""
        fitted: list[tuple[RelayedInlet, Fitted]] = []
        room = MAX_WRITTEN
        for inlet, lot in lots:
            if self._intake.find(inlet.client_id) is not inlet:  # while this waited for its turn
                later[inlet.client_id] = "the session was let go just now, and begins anew with its next rows"
            elif lot.frames and inlet.client_id not in refused and inlet.client_id not in later:
                try:
                    one = await inlet.fit(lot.names, lot.frames, room)
                except Crowded as problem:
                    later[inlet.client_id] = str(problem)
                except wire.WireError as problem:
                    refused[inlet.client_id] = f"its rows make no sense: {problem}"
                else:
                    fitted.append((inlet, one))
                    room -= one.written
        return fitted

    async def _end(self, id: str, lots: Sequence[tuple[RelayedInlet, Lot]], alive: Sequence[str]) -> None:
        """Sessions that said so are over; the others live on."""
        now = self._monotonic()
        for inlet, _ in lots:
            if inlet.finished or inlet.client_id in self._over:
                async with inlet.taking:
                    await self._intake.let_go(inlet, inlet.finish_time)
                self._sessions.pop(inlet.client_id, None)
                self._over[inlet.client_id] = None
            else:
                _, until = self._sessions.get(inlet.client_id, ("", 0.0))
                self._sessions[inlet.client_id] = id, max(until, now + UNHEARD)
        for session in alive:
            if self._feeds(id, session):
                self._sessions[session] = id, now + SILENT
        while len(self._over) > MAX_OVER:
            del self._over[next(iter(self._over))]

    def _feeds(self, id: str, session: str) -> bool:
        """Whether it is this collector that last sent of this session: of another's it has nothing to say."""
        return self._sessions.get(session, ("", 0.0))[0] == id

    def _knows(self, id: str, session: str, namespace: str | None) -> bool:
        """Whether the session's record is not asked for: it is open, and this collector's, or can never become so."""
        inlet = self._intake.find(session)
        if inlet is None:
            return False
        is_others = inlet.known.session.via is None or inlet.known.session.namespace != namespace
        return is_others or self._feeds(id, session)
