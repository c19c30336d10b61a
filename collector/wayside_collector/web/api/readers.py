"""Readers of the store, one to a thread: the blocking half of the query API.

At most THREADS questions are answered at once, of which one at least is a light one; more wait, and when too many do
they are refused. A question has DEADLINE seconds, waiting included; then it is given up, and its thread is free as
soon as the engine has let go. A reader that was not needed for a moment is closed: it would hold the room of a store
that was moved away, and a connection of a server.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple, TypeVar

from ...store import Reader, StoreError, StoreMissing

THREADS = 4  #: answered at once: each takes a processor for its time, and a connection
HEAVY = 3  #: of which may be heavy ones: long curves hold no list up
MAX_WAITING = 256  #: questions that wait: as many as there may be connections on one listener
DEADLINE = 20.0  #: seconds for a question
IDLE = 5.0  #: seconds after which a reader nobody needs is closed

STOP = 2.0  #: seconds that what is given up at the end may take

Told = TypeVar("Told")

log = logging.getLogger(__name__)


class Unavailable(Exception):
    """The store cannot be asked now. The text is for whoever asks."""


class Limits(NamedTuple):
    """See the constants above."""

    threads: int = THREADS
    heavy: int = HEAVY
    waiting: int = MAX_WAITING
    deadline: float = DEADLINE
    idle: float = IDLE


USUAL = Limits()


class _Spare(NamedTuple):
    """A reader nobody uses, of which store, and since when."""

    reader: Reader
    location: str
    since: float


class Readers:
    """locate: where the store is, None for none. Used on one event loop, within `opened`."""

    def __init__(self, locate: Callable[[], str | None], limits: Limits = USUAL) -> None:
        self._locate = locate
        self._limits = limits
        self._turns = asyncio.Semaphore(limits.threads)
        self._heavy = asyncio.Semaphore(limits.heavy)
        self._waiting = 0
        self._spare: list[_Spare] = []
        self._busy: dict[asyncio.Future[Any], Reader] = {}
        self._threads: ThreadPoolExecutor | None = None

    @contextlib.asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """Questions can be asked; at the end what is still asked is given up."""
        self._threads = ThreadPoolExecutor(self._limits.threads, thread_name_prefix="query")
        keeper = asyncio.create_task(self._close_idle(), name="query-readers")
        try:
            yield
        finally:
            keeper.cancel()
            threads, self._threads = self._threads, None
            for reader in self._busy.values():
                self._apart(reader.give_up)
            if self._busy:
                await asyncio.wait(self._busy, timeout=STOP)
            for one in self._spare:
                threads.submit(one.reader.close)
            self._spare = []
            threads.shutdown(wait=False)

    async def ask(self, question: Callable[[Reader], Told], *, heavy: bool = False) -> Told:
        """What the question finds, in a thread. Raises Unavailable, and whatever the question raises."""
        location = self._locate()
        if location is None:
            raise Unavailable("there is no store to ask: configure the sink `store` (`sinks: {store: {}}`)")
        if self._waiting >= self._limits.waiting:
            raise Unavailable(f"{self._waiting} questions wait already, the limit: ask again in a moment")
        self._waiting += 1
        try:
            async with asyncio.timeout(self._limits.deadline):
                return await self._answered(question, location, heavy)
        except TimeoutError:
            text = f"the store had no answer within {self._limits.deadline:g} s: ask for less, or again later"
            raise Unavailable(text) from None
        finally:
            self._waiting -= 1

    async def _answered(self, question: Callable[[Reader], Told], location: str, heavy: bool) -> Told:
        with contextlib.ExitStack() as turns:
            for turn in (self._heavy, self._turns) if heavy else (self._turns,):
                await turn.acquire()
                turns.callback(turn.release)
            if self._threads is None:
                raise Unavailable("the collector is stopping")
            reader = self._take(location)
            future = asyncio.wrap_future(self._threads.submit(_ask, question, reader))
            held = turns.pop_all()  # until the thread is free, whatever becomes of who asked
        given_up = False

        def ended(future: "asyncio.Future[Told]") -> None:
            del self._busy[future]
            held.close()
            # Whoever asked may have gone; that the exception was seen by nobody is no news then.
            problem = None if future.cancelled() else future.exception()
            self._put_back(reader, location, usable=not given_up and not isinstance(problem, StoreError))

        self._busy[future] = reader
        future.add_done_callback(ended)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            given_up = True
            self._apart(reader.give_up)
            raise

    # --- readers ----------------------------------------------------------------------------------

    def _take(self, location: str) -> Reader:
        while self._spare:
            spare = self._spare.pop()
            if spare.location == location:
                return spare.reader
            self._apart(spare.reader.close)
        return Reader(location)

    def _put_back(self, reader: Reader, location: str, *, usable: bool) -> None:
        if not usable or self._threads is None:
            self._apart(reader.close)
        else:
            self._spare.append(_Spare(reader, location, asyncio.get_running_loop().time()))

    def _apart(self, blocking: Callable[[], None]) -> None:
        """In a thread that no question has."""
        future = asyncio.get_running_loop().run_in_executor(None, blocking)
        future.add_done_callback(_look)

    async def _close_idle(self) -> None:
        while True:
            await asyncio.sleep(self._limits.idle / 2)
            before = asyncio.get_running_loop().time() - self._limits.idle
            old = [one for one in self._spare if one.since < before]
            self._spare = [one for one in self._spare if one.since >= before]
            for one in old:
                self._apart(one.reader.close)


def _ask(question: Callable[[Reader], Told], reader: Reader) -> Told:
    """In a thread. Before anything was written there is nothing, and that is the answer."""
    try:
        return question(reader)
    except StoreMissing:
        nothing = Reader(None)
        try:
            return question(nothing)
        finally:
            nothing.close()


def _look(future: "Future[None] | asyncio.Future[None]") -> None:
    problem = None if future.cancelled() else future.exception()
    if isinstance(problem, StoreError):
        log.debug("a question to the store could not be given up: %s", problem)
