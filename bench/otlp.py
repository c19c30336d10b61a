"""An OTLP metrics request, encoded by hand as protobuf: what a peer that speaks OTLP is fed with."""

import struct


def request_of(points: int) -> bytes:
    """ExportMetricsServiceRequest with ten gauges and `points` data points between them."""
    metrics = b"".join(_field(2, _metric(f"metric_{number}", points // 10)) for number in range(10))
    scope = _field(2, metrics)
    return _field(1, scope)


def _metric(name: str, points: int) -> bytes:
    data = b"".join(_field(1, _point(index)) for index in range(points))
    return _field(1, name.encode()) + _field(5, data)


def _point(index: int) -> bytes:
    return b"\x19" + struct.pack("<Q", 1_767_225_600_000_000_000 + index) + b"\x21" + struct.pack("<d", 0.5 * index)


def _field(number: int, body: bytes) -> bytes:
    """A length-delimited field."""
    return _varint(number << 3 | 2) + _varint(len(body)) + body


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
