"""From samples to the bytes of a request: remote write 1.0 (`prometheus.WriteRequest`) and 2.0
(`io.prometheus.write.v2.Request`), protobuf packed by snappy. Pure.

The messages have a handful of fields, all written here; labels are encoded once a series and kept. The tests decode
all of it by the published schema.
"""

import struct
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import cramjam

from ..names import Kind

Labels = tuple[tuple[str, str], ...]  #: sorted by name, without empty values


class Series(NamedTuple):
    """One series: its labels, `__name__` among them, and what kind of metric it is."""

    labels: Labels
    kind: Kind = "gauge"


Samples = Mapping[Series, Sequence[tuple[int, float]]]  #: by series, (Unix time in ms, value) in the order of time

STALE = struct.unpack("<d", struct.pack("<Q", 0x7FF0000000000002))[0]  #: the NaN that ends a series
_STALE_BYTES = struct.pack("<Q", 0x7FF0000000000002)
_NAN_BYTES = struct.pack("<Q", 0x7FF8000000000001)  # what Prometheus writes for a value that is NaN
_KINDS: dict[Kind, int] = {"counter": 1, "gauge": 2, "info": 6}

HEADERS = {
    "v1": {
        "Content-Type": "application/x-protobuf",
        "X-Prometheus-Remote-Write-Version": "0.1.0",
        "Content-Encoding": "snappy",
    },
    "v2": {
        "Content-Type": "application/x-protobuf;proto=io.prometheus.write.v2.Request",
        "X-Prometheus-Remote-Write-Version": "2.0.0",
        "Content-Encoding": "snappy",
    },
}


def encode(samples: Samples, protocol: str) -> bytes:
    """A request's body."""
    message = _request_v2(samples) if protocol == "v2" else _request_v1(samples)
    return bytes(cramjam.snappy.compress_raw(message))


def _request_v1(samples: Samples) -> bytes:
    out = []
    for series, points in samples.items():
        labels = b"".join(
            _field(1, _field(1, name.encode()) + _field(2, value.encode())) for name, value in series.labels
        )
        out.append(_field(1, labels + _points(points)))
    return b"".join(out)


def _request_v2(samples: Samples) -> bytes:
    symbols: dict[str, int] = {"": 0}
    out = []
    for series, points in samples.items():
        refs = (symbols.setdefault(text, len(symbols)) for label in series.labels for text in label)
        body = _field(1, b"".join(map(_varint, refs))) + _points(points)
        out.append(_field(5, body + _field(5, b"\x08" + _varint(_KINDS[series.kind]))))
    return b"".join(_field(4, text.encode()) for text in symbols) + b"".join(out)


def _points(points: Sequence[tuple[int, float]]) -> bytes:
    """Field 2 of a series in either version: {1: double, 2: int64}."""
    return b"".join(
        _field(2, b"\x09" + _double(value) + b"\x10" + _varint(time & 0xFFFFFFFFFFFFFFFF)) for time, value in points
    )


def _double(value: float) -> bytes:
    if value == value:
        return struct.pack("<d", value)
    return _STALE_BYTES if value is STALE else _NAN_BYTES


def _field(number: int, body: bytes) -> bytes:
    """A length-delimited field."""
    return _varint(number << 3 | 2) + _varint(len(body)) + body


def _varint(value: int) -> bytes:
    if value < 0x80:
        return bytes((value,))
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
