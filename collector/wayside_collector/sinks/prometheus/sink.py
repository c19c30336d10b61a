"""The Prometheus sink: rows become the page that a scrape of `/metrics` gets.

A pull sink. A row is delivered when its values stand on the page; a value that is overwritten before any scrape is
counted as `superseded`. Taking the same row again changes nothing, since each session's last seq is kept beside its
values, in one transaction with the cursor: so a crash neither loses a value nor counts an alert twice.

`send` runs on the event loop, `render` on any thread. Both hold one lock, for as long as it takes to apply a slice of
rows or to copy the page's dictionaries (bench/scrape.py): a scrape shows whole rows, all of one instant. Encoding, the
long part, holds no lock, and lets go of the interpreter between pieces.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import ClassVar

from ..base import Changes, Context, Parcel, Traits
from .aliases import alias_shots
from .board import Board, Taken
from .digest import slices
from .encode import pieces
from .negotiate import LEGACY, Format, negotiate
from .options import PrometheusOptions
from .utf8 import renamed

BREATH = 0.00005  #: seconds that `render` sleeps between pieces: without it a waiting event loop gets the interpreter
#: only when Python's switch interval, 5 ms, is over

_log = logging.getLogger(__name__)


class PrometheusSink:
    """The latest value of every series, for scrapes to fetch.

    clock: gives Unix time in seconds. reserved: names of families that other pages joined to this one hold, so that
    no metric of a training script takes them.
    """

    traits: ClassVar[Traits] = Traits(unit="row", start="now", max_records=4000, commit_interval=1.0, shows=True)

    def __init__(
        self,
        options: PrometheusOptions,
        *,
        clock: Callable[[], float] = time.time,
        reserved: Iterable[str] = (),
    ) -> None:
        self._options = options
        self._clock = clock
        self._reserved = tuple(reserved)
        self._lock = threading.Lock()
        self._board = Board(options, self._reserved)
        self._context = Context("prometheus", Path())

    async def open(self, context: Context) -> None:
        """Begin with what was kept. A record that cannot be read is counted as `state_damaged` and left out."""
        board = Board(self._options, self._reserved)
        damaged = board.restore(context.state, self._clock())
        if damaged:
            context.count("state_damaged", damaged)
        self._context = context
        with self._lock:
            self._board = board

    async def send(self, parcel: Parcel) -> Changes:
        """Take a parcel into the page; what it changed is to be kept, a record for each session."""
        for part in parcel.parts:
            for records in slices(part.records):
                with self._lock:
                    taken = self._board.take(part.session, records, self._clock())
                self._count(taken)
                await asyncio.sleep(0)
        with self._lock:
            return self._board.changes(self._clock())

    async def close(self) -> None:
        """Nothing to let go: the page can still be scraped."""

    @property
    def utf8(self) -> bool:
        """Whether names may be such as only UTF-8 has, for scrapers that ask for them."""
        return self._options.names == "utf8"

    def render(self, accept: str | None) -> tuple[str, bytes]:
        """The page, in the format the scraper's Accept header asks for: its Content-Type and its bytes."""
        chosen = negotiate(accept, utf8=self.utf8)
        return chosen.content_type, self.render_as(chosen)

    def render_as(self, chosen: Format) -> bytes:
        """The page in this format.

        May be called from any thread, and should not be from the event loop's. Each call counts as a scrape.
        """
        with self._lock:
            shots = self._board.scrape(self._clock())
        shots += alias_shots(shots, self._options.aliases)
        if self.utf8 and chosen.escaping != LEGACY:
            shots = renamed(shots, chosen.escaping)
        encoded = []
        for piece in pieces(shots, chosen.openmetrics):
            encoded.append(piece.encode())
            time.sleep(BREATH)
        return b"".join(encoded)

    def _count(self, taken: Taken) -> None:
        for name, points in taken._asdict().items():
            if points:
                self._context.count(name, points)
