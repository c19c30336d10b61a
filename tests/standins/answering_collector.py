"""A collector that says what a test tells it to, to whoever connects: for clients that must cope with any answer."""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from wayside import wire

#: What it does with a connection, given the client's hello: it may read and write, and the connection is closed after.
Script = Callable[[socket.socket, dict[str, Any]], None]


@contextlib.contextmanager
def answering_collector(path: Path, script: Script) -> Iterator[None]:
    """Listens on a path until the block is left."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening:
        listening.bind(str(path))
        listening.listen()
        thread = threading.Thread(target=_serve, args=(listening, script), daemon=True)
        thread.start()
        yield
        listening.shutdown(socket.SHUT_RDWR)
        thread.join()


def _serve(listening: socket.socket, script: Script) -> None:
    while True:
        try:
            connection, _ = listening.accept()
        except OSError:
            return
        with connection, contextlib.suppress(ConnectionError):
            hello = read_frames(connection, 1)[0]
            if hello:
                script(connection, wire.read_json(hello, wire.scan(hello).spans[0]))


def read_frames(connection: socket.socket, count: int) -> list[bytes]:
    """So many frames, or an empty one where the client hangs up first."""
    data, frames = b"", list[bytes]()
    while len(frames) < count:
        spans = wire.scan(data).spans
        if spans:
            end = spans[0].start + spans[0].size
            frames.append(data[:end])
            data = data[end:]
            continue
        more = connection.recv(65536)
        if not more:
            return [*frames, b""]
        data += more
    return frames


def answer(connection: socket.socket, **fields: Any) -> None:
    """A collector's answer to a hello, with these fields changed."""
    said = {"versions": [1], "collector": "9.9", "url": "http://there/", "journal": "ok", "reason": "", "stored": 0}
    connection.sendall(wire.json_frame(wire.ANSWER, {**said, **fields}))


def wait_for_end(connection: socket.socket) -> None:
    """Until the client hangs up."""
    while connection.recv(65536):
        pass
