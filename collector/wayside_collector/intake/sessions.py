"""Between the sources and the spool: sessions begin and end here, and what their inlets hold is handed to the spool.

What an inlet does with the frames themselves stands in `inlet.py`.
"""

import asyncio
import contextlib
import hashlib
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
from wayside import row, wire

from ..plausible import MAX_TIME
from ..registry import Known, Registry
from ..session import Session, read_session
from ..spool import Batch, Damaged, SessionRow, Spool, SpoolError
from .claims import Claiming, Claims, NoClaims, RunLocks
from .inlet import Counters, Inlet
from .relayed import RelayedInlet

MAX_SESSIONS = 10_000  #: sessions alive at once: a thousand processes a node, ten times over

MAX_RECORD = 128 << 10  #: bytes of a session's record as JSON: our clients write at most 32 KiB; it is held in memory

MAX_RELAYED = 20_000  #: where other collectors feed us: a thousand nodes of sixteen processes and a sampler

#: Fields of a record that are not kept: where the journal lies is said anew each time, and the others are ours to say.
_OURS = ("journal", "continues", "via", "namespace")

Note = Callable[[Sequence[Batch]], Mapping[str, Mapping[str, bytes]]]

log = logging.getLogger(__name__)


class Refused(Exception):
    """What a peer sent cannot be taken; the message is for the peer: what, where and what to do."""


class Full(Refused):
    """There are as many sessions as there may be: later there may be room."""


class Intake:
    """Begins sessions, and hands what their inlets hold to the spool. On the event loop."""

    def __init__(
        self, spool: Spool, registry: Registry, on_session: Callable[[Known], None] = lambda known: None
    ) -> None:
        self.spool = spool
        self.registry = registry
        self.counters = Counters()
        self.claims: Claims = NoClaims()
        self._claimed = RunLocks()
        self._on_session = on_session
        self._inlets: dict[str, Inlet] = {}
        self._beginning = 0
        self._said: set[str] = set()
        self._storing: set[asyncio.Task[None]] = set()

    async def begin(
        self,
        record: dict[str, Any],
        journals: Sequence[str] = (),
        *,
        via: str | None = None,
        namespace: str | None = None,
    ) -> Inlet:
        """The inlet of a session, by its record; raises Refused when the record makes no sense, SpoolError when it
        cannot be kept. via, namespace: as in `Session`; what the record itself says of them does not count.
        """
        session = _checked(record)
        inlet = self._inlets.get(session.id)
        self._check_owner(session.id, via, namespace)
        if inlet is not None:
            async with inlet.ending:
                pass
            if inlet.finish is not None:
                await self.end(inlet)  # it may be half done; what comes now goes on as another session
            if inlet.known.ended is None:
                return inlet
        limit = MAX_SESSIONS if via is None else MAX_RELAYED
        inlet = self._inlets.get(session.id)
        if inlet is None and len(self._inlets) + self._beginning >= limit:
            raise Full(f"{limit} sessions are open, the limit; end some, or run another collector")
        fields = {key: value for key, value in record.items() if key not in _OURS}
        fields |= {key: value for key, value in (("via", via), ("namespace", namespace)) if value is not None}
        fields.update(self.continuation(session.id))
        before = self.registry.by_id(fields["session"])
        over = before is not None and before.ended is not None
        frame = _kept(fields)
        begun = self.spool.begin_session(fields["session"], frame, session.started or time.time(), journals)
        self._beginning += 1
        try:
            stored = await asyncio.wrap_future(begun)
        finally:
            self._beginning -= 1
        known = self.registry.add(stored)
        inlet = self._inlets.get(session.id)
        if inlet is None or inlet.known is not known:  # else it was begun twice at once, and the other was faster
            inlet = self._inlets[session.id] = self._inlet(stored)
            inlet.finished = over and via is None  # another collector's may have been let go for its silence
            self._on_session(known)
        return inlet

    def _inlet(self, stored: SessionRow) -> Inlet:
        known = self.registry.of(stored.key)
        kind = Inlet if known.session.via is None else RelayedInlet
        return kind(known, stored.next_seq, stored.next_point, self.counters)

    def _check_owner(self, id: str, via: str | None, namespace: str | None) -> None:
        """A session stays whose it is: nobody goes on with one of another namespace, and none is fed to us that is
        read here.
        """
        known = self.registry.by_id(id)
        if known is None:
            return
        if known.session.namespace != namespace:
            raise Refused("the session belongs to another namespace: use a token that is for its own")
        if (known.session.via is None) != (via is None):
            raise Refused("the session comes another way already: feed it by one way alone")

    def continuation(self, id: str) -> dict[str, Any]:
        """What a session is called here: its own id, or another one when we wrote its end and it is not dead after
        all. Its next row would have the number of that end, and be refused as a double.
        """
        name, seq, point = id, 0, 0
        known = self.registry.by_id(id)
        while known is not None and known.ended is not None and known.finish is not None:
            seq, point = seq + known.finish[0], point + known.finish[1]
            name = hashlib.sha256(f"{id} {seq}".encode()).hexdigest()[:32]
            known = self.registry.by_id(name)
        return {"session": name, "continues": [id, seq, point]} if name != id else {"session": id}

    def resume(self) -> list[tuple[Inlet, tuple[str, ...]]]:
        """Inlets of the sessions that were open when the collector last stopped, with their journals' folders."""
        found: list[tuple[Inlet, tuple[str, ...]]] = []
        for stored in self.spool.sessions():
            if stored.ended is None:
                inlet = self._inlet(stored)
                finish = self._read_finish(stored.key)
                inlet.finished = finish is not None
                if finish is not None and "reason" in finish.data:  # ours: clients give none
                    inlet.finish = finish.seq, stored.next_point
                self._inlets[inlet.client_id] = inlet
                found.append((inlet, stored.journals))
        return found

    def _read_finish(self, key: int) -> row.Event | None:
        """The last event stored of a session, if it is its finish: it was all but ended when we stopped."""
        last = self.spool.query("SELECT max(id) FROM batches WHERE session = ? AND events > 0", key)[0][0]
        for batch in self.spool.batches(last - 1, 1, key) if last is not None else ():
            with contextlib.suppress(Damaged, OSError, wire.WireError):
                data = self.spool.read(batch.events) if batch.events is not None else b""
                events = [span for span in wire.scan(data).spans if span.type == wire.EVENT]
                event = wire.read_event(data, events[-1], batch.next_seq - 1) if events else None
                return event if event is not None and event.kind == row.FINISH else None
        return None

    async def store(self, inlets: Sequence[Inlet], note: Note | None = None) -> None:
        """Everything these inlets hold is on disk when this returns; raises SpoolError, and then nothing of it is, also
        where somebody else's call had taken it along and failed. note: state that is kept in the same transaction,
        owner to changes, once it is known what that stores.

        Whoever is cancelled here leaves the hand-over to finish by itself, so that no inlet is left in doubt.
        """
        if any(inlet.batches or inlet.losses for inlet in inlets):
            ordered = sorted(inlets, key=lambda inlet: inlet.key)
            storing = self._store(ordered, note, [inlet.setbacks for inlet in ordered])
            task = asyncio.get_running_loop().create_task(storing)
            self._storing.add(task)
            task.add_done_callback(self._settled)
            await asyncio.shield(task)

    async def _store(self, inlets: Sequence[Inlet], note: Note | None, setbacks: Sequence[int]) -> None:
        async with contextlib.AsyncExitStack() as turns:
            for inlet in inlets:
                await turns.enter_async_context(inlet.turn)
            for lock in self._claimed.of(inlets):
                await turns.enter_async_context(lock)
            try:
                if any(inlet.setbacks != before for inlet, before in zip(inlets, setbacks, strict=True)):
                    raise SpoolError("what a session sent before could not be stored")
                handed = [(inlet, *inlet.hand_over()) for inlet in inlets]
                batches = [batch for _, found, _ in handed for batch in found]
                losses = [loss for _, _, found in handed for loss in found]
                claiming = Claiming(self.claims, self._held)
                batches = await claiming.take(inlets, batches)
                if batches or losses:
                    kept = () if note is None else (note(batches),)
                    await asyncio.wrap_future(self.spool.append(batches, losses, *kept))
            except SpoolError:
                for inlet in inlets:
                    inlet.not_stored()
                raise
            for inlet, mine, lost in handed:
                inlet.stored(mine, lost)
                self._say_problems(inlet)
            await claiming.let_go()

    def _held(self, inlet: Inlet) -> int:
        """Bytes of media that wait of its run."""
        return self.spool.media_held(self.registry.keys_of(inlet.known.session.run.id)).owned

    def _settled(self, task: "asyncio.Task[None]") -> None:
        self._storing.discard(task)
        if not task.cancelled():
            task.exception()  # whoever waited has it; when nobody did, the inlets know

    async def settle(self) -> None:
        """Wait for every hand-over that is under way."""
        if self._storing:
            await asyncio.wait(list(self._storing))

    async def end(self, inlet: Inlet, *, reason: str = "crashed") -> None:
        """The session is over and all of it is stored; one that never said so gets a finish of ours. Whoever asks for
        it at the same time waits for the same end. Raises SpoolError; then it may be asked for again.
        """
        async with inlet.ending:
            if inlet.known.ended is not None:
                return
            now = time.time()
            if not inlet.finished:
                inlet.finish = inlet.next_seq, inlet.next_point
                data = {"exit_code": None, "reason": reason}
                inlet.take(inlet.stream(), wire.event_frame(now, None, row.FINISH, data))
                try:
                    await self.store([inlet])
                except SpoolError:
                    inlet.finish = None
                    raise
            await asyncio.wrap_future(self.spool.end_session(inlet.key, now, inlet.finish))
            inlet.known.ended, inlet.known.finish = now, inlet.finish
            await asyncio.to_thread(self.claims.ended, inlet)
            self._let_go(inlet)
        log.info("session %s of run %s ended", inlet.known.session.id[:8], inlet.known.session.run.id)

    def _let_go(self, inlet: Inlet) -> None:
        self._inlets.pop(inlet.client_id, None)
        self._said.discard(inlet.known.session.id)

    async def let_go(self, inlet: Inlet, at: float | None = None) -> None:
        """Nothing more is expected of a session for now, and no end of ours is put into it: its numbers are its own,
        and it may come again. at: when it ended, by its own clock.
        """
        if inlet.known.ended is None:
            now = time.time()
            await asyncio.wrap_future(self.spool.end_session(inlet.key, now))
            inlet.known.ended = now if at is None else at
            self._let_go(inlet)

    def find(self, client_id: str) -> Inlet | None:
        """The inlet of an open session, by what it calls itself."""
        return self._inlets.get(client_id)

    def alive(self) -> list[Inlet]:
        return list(self._inlets.values())

    def _say_problems(self, inlet: Inlet) -> None:
        """Each session's first malformed frame is told; the counter has the rest."""
        if inlet.problem is not None and inlet.known.session.id not in self._said:
            self._said.add(inlet.known.session.id)
            log.warning("session %s sent what cannot be kept, left out: %s", inlet.known.session.id[:8], inlet.problem)
        inlet.problem = None


def _kept(fields: dict[str, Any]) -> bytes:
    """The record as a frame. It is kept with what this version knows nothing of, so that is looked at here."""
    try:
        wire.check_depth(fields)
        frame = wire.json_frame(wire.HELLO, fields)
    except (wire.WireError, TypeError) as problem:  # the latter of keys that are no text
        raise Refused(f"the session record cannot be kept: {problem}; see docs/wire-protocol.md") from None
    if len(frame) > MAX_RECORD:
        raise Refused(f"the session record is {len(frame)} bytes long, the limit is {MAX_RECORD}: shorten its texts")
    return frame


def _checked(record: dict[str, Any]) -> Session:
    try:
        session = read_session(record)
    except (msgspec.ValidationError, UnicodeError) as problem:  # the latter of a lone surrogate
        raise Refused(f"the session record is not understood: {problem}; see docs/wire-protocol.md") from None
    if len(session.session) != 32 or not all(digit in "0123456789abcdef" for digit in session.session):
        raise Refused("the session record's `session` must be 32 lower-case hexadecimal digits")
    if not session.run.id or len(session.run.id) > 256:
        raise Refused("the session record's `run.id` must be 1 to 256 characters")
    if not 0 <= session.started < MAX_TIME:
        raise Refused("the session record's `started` must be a Unix time in seconds")
    return session
