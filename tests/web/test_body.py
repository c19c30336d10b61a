"""Bodies of requests: limits, compression, and what becomes of those that are not what they say."""

import asyncio
import gzip
import io
import zlib

import pytest
from aiohttp import web
from sources.place import until
from wayside_collector.compression import zstd
from wayside_collector.configuration.access import Outside, PublicSection
from wayside_collector.web import body
from wayside_collector.web.body import BODY
from wayside_collector.web.roles import Role, Route
from web.serving import Served, served

LIMIT = 1 << 20


async def _length(request: web.Request) -> web.Response:
    return web.json_response({"length": len(request[BODY]), "crc": zlib.crc32(request[BODY])})


ROUTES = (Route("POST", "/rows", _length, Role.WRITER, LIMIT),)


async def post(s: Served, data: bytes, encoding: str | None = None) -> tuple[int, dict[str, object]]:
    headers = {} if encoding is None else {"Content-Encoding": encoding}
    async with s.asking.post(s.local + "/rows", data=io.BytesIO(data), headers=headers) as answer:
        return answer.status, await answer.json()


@pytest.mark.asyncio
async def test_a_body_may_have_its_routes_limit() -> None:
    """Exactly as many bytes as the route names are read, and one more is refused."""
    async with served(routes=ROUTES) as s:
        status, told = await post(s, b"x" * LIMIT)
        assert (status, told["length"]) == (200, LIMIT)
        status, told = await post(s, b"x" * (LIMIT + 1))
        assert status == 413
        assert f"{LIMIT} bytes" in str(told["error"])


@pytest.mark.asyncio
async def test_a_body_without_a_length_has_the_same_limit() -> None:
    """Chunks are counted as they come."""

    async def chunks(count: int):  # type: ignore[no-untyped-def]
        for _ in range(count):
            yield b"x" * (LIMIT // 4)

    async with served(routes=ROUTES) as s:
        assert await s.status(s.local + "/rows", "POST", data=chunks(4)) == 200
        assert await s.status(s.local + "/rows", "POST", data=chunks(5)) == 413


@pytest.mark.asyncio
@pytest.mark.parametrize(("encoding", "compress"), [("gzip", gzip.compress), ("zstd", zstd.compress)])
async def test_compressed_bodies_come_out_as_they_were(encoding: str, compress) -> None:  # type: ignore[no-untyped-def]
    """Small ones and large ones, up to the limit exactly."""
    small, noise = b'{"a": 1}', bytes(zlib.crc32(b"%d" % n) & 0xFF for n in range(200_000))
    async with served(routes=ROUTES) as s:
        for data in (small, noise, b"y" * LIMIT):
            status, told = await post(s, compress(data), encoding)
            assert (status, told) == (200, {"length": len(data), "crc": zlib.crc32(data)})


@pytest.mark.asyncio
@pytest.mark.parametrize(("encoding", "compress"), [("gzip", gzip.compress), ("zstd", zstd.compress)])
async def test_a_bomb_is_refused_at_the_limit(encoding: str, compress) -> None:  # type: ignore[no-untyped-def]
    """What would come out beyond the limit never does, and the answer is 413."""
    bomb = compress(b"\0" * (32 << 20))
    async with served(routes=ROUTES) as s:
        status, told = await post(s, bomb, encoding)
        assert status == 413
        assert f"{LIMIT} bytes" in str(told["error"])
        status, _ = await post(s, compress(b"z" * (LIMIT + 1)), encoding)
        assert status == 413


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("encoding", "data", "said"),
    [
        ("gzip", b"not compressed", "no whole gzip"),
        ("gzip", gzip.compress(b"x" * 1000, mtime=0)[:-9], "too early"),
        ("gzip", gzip.compress(b"a", mtime=0) + gzip.compress(b"b", mtime=0), "follows its end"),
        ("gzip", b"", "too early"),
        ("zstd", b"not compressed", "no whole zstd"),
        ("zstd", zstd.compress(b"x" * 1000)[:-3], "too early"),
        ("zstd", zstd.compress(b"a") + b"rest", "follows its end"),
    ],
)
async def test_what_is_not_what_it_says_is_answered_with_400(encoding: str, data: bytes, said: str) -> None:
    """In words, and the connection goes on."""
    async with served(routes=ROUTES) as s:
        status, told = await post(s, data, encoding)
        assert status == 400
        assert said in str(told["error"])
        assert (await post(s, b"x"))[0] == 200


@pytest.mark.asyncio
async def test_a_frame_that_asks_for_a_large_window_is_refused() -> None:
    """A zstd frame cannot make the collector set aside more than 8 MiB."""
    parameter = zstd.CompressionParameter
    compressor = zstd.ZstdCompressor(options={parameter.window_log: 27, parameter.enable_long_distance_matching: 1})
    data = compressor.compress(b"x" * 1000) + compressor.flush()
    async with served(routes=ROUTES) as s:
        assert (await post(s, data, "zstd"))[0] == 400


@pytest.mark.asyncio
async def test_an_unknown_encoding_is_answered_with_415() -> None:
    """Which ones are known is said."""
    async with served(routes=ROUTES) as s:
        status, told = await post(s, b"x", "br")
        assert status == 415
        assert "zstd" in str(told["error"])


@pytest.mark.asyncio
async def test_who_may_not_send_is_refused_before_the_body_is_read() -> None:
    """Without a token even a body that is too long or no gzip is answered with 401."""
    async with served(Outside("127.0.0.1:0", PublicSection()), ROUTES) as s:
        for data in (b"x" * (LIMIT + 1), b"no gzip"):
            headers = {"Content-Encoding": "gzip"}
            assert await s.status(s.public + "/rows", "POST", data=io.BytesIO(data), headers=headers) == 401


@pytest.mark.asyncio
async def test_bodies_of_all_senders_have_one_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond it the answer is 429 with Retry-After, and what is over makes room."""
    monkeypatch.setattr(body, "MAX_HELD", LIMIT)
    async with served(routes=ROUTES) as s:
        assert (await post(s, b"x" * LIMIT))[0] == 200
        compressed = zstd.compress(b"x" * LIMIT)
        async with s.asking.post(s.local + "/rows", data=compressed, headers={"Content-Encoding": "zstd"}) as answer:
            assert answer.status == 429
            assert answer.headers["Retry-After"] == "1"
        assert (await post(s, b"x" * LIMIT))[0] == 200


async def send(s: Served, data: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection on which this much of a request was sent."""
    host, _, port = s.local.removeprefix("http://").rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"POST /rows HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n" + data)
    await writer.drain()
    return reader, writer


@pytest.mark.asyncio
async def test_a_body_that_does_not_come_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a while the answer is 408, and what was read of it is held no longer."""
    monkeypatch.setattr(body, "BODY_TIMEOUT", 0.05)
    async with served(routes=ROUTES) as s:
        reader, writer = await send(s, b"x" * 10)
        async with asyncio.timeout(15):
            assert (await reader.readline()).startswith(b"HTTP/1.1 408 ")
        writer.close()
        assert s.server._bodies.held == 0


@pytest.mark.asyncio
async def test_who_goes_away_in_the_middle_leaves_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """Neither memory that is held, nor a traceback in the log."""
    async with served(routes=ROUTES) as s:
        for _ in range(5):
            _, writer = await send(s, b"x" * 10)
            writer.close()
            await writer.wait_closed()
        assert (await post(s, b"x"))[0] == 200
        await until(lambda: s.server._bodies.held == 0, "nothing held")
        assert [record for record in caplog.records if record.exc_info] == []
