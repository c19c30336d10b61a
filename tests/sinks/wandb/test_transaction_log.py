"""Reading the SDK's transaction log."""

import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wayside_collector.sinks.wandb.transaction_log import BLOCK, Log, LogError

HEAD = struct.pack("<4sHB", b":W&B", 0xBEE1, 0)


def write(records: list[bytes]) -> bytes:
    """A log as LevelDB's writer would make it."""
    out = bytearray(HEAD)
    for record in records:
        rest, first = record, True
        while True:
            left = BLOCK - len(out) % BLOCK
            if left < 7:
                out += b"\0" * left
                left = BLOCK
            body, rest = rest[: left - 7], rest[left - 7 :]
            kind = (1 if not rest else 2) if first else (4 if not rest else 3)
            out += struct.pack("<IHB", zlib.crc32(body, zlib.crc32(bytes((kind,)))), len(body), kind) + body
            first = False
            if not rest:
                break
    return bytes(out)


SIZES = st.lists(st.one_of(st.integers(0, 50), st.integers(32740, 32780), st.just(70000)), max_size=8)


def made(sizes: list[int]) -> list[bytes]:
    return [bytes((number + 1,)) * size for number, size in enumerate(sizes)]


@given(SIZES, st.integers(100, 40000))
def test_every_record_comes_out_once_whatever_the_pieces(sizes, piece):
    """Records over block borders, blocks whose end is too short for a head, and reads of any size."""
    records = made(sizes)
    data, log, found = write(records), Log(), []
    for at in range(0, len(data), piece):
        found += log.feed(data[at : at + piece])
        assert log.position == min(at + piece, len(data))
    assert found == records
    assert log.whole == len(data)


@given(SIZES, st.data())
def test_a_torn_end_is_cut_where_the_last_whole_record_ends(sizes, data):
    """What a crash leaves is read up to the last whole record; the file cut there reads without an error."""
    records = made(sizes)
    whole = write(records)
    cut = data.draw(st.integers(7, len(whole)))
    log = Log()
    found = log.feed(whole[:cut])
    assert found == records[: len(found)]
    assert write(records[: len(found)]) == whole[: log.whole]


def test_one_byte_at_a_time():
    """A file is read while it is being written: any prefix is fine."""
    data, log = write([b"one", b"", b"three"]), Log()
    assert [record for i in range(len(data)) for record in log.feed(data[i : i + 1])] == [b"one", b"", b"three"]


def test_damage_is_told():
    """A flipped bit is found by its checksum, with its place."""
    data = bytearray(write([b"one", b"two"]))
    data[-1] ^= 1
    log = Log()
    with pytest.raises(LogError, match="at byte 17"):
        log.feed(bytes(data))


def test_another_file_is_told():
    """A file that is no transaction log is not read as an empty one."""
    with pytest.raises(LogError, match=r"not a \.wandb file"):
        Log().feed(b"SQLite format 3")
