"""A collector that answers as it is told, late or never, and dies; what it stored outlives it."""

import contextlib
import os
import socket
from pathlib import Path
from typing import Any

from standins.journal_reading import Frames, read_journal
from standins.journal_writer import holds
from wayside import wire


class ScriptedCollector:
    """Listens on a socket; nothing happens but when it is called. stored: below it all is stored, or was told to be
    missing. rows: seq to what is stored. hellos: as they came.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.stored = 0
        self.rows: dict[int, tuple[Any, ...]] = {}
        self.hellos: list[dict[str, Any]] = []
        self._listening: socket.socket | None = None
        self._peer: socket.socket | None = None
        self._received = b""
        self._folders: list[Path] | None = None  # where the journal lies that it reads by itself
        self.start()

    def start(self) -> None:
        """Listen anew, as after a restart."""
        self.stop()
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(str(self.path))
        self._listening.listen()
        self._listening.setblocking(False)

    def stop(self) -> None:
        """Die: what was received and not stored is forgotten."""
        self.hang_up()
        if self._listening is not None:
            self._listening.close()
            self.path.unlink(missing_ok=True)
            self._listening = None

    def hang_up(self) -> None:
        if self._peer is not None:
            self._peer.close()
        self._peer, self._received, self._folders = None, b"", None

    def accept(self) -> bool:
        """Take the next connection, if there is one; whether there is a peer."""
        if self._listening is not None:
            with contextlib.suppress(BlockingIOError):
                peer = self._listening.accept()[0]
                self.hang_up()
                peer.setblocking(False)
                self._peer = peer
        return self._peer is not None

    def answer(self, journal: str = "unreadable", **more: Any) -> None:
        """Read the hello and answer it."""
        self.receive()
        spans = wire.scan(self._received).spans
        if self._peer is None or not spans or spans[0].type != wire.HELLO:
            return
        hello = wire.read_json(self._received, spans[0])
        self.hellos.append(hello)
        self._received = self._received[spans[0].end :]
        told = hello["journal"] if journal == "ok" else None
        self._folders = [Path(told["path"]), Path(told["kept"])] if told else None
        answer = {"versions": [1], "journal": "ok" if told else "unreadable", "stored": self.stored}
        self.say(wire.json_frame(wire.ANSWER, {**answer, **more}))

    def say(self, data: bytes) -> None:
        if self._peer is not None:
            with contextlib.suppress(OSError):
                self._peer.sendall(data)

    def receive(self) -> None:
        while self._peer is not None:
            try:
                data = self._peer.recv(1 << 20)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            if not data:
                self.hang_up()
            self._received += data

    def store(self) -> None:
        """Put what has come so far on disk, and say so."""
        self.receive()
        if self._peer is None:
            return
        frames = Frames()
        if self._folders is not None:
            frames = read_journal(*self._folders)
        else:
            frames.take(self._received[: wire.scan(self._received).end])
        for record in [*frames.rows, *frames.events]:
            assert self.rows.setdefault(record.seq, holds(record)) == holds(record), "handed over as something else"
        self.stored = max(self.stored, frames.seq)
        self.say(wire.stored_frame(self.stored))

    def close(self) -> None:
        self.stop()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path)
