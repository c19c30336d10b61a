"""Dead letters as an operator handles them: found by what is known of them, shown, replayed, dropped.

Replayed ones wait again, for their own sink and nobody else, in the transaction that moves the sink's books; dropped
ones are gone, and the books stay as they are. Each is done once: a letter that waits, or is gone, is no dead one.
"""

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec

from ..registry import Registry
from ..spool import Choice, KeptLetter, Spool
from ..strict import strict
from .letter_text import Unreadable, read_fields
from .pump import Pump

MOST_LISTED = 1000  #: letters in one answer: what a person or a script can take at a time


class Wanted(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Which dead letters: all that fulfil everything that is given. run: its id. reason: a part of the text, in any
    case. since, until: Unix time in seconds of the refusal. ids: their numbers.
    """

    sink: str | None = None
    run: str | None = None
    reason: str | None = None
    since: float | None = None
    until: float | None = None
    ids: tuple[int, ...] | None = None


class Impossible(Exception):
    """What was asked for cannot be done; the message says why, and what can be."""


class DeadLetters:
    """Of all sinks. pump: a running sink's, by name."""

    def __init__(self, spool: Spool, registry: Registry, pump: Callable[[str], Pump | None]) -> None:
        self._spool = spool
        self._registry = registry
        self._pump = pump

    async def find(self, wanted: Wanted, limit: int) -> dict[str, Any]:
        """The oldest of them, and how many there are. Raises SpoolError."""
        choice = self._choice(wanted)
        found = await asyncio.to_thread(self._spool.letters, choice, min(limit, MOST_LISTED))
        total = await asyncio.to_thread(self._spool.count_letters, choice)
        return {"letters": [self._shown(letter) for letter in found], "total": total}

    async def show(self, id: int) -> dict[str, Any]:
        """One of them, with what was refused. Raises Impossible, SpoolError."""
        found = await asyncio.to_thread(self._spool.letters, Choice(ids=(id,)), 1)
        if not found:
            raise Impossible(f"there is no dead letter {id}; those there are: wayside-collector dead-letters list")
        try:
            record = strict(read_fields(found[0].record))
        except Unreadable as problem:
            record = {"unreadable": str(problem)}
        return {**self._shown(found[0]), "record": record}

    async def replay(self, wanted: Wanted) -> dict[str, int]:
        """Tell them to go again; how many, by sink. Raises Impossible, SpoolError."""
        told: dict[str, int] = {}
        for sink in await self._sinks(wanted):
            pump = self._pump(sink)
            if pump is None:
                raise Impossible(
                    f"there is no sink {sink} in this configuration: its letters can be listed and dropped"
                )
            try:
                told[sink] = await pump.revive(self._choice(wanted, sink))
            except TimeoutError:
                raise Impossible(f"sink {sink} is in the middle of a long send: try again in a minute") from None
        return told

    async def drop(self, wanted: Wanted) -> dict[str, int]:
        """Remove them for good; how many, by sink. Raises SpoolError."""
        told: dict[str, int] = {}
        for sink in await self._sinks(wanted):
            told[sink] = await asyncio.wrap_future(self._spool.drop_letters(self._choice(wanted, sink)))
            pump = self._pump(sink)
            if pump is not None:
                await pump.recount_letters()
        return told

    async def _sinks(self, wanted: Wanted) -> list[str]:
        """Sinks of which there are such letters."""
        names = await asyncio.to_thread(self._spool.query, "SELECT DISTINCT sink FROM dead_letters ORDER BY sink")
        found = [name for (name,) in names if wanted.sink in (None, name)]
        return [
            name for name in found if await asyncio.to_thread(self._spool.count_letters, self._choice(wanted, name))
        ]

    def _choice(self, wanted: Wanted, sink: str | None = None) -> Choice:
        """As the spool knows it; with a sink, those of it that are dead."""
        sessions = None
        if wanted.run is not None:
            sessions = tuple(known.key for known in self._registry.all() if known.session.run.id == wanted.run)
        return Choice(
            sink=sink or wanted.sink,
            reason=wanted.reason,
            since=wanted.since,
            until=wanted.until,
            sessions=sessions,
            ids=wanted.ids,
            waits=None if sink is None else False,
        )

    def _shown(self, letter: KeptLetter) -> dict[str, Any]:
        known = self._registry.get(letter.session)
        return {
            "id": letter.id,
            "sink": letter.sink,
            "run": known.session.run.id if known is not None else None,
            "session": known.session.id if known is not None else None,
            "seq": letter.seq,
            "time": letter.time,
            "reason": letter.reason,
            "points": letter.points,
            "state": "dead" if letter.replayed is None else "waits",
        }
