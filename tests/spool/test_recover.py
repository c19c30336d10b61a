"""`recover`'s parts: what is found in a damaged spool, what is kept of the original, and what a new database holds."""

from pathlib import Path

import pytest
from spool.making import as_contents, begin, contents, make_batch, opened, put
from spool.test_salvage import fill, overwrite_table
from wayside_collector.spool import SpoolHeld
from wayside_collector.spool.files import HEADER
from wayside_collector.spool.recover import examine, held, holds_spool, keep_original, make_anew


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file() and path.name != "lock"}


def test_a_sound_spool_is_found_sound(tmp_path: Path) -> None:
    """And looking changes not a byte of it."""
    fill(tmp_path)
    before = bytes_of(tmp_path)
    found = examine(tmp_path)
    assert (found.database, found.newer, found.damaged_files) == (None, None, [])
    assert found.saving.lost == ()
    assert bytes_of(tmp_path) == before


@pytest.mark.parametrize("how", ["rubbish", "truncated", "gone", "flipped"])
def test_damage_is_told_saved_and_the_original_is_kept(tmp_path: Path, how: str) -> None:
    """Every batch is there again, under its number, and the bytes as they were lie below `damaged`."""
    before = fill(tmp_path)
    path = tmp_path / "spool.db"
    whole = path.read_bytes()
    if how == "flipped":
        overwrite_table(tmp_path, "batches")
    elif how == "gone":
        path.unlink()
    else:
        path.write_bytes(b"\x9c" * 5000 if how == "rubbish" else whole[: len(whole) // 2])
    damaged = bytes_of(tmp_path)
    found = examine(tmp_path)
    assert found.database is not None
    assert (found.saving.sessions, found.saving.batches) == (2, 4)
    assert bytes_of(tmp_path) == damaged, "looking changed something"
    kept = keep_original(tmp_path)
    assert "4 batches" in make_anew(tmp_path, found.database)
    kept_bytes = bytes_of(kept)
    assert {name: kept_bytes[name] for name in damaged if name != "ballast"} == {
        name: data for name, data in damaged.items() if name != "ballast"
    }
    with opened(tmp_path) as spool:
        assert spool.salvaged is None, "the start found something left to do"
        assert contents(spool) == before


def test_a_damaged_header_costs_one_block_and_not_the_rest_of_its_file(tmp_path: Path) -> None:
    """What follows is found again by its own header, which has a checksum."""
    with opened(tmp_path) as spool:
        batches = [make_batch(begin(spool).key, first) for first in (0, 3, 6)]
        stored = put(spool, *batches)
        assert stored[1].rows is not None
        (path,) = tmp_path.glob("scalars-*.spool")
    data = bytearray(path.read_bytes())
    data[stored[1].rows.offset + 20] ^= 1
    assert stored[1].rows.offset + 20 < stored[1].rows.offset + HEADER.size
    path.write_bytes(data)
    (file,) = [file for file in examine(tmp_path).files if file.damaged]
    assert (file.damaged, file.blocks) == (1, 3)  # a context, and two batches
    (tmp_path / "spool.db").unlink()
    with opened(tmp_path) as spool:
        assert list(contents(spool).values()) == [as_contents(batches[0]), as_contents(batches[2])]


def test_a_spool_that_is_held_is_left_alone(tmp_path: Path) -> None:
    """While another process has it nothing is looked at, and who has it is said. (Locks are a process's own, so the
    other one is really another.)
    """
    import subprocess
    import sys

    fill(tmp_path)
    program = (
        "import sys; from pathlib import Path; from wayside_collector.spool.lock import take_lock\n"
        "sys.argv = ['wayside-collector', 'run', '--config', 'secret.yaml']\n"
        f"take_lock(Path({str(tmp_path / 'lock')!r})); print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        with (
            pytest.raises(SpoolHeld, match=f"held by wayside-collector run, pid {other.pid} on") as told,
            held(tmp_path),
        ):
            pass
        assert "secret" not in str(told.value)
        other.communicate()
    with held(tmp_path):
        pass


def test_what_holds_a_spool(tmp_path: Path) -> None:
    """Its files or its database, one of them is enough; a folder with neither is somebody else's."""
    fill(tmp_path / "spool")
    assert holds_spool(tmp_path / "spool")
    assert not holds_spool(tmp_path)
    for path in (tmp_path / "spool").glob("spool.db*"):
        path.unlink()
    assert holds_spool(tmp_path / "spool")
