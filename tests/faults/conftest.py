"""Faults made on one machine: system calls that fail (a shim, compiled here), file systems that are full, clocks that
jump.
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from oracle.world import World

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Shim:
    """Makes calls of a process fail, below one folder, while `fail` says so."""

    library: Path
    control: Path

    def environ(self, below: Path) -> dict[str, str]:
        return {"LD_PRELOAD": str(self.library), "FAULT_FILE": str(self.control), "FAULT_BELOW": str(below)}

    def fail(self, calls: str) -> None:
        self.control.write_text(calls)

    def mend(self) -> None:
        self.control.write_text("")


@pytest.fixture(scope="session")
def shim_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    library = tmp_path_factory.mktemp("shim") / "shim.so"
    subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-o", library, HERE / "shim.c", "-ldl"], check=True)
    return library


@pytest.fixture
def shim(shim_library: Path, tmp_path: Path) -> Shim:
    return Shim(shim_library, tmp_path / "faults")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path / "world", seed=1)
    yield made
    made.close()


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """A file system of 24 MiB. Mounting one takes root, or a user namespace in which we are."""
    folder = Path(tempfile.mkdtemp(prefix="wayside-small-"))
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", folder], capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.fail(
            f"a small file system cannot be mounted here ({mounted.stderr.strip()}): run as root, or {_UNSHARE}"
        )
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)
        shutil.rmtree(folder, ignore_errors=True)


_UNSHARE = f"in a namespace of your own: unshare --user --map-root-user --mount {os.environ.get('SHELL', 'bash')}"
