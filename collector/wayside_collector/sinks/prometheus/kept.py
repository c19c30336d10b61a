"""What the sink keeps of a session over a restart: one record a session, in msgpack, under the session's id.

The names of the metrics and the session's own record change seldom and are most of the bytes, so each is encoded once
and carried as it is; the values are raw 64-bit floats, little-endian. A record of another version, or one that cannot
be read, is passed over: the page then fills from the rows that come.
"""

import sys
from array import array
from collections.abc import Iterable

import msgspec

from ...session import Session
from ..names import sound

VERSION = 1

Names = tuple[msgspec.Raw, list[bytes]]  #: names packed, and those of them that bear a suffix


class Damaged(ValueError):
    """A kept record that cannot be read."""


class Kept(msgspec.Struct, array_like=True, frozen=True):
    """session: the record of the session. names: the metrics of `values` as logged, in UTF-8. suffixed: those whose
    exposed name bears a suffix. seq: of the last record taken; taken: when, Unix time in seconds by our clock. open,
    past, gone: as in `Member`. ended: Unix time in seconds, 0 while open. started: Unix time in seconds of the first
    session of the run.
    """

    version: int
    session: msgspec.Raw
    names: msgspec.Raw
    suffixed: list[bytes]
    values: bytes
    seq: int
    taken: float
    started: float
    open: bool
    past: bool
    gone: bool
    ended: float
    exit_code: int | None
    last_time: float | None
    last_step: int | None
    alerts: dict[str, int]
    nonfinite: dict[str, int]
    devices: dict[str, dict[str, str]]
    periods: dict[str, float]


_ENCODER = msgspec.msgpack.Encoder()


def trimmed(session: Session) -> Session:
    """A session without what the page never shows, in text that UTF-8 can carry."""
    run, pod = session.run, session.pod
    named = {
        field: sound(value)
        for field in ("id", "name", "project", "group", "job_type")
        if (value := getattr(run, field)) is not None
    }
    run = msgspec.structs.replace(run, **named, entity=None, tags=(), notes=None, resume=None)
    placed = {field: sound(value) for field, value in msgspec.structs.asdict(pod).items() if value is not None}
    workload = None if session.workload is None else sound(session.workload)
    return msgspec.structs.replace(
        session,
        run=run,
        pod=msgspec.structs.replace(pod, **placed),
        host=sound(session.host),
        attempt=sound(session.attempt),
        workload=workload,
        launcher=None,
        origin="wayside",
    )


def pack_session(session: Session) -> msgspec.Raw:
    return msgspec.Raw(_ENCODER.encode(session))


def pack_names(names: Iterable[str]) -> msgspec.Raw:
    return msgspec.Raw(_ENCODER.encode(to_bytes(names)))


def to_bytes(names: Iterable[str]) -> list[bytes]:
    """Names as bytes: a name may hold a lone surrogate, which msgpack text cannot."""
    return [name.encode("utf-8", "surrogatepass") for name in names]


def to_names(encoded: Iterable[bytes]) -> list[str]:
    return [name.decode("utf-8", "surrogatepass") for name in encoded]


def pack_values(values: Iterable[float]) -> bytes:
    packed = array("d", values)
    if sys.byteorder == "big":
        packed.byteswap()
    return packed.tobytes()


def encode(kept: Kept) -> bytes:
    return _ENCODER.encode(kept)


def decode(record: bytes) -> tuple[Kept, Session, dict[str, float]]:
    """A kept record, its session and its values; raises Damaged."""
    try:
        if (version := msgspec.msgpack.decode(record, type=list[msgspec.Raw])[:1]) != [msgspec.Raw(_VERSION)]:
            raise Damaged(f"of version {version!r:.40}, this program reads {VERSION}")
        kept = msgspec.msgpack.decode(record, type=Kept)
        session = msgspec.msgpack.decode(kept.session, type=Session)
        names = to_names(msgspec.msgpack.decode(kept.names, type=list[bytes]))
        values = array("d", kept.values)
    except (msgspec.MsgspecError, UnicodeDecodeError, ValueError) as problem:
        raise Damaged(str(problem)) from problem
    if sys.byteorder == "big":
        values.byteswap()
    if len(names) != len(values):
        raise Damaged(f"{len(names)} names and {len(values)} values")
    return kept, session, dict(zip(names, values, strict=True))


_VERSION = _ENCODER.encode(VERSION)
