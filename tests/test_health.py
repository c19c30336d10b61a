"""The books as a scrape and as a person see them."""

import re
from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from wayside_collector.commands.showing import format_feeders, format_status
from wayside_collector.delivery.books import Books
from wayside_collector.delivery.pump import PumpStatus
from wayside_collector.health import FAMILIES, UNITS, Health, books_as_status, losses_as_status, refusals_as_status
from wayside_collector.intake import Counters
from wayside_collector.spool import Amount, Lost

BOOKS = Books(
    received=Amount(100, 10, 5),
    delivered=Amount(60, 6, 3),
    filtered=Amount(7, 2, 0),
    redelivered=Amount(4, 1, 0),
    dropped={"rejected": Amount(10, 1, 1), "spool_size": Amount(20, 2, 0)},
)
STATUS = PumpStatus(BOOKS, 1.5, "no room", 2, {"superseded": 9}, 3, 4)


def page(openmetrics: bool = False) -> str:
    spool: Any = SimpleNamespace(size=5, options=SimpleNamespace(max_size=10), last_error=None)
    counters = Counters(lost_rows=4, lost_points=8)
    numbers = [("sessions", "Open now.", 2.0), ("samples_dropped_total", "Not stored.", 7.0)]
    health = Health(spool, counters, lambda: [("lens", STATUS)], lambda: [], lambda: numbers)
    return health.render(openmetrics).decode()


@pytest.mark.parametrize("unit", UNITS)
def test_the_books_balance_on_the_page_in_every_unit(unit: str) -> None:
    """Received is delivered, waiting and dropped of all reasons; what stands beside the equation is there, too."""
    found: dict[str, float] = {}
    for family in text_string_to_metric_families(page()):
        for sample in family.samples:
            found[sample.name] = found.get(sample.name, 0.0) + sample.value
    parts = [found[f"wayside_{unit}_{account}"] for account in ("delivered_total", "waiting", "dropped_total")]
    assert found[f"wayside_{unit}_received_total"] == sum(parts) == getattr(BOOKS.received, unit)
    assert found[f"wayside_{unit}_filtered_total"] == getattr(BOOKS.filtered, unit)
    assert found[f"wayside_{unit}_redelivered_total"] == getattr(BOOKS.redelivered, unit)


@pytest.mark.parametrize("openmetrics", [False, True])
def test_every_family_of_the_page_is_reserved(openmetrics: bool) -> None:
    """No metric of a training script may take one of their names."""
    families = {line.split()[2] for line in page(openmetrics).splitlines() if line.startswith("# TYPE")}
    known = {name.removesuffix("_total").removesuffix("_info") for name in FAMILIES}
    assert {name.removesuffix("_total").removesuffix("_info") for name in families} <= known


@pytest.mark.parametrize("openmetrics", [False, True])
def test_numbers_of_other_parts_are_gauges_and_counters_by_their_names(openmetrics: bool) -> None:
    """What ends in `_total` only grows."""
    lines = page(openmetrics).splitlines()
    assert {"wayside_sessions 2.0", "wayside_samples_dropped_total 7.0"} <= set(lines)
    assert "# TYPE wayside_sessions gauge" in lines
    assert f"# TYPE wayside_samples_dropped{'' if openmetrics else '_total'} counter" in lines


def test_dead_letters_are_told_with_those_that_had_to_go() -> None:
    """How many are kept, and how many are not, for their limit: on the page and in the status."""
    lines = page().splitlines()
    assert 'wayside_dead_letters{sink="lens"} 3.0' in lines
    assert 'wayside_dead_letters_evicted_total{sink="lens"} 4.0' in lines
    shown = books_as_status(STATUS)
    assert (shown["dead_letters"], shown["dead_letters_evicted"]) == (3, 4)


def test_the_books_balance_in_the_status_in_every_unit() -> None:
    """Points first, rows and events below."""
    shown = books_as_status(STATUS)
    for found in (shown, shown["rows"], shown["events"]):
        assert found["received"] == found["delivered"] + found["waiting"] + sum(found["dropped"].values())
    assert (shown["waiting"], shown["rows"]["waiting"], shown["events"]["waiting"]) == (10, 1, 1)
    assert shown["counters"] == {"superseded": 9}


def test_what_clients_lost_and_who_was_turned_away_is_told() -> None:
    """In the status as JSON, and in the sentences that people read: losses with session and range, callers by door."""
    lost = losses_as_status(Lost("ab" * 16, "client", 100, 121, 21, 42, 5.0))
    assert (lost["session"], lost["first_seq"], lost["last_seq"], lost["rows"]) == ("ab" * 16, 100, 120, 21)
    posted = losses_as_status(Lost("cd" * 16, "sender", 0, 11, 11, 0, 4.0))
    status: dict[str, Any] = {
        "version": "1", "pid": 1, "started": 0.0, "listen": "x", "socket": "y", "ready": True,
        "config": {"last_error": None, "needs_restart": []}, "spool": {"path": "z", "bytes": 0, "max_bytes": 1},
        "sinks": {}, "sessions": [], "sources": {}, "client_losses": [lost, posted], "counting": ["lens"],
        "ingest": {"lost_rows": 21, "lost_points": 42},
        "adopted": {"emptied": 5, "left": 2, "removed": 0, "last_error": "the gateway is away"},
        "refusals": refusals_as_status({("socket", "peer"): 3, ("listen", "token"): 1, ("socket", "line"): 2}),
    }  # fmt: skip
    text = format_status(status, 10.0)
    assert "lost before they came here: 21 rows, 42 points" in text
    assert "session abababab seq 100 to 120 (no room in its journal)" in text
    assert "session cdcdcdcd seq 0 to 10 (its sender passed them over, or had them refused)" in text
    assert "left by collectors that are gone: 2 folders wait: the gateway is away" in text
    assert "still counting what waits, and not shown below: lens" in text
    assert "turned away since the start: listen: 1 for token; socket: 2 for line, 3 for peer" in text


def test_collectors_that_feed_this_one_are_told() -> None:
    """What is stored of each, what waits there, and when it was heard; the latest of many."""
    feeder = {"host": "node-1", "namespace": "team-a", "points": 120, "lost_points": 3, "heard": 90.0}
    feeder["books"] = {"waiting": 34, "dropped": {"age": 5}}
    told = "\n".join(format_feeders([feeder] * 25, 100.0))
    assert re.search(r"fed by +namespace +stored +waiting +dropped +lost +heard", told)
    assert re.search(r"node-1 +team-a +120 +34 +5 +3 +10.0 s ago", told)
    assert told.endswith("and 5 more")
    assert format_feeders([], 100.0) == []
