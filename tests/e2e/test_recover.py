"""`recover` as a script uses it: its exit codes, and that it makes nothing where nothing is."""

from pathlib import Path

import pytest
from e2e.machine import Machine
from spool.test_salvage import fill

pytestmark = pytest.mark.timeout(90)


@pytest.mark.parametrize("options", [[], ["--look"], ["--anew"]])
def test_a_folder_without_a_spool_is_left_alone(machine: Machine, tmp_path: Path, options: "list[str]") -> None:
    """Exit code 2, a sentence, and not one file in it."""
    empty = tmp_path / "empty"
    empty.mkdir()
    done = machine.wayside_collector("recover", *options, str(empty))
    assert done.returncode == 2
    assert f"{empty} holds no spool" in done.stderr
    assert list(empty.iterdir()) == []


def test_the_exit_code_says_whether_something_is_damaged(machine: Machine, tmp_path: Path) -> None:
    """0 for a sound spool, 1 for a database that is none and for what was lost with it; sound again, 0."""
    spool = tmp_path / "spool"
    fill(spool)
    assert machine.wayside_collector("recover", "--look", str(spool)).returncode == 0
    assert machine.wayside_collector("recover", str(spool)).returncode == 0
    for name in ("spool.db-wal", "spool.db-shm"):
        (spool / name).unlink(missing_ok=True)
    (spool / "spool.db").write_bytes(b"no database " * 1000)
    look = machine.wayside_collector("recover", "--look", str(spool))
    assert look.returncode == 1, look.stdout
    saved = machine.wayside_collector("recover", str(spool))
    assert saved.returncode == 1, saved.stdout
    assert "Cannot be saved" in saved.stdout
    assert machine.wayside_collector("recover", "--look", str(spool)).returncode == 0
