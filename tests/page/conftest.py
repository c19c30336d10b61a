"""A browser for each file of tests, and collectors with a store to look at."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from e2e.machine import Collector, Machine
from page.browsing import Visit, chromium
from page.filling import fill_million, fill_usual
from page.odd import fill_odd
from playwright.sync_api import Browser

CONFIG: dict[str, Any] = {"sinks": {"store": {}}, "sources": {}}

Visiting = Callable[..., Visit]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    """A machine of the test's own."""
    made = Machine(tmp_path)
    yield made
    made.close()


def _filled(folder: Path, fill: Callable[[Path], None]) -> Iterator[Collector]:
    made = Machine(folder)
    fill(made.dir / "store" / "store.db")
    yield made.collector(CONFIG).wait_ready()
    made.close()


@pytest.fixture(scope="module")
def usual(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    """A collector with runs in each state."""
    yield from _filled(tmp_path_factory.mktemp("usual"), fill_usual)


@pytest.fixture(scope="module")
def million(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    """A collector with a run of a million points."""
    yield from _filled(tmp_path_factory.mktemp("million"), fill_million)


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    """A collector with runs that are not as most are."""
    yield from _filled(tmp_path_factory.mktemp("odd"), fill_odd)


@pytest.fixture
def visit(browser: Browser) -> Iterator[Visiting]:
    """Makes visits; each must have gone without errors, and without a request to another host."""
    made: list[Visit] = []

    def begin(url: str, **options: Any) -> Visit:
        made.append(Visit(browser, url, **options))
        return made[-1]

    yield begin
    for one in made:
        one.close()
