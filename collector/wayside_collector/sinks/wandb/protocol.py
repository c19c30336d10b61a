"""What the collector and the child process say to each other over two pipes, and how it is framed. Pure.

A frame is a u32 length, little-endian, and that many bytes of msgpack: [id, message]. Each command is answered by one
reply with the same id; id 0 is a notice that nobody asked for. Only msgspec may be imported here: the child reads it.
"""

import struct
from typing import Any, TypeVar

import msgspec

MAX_FRAME = 64 << 20  #: bytes: a parcel of 5,000 wide rows is a few MiB, and neither side may be made to read forever
_LENGTH = struct.Struct("<I")


class Message(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """What both directions have in common: an array, its first element the class's name."""


# --- commands: collector to child ------------------------------------------------------------------------------------


class Start(Message, frozen=True):
    """The first command. Settings of the SDK that are the same for every run; times in seconds. Answer: Ready."""

    folder: str
    upload_interval: int
    flush_interval: float
    init_timeout: float
    finish_timeout: float


class Identity(msgspec.Struct, frozen=True, array_like=True):
    """How a run introduces itself, already cut to what W&B accepts."""

    id: str
    project: str
    entity: str | None = None
    name: str | None = None
    group: str | None = None
    job_type: str | None = None
    notes: str | None = None
    tags: tuple[str, ...] = ()
    host: str | None = None
    program: str | None = None
    git_commit: str | None = None
    git_remote: str | None = None


class Open(Message, frozen=True):
    """Open a run, or resume it. handle: what the run is called here. url, key: the relay's; without a url the run goes
    into a folder. folder: where that is made, None for the usual place. Answer: Opened.
    """

    handle: str
    identity: Identity
    config: dict[str, Any]
    url: str | None
    key: str
    folder: str | None = None


class RowOp(Message, frozen=True):
    """One line of history: `step` is the `_step`, `values` holds its `_timestamp`."""

    step: int
    values: dict[str, Any]


class SampleOp(Message, frozen=True):
    """System metrics of one moment: Unix time in seconds, W&B's names without `system.`."""

    time: float
    values: dict[str, float]


class ConfigOp(Message, frozen=True):
    set: dict[str, Any]
    remove: list[str]


class SummaryOp(Message, frozen=True):
    set: dict[str, Any]
    remove: list[str]


class AlertOp(Message, frozen=True):
    title: str
    text: str
    level: str


class MetricOp(Message, frozen=True):
    """The arguments of `define_metric`."""

    arguments: dict[str, Any]


Op = RowOp | SampleOp | ConfigOp | SummaryOp | AlertOp | MetricOp


class Ship(Message, frozen=True):
    """Hand these to the SDK, in order. Answer: Shipped."""

    handle: str
    ops: list[Op]


class Put(Message, frozen=True):
    """Media that were logged under one name. Each is an event's data, with `path` where it has a file. Answer: Made, or
    Failed.
    """

    handle: str
    name: str
    step: int
    media: list[dict[str, Any]]


class PutArtifact(Message, frozen=True):
    """An artifact: files as (path in it, where it is), references as (path, URI, size). Answer: Made, or Failed."""

    handle: str
    told: dict[str, Any]
    files: list[tuple[str, str]]
    references: list[tuple[str, str, int | None]]


class PutFiles(Message, frozen=True):
    """Files of the run itself, as (path in it, where it is). Answer: Made, or Failed."""

    handle: str
    files: list[tuple[str, str]]


class Settle(Message, frozen=True):
    """Offline: wait until all that was shipped stands in the run's file, then sync it. Answer: Done, or Failed."""

    handle: str
    timeout: float


class Inspect(Message, frozen=True):
    """Offline: what does this folder's file hold? A torn end is cut off, the rest synced. Answer: Found."""

    folder: str


class Close(Message, frozen=True):
    """Finish a run. Answer: Done, or Failed when it took longer than the finish timeout."""

    handle: str
    exit_code: int


Command = Start | Open | Ship | Put | PutArtifact | PutFiles | Settle | Inspect | Close


# --- replies: child to collector -------------------------------------------------------------------------------------


class Ready(Message, frozen=True):
    """version: of wandb. core: process id of wandb-core."""

    version: str
    core: int


class Opened(Message, frozen=True):
    """next_step: the SDK's first free `_step`. folder: where the run's files are. config: keys it already has."""

    next_step: int
    folder: str
    config: list[str]


class Shipped(Message, frozen=True):
    """refused: index of an op the SDK did not take, and why. unsupported: samples this SDK has no way for."""

    refused: list[tuple[int, str]]
    unsupported: int


class Made(Message, frozen=True):
    """value: for the history. files, artifacts: names and client ids of what must have arrived before W&B has it. name:
    under which the value stands, where it is another than was asked.
    """

    value: Any
    files: list[str]
    artifacts: list[str]
    name: str | None = None


class Found(Message, frozen=True):
    """last_step: of the last row in the file, -1 without rows. samples: how many of them it holds."""

    last_step: int
    samples: int


class Done(Message, frozen=True):
    pass


class Failed(Message, frozen=True):
    """The command was not carried out; `what` says why."""

    what: str


class Stopped(Message, frozen=True):
    """A notice: the SDK gave a run up."""

    handle: str


Reply = Ready | Opened | Shipped | Made | Found | Done | Failed | Stopped

_commands = msgspec.msgpack.Decoder(tuple[int, Command])
_replies = msgspec.msgpack.Decoder(tuple[int, Reply])
_M = TypeVar("_M", Command, Reply)


def pack(id: int, message: Command | Reply) -> bytes:
    """A whole frame; raises ValueError when it would be longer than MAX_FRAME."""
    body = msgspec.msgpack.encode((id, message))
    if len(body) > MAX_FRAME:
        raise ValueError(f"a message of {len(body)} bytes is longer than the limit of {MAX_FRAME} bytes")
    return _LENGTH.pack(len(body)) + body


HEAD = _LENGTH.size  #: bytes before each message


def length(head: bytes) -> int:
    """How many bytes follow a frame's head; raises ValueError when it is more than MAX_FRAME."""
    (size,) = _LENGTH.unpack(head)
    if size > MAX_FRAME:
        raise ValueError(f"a message of {size} bytes is longer than the limit of {MAX_FRAME} bytes")
    return int(size)


def read_command(body: bytes) -> tuple[int, Command]:
    """Raises msgspec.DecodeError or msgspec.ValidationError."""
    return _commands.decode(body)


def read_reply(body: bytes) -> tuple[int, Reply]:
    """Raises msgspec.DecodeError or msgspec.ValidationError."""
    return _replies.decode(body)
