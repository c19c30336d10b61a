"""The listeners themselves: how many connections, whose certificate, and what cannot be listened on."""

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable
from pathlib import Path

import aiohttp
import pytest
from standins.certificates import make_certificate
from wayside_collector.configuration.access import Outside, PublicSection, is_loopback, listen_problems
from wayside_collector.intake.refusals import Refusals
from wayside_collector.web import listener as listener_module
from wayside_collector.web.listener import openable
from wayside_collector.web.server import WebServer
from web.serving import MadeUp, served


def https(tmp_path: Path) -> Outside:
    made = make_certificate(tmp_path)
    return Outside("127.0.0.1:0", PublicSection(cert_file=str(made.cert), key_file=str(made.key)))


@pytest.mark.asyncio
async def test_https_on_the_public_listener(tmp_path: Path) -> None:
    """With a certificate the public listener speaks TLS 1.2 and newer, no plain HTTP, and its cookie is Secure."""
    async with served(https(tmp_path)) as s:
        assert s.public.startswith("https://")
        trusting = ssl.create_default_context(cafile=str(tmp_path / "server.pem"))
        assert await s.status(s.public + "/livez", ssl=trusting) == 200
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await s.status(s.public + "/livez")
        with pytest.raises((aiohttp.ClientError, OSError)):
            await s.status(s.public.replace("https", "http") + "/livez")
        assert await s.status(s.local + "/livez") == 200


@pytest.mark.asyncio
async def test_a_replaced_certificate_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """New connections get the new certificate once its files are replaced; a broken one leaves the old in place."""
    monkeypatch.setattr(listener_module, "CERTIFICATE_INTERVAL", 0.01)
    caplog.set_level(logging.INFO)
    async with served(https(tmp_path)) as s:
        address = ("127.0.0.1", s.server.listeners[1].port)

        def seen() -> str:
            return ssl.get_server_certificate(address, timeout=5)

        first = await asyncio.to_thread(seen)
        (tmp_path / "server.pem").write_text("rubbish")
        await eventually(lambda: "the old certificate goes on" in caplog.text)
        assert await asyncio.to_thread(seen) == first
        await asyncio.to_thread(make_certificate, tmp_path)
        await eventually(lambda: "was replaced" in caplog.text)
        assert await asyncio.to_thread(seen) != first


async def eventually(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(15):
        while not holds():  # noqa: ASYNC110 -- nothing tells of a line in the log
            await asyncio.sleep(0.01)


@pytest.mark.asyncio
@pytest.mark.parametrize("files", ["missing", "rubbish", "another's key"])
async def test_a_certificate_that_cannot_be_used_stops_the_start(tmp_path: Path, files: str) -> None:
    """The error names both options, and what they must be."""
    made, other = make_certificate(tmp_path), make_certificate(tmp_path, "other")
    cert, key = made.cert, made.key
    if files == "missing":
        cert = tmp_path / "none.pem"
    elif files == "rubbish":
        cert.write_text("rubbish")
    else:
        key = other.key
    server = WebServer(
        MadeUp(), "127.0.0.1", 0, Outside("127.0.0.1:0", PublicSection(cert_file=str(cert), key_file=str(key)))
    )
    with pytest.raises(OSError, match=r"public\.cert_file: .* public\.key_file: .*PEM"):
        await server.run()


@pytest.mark.asyncio
async def test_connections_are_limited() -> None:
    """Beyond the limit a connection is closed at once and counted; when one goes, there is room again."""
    async with served() as s:
        (listener,) = s.server.listeners
        listener.max_connections = 2
        held = [await asyncio.open_connection("127.0.0.1", listener.port) for _ in range(2)]
        for _, writer in held:  # both must have been accepted before the next
            writer.write(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
        for reader, _ in held:
            assert b"200" in await reader.readline()
        reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
        assert await reader.read() == b""
        writer.close()
        assert s.refusals.counts() == {("listen", "connections"): 1}
        held[0][1].close()
        async with asyncio.timeout(10):
            while True:
                try:
                    assert await s.status(s.local + "/livez") == 200
                    break
                except aiohttp.ClientError:
                    await asyncio.sleep(0.02)
        held[1][1].close()


@pytest.mark.asyncio
@pytest.mark.parametrize("words", [b"", b"GET /livez HTTP/1.1\r\nHost: local"], ids=["silent", "half a head"])
async def test_who_says_nothing_is_let_go(monkeypatch: pytest.MonkeyPatch, words: bytes) -> None:
    """A connection without a whole request is closed in the end, so that nobody holds all of them for ever."""
    monkeypatch.setattr(listener_module, "IDLE_TIMEOUT", 0.1)
    async with served() as s:
        reader, writer = await asyncio.open_connection("127.0.0.1", s.server.listeners[0].port)
        writer.write(words)
        async with asyncio.timeout(15):
            assert await reader.read() == b""
        writer.close()


@pytest.mark.asyncio
@pytest.mark.parametrize("host", ["0.0.0.0", "[::]"])
async def test_all_interfaces_are_shown_as_one_that_opens(host: str) -> None:
    """The public address that is told is never that of all interfaces: it opens from here, and from elsewhere where
    there is an elsewhere.
    """
    async with served(Outside(f"{host}:0")) as s:
        assert not any(text in s.public for text in ("//0.0.0.0", "//[::]", "//:"))
        assert await s.status(s.public + "/livez") == 200


def test_without_a_network_it_is_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing faces outward loopback is told, and an address that was named is told as it is."""

    class Alone:
        def __init__(self, *kind: object) -> None:
            raise OSError(101, "Network is unreachable")

    monkeypatch.setattr(listener_module.socket, "socket", Alone)
    assert [openable(host) for host in ("0.0.0.0", "", "::")] == ["127.0.0.1", "127.0.0.1", "::1"]
    assert [openable(host) for host in ("10.1.2.3", "node-1", "::1")] == ["10.1.2.3", "node-1", "::1"]


@pytest.mark.asyncio
async def test_an_address_in_use_names_its_option() -> None:
    """What cannot be listened on is told with the option that would change it."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        server = WebServer(MadeUp(), "127.0.0.1", 0, Outside(address), Refusals())
        with pytest.raises(OSError, match=rf"{address} cannot be listened on .*`listen_public`"):
            await server.run()


@pytest.mark.parametrize("listen", ["0.0.0.0:9750", "[::]:9750", ":9750", "10.0.0.1:9750", "node-1:9750", "0:9750"])
def test_everything_is_never_for_everybody(listen: str) -> None:
    """`listen` beyond loopback is refused before anything starts, and the refusal names the option that is meant."""
    (problem,) = listen_problems(listen, None)
    assert problem.startswith("listen: ")
    assert "listen_public" in problem


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "localhost", "::1"])
def test_loopback(host: str) -> None:
    """Addresses only this machine reaches."""
    assert is_loopback(host)
    assert listen_problems(f"[{host}]:9750" if ":" in host else f"{host}:9750", "0.0.0.0:80") == []


def test_two_listeners_need_two_ports() -> None:
    """The same port for both is refused, a free one chosen for both is not, and a port is at most 65535."""
    assert listen_problems("127.0.0.1:9750", "0.0.0.0:9750")[0].startswith("listen_public: port 9750")
    assert listen_problems("127.0.0.1:0", "0.0.0.0:0") == []
    assert listen_problems("127.0.0.1:65536", "0.0.0.0:99999999999")[1].startswith("listen_public: ")


@pytest.mark.asyncio
async def test_the_public_listener_has_a_limit_of_its_own() -> None:
    """A gateway's, to which each collector that feeds it holds a connection."""
    async with served(Outside("127.0.0.1:0", PublicSection(max_connections=1000))) as s:
        local, public = s.server.listeners
        assert (local.max_connections, public.max_connections) == (256, 1000)
