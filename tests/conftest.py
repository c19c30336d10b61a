"""What all tests share: a place in memory that goes with them."""

import memory


def pytest_configure() -> None:
    memory.begin()


def pytest_unconfigure() -> None:
    memory.end()
