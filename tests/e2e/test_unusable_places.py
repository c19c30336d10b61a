"""Folders that cannot be made or written: the collector says which, and which option names another."""

import pytest
from e2e.machine import Machine

pytestmark = pytest.mark.timeout(90)


def test_a_spool_that_cannot_be_made(machine: Machine) -> None:
    """Below a file there is no folder: nothing is to be recovered, and `dir` is to be changed."""
    (machine.folder / "file").write_text("")
    place = str(machine.folder / "file" / "below")
    done = machine.wayside_collector("run", WAYSIDE_DIR=place)
    assert done.returncode == 1
    assert place in done.stderr
    assert "`dir`" in done.stderr
    assert "recover" not in done.stderr
    assert "Traceback" not in done.stderr


def test_a_socket_that_cannot_be_made(machine: Machine) -> None:
    """Its path, why, and `socket`, rather than the lock beside it and a number."""
    (machine.folder / "file").write_text("")
    place = str(machine.folder / "file" / "below" / "wayside.sock")
    done = machine.wayside_collector("run", WAYSIDE_SOCKET=place)
    assert done.returncode == 1
    assert f"no socket can be made at {place} (Not a directory)" in done.stderr
    assert "`socket`" in done.stderr
    assert "Errno" not in done.stderr
    assert "Traceback" not in done.stderr
