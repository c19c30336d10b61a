"""The Unix socket: where sessions say hello, hand over frames, and hear what is stored.

Two dialects on one socket, told apart by the first byte: `{` begins JSON lines (`json_lines.py`), anything else the
frames of `wayside.wire`. What is malformed, too large, unknown or too many is answered with an error to that peer and
counted; nobody else notices.
"""

import asyncio
import contextlib
import errno
import fcntl
import json
import logging
import os
import socket
import struct
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from wayside import wire

from .. import __version__
from ..intake import Inlet, Intake, Refused, Stream
from ..spool import SpoolError
from .journal import JournalSource
from .json_lines import MAX_LINE, LineError, LineSession
from .segments import open_segment

MAX_CONNECTIONS = 1024  #: a thousand processes of one pod; each costs a descriptor and some kilobytes
READ_SIZE = 256 << 10
HELLO_TIMEOUT = 10.0  #: seconds a new peer may take to say who it is
GONE_AFTER = 10.0  #: seconds a session without a journal may be away before it counts as ended
RETRY = 0.25  #: seconds before storing again after the spool could not take rows
LOOK_INTERVAL = 1.0  #: seconds between looks whether the socket is still there
SOCKET_MODE = 0o660

log = logging.getLogger(__name__)


class SocketHeld(Exception):
    """Another collector listens here; the message says which."""


class SocketSource:
    """Listens on one path until cancelled. url: where the collector's page is, told to every client."""

    def __init__(self, path: Path, intake: Intake, journals: JournalSource, url: str) -> None:
        self.path = path
        self.url = url
        self.connections = 0
        self.refused = 0
        self.errors = 0
        self._intake = intake
        self._journals = journals
        self._lock_fd = -1
        self._writers: dict[str, asyncio.StreamWriter] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        journals.on_stored = self._say_stored
        journals.is_connected = lambda inlet: inlet.client_id in self._writers

    async def run(self) -> None:
        try:
            while True:
                await self._serve()
                log.warning("%s is gone: made again", self.path)
        finally:
            await self._hang_up()

    async def _hang_up(self) -> None:
        """End every connection. Whoever is connected still has what is not stored, and comes again."""
        while tasks := list(self._tasks):  # again, since a connection that ends leaves a session to be ended
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self) -> None:
        """Listen until the socket's file is not ours any more: someone deleted it, perhaps with its whole folder."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._take_lock(self.path.parent / "collector.lock")
        ours: int | None = None
        try:
            server = await asyncio.start_unix_server(self._greet, self.path, limit=MAX_LINE)
            os.chmod(self.path, SOCKET_MODE)
            self._leave_note()
            ours = _inode(self.path)
            log.info("listening on %s", self.path)
            try:
                while _inode(self.path) == ours:  # noqa: ASYNC110 -- nothing tells of a file that is deleted
                    await asyncio.sleep(LOOK_INTERVAL)
            finally:
                server.close()
        finally:
            if ours is not None and _inode(self.path) == ours:
                for path in (self.path, self._note):
                    with contextlib.suppress(OSError):
                        path.unlink()
            os.close(self._lock_fd)

    @property
    def _note(self) -> Path:
        return self.path.parent / "collector.json"

    def _leave_note(self) -> None:
        """Beside the socket, for clients that want to name the page without asking, and for people."""
        text = json.dumps({"url": self.url, "version": __version__, "pid": os.getpid(), "host": socket.gethostname()})
        temporary = self._note.with_suffix(".tmp")
        temporary.write_text(text + "\n")
        temporary.replace(self._note)

    def _take_lock(self, path: Path) -> None:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        try:
            fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as problem:
            holder = os.pread(fd, 200, 0).decode(errors="replace").strip() or "another process"
            os.close(fd)
            if problem.errno in (errno.EACCES, errno.EAGAIN):
                raise SocketHeld(f"{holder} listens on {self.path}: stop it, or set another socket") from None
            raise
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"wayside-collector, pid {os.getpid()} on {socket.gethostname()}\n".encode(), 0)
        self._lock_fd = fd

    # --- one peer
    # ----------------------------------------------------------------------------------------------------------

    def _greet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """A task of our own: asyncio's would be told as an error when it is cancelled."""
        self._later(self._meet(reader, writer), "connection")

    async def _meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.connections >= MAX_CONNECTIONS:
            self.refused += 1
            await self._refuse(writer, f"{MAX_CONNECTIONS} connections are open, the limit")
            return
        self.connections += 1
        try:
            async with asyncio.timeout(HELLO_TIMEOUT):
                first = await reader.readexactly(1)
            if first == b"{":
                await self._talk_lines(first, reader, writer)
            else:
                await self._talk_frames(first, reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError, TimeoutError):
            pass  # the peer is gone or says nothing: its journal, if it has one, is read all the same
        except (wire.WireError, Refused) as problem:
            self.errors += 1
            await self._refuse(writer, str(problem))
        finally:
            self.connections -= 1
            writer.close()

    async def _refuse(self, writer: asyncio.StreamWriter, message: str) -> None:
        with contextlib.suppress(OSError):
            writer.write(wire.json_frame(wire.ERROR, {"error": message}))
            await writer.drain()
            writer.close()

    async def _talk_frames(self, first: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        buffer = first
        async with asyncio.timeout(HELLO_TIMEOUT):
            while not (found := wire.scan(buffer)).spans:
                if found.error:
                    raise wire.WireError(f"{found.error}; a connection begins with a HELLO frame or with JSON lines")
                buffer += await self._more(reader)
        hello = found.spans[0]
        if hello.type != wire.HELLO:
            raise wire.WireError(f"the first frame must be a HELLO, not type {hello.type}")
        record = wire.read_json(buffer, hello)
        if not isinstance(record, dict):
            raise wire.WireError("a HELLO must hold a JSON object")
        inlet = await self._begin(record, writer)
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

    async def _begin(self, record: dict[str, Any], writer: asyncio.StreamWriter) -> Inlet | None:
        versions = record.get("versions", [1])
        answer: dict[str, Any] = {"versions": list(wire.VERSIONS), "collector": __version__, "url": self.url}
        if not isinstance(versions, list) or not set(versions) & set(wire.VERSIONS):
            log.warning(
                "a client knows wire versions %s, this collector %s: its journal waits", versions, wire.VERSIONS
            )
            writer.write(wire.json_frame(wire.ANSWER, answer))
            await writer.drain()
            return None
        folders, reason = _readable_folders(record, self.path.parent)
        while True:
            try:
                inlet = await self._intake.begin(record, [str(folder) for folder in folders])
                break
            except SpoolError as problem:
                log.error("%s; a session waits at the door", problem)
                await asyncio.sleep(RETRY)
        if folders:
            self._journals.follow(inlet, folders)
        answer.update(journal="ok" if folders else "unreadable", reason=reason, stored=inlet.told_seq)
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
            log.error("%s; a session is put off", problem)
            await asyncio.sleep(RETRY)
            raise ConnectionError("put off") from problem

    async def _more(self, reader: asyncio.StreamReader) -> bytes:
        data = await reader.read(READ_SIZE)
        if not data:
            raise asyncio.IncompleteReadError(b"", None)
        return data

    def _say_stored(self, inlet: Inlet) -> None:
        writer = self._writers.get(inlet.client_id)
        if writer is not None and not writer.is_closing():
            writer.write(wire.stored_frame(inlet.told_seq))

    def expect(self, inlet: Inlet) -> None:
        """A session without a connection: it comes again, has a journal that is read, or is over."""
        if not self._journals.follows(inlet):
            self._later(self._end_when_gone(inlet), "session-end")

    def _later(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _end_when_gone(self, inlet: Inlet) -> None:
        """A session whose frames came on the socket is over when it said so, or when it stays away."""
        id = inlet.client_id
        if not inlet.finished:
            await asyncio.sleep(GONE_AFTER)
        if id not in self._writers and not self._journals.follows(inlet):
            with contextlib.suppress(SpoolError):
                await self._intake.end(inlet)

    # --- JSON lines
    # ----------------------------------------------------------------------------------------------------------

    async def _talk_lines(self, first: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        lines = LineSession(self._intake, socket.gethostname(), _peer_pid(writer))
        try:
            line = first
            while True:
                line += await self._read_line(reader, writer)
                if not line:
                    return
                if line.strip():
                    await self._take_line(lines, line, writer)
                line = b""
        finally:
            with contextlib.suppress(SpoolError):
                await lines.end()

    async def _read_line(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        while True:
            try:
                return await reader.readuntil(b"\n")
            except asyncio.IncompleteReadError as end:
                return end.partial
            except asyncio.LimitOverrunError as over:
                await reader.readexactly(over.consumed)
                while (rest := await reader.read(READ_SIZE)) and b"\n" not in rest:
                    pass
                self.errors += 1
                writer.write(
                    _error_line(f"a line of more than {MAX_LINE} bytes, the limit; it and the next are left out")
                )

    async def _take_line(self, lines: LineSession, line: bytes, writer: asyncio.StreamWriter) -> None:
        try:
            await lines.take(line)
            await self._intake.store(lines.inlets)
        except (LineError, SpoolError) as problem:
            if isinstance(problem, SpoolError):
                lines.not_stored()
            self.errors += 1
            writer.write(_error_line(str(problem)))
            await writer.drain()


def _inode(path: Path) -> int | None:
    try:
        return path.lstat().st_ino
    except OSError:
        return None


def _error_line(message: str) -> bytes:
    return json.dumps({"error": message}).encode() + b"\n"


def _peer_pid(writer: asyncio.StreamWriter) -> int:
    """The peer's pid as this PID namespace knows it; 0 from another one."""
    connection = writer.get_extra_info("socket")
    try:
        data = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    except (OSError, AttributeError):
        return 0
    pid: int = struct.unpack("3i", data)[0]
    return pid


def _readable_folders(record: dict[str, Any], beside: Path) -> tuple[list[Path], str]:
    """Where this session's journal can be read from here, and why not when the list is empty.

    The session's id, 128 random bits, stands in each of its segments: reading it back through a path proves that both
    sides mean the same folder, whatever is mounted where.
    """
    journal = record.get("journal")
    if not isinstance(journal, dict):
        return [], "the client sends its frames"
    id = record.get("session", "")
    asked = [Path(str(journal[key])) for key in ("path",) if journal.get(key)]
    if journal.get("relative"):
        asked.append(beside / str(journal["relative"]))
    for path in asked:
        if path.name == id and _holds_session(path, id):
            kept = Path(str(journal["kept"])) if journal.get("kept") else None
            return [path, *([kept] if kept is not None and kept.name == id else [])], ""
    return [], f"no journal of this session can be read at {' or '.join(str(path) for path in asked)}"


def _holds_session(folder: Path, id: str) -> bool:
    try:
        names = sorted(name for name in os.listdir(folder) if name.endswith(".seg"))
    except OSError:
        return False
    for name in names:
        try:
            segment = open_segment(folder / name)
        except (OSError, wire.WireError):
            continue
        if segment is not None:
            segment.close()
            return segment.header.session.hex() == id
    return False
