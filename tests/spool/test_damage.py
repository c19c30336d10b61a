"""Damage to a segment file: found, counted, set aside; what lies beside it is read as before."""

import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from spool.making import T0, as_contents, begin, make_batch, opened, put
from wayside_collector.spool import Damaged, Extent, Spool
from wayside_collector.spool.files import HEADER, ROWS, Block, Files, pack_block, read_block, read_blocks


def flip(path: Path, offset: int, bit: int = 0) -> None:
    data = bytearray(path.read_bytes())
    data[offset] ^= 1 << bit
    path.write_bytes(data)


def path_of(spool: Spool, extent: Extent) -> Path:
    (path,) = spool.options.path.glob(f"*-{extent.file:08d}.spool")
    return path


@pytest.mark.parametrize("where", [0, 30, HEADER.size - 1, HEADER.size, HEADER.size + 40])
def test_a_flipped_bit_is_found(tmp_path: Path, where: int) -> None:
    """In a block's header or in its bytes: reading it is Damaged, and the batches before and after are whole."""
    with opened(tmp_path) as spool:
        key = begin(spool).key
        batches = [make_batch(key, first) for first in (0, 3, 6)]
        extents = [stored.rows for stored in put(spool, *batches) if stored.rows is not None]
        flip(path_of(spool, extents[1]), extents[1].offset + where, 3)
        with pytest.raises(Damaged):
            spool.read(extents[1])
        assert [spool.read(extents[place]) for place in (0, 2)] == [batches[0].rows, batches[2].rows]


def test_what_is_damaged_is_set_aside_once(tmp_path: Path) -> None:
    """A copy for a person to look at and one count, however often it is read."""
    with opened(tmp_path) as spool:
        key = begin(spool).key
        (stored,) = put(spool, make_batch(key, 0))
        assert stored.rows is not None
        path = path_of(spool, stored.rows)
        flip(path, stored.rows.offset + HEADER.size + 20)
        for _ in range(3):
            with pytest.raises(Damaged):
                spool.read(stored.rows)
        assert spool.damaged == 1
        (kept,) = (tmp_path / "damaged").iterdir()
        assert kept.read_bytes() == path.read_bytes()[stored.rows.offset :]


def test_a_file_cut_short_is_damaged_and_a_file_gone_is_an_os_error(tmp_path: Path) -> None:
    """Two troubles with two names: the one is damage, the other that somebody removed it."""
    with opened(tmp_path) as spool:
        key = begin(spool).key
        (stored,) = put(spool, make_batch(key, 0))
        assert stored.rows is not None
        path = path_of(spool, stored.rows)
        path.write_bytes(path.read_bytes()[:-5])
        with pytest.raises(Damaged):
            spool.read(stored.rows)
        path.unlink()
        with pytest.raises(OSError, match="No such file"):
            spool.read(stored.rows)
        with pytest.raises(OSError, match="gone"):
            spool.read(Extent(99, 0, 1))


def test_a_spool_with_damaged_rows_opens_and_goes_on(tmp_path: Path) -> None:
    """Damage to bulk does not reach the index: the next start is like any other."""
    with opened(tmp_path) as spool:
        key = begin(spool).key
        (stored,) = put(spool, make_batch(key, 0))
        assert stored.rows is not None
        path = path_of(spool, stored.rows)
    path.write_bytes(b"\xff" * path.stat().st_size)
    with opened(tmp_path) as spool:
        assert spool.salvaged is None
        with pytest.raises(Damaged):
            spool.read(stored.rows)
        after = make_batch(key, 3)
        (again,) = put(spool, after)
        assert again.rows is not None
        assert spool.read(again.rows) == as_contents(after)[3]


SESSION = bytes(range(16))
HELD = [b"", b"x" * 7, b"y" * 64]
FILE = b"".join(
    pack_block(Block(ROWS, SESSION, 7, 0, 9, T0, len(held), zlib.crc32(held))) + held + b"\0" * (-len(held) % 8)
    for held in HELD
)


@settings(max_examples=200, deadline=None)
@given(st.integers(0, len(FILE) - 1), st.integers(0, 7))
def test_no_flipped_bit_is_taken_for_what_was_written(offset: int, bit: int) -> None:
    """Wherever a bit flips: each block is either exactly what was written, or is told to be damaged."""
    data = bytearray(FILE)
    data[offset] ^= 1 << bit
    told = [held for _, block, held in read_blocks(bytes(data)) if block is not None]
    assert all(held in HELD for held in told)
    padding = offset == HEADER.size * 2 + 7
    assert (told == HELD) == padding
    assert [held for _, block, held in read_blocks(FILE) if block is not None] == HELD


@given(st.binary(max_size=300))
def test_rubbish_is_no_block(data: bytes) -> None:
    """Whatever bytes a file holds, reading them ends, and invents nothing."""
    assert all(block is None for _, block, _ in read_blocks(data))
    with pytest.raises(Damaged):
        read_block(data)


def test_files_are_appended_to_and_never_written_again(tmp_path: Path) -> None:
    """A number that is taken is refused, so that no start ever writes into what another one left."""
    files = Files(tmp_path)
    files.begin("scalars", 1, T0)
    files.close()
    with pytest.raises(FileExistsError):
        files.begin("scalars", 1, T0)
