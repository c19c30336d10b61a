"""What a collector tells a gateway, and what that answers: `POST /api/v1/batches`. Pure: bytes in, structs out.

The body is one msgpack map, compressed with zstd (or gzip). A *lot* is consecutive rows and events of one session: the
session's record, and frames as they cross a socket (`wayside.wire`): SEQ, ROW, EVENT. A ROW's head has the place of its
names in the lot's `names`, so that a lot can be read alone, by whichever replica it reaches. Who sends says beside it
how it fares: the books of its sink, what its clients lost, and which of its sessions live.

Readers leave out fields they do not know; VERSION is raised only when what is known would be misread. An answer of
200 says of each session whether it was taken: `refused` never will be, `later` should be sent again, and the record of
an `unknown` one should come along next time, though there may be no rows of it.
"""

from typing import Annotated, Any

import msgspec

VERSION = 1
VERSIONS = (1,)  #: what this module reads
MEDIA = "application/vnd.wayside.batches"  #: Content-Type of a body

MAX_BODY = 16 << 20  #: bytes of a body, decompressed: the largest row and the largest event fit several times
MAX_LOTS = 10_000  #: in a body: as many sessions as a collector may have
MAX_ALIVE = 10_000  #: sessions a collector says are alive, likewise

Name = Annotated[str, msgspec.Meta(max_length=256)]
Id = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{32}$")]
Count = Annotated[int, msgspec.Meta(ge=0, lt=1 << 62)]


class Lot(msgspec.Struct, frozen=True, omit_defaults=True):
    """Rows and events of a session, or none: then only its record. names: of the rows, by the number in their heads."""

    record: dict[str, Any]
    names: list[list[str]] = []
    frames: bytes = b""


class Balance(msgspec.Struct, frozen=True, omit_defaults=True):
    """The books of the sink that feeds the gateway, in points."""

    received: Count = 0
    delivered: Count = 0
    waiting: Count = 0
    dropped: dict[Name, Count] = {}
    filtered: Count = 0
    redelivered: Count = 0


class Sender(msgspec.Struct, frozen=True, omit_defaults=True):
    """Who sends, and how it fares. id: its own, for as long as its spool lives. started: Unix time in seconds, by its
    clock, which nothing here relies on. alive: its sessions that are not over. lost_rows, lost_points: what its clients
    had no room for, ever.
    """

    id: Id
    host: Name = ""
    version: Name = ""
    pid: int = 0
    started: float = 0.0
    alive: Annotated[list[Id], msgspec.Meta(max_length=MAX_ALIVE)] = []
    books: Balance = Balance()
    lost_rows: Count = 0
    lost_points: Count = 0


class Delivery(msgspec.Struct, frozen=True):
    """A body. It always says its version, whatever that is one day by default."""

    sender: Sender
    version: int = VERSION
    lots: Annotated[list[Lot], msgspec.Meta(max_length=MAX_LOTS)] = []


class Receipt(msgspec.Struct, frozen=True, omit_defaults=True):
    """The answer to it. gateway: the versions it reads; by this an answer is known to be a gateway's. refused: session
    to why it will never be taken. later: session to why it was not taken now. unknown: of those alive. doubles: rows
    and events that were there. error: why nothing was taken.
    """

    gateway: list[int]
    refused: dict[str, str] = {}
    later: dict[str, str] = {}
    unknown: list[str] = []
    doubles: int = 0
    malformed: int = 0
    error: str | None = None


class Unreadable(ValueError):
    """A body that is none; the message is for who sent it. known: whether it is only of another version."""

    def __init__(self, message: str, *, known: bool = False) -> None:
        super().__init__(message)
        self.known = known


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Delivery)


class _Head(msgspec.Struct):
    version: int


def encode(delivery: Delivery) -> bytes:
    return _encoder.encode(delivery)


def decode(body: bytes) -> Delivery:
    """Raises Unreadable."""
    try:
        version = msgspec.msgpack.decode(body, type=_Head).version
        if version not in VERSIONS:
            text = (
                f"batches of version {version}, this gateway reads {', '.join(map(str, VERSIONS))}: install a newer one"
            )
            raise Unreadable(text, known=True)
        return _decoder.decode(body)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as problem:
        raise Unreadable(f"this is no body of batches: {problem}") from None


def receipt(body: bytes) -> Receipt | None:
    """An answer's body; None when no gateway wrote it."""
    try:
        return msgspec.json.decode(body, type=Receipt)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None
