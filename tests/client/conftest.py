"""What the client's tests share: a machine of their own, in which a journal has memory to lie in."""

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import wayside
from hypothesis import HealthCheck, settings
from memory import make_folder
from wayside import api

# The machine is shared and busy: how long an example takes says nothing.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")


@dataclass(frozen=True)
class Place:
    """Where a test's client keeps things. beside: the socket's folder, memory-backed; overflow: WAYSIDE_DIR."""

    beside: Path
    overflow: Path

    @property
    def socket(self) -> Path:
        return self.beside / "wayside.sock"

    @property
    def environ(self) -> dict[str, str]:
        """What a process needs to find it."""
        return {
            "PATH": os.environ["PATH"],
            "WAYSIDE_SOCKET": str(self.socket),
            "WAYSIDE_DIR": str(self.overflow),
            "WAYSIDE_DISABLE_GIT": "1",
            "WAYSIDE_SHARED_MEMORY": str(self.beside),
        }

    def journals(self) -> list[Path]:
        """The folders of all sessions that have a journal here, in memory or on disk."""
        return [path for root in (self.beside, self.overflow) for path in sorted((root / "journals").glob("*"))]


@pytest.fixture
def memory() -> Iterator[Path]:
    """A memory-backed folder of the test's own."""
    path = make_folder("test-")
    yield path
    shutil.rmtree(path)


@pytest.fixture
def place(memory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """The same for a whole client, in this process's environment; no run is left open behind the test."""
    found = Place(memory, tmp_path / "overflow")
    for name in list(os.environ):
        if name.startswith(("WAYSIDE_", "WANDB_")):
            monkeypatch.delenv(name)
    for name, value in found.environ.items():
        monkeypatch.setenv(name, value)
    assert wayside.run is None
    yield found
    for run in list(api._open):
        run.finish()
