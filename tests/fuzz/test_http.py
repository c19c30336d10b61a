"""HTTP requests of any shape, to both listeners: an answer or a closed connection, and the next request is answered.

Raw bytes for whatever is no HTTP, and requests made of odd parts for what is. Afterwards the server still answers an
ordinary request, has no more connections than before, and has told its log nothing as a bug.
"""

import asyncio
import contextlib
import logging
import re
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from fuzz.damage import TEXT, damaged
from fuzz.effort import EFFORTS, Effort
from hypothesis import strategies as st
from wayside_collector.configuration.access import Outside, PublicSection
from web.serving import Served, served

READER = "r" * 20
PATHS = ["/", "/metrics", "/livez", "/readyz", "/status", "/login", "/logout", "/status?x=%00", "//", "*", "/%2e%2e/x"]
ORDINARY = (
    f"GET /status HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {READER}\r\nAccept: text/html\r\n\r\n".encode()
)
POST = b"POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\n"
FORM = POST + b"Content-Length: 24\r\n\r\ntoken=rrrrrrrrrr&next=/x"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n5\r\ntoken\r\n0\r\n\r\n"
MOMENT = 0.02  # seconds in which an answer most often comes; to who says at once that he is done, none would be given
PATIENCE = 20.0  # seconds: only a broken server needs them

METHODS = (
    st.sampled_from(["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PRI", "get", ""]) | TEXT
)
HEADERS = (
    *("Host", "Authorization", "Cookie", "Origin", "Accept", "Accept-Encoding", "Content-Length", "Content-Type"),
    *("Transfer-Encoding", "Range", "Expect", "Upgrade", "Sec-Fetch-Site", "X-Forwarded-For", "If-None-Match"),
)
VALUES = (
    *(f"Bearer {READER}", "Bearer", "Basic x", "wayside=1.reader.x", "wayside=" + "x" * 5000, "http://evil", "null"),
    *("-1", "0", "999999999999", "chunked", "gzip, chunked", "100-continue", "bytes=0-", "*/*;q=x", "127.0.0.1"),
    *(
        "application/openmetrics-text;version=1.0.0",
        "text/plain;q=0.1,,;;",
        "multipart/form-data; boundary=",
        "[::1]:99",
    ),
    *("application/x-www-form-urlencoded; charset=none", "websocket"),
)
LINES = st.lists(st.tuples(st.sampled_from(HEADERS), TEXT | st.sampled_from(VALUES)), max_size=5)


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    """A request whose parts are odd, each by itself."""
    path = draw(st.sampled_from(PATHS) | TEXT)
    lines = [f"{draw(METHODS)} {path} {draw(st.sampled_from(['HTTP/1.1', 'HTTP/1.0', 'HTTP/2.0', 'HTTP/x', '']))}"]
    lines += [f"{name}: {value}" for name, value in draw(LINES)]
    return "\r\n".join([*lines, "", ""]).encode("utf-8", "surrogatepass") + draw(st.binary(max_size=50))


INPUTS = requests() | damaged(ORDINARY) | damaged(FORM) | damaged(CHUNKED) | st.binary(max_size=100)


@pytest.mark.parametrize("effort", EFFORTS)
def test_requests(effort: Effort, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Each is sent to both listeners, whole or with an end that never comes, followed by an ordinary one."""
    tokens = tmp_path / "tokens"
    tokens.write_text(f"reader {READER}\n")
    outside = Outside("127.0.0.1:0", PublicSection(token_file=str(tokens)))
    caplog.set_level(logging.ERROR)
    with asyncio.Runner() as runner:
        stop = asyncio.Event()
        ask, task = runner.run(_start(outside, stop))

        def one(data: bytes) -> None:
            runner.run(ask(data))

        try:
            effort.share(2).run(INPUTS, one)
        finally:
            stop.set()
            runner.run(_end(task))
    assert [record.getMessage() for record in caplog.records] == []


async def _start(
    outside: Outside, stop: asyncio.Event
) -> tuple[Callable[[bytes], Awaitable[None]], "asyncio.Task[None]"]:
    """A server that goes on until `stop`, and what asks it."""
    ready: asyncio.Future[Served] = asyncio.get_running_loop().create_future()

    async def serve() -> None:
        async with served(outside) as found:
            ready.set_result(found)
            await stop.wait()

    task = asyncio.ensure_future(serve())
    here = await ready

    async def ask(data: bytes) -> None:
        for url in (here.local, here.public):
            await _send(url, data)
        assert await here.status(here.local + "/livez") == 200
        assert await here.status(here.public + "/status", headers={"Authorization": f"Bearer {READER}"}) == 200
        assert await here.status(here.public + "/status") == 401

    return ask, task


async def _end(task: "asyncio.Task[None]") -> None:
    await task


async def _send(url: str, data: bytes) -> None:
    """Send it, say after a moment that nothing more comes, and read to the end."""
    host, _, port = url.removeprefix("http://").rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        with contextlib.suppress(ConnectionError):
            writer.write(data)
            answer = b""
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(MOMENT):
                    answer = await reader.read(1)
            writer.write_eof()
            async with asyncio.timeout(PATIENCE):
                answer += await reader.read()
            assert not answer or re.match(rb"HTTP/\d\.\d [1-4]\d\d ", answer), answer[:200]
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
