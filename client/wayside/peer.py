"""A connection to a collector: what is said to it, and what is understood of what it says.

Nothing here decides; `handover` does. Whatever a peer may answer, it ends as a message of these kinds or as an error.
"""

import select
from typing import TYPE_CHECKING, Any, Dict, List, NamedTuple, Optional, Sequence, Tuple, Union

from . import wire
from .importing import importing

if TYPE_CHECKING:
    import socket

TALK_TIMEOUT = 5.0  #: seconds connecting or a send may block before the connection is given up
RECEIVE_SIZE = 64 << 10  #: bytes read at a time; answers are small
MAX_RECEIVES = 16  #: reads at one look: a peer that never stops talking must not keep the link from its work


class Answer(NamedTuple):
    """The answer to a hello. version: the newest wire version both know, None when there is none.

    readable: whether the collector reads the journal itself, and `reason` why not. stored: every row and event below
    this seq is on its disk. wandb: whether the collector has a key for W&B ("key", "no key", "no sink"). output: who
    writes the files that the environment asks for: the collector ("here"), or the client. The rest is for people.
    """

    version: Optional[int]
    versions: Tuple[int, ...]
    readable: bool
    reason: str
    stored: int
    url: Optional[str]
    collector: Optional[str]
    wandb: Optional[str] = None
    output: Optional[str] = None


class Stored(NamedTuple):
    """Every row and event below this seq is on the collector's disk."""

    seq: int


class Refusal(NamedTuple):
    """The collector does not take this session, and says why."""

    error: str


Message = Union[Answer, Stored, Refusal]


class Peer:
    """One connection. Every method may raise OSError; the connection is of no use after that."""

    def __init__(self, address: str, hello: Dict[str, Any]) -> None:
        """Connect and say hello."""
        with importing():
            import socket

        self.address = address
        self._received = b""
        self._socket: socket.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        try:
            self._socket.settimeout(TALK_TIMEOUT)
            self._socket.connect(address)
            self._socket.sendall(wire.json_frame(wire.HELLO, hello))
        except BaseException:
            self._socket.close()
            raise

    def send(self, frames: bytes) -> None:
        """Whole frames, or a piece of them that the next call goes on with."""
        self._socket.sendall(frames)

    def hear(self) -> List[Message]:
        """What was said since the last look; without waiting. Raises wire.WireError for what is no collector."""
        hung_up = not self._receive()
        found = wire.scan(self._received)
        messages = [understand(self._received, span) for span in found.spans]
        self._received = self._received[found.end :]
        if found.error is not None:
            raise wire.WireError(f"the collector speaks something else: {found.error}")
        if len(self._received) > wire.MAX_FRAME:
            raise wire.WireError("the collector speaks something else: a frame that never ends")
        if hung_up and not messages:
            raise ConnectionResetError("the collector hung up")
        return [message for message in messages if message is not None]

    def _receive(self) -> bool:
        """Read what is there; False at the end of the connection."""
        for _ in range(MAX_RECEIVES):
            if not _ready(self._socket):
                return True
            data = self._socket.recv(RECEIVE_SIZE)
            if not data:
                return False
            self._received += data
        return True

    def fileno(self) -> int:
        return self._socket.fileno()

    def close(self) -> None:
        self._socket.close()


def _ready(connection: "socket.socket") -> bool:
    poll = select.poll()  # and not select(), which cannot take a descriptor above 1023
    poll.register(connection, select.POLLIN)
    return bool(poll.poll(0))


def understand(data: bytes, span: wire.Span) -> Optional[Message]:
    """One frame as a message; None for a kind of frame this version does not know. Raises wire.WireError."""
    if span.type == wire.STORED:
        return Stored(wire.read_pair(data, span)[0])
    if span.type not in (wire.ANSWER, wire.ERROR):
        return None
    value = wire.read_json(data, span)
    if not isinstance(value, dict):
        raise wire.WireError("the collector's answer is no JSON object")
    return _answer(value) if span.type == wire.ANSWER else Refusal(str(value.get("error", "it did not say why")))


def _answer(value: Dict[str, Any]) -> Answer:
    versions = value.get("versions")
    if not isinstance(versions, list):
        raise wire.WireError("the collector's answer names no wire versions")
    numbers = tuple(version for version in versions if isinstance(version, int))
    stored = value.get("stored", 0)
    if type(stored) is not int or stored < 0:
        raise wire.WireError(f"the collector's answer has a `stored` of {stored!r:.40}, which is no seq")
    return Answer(
        version=_newest(numbers),
        versions=numbers,
        readable=value.get("journal") == "ok",
        reason=_text(value, "reason") or "",
        stored=stored,
        url=_text(value, "url"),
        collector=_text(value, "collector"),
        wandb=_text(value, "wandb"),
        output=_text(value, "output"),
    )


def _newest(versions: Sequence[int]) -> Optional[int]:
    return max((version for version in versions if version in wire.VERSIONS), default=None)


def _text(value: Dict[str, Any], key: str) -> Optional[str]:
    found = value.get(key)
    return found if isinstance(found, str) and found else None
