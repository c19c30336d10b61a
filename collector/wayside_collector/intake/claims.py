"""What intake asks for when events name files: that these are the spool's before the events count as stored.

`sources/media.py` does it in a collector; without it every file is told to be lost.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple, Protocol
from weakref import WeakValueDictionary

from wayside import wire
from wayside.row import Event

from ..media_events import files_of, frame_of, objects
from ..media_folder import MediaFile
from ..spool import Batch
from .inlet import Inlet


class Taken(NamedTuple):
    """An event as it is to be stored, and its files in the spool's media folder. sources: the files of its client that
    are needed no longer once it is.
    """

    event: Event
    files: tuple[MediaFile, ...] = ()
    sources: tuple[str, ...] = ()


class Claims(Protocol):
    """Takes files, in a thread. Neither raises: what cannot be had is told in the event, and counted."""

    def take(self, inlet: Inlet, events: Sequence[Event], held: int) -> list[Taken]:
        """held: bytes of media that the run holds already."""

    def let_go(self, inlet: Inlet, sources: Sequence[str]) -> None:
        """The events that named these are stored."""

    def ended(self, inlet: Inlet) -> None:
        """The session is over, and all of it stored."""

    def buried(self, inlet: Inlet) -> None:
        """Its process is known to be dead, and all of its journal is read: what it left behind, nobody will name."""


class NoClaims:
    """Where nothing is taken."""

    def take(self, inlet: Inlet, events: Sequence[Event], held: int) -> list[Taken]:
        for event in events:
            for one in [*objects(event.data), *files_of(event.data)]:
                if one.pop("file", None) is not None:
                    one["lost"] = "this collector takes no files"
        return [Taken(event) for event in events]

    def let_go(self, inlet: Inlet, sources: Sequence[str]) -> None:
        pass

    def ended(self, inlet: Inlet) -> None:
        pass

    def buried(self, inlet: Inlet) -> None:
        pass


class RunLocks:
    """Files of one run are taken by one hand-over at a time: each counts against what the run holds already."""

    def __init__(self) -> None:
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def of(self, inlets: Iterable[Inlet]) -> list[asyncio.Lock]:
        """Of the runs of those that claim files, in an order that is always the same."""
        runs = sorted({inlet.known.session.run.id for inlet in inlets if inlet.claims})
        return [self._locks.setdefault(run, asyncio.Lock()) for run in runs]


class Claiming:
    """What one hand-over to the spool claims: `take` before it, `let_go` after it. held: bytes of media that an inlet's
    run holds.
    """

    def __init__(self, claims: Claims, held: Callable[[Inlet], int]) -> None:
        self._claims = claims
        self._held = held
        self._sources: list[tuple[Inlet, tuple[str, ...]]] = []

    async def take(self, inlets: Iterable[Inlet], batches: list[Batch]) -> list[Batch]:
        """The batches with what became of their files. Raises SpoolError."""
        claiming: list[tuple[Inlet, dict[int, Event]]] = []
        for inlet in inlets:
            if inlet.claims:
                claiming.append((inlet, inlet.claims))
                inlet.claims = {}  # here, not in the thread: what the inlet takes meanwhile is for the next hand-over
        return await asyncio.to_thread(self._take, claiming, batches) if claiming else batches

    def _take(self, claiming: Iterable[tuple[Inlet, dict[int, Event]]], batches: list[Batch]) -> list[Batch]:
        taken: dict[tuple[int, int], Taken] = {}
        for inlet, events in claiming:
            asked = [event._replace(seq=seq) for seq, event in events.items()]
            for one in self._claims.take(inlet, asked, self._held(inlet)):
                taken[inlet.key, one.event.seq] = one
                if one.sources:
                    self._sources.append((inlet, one.sources))
        return [_with(batch, taken) for batch in batches]

    async def let_go(self) -> None:
        """All of it is stored."""
        for inlet, sources in self._sources:
            await asyncio.to_thread(self._claims.let_go, inlet, sources)


def _with(batch: Batch, taken: Mapping[tuple[int, int], Taken]) -> Batch:
    one = taken.get((batch.session, batch.next_seq - 1))
    if one is None:
        return batch
    frames = wire.seq_frame(one.event.seq, batch.next_point) + frame_of(one.event)
    return replace(batch, events=frames, media=one.files)
