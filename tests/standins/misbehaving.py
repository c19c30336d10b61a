"""A server of raw sockets that stands before a real one and misbehaves: whatever a sink's other side can do to it.

While `behaviour` is "ok" connections are passed through; otherwise each request meets it. Setting it breaks every
connection off, so that the next request meets what was set.
"""

import asyncio
import contextlib
import socket
from types import TracebackType

RESET = b""  # nothing is answered: the connection breaks off


def _answer(status: str, body: bytes = b"{}", *headers: str) -> bytes:
    head = [f"HTTP/1.1 {status}", "Content-Type: application/json", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join([*head, "Connection: close", "", ""]).encode() + body


#: What one request is answered. "hang", "slow", "flood" and "refuse" are not an answer each; see `_misbehave`.
ANSWERS: dict[str, bytes] = {
    "breaks off": RESET,
    "not HTTP": b"\x00\xff\xfe nonsense\r\n\r\n",
    "half an answer": _answer("200 OK", b"{}").replace(b"Content-Length: 2", b"Content-Length: 2000"),
    "200 and a page": _answer("200 OK", b"<html>hello</html>"),
    "200 and half a body": _answer("200 OK", b'{"meta": {"code": 20'),
    "200 and binary": _answer("200 OK", b"\x00\xff\x00\xff"),
    "redirect": _answer("307 Temporary Redirect", b"", "Location: http://127.0.0.1:9/elsewhere"),
    "redirect to itself": _answer("302 Found", b"", "Location: /"),
    "401": _answer("401 Unauthorized"),
    "403": _answer("403 Forbidden"),
    "404": _answer("404 Not Found", b"nothing here"),
    "429": _answer("429 Too Many Requests", b"{}", "Retry-After: 1"),
    "500": _answer("500 Internal Server Error", b"oops"),
    "502": _answer("502 Bad Gateway"),
    "503": _answer("503 Service Unavailable", b"{}", "Retry-After: Thu, 01 Jan 1970 00:00:00 GMT"),
    "504": _answer("504 Gateway Timeout"),
}
OTHERS = ("refuse", "hang", "slow", "flood")
BEHAVIOURS = (*ANSWERS, *OTHERS)
BYTE_EVERY = 1.0  #: seconds, when it is slow


class Misbehaving:
    """`async with Misbehaving(port) as server:`, then `server.port` stands before 127.0.0.1:port.

    met: requests and connections that met what was set.
    """

    def __init__(self, target: int) -> None:
        self.port = 0
        self.met = 0
        self._target = target
        self._behaviour = "ok"
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> "Misbehaving":
        self._server = await asyncio.start_server(self._greet, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, kind: type[BaseException] | None, value: object, tb: TracebackType | None) -> None:
        assert self._server is not None
        self._server.close()
        await self._break_off()

    async def behave(self, behaviour: str) -> None:
        """From now on like this, for everybody."""
        self._behaviour, self.met = behaviour, 0
        await self._break_off()

    async def _break_off(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _greet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
                if self._behaviour == "ok":
                    await self._pass(reader, writer)
                else:
                    await self._misbehave(self._behaviour, reader, writer)
        finally:
            writer.transport.abort()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", self._target)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(_copy(reader, back))
                group.create_task(_copy(there, writer))
        finally:
            back.transport.abort()

    async def _misbehave(self, what: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.met += 1
        if what == "refuse":
            return
        await _read_request(reader)
        if what == "hang":
            await asyncio.Event().wait()
        elif what == "slow":
            for byte in ANSWERS["500"] * 1000:
                writer.write(bytes([byte]))
                await writer.drain()
                await asyncio.sleep(BYTE_EVERY)
        elif what == "flood":
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n")
            while True:
                writer.write(b"x" * 65536)
                await writer.drain()
        else:
            writer.write(ANSWERS[what])
            await writer.drain()
            with contextlib.suppress(OSError):
                writer.write_eof()
            await reader.read(1)  # until the client has read it and hangs up


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.write_eof()


async def _read_request(reader: asyncio.StreamReader) -> None:
    if (first := await reader.readexactly(1)) == b"\x16":
        return  # TLS, which is not spoken here
    head = (first + await reader.readuntil(b"\r\n\r\n")).lower()
    length = head.partition(b"content-length:")[2].split(b"\r\n")[0].strip()
    await reader.readexactly(int(length or 0))


def unused_port() -> int:
    """Where nobody listens."""
    with socket.socket() as asked:
        asked.bind(("127.0.0.1", 0))
        return int(asked.getsockname()[1])
