"""Fixtures of the end-to-end tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from e2e.machine import Machine


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    """A machine of the test's own; whatever still runs on it at the end is killed."""
    made = Machine(tmp_path)
    yield made
    made.close()


@pytest.fixture(params=["journal", "socket"])
def transport(request: pytest.FixtureRequest) -> str:
    """How rows are handed over: each test with it runs both ways."""
    return str(request.param)
