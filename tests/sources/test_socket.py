"""The socket: what peers are answered, and that the trouble with one is nobody else's."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from sources.place import RECORD, Place, frames, opened_place, until
from wayside import wire
from wayside.row import FINISH
from wayside_collector import __version__
from wayside_collector.intake import sessions as intakes
from wayside_collector.sources import listening
from wayside_collector.sources import socket as sockets


@pytest_asyncio.fixture
async def place() -> AsyncIterator[Place]:
    async with opened_place() as found, found.listening():
        yield found


def counts(place: Place) -> dict[str, int]:
    return {reason: count for (_, reason), count in place.socket.refusals.counts().items()}


@pytest.mark.asyncio
async def test_a_hello_is_answered_with_the_versions(place: Place) -> None:
    """The answer names what the collector reads, where its page is, and up to where the session is stored."""
    peer = await place.connect()
    answer = await peer.hello()
    assert answer["versions"] == list(wire.VERSIONS)
    assert (answer["collector"], answer["url"], answer["stored"]) == (__version__, "http://here/", 0)
    assert answer["journal"] == "unreadable"
    await peer.send(frames(3))
    await peer.stored(3)
    await peer.close()
    again = await place.connect()
    assert (await again.hello())["stored"] == 3
    assert [row.step for row in place.rows("r1")] == [0, 1, 2]
    await again.close()


@pytest.mark.asyncio
async def test_a_client_that_is_too_new_is_told_and_waits(place: Place) -> None:
    """Without a version that both know, the answer names ours, no session begins, and the connection ends."""
    for versions in ([99], [], "1", [[1]], None):
        peer = await place.connect()
        answer = await peer.hello(versions=versions)
        assert answer["versions"] == list(wire.VERSIONS)
        assert "stored" not in answer
        assert await peer.reader.read() == b""
        await peer.close()
    assert place.intake.alive() == []


@pytest.mark.parametrize("hello", [b"", wire.json_frame(wire.HELLO, RECORD)], ids=["at once", "after a hello"])
@pytest.mark.asyncio
async def test_a_frame_that_never_ends_is_refused(place: Place, hello: bytes) -> None:
    """A head of zero, and bytes without end behind it: refused after the size of a frame, and not kept."""
    peer = await place.connect()
    peer.writer.write(hello + bytes(wire.MAX_FRAME + (1 << 20)))
    kind, answer = await peer.frame()
    while kind != wire.ERROR:
        kind, answer = await peer.frame()
    assert "never ends" in answer["error"]


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", "begins with a HELLO frame or with JSON lines"),
        (b"\xff" * 64, "frame"),
        ((wire.MAX_FRAME + 8 | wire.HELLO << 32).to_bytes(8, "little"), "longer than the limit"),
        (wire.frame(wire.HELLO, b"[1]"), "must hold a JSON object"),
        (wire.frame(wire.HELLO, b"{no json"), "no JSON"),
        (wire.frame(wire.HELLO, b"[" * 5000), "no JSON"),
        (wire.seq_frame(0, 0), "must be a HELLO"),
        (wire.json_frame(wire.HELLO, {"session": "5" * 32}), "run"),
        (wire.json_frame(wire.HELLO, {**RECORD, "session": "short"}), "32 lower-case hexadecimal"),
        (wire.json_frame(wire.HELLO, {**RECORD, "run": {"id": "x" * 257}}), "1 to 256 characters"),
        (wire.json_frame(wire.HELLO, {**RECORD, "rank": "first"}), "rank"),
        (wire.json_frame(wire.HELLO, {**RECORD, "host": "x" * 200_000}), "the limit is"),
        (wire.json_frame(wire.HELLO, RECORD) + b"\x07" * 16, "frame"),
        (wire.json_frame(wire.HELLO, RECORD) + frames(1) + (1 << 30 | wire.ROW << 32).to_bytes(8, "little"), "limit"),
    ],
    ids=lambda value: None if isinstance(value, str) else "",
)
@pytest.mark.asyncio
async def test_what_makes_no_sense_is_answered_with_an_error(place: Place, sent: bytes, said: str) -> None:
    """What, where and what to do, to that peer, and counted; a neighbour's rows go on to arrive."""
    neighbour = await place.connect()
    await neighbour.hello(session="6" * 32, run={"id": "neighbour"})
    peer = await place.connect()
    await peer.send(sent)
    kind, answer = await peer.frame()
    while kind != wire.ERROR:
        kind, answer = await peer.frame()
    assert said in answer["error"]
    assert await peer.reader.read() == b""
    assert counts(place) == {"malformed": 1}
    await neighbour.send(frames(5))
    await neighbour.stored(5)
    for one in (peer, neighbour):
        await one.close()
    await until(lambda: place.socket.connections == 0, "both gone")


@pytest.mark.asyncio
async def test_a_row_that_makes_no_sense_is_left_out_and_counted(place: Place) -> None:
    """Frames that are whole but not to be understood cost themselves only: the connection goes on."""
    peer = await place.connect()
    await peer.hello()
    odd = wire.row_frame(7, 1e9, 0, [1.0]) + wire.schema_frame(1, ["a", "a"]) + wire.frame(wire.EVENT, b" " * 24)
    await peer.send(frames(1) + odd + frames(1, first=1))
    await until(lambda: place.intake.counters.malformed == 3, "three counted")
    await until(lambda: [row.step for row in place.rows("r1")] == [0, 1], "the others stored")
    await peer.close()


@pytest.mark.asyncio
async def test_one_byte_at_a_time(place: Place) -> None:
    """However a peer's bytes are cut, they mean the same."""
    peer = await place.connect()
    data = wire.json_frame(wire.HELLO, RECORD) + frames(3) + wire.event_frame(1e9, None, FINISH, {"exit_code": 0})
    for byte in data:
        peer.writer.write(bytes([byte]))
        await asyncio.sleep(0)
    kind, _ = await peer.frame()
    assert kind == wire.ANSWER
    await peer.stored(4)
    assert len(place.rows("r1")) == 3
    await peer.close()
    await until(lambda: place.registry.alive() == [], "the session ended")


@pytest.mark.asyncio
async def test_too_many_connections(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the limit one more is told so and counted; those that are there go on, and with one gone there is room."""
    monkeypatch.setattr(sockets, "MAX_CONNECTIONS", 20)
    peers = [await place.connect() for _ in range(20)]
    await until(lambda: place.socket.connections == 20, "all connected")
    over = await place.connect()
    assert "20 connections are open, the limit" in await over.error()
    assert counts(place) == {"connections": 1}
    await peers[0].hello()
    await peers[0].send(frames(2))
    await peers[0].stored(2)
    await peers.pop().close()
    await until(lambda: place.socket.connections == 19, "one gone")
    late = await place.connect()
    await late.hello(session="6" * 32)
    for peer in (*peers, late, over):
        await peer.close()


@pytest.mark.asyncio
async def test_too_many_sessions(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same with sessions; one that is known may come again at the limit."""
    monkeypatch.setattr(intakes, "MAX_SESSIONS", 2)
    peers = [await place.connect() for _ in range(4)]
    await peers[0].hello(session="1" * 32)
    await peers[1].hello(session="2" * 32)
    await peers[2].send(wire.json_frame(wire.HELLO, {**RECORD, "session": "3" * 32}))
    assert "2 sessions are open, the limit" in await peers[2].error()
    assert counts(place) == {"sessions": 1}
    await peers[3].hello(session="2" * 32)
    for peer in peers:
        await peer.close()


@pytest.mark.asyncio
async def test_a_peer_that_says_nothing_is_let_go(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half-open peers, silent from the start or within their hello, do not hold their place for ever."""
    monkeypatch.setattr(sockets, "HELLO_TIMEOUT", 0.05)
    silent, halfway = await place.connect(), await place.connect()
    await halfway.send(wire.json_frame(wire.HELLO, RECORD)[:20])
    assert await silent.reader.read() == b""
    assert await halfway.reader.read() == b""
    assert counts(place) == {"silent": 2}
    assert place.socket.connections == 0
    for peer in (silent, halfway):
        await peer.close()


@pytest.mark.asyncio
async def test_a_peer_that_never_reads_costs_a_bounded_amount(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a collector has to say to it is not heaped up: beyond a limit it is hung up on, and counted."""
    monkeypatch.setattr(sockets, "MAX_UNREAD", 1024)
    connection = socket.socket(socket.AF_UNIX)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.setblocking(False)
    await asyncio.get_running_loop().sock_connect(connection, str(place.socket.path))
    await asyncio.get_running_loop().sock_sendall(connection, wire.json_frame(wire.HELLO, RECORD))
    await until(place.intake.alive, "the session")
    (inlet,) = place.intake.alive()
    for _ in range(100_000):
        place.socket._say_stored(inlet)  # as each look at its journal would, were it in a folder that both see
        if counts(place):
            break
    assert counts(place) == {"unread": 1}
    await until(lambda: place.socket.connections == 0, "hung up")
    connection.close()


@pytest.mark.asyncio
async def test_a_peer_that_is_gone_in_the_middle_loses_nothing(place: Place) -> None:
    """What was whole is stored; the half of a frame is not; and the rest comes with the next connection."""
    peer = await place.connect()
    await peer.hello()
    data = frames(5)
    await peer.send(data[: len(data) - 20])
    await peer.stored(4)
    peer.writer.transport.abort()
    again = await place.connect()
    assert (await again.hello())["stored"] == 4
    await again.send(frames(5))
    await again.stored(5)
    assert [row.step for row in place.rows("r1")] == list(range(5))
    assert place.intake.counters.doubles == 4
    await again.close()


@pytest.mark.parametrize(
    "fields",
    [
        {"started": float("nan")},
        {"started": 1e308},
        {"started": -1e308},
        {"rank": 10**30},
        {"pid": -(10**30)},
        {"host": "\ud800"},
        {"host": "a\x00b"},
        {"run": {"id": "\ud800"}},
        {"run": {"id": "r\n\x00"}},
        {"journal": {"path": "x" * 100_000, "relative": "\x00", "kept": 5}},
        {"journal": {"path": ["x"]}},
        {"journal": 7},
        {"extra": {"deep": [[[[[]]]]]}},
    ],
    ids=lambda value: next(iter(value)),
)
@pytest.mark.asyncio
async def test_odd_fields_disturb_nobody(place: Place, fields: dict[str, Any]) -> None:
    """A session's record may hold anything that JSON can: it is taken or refused, and the next one's rows arrive."""
    peer = await place.connect()
    await peer.send(wire.frame(wire.HELLO, json.dumps({**RECORD, **fields}).encode()))
    kind, _ = await peer.frame()
    assert kind in (wire.ANSWER, wire.ERROR)
    await peer.send(frames(2))
    await peer.close()
    neighbour = await place.connect()
    await neighbour.hello(session="6" * 32, run={"id": "neighbour"})
    await neighbour.send(frames(5))
    await neighbour.stored(5)
    assert len(place.rows("neighbour")) == 5
    await neighbour.close()
    assert place.spool.last_error is None


@pytest.mark.asyncio
async def test_many_at_once(place: Place) -> None:
    """Two hundred sessions that connect, send and leave at the same time are all stored, each with its own rows."""

    async def one(number: int) -> None:
        peer = await place.connect()
        await peer.hello(session=f"{number:032x}", run={"id": f"r{number}"})
        await peer.send(frames(number % 7 + 1))
        await peer.stored(number % 7 + 1)
        await peer.close()

    await asyncio.gather(*(one(number) for number in range(200)))
    assert [len(place.rows(f"r{number}")) for number in range(0, 200, 20)] == [n % 7 + 1 for n in range(0, 200, 20)]
    assert place.intake.counters.received_rows == sum(number % 7 + 1 for number in range(200))


@pytest.mark.asyncio
async def test_a_socket_that_cannot_be_made_again_is_tried_again(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder in the place of a deleted socket stops nothing: the collector listens as soon as it can."""
    monkeypatch.setattr(listening, "LOOK_INTERVAL", 0.01)
    await asyncio.sleep(0)
    place.socket.path.unlink()
    place.socket.path.mkdir()
    tried = asyncio.Event()
    monkeypatch.setattr(listening.log, "warning", lambda text, *values: tried.set() if "tried" in text else None)
    async with asyncio.timeout(10):
        await tried.wait()
    place.socket.path.rmdir()
    await until(place.socket.path.is_socket, "listening again")
    neighbour = await place.connect()
    await neighbour.hello(session="7" * 32, run={"id": "neighbour"})
    await neighbour.close()
