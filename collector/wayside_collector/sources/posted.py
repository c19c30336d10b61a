"""Sessions whose rows come in requests: they have no connection, and end when they say so or stay silent.

Each has a *mark*, the texts by which those who post know it; it stands in the session's record, so that after a start
of the collector the session goes on. Under one mark one session is open at a time, and one request writes at a time.
"""

import asyncio
import contextlib
import hashlib
import logging
import secrets
import time
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

from wayside import row

from ..intake import Full, Inlet, Intake
from ..session import Session
from ..spool import SpoolError
from .scribe import Scribe

MAX_POSTED = 2000  #: sessions open at once: a fifth of all, so that those who post leave room for trainers
MAX_BEGUN = 600  #: sessions begun in a minute: each costs a write to disk, and a run in every sink
SILENCE = 1800.0  #: seconds without a word before a session is over: an evaluation may take half an hour
LOOK = 5.0  #: seconds between looks at who is silent

Mark = tuple[str, ...]

log = logging.getLogger(__name__)


class Busy(Full):
    """There is no room now. retry_after: seconds."""

    def __init__(self, message: str, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Over(Exception):
    """A session that may not go on: it has said that it is finished."""


class _Place:
    """One mark's. scribe: None until its session is begun."""

    def __init__(self, scribe: Scribe | None, heard: float) -> None:
        self.scribe = scribe
        self.heard = heard
        self.turn = asyncio.Lock()


class PostedSessions:
    """On the event loop. clock: seconds that only grow."""

    def __init__(self, intake: Intake, silence: float = SILENCE, clock: Callable[[], float] = time.monotonic) -> None:
        self._intake = intake
        self._silence = silence
        self._clock = clock
        self._places: dict[Mark, _Place] = {}
        self._begun: list[float] = []

    def resume(self, inlet: Inlet) -> None:
        """A session that was open when the collector last stopped."""
        self._places[inlet.known.session.posted] = _Place(Scribe(self._intake, inlet), self._clock())

    def marks(self) -> list[Mark]:
        """Those of the sessions that are open."""
        return list(self._places)

    def is_open(self, mark: Mark) -> bool:
        return mark in self._places

    def count(self, *, doubles: int = 0, refused: int = 0) -> None:
        """Rows of a request that did not come as far as an inlet, which counts the others."""
        self._intake.counters.doubles += doubles
        self._intake.counters.malformed += refused

    def known(self, run: str) -> Session | None:
        """The first session of this run that is known, however it came: it is what said most."""
        sessions = (known.session for known in self._intake.registry.all())
        return next((one for one in sessions if one.kind == "run" and one.run.id == run), None)

    @contextlib.asynccontextmanager
    async def writing(
        self, mark: Mark, record: Mapping[str, Any] | None = None, *, numbered: bool = False
    ) -> AsyncIterator[Scribe]:
        """The open session of this mark, for one request; where there is none, one with this record is begun, or with
        no record LookupError raised. numbered: whoever posts numbers the rows, so that the session keeps its id for
        ever: one that was finished raises Over. Raises Busy, Refused or SpoolError.
        """
        while True:
            place = self._places.get(mark)
            if place is None:
                if record is None:
                    raise LookupError(mark)
                self._make_room()
                place = self._places[mark] = _Place(None, self._clock())
            async with place.turn:
                if self._places.get(mark) is not place:
                    continue  # it ended, or could not be begun, while we waited
                if place.scribe is None:
                    place.scribe = await self._begin(mark, record or {}, numbered)
                if place.scribe.inlet.finished:  # and its end could not be written
                    await self._end(mark, place, "finished")
                    continue
                place.heard = self._clock()
                await place.scribe.renew()
                yield place.scribe
                return

    def _make_room(self) -> None:
        """Note that a session begins; raises Busy."""
        if len(self._places) >= MAX_POSTED:
            raise Busy(f"{MAX_POSTED} runs are posted here now, the limit: finish some", 60)
        now = self._clock()
        self._begun = [at for at in self._begun if at > now - 60]
        if len(self._begun) >= MAX_BEGUN:
            raise Busy(f"{MAX_BEGUN} runs were begun within a minute, the limit", 60)
        self._begun.append(now)

    async def _begin(self, mark: Mark, record: Mapping[str, Any], numbered: bool) -> Scribe:
        id = secrets.token_hex(16)
        try:
            if numbered:
                id = hashlib.sha256("\n".join(mark).encode()).hexdigest()[:32]
                known = self._intake.registry.by_id(self._intake.continuation(id)["session"])
                if known is not None and known.ended is not None:  # and not by our word, else it would go on as another
                    raise Over(f"session {mark[-1]!r:.80} of this run is finished: go on under another name")
            told = {**record, "session": id, "posted": list(mark)}
            return Scribe(self._intake, await self._intake.begin(told, namespace=told.get("namespace")))
        except BaseException:
            del self._places[mark]
            raise

    async def _end(self, mark: Mark, place: _Place, reason: str) -> None:
        """Within its turn. Raises SpoolError."""
        assert place.scribe is not None
        await self._intake.end(place.scribe.inlet, reason=reason)
        del self._places[mark]

    async def finish(self, mark: Mark, exit_code: int) -> None:
        """End the open session of this mark as its sender says; raises LookupError or SpoolError."""
        async with self.writing(mark) as scribe:
            scribe.event(time.time(), None, row.FINISH, {"exit_code": exit_code})
            await scribe.store()
            await self._end(mark, self._places[mark], "finished")

    async def replace(self, mark: Mark) -> None:
        """End the open session of this mark, if there is one: its sender has begun anew. Raises SpoolError."""
        with contextlib.suppress(LookupError):
            async with self.writing(mark):
                await self._end(mark, self._places[mark], "replaced")

    # --- silence ------------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """End the silent ones, until cancelled."""
        while True:
            await asyncio.sleep(LOOK)
            await self.end_silent()

    def _goes_on(self, place: _Place) -> bool:
        """Whether somebody else logs into its run, another way."""
        run = place.scribe.inlet.known.session.run.id if place.scribe is not None else None
        return any(one.session.run.id == run and not one.session.posted for one in self._intake.registry.alive())

    async def end_silent(self) -> None:
        for mark, place in list(self._places.items()):
            async with place.turn:
                silent = self._clock() - place.heard > self._silence
                if self._places.get(mark) is place and silent and not self._goes_on(place):
                    try:
                        await self._end(mark, place, "silent")
                    except SpoolError as problem:
                        log.error("%s; a session's end waits", problem)
