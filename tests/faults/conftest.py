"""Faults made on one machine: system calls that fail (a shim, compiled here), file systems that are full, clocks that
jump. What cannot be made here fails the test, and says what is missing.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from oracle.instruments import Clock, Shim, SmallDisk, build_shim
from oracle.world import World


@pytest.fixture(scope="session")
def shim_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_shim(tmp_path_factory.mktemp("shim"))


@pytest.fixture
def shim(shim_library: Path, tmp_path: Path) -> Shim:
    return Shim(shim_library, tmp_path / "faults")


@pytest.fixture
def clock(tmp_path: Path) -> Iterator[Clock]:
    with contextlib.closing(Clock(tmp_path / "faketime")) as clock:
        yield clock


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with contextlib.closing(World(tmp_path / "world", seed=1)) as made:
        yield made


@pytest.fixture
def small_disk() -> Iterator[SmallDisk]:
    """A file system of 24 MiB."""
    with contextlib.closing(SmallDisk()) as disk:
        yield disk
