"""A machine for each test, as in the end-to-end tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from e2e.machine import Machine


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    made = Machine(tmp_path)
    yield made
    made.close()
