"""Walking frames: bulk comparison of slices against one look at each frame. The peer is the plain loop.

python bench/run.py scan
"""

import time

from wayside import wire

from bench.harness import show

ROWS = 200_000


def main() -> None:
    alike = b"".join(wire.row_frame(3, float(step), step, [0.5] * 10) for step in range(ROWS))
    mixed = b"".join(wire.row_frame(step % 7, float(step), step, [0.5]) for step in range(ROWS))
    bulk = _rate(alike, ROWS * 10)
    plain = ROWS * 10 / _plain_seconds(alike)
    show(
        "walk of rows alike",
        f"{bulk / 1e6:.0f} M points/s",
        f"one by one {plain / 1e6:.1f} M points/s",
        f"{bulk / plain:.0f} times",
    )
    show("walk of rows that never repeat", f"{_rate(mixed, ROWS) / 1e6:.2f} M rows/s")
    began = time.perf_counter()
    span = wire.scan(alike).spans[0]
    count = sum(1 for _ in wire.read_rows(alike, span, tuple("abcdefghij"), 0))
    show("decoding rows", f"{count * 10 / (time.perf_counter() - began) / 1e6:.1f} M points/s")


def _rate(data: bytes, points: int) -> float:
    best = min(_timed(data) for _ in range(5))
    return points / best


def _timed(data: bytes) -> float:
    began = time.perf_counter()
    assert wire.scan(data).end == len(data)
    return time.perf_counter() - began


def _plain_seconds(data: bytes) -> float:
    """The same checks, a frame at a time."""
    began = time.perf_counter()
    position = 0
    while position < len(data):
        head = int.from_bytes(data[position : position + 8], "little")
        length = head & 0xFFFFFFFF
        if int.from_bytes(data[position + length - 8 : position + length], "little") != head:
            raise ValueError(position)
        position += length
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
