"""The collector's own families on `/metrics`: what is there, what no run may be called like, and docs/operations.md."""

import re
from pathlib import Path

from wayside_collector.configuration.changes import read
from wayside_collector.daemon import Collector
from wayside_collector.health import FAMILIES

PAGE = (Path(__file__).parents[2] / "docs/operations.md").read_text()


def test_every_family_stands_in_the_documentation() -> None:
    """The table of docs/operations.md names each family once, and none that there is not; of the books, in points."""
    table = PAGE.split("## What `/metrics` says of the collector")[1].split("\n## ")[0]
    named = [
        name for line in table.splitlines() if line.startswith("| `") for name in re.findall(r"`(wayside_\w+)`", line)
    ]
    known = [name for name in FAMILIES if not name.startswith(("wayside_rows_", "wayside_events_"))]
    assert sorted(named) == sorted(known)


def test_a_collector_s_page_has_every_family(tmp_path: Path) -> None:
    """Also those of parts that have nothing to tell yet, so that an alert on them is no alert on nothing."""
    environ = {"WAYSIDE_DIR": str(tmp_path), "WAYSIDE_SOCKET": str(tmp_path / "s"), "WAYSIDE_LISTEN": "127.0.0.1:0"}
    collector = Collector(read(None, environ), environ=environ)
    collector.parts.spool.open()
    try:
        _, page = collector.views.metrics(None)
    finally:
        collector.parts.spool.close()
    told = {line.split()[2] for line in page.decode().splitlines() if line.startswith("# TYPE wayside_")}
    assert told == set(FAMILIES)
