"""What is said on the Unix socket: sessions say hello, hand over frames, and hear what is stored.

Two dialects on one socket, told apart by the first byte: `{` begins JSON lines (`json_lines.py`), anything else the
frames of `wayside.wire`. What is malformed, too large, unknown or too many is answered with an error to that peer and
counted; nobody else notices.
"""

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from wayside import wire

from .. import __version__
from ..configuration.access import ANYBODY, ClientsSection
from ..intake import Full, Inlet, Intake, Refused, Stream
from ..intake.refusals import Refusals
from ..outage import Outage
from ..session import Session
from ..spool import SpoolError
from .journal import JournalSource
from .json_lines import LineSession, LineTalk, error_line
from .leaving import Leaving
from .listening import Listening
from .named import NamedJournals, more_roots
from .peers import Door, Peer, peer_of, sender_of

MAX_CONNECTIONS = 1024  #: a thousand processes of one pod; each costs a descriptor and some kilobytes
READ_SIZE = 256 << 10
HELLO_TIMEOUT = 10.0  #: seconds a new peer may take to say who it is
RETRY = 0.25  #: seconds before storing again after the spool could not take rows
MAX_UNREAD = 256 << 10  #: bytes of ours that a peer may leave unread: ten minutes of STORED frames at their fastest
REFUSAL_PATIENCE = 1.0  #: seconds for the first byte of a peer that is not let in: it says which dialect it reads
MOST_TOLD = 100  #: users whose refusal is logged; the counter has them all

log = logging.getLogger(__name__)


class SocketSource:
    """Listens on one path until cancelled. url: where the collector's page is, told to every client. more: what else a
    session is answered.
    """

    def __init__(
        self,
        path: Path,
        intake: Intake,
        journals: JournalSource,
        url: str,
        clients: ClientsSection = ANYBODY,
        refusals: Refusals | None = None,
    ) -> None:
        self.path = path
        self.url = url
        self.connections = 0
        self.refusals = refusals or Refusals()
        self._door = Door(path, clients)
        self._named = NamedJournals(path.parent, [*journals.roots, *more_roots(clients)])
        self._listening = Listening(path, self._door, url, MAX_CONNECTIONS, journals.roots)
        self._told_of: set[int] = set()  # users whose refusal stands in the log
        self._intake = intake
        self._journals = journals
        self.more: Callable[[Session], dict[str, Any]] = lambda session: {}
        self._writers: dict[str, asyncio.StreamWriter] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._outage = Outage(log)
        self._leaving = Leaving(intake, self._is_here, self._later, self._outage)
        journals.on_stored = self._say_stored
        journals.is_connected = lambda inlet: inlet.client_id in self._writers

    async def run(self) -> None:
        try:
            await self._listening.run(self._greet)
        finally:
            await self._hang_up()

    async def _hang_up(self) -> None:
        """End every connection. Whoever is connected still has what is not stored, and comes again."""
        while tasks := list(self._tasks):  # again, since a connection that ends leaves a session to be ended
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    # --- one peer --------------------------------------------------------------------------------

    def _greet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """A task of our own: asyncio's would be told as an error when it is cancelled."""
        self._later(self._meet(reader, writer), "connection")

    async def _meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.connections >= MAX_CONNECTIONS:
            self.refusals.count("socket", "connections")
            await self._refuse(writer, f"{MAX_CONNECTIONS} connections are open, the limit")
            return
        self.connections += 1
        peer = peer_of(writer.get_extra_info("socket"))
        try:
            if (refusal := self._door.refuses(peer)) is not None:
                await self._turn_away(refusal, peer, reader, writer)
                return
            async with asyncio.timeout(HELLO_TIMEOUT):
                first = await reader.readexactly(1)
            if first == b"{":
                await self._talk_lines(first, peer, reader, writer)
            else:
                await self._talk_frames(first, peer, reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the peer is gone: its journal, if it has one, is read all the same
        except TimeoutError:
            self.refusals.count("socket", "silent")
        except (wire.WireError, Refused) as problem:
            self.refusals.count("socket", "sessions" if isinstance(problem, Full) else "malformed")
            await self._refuse(writer, str(problem))
        finally:
            self.connections -= 1
            writer.close()

    async def _turn_away(
        self, refusal: str, peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Tell a peer in its own dialect that it is not let in, and the log once for each user."""
        self.refusals.count("socket", "peer")
        if peer.uid not in self._told_of and len(self._told_of) < MOST_TOLD:
            self._told_of.add(peer.uid)
            log.warning("a connection of pid %d was refused: %s", peer.pid, refusal)
        first = b""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(REFUSAL_PATIENCE):
                first = await reader.read(1)
        if first == b"{":
            writer.write(error_line(refusal))
            await writer.drain()
        else:
            await self._refuse(writer, refusal)

    async def _refuse(self, writer: asyncio.StreamWriter, message: str) -> None:
        with contextlib.suppress(OSError):
            writer.write(wire.json_frame(wire.ERROR, {"error": message}))
            await writer.drain()
            writer.close()

    async def _talk_frames(
        self, first: bytes, peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        buffer = first
        async with asyncio.timeout(HELLO_TIMEOUT):
            while not (found := wire.scan(buffer)).spans:
                if found.error:
                    raise wire.WireError(f"{found.error}; a connection begins with a HELLO frame or with JSON lines")
                if len(buffer) > wire.MAX_FRAME:
                    raise wire.WireError("a frame that never ends, or a head of zero; a connection begins with a HELLO")
                buffer += await self._more(reader)
        hello = found.spans[0]
        if hello.type != wire.HELLO:
            raise wire.WireError(f"the first frame must be a HELLO, not type {hello.type}")
        record = wire.read_json(buffer, hello)
        if not isinstance(record, dict):
            raise wire.WireError("a HELLO must hold a JSON object")
        inlet = await self._begin(record, peer, writer)
        if inlet is None:
            return
        id = inlet.client_id
        self._writers[id] = writer
        try:
            await self._take_frames(inlet, buffer[hello.end :], reader, writer)
        finally:
            if self._writers.get(id) is writer:
                del self._writers[id]
            self.expect(inlet)

    async def _talk_lines(
        self, first: bytes, peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        lines = LineSession(self._intake, socket.gethostname(), peer.pid)
        try:
            await LineTalk(reader, writer, lambda: self.refusals.count("socket", "line")).talk(first, lines)
        finally:
            for inlet in await lines.end():
                self.expect(inlet)

    async def _begin(self, record: dict[str, Any], peer: Peer, writer: asyncio.StreamWriter) -> Inlet | None:
        versions = record.get("versions", [1])
        answer: dict[str, Any] = {"versions": list(wire.VERSIONS), "collector": __version__, "url": self.url}
        if not isinstance(versions, list) or not any(version in versions for version in wire.VERSIONS):
            log.warning(
                "a client knows wire versions %.80s, this collector %s: its journal waits", versions, wire.VERSIONS
            )
            writer.write(wire.json_frame(wire.ANSWER, answer))
            await writer.drain()
            return None
        journal = await asyncio.to_thread(self._named.find, record, peer.uid)
        folders = journal.folders
        if record.get("journal") and not folders:
            self.refusals.count("socket", "journal")
        while True:
            try:
                inlet = await self._intake.begin(record, [str(folder) for folder in folders if journal.whole])
                break
            except SpoolError as problem:
                self._outage.go_on("%s; sessions wait", problem)
                await asyncio.sleep(RETRY)
        inlet.sender = sender_of(peer)
        if folders:
            self._journals.follow(inlet, folders)
        answer.update(journal="ok" if folders else "unreadable", reason=journal.reason, stored=inlet.told_seq)
        answer.update(self.more(inlet.known.session))
        writer.write(wire.json_frame(wire.ANSWER, answer))
        await writer.drain()
        return inlet

    async def _take_frames(
        self, inlet: Inlet, buffer: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        stream = Stream()
        while True:
            taken = inlet.take(stream, buffer)
            buffer = buffer[taken:]
            if taken:
                await self._store(inlet)
                writer.write(wire.stored_frame(inlet.told_seq))
                await writer.drain()
                continue  # what follows the frames may be none, and waits for nothing
            if len(buffer) > wire.MAX_FRAME:
                raise wire.WireError("a frame that never ends, or a head of zero")
            data = await reader.read(READ_SIZE)
            if not data:
                return
            buffer += data

    async def _store(self, inlet: Inlet) -> None:
        """Store what came in; while the spool cannot take it, the peer is not read from. What failed is not handed in
        again from here: the peer still has it, and sends it anew on the next connection.
        """
        try:
            await self._intake.store([inlet])
        except SpoolError as problem:
            self._outage.go_on("%s; sessions wait", problem)
            await asyncio.sleep(RETRY)
            raise ConnectionError("put off") from problem
        self._outage.end("the spool takes rows again")

    async def _more(self, reader: asyncio.StreamReader) -> bytes:
        data = await reader.read(READ_SIZE)
        if not data:
            raise asyncio.IncompleteReadError(b"", None)
        return data

    def _say_stored(self, inlet: Inlet) -> None:
        writer = self._writers.get(inlet.client_id)
        if writer is None or writer.is_closing():
            return
        if writer.transport.get_write_buffer_size() > MAX_UNREAD:
            self.refusals.count("socket", "unread")  # when it comes again, it is told by the answer to its hello
            writer.transport.abort()
            return
        writer.write(wire.stored_frame(inlet.told_seq))

    def expect(self, inlet: Inlet) -> None:
        """A session without a connection: it comes again, has a journal that is read, or is over."""
        if not self._journals.follows(inlet):
            self._leaving.expect(inlet)

    def _is_here(self, inlet: Inlet) -> bool:
        return inlet.client_id in self._writers or self._journals.follows(inlet)

    def _later(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
