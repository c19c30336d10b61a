"""The collector's own numbers: what every part reports in the same words, as `/status` and as families on `/metrics`.

Nothing is counted here: parts count, and this reads them at the moment of a scrape, so that no part can forget to
publish.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.registry import Collector

from . import __version__
from .delivery.books import Books
from .delivery.pump import PumpStatus
from .intake import Counters
from .registry import Known
from .sources.sampling import SamplerHealth
from .spool import Amount, Lost, Spool

UNITS = ("points", "rows", "events")
#: What only grows of a sink's books, and what it says of each unit.
COUNTED = {
    "received": "that passed the sink's options",
    "delivered": "delivered",
    "filtered": "that the sink's options left out",
    "redelivered": "sent again, an answer being lost",
    "replayed": "dropped as dead letters, and waiting again since",
}

#: Families of this page. No metric of a training script may take one of these names.
FAMILIES = (
    *(f"wayside_{unit}_{account}_total" for unit in UNITS for account in COUNTED),
    *(f"wayside_{unit}_{account}" for unit in UNITS for account in ("dropped_total", "waiting")),
    "wayside_sink_lag_seconds",
    "wayside_sink_failures",
    "wayside_sink_events_total",
    "wayside_sink_sessions_left_out",
    "wayside_dead_letters",
    "wayside_dead_letters_evicted_total",
    "wayside_ingest_points_total",
    "wayside_ingest_rows_total",
    "wayside_ingest_events_total",
    "wayside_ingest_media_total",
    "wayside_ingest_media_lost_total",
    "wayside_ingest_doubles_total",
    "wayside_ingest_malformed_total",
    "wayside_client_lost_rows_total",
    "wayside_client_lost_points_total",
    "wayside_client_refused_total",
    "wayside_sessions",
    "wayside_connections",
    "wayside_feeders",
    "wayside_adopted_total",
    "wayside_adopted_waiting",
    "wayside_refused_total",
    "wayside_spool_bytes",
    "wayside_spool_limit_bytes",
    "wayside_spool_writable",
    "wayside_spool_batches",
    "wayside_spool_oldest_age_seconds",
    "wayside_spool_damaged_total",
    "wayside_journals_set_aside_total",
    "wayside_samples_dropped_total",
    "wayside_sampler_success",
    "wayside_sampler_duration_seconds",
    "wayside_sampler_failures_total",
    "wayside_source_connected",
    "wayside_source_received_total",
    "wayside_source_refused_total",
    "wayside_config_last_reload_successful",
    "wayside_config_last_reload_success_timestamp_seconds",
    "wayside_collector_info",
)


def books_as_status(status: PumpStatus) -> dict[str, Any]:
    """One sink in `/status`: points first, then the same books in rows and events."""
    books = status.books
    shown = _unit(books, "points")
    shown.update({unit: _unit(books, unit) for unit in UNITS[1:]})
    shown["lag_seconds"] = round(status.lag_seconds, 3)
    shown["last_error"] = status.last_error
    shown["failures"] = status.failures
    shown["dead_letters"] = status.dead_letters
    shown["dead_letters_evicted"] = status.dead_letters_evicted
    shown["counters"] = status.counters
    shown["left_out"] = dict(status.left_out)
    return shown


def session_as_status(known: Known) -> dict[str, Any]:
    """One session in `/status`."""
    session = known.session
    return {
        "session": session.id,
        "run": session.run.id,
        "name": session.run.name,
        "project": session.run.project,
        "rank": session.rank,
        "world_size": session.world_size,
        "host": session.host,
        "pid": session.pid,
        "started": session.started,
        "state": "open" if known.ended is None else "ended",
        "ended": known.ended,
    }


def losses_as_status(lost: Lost) -> dict[str, Any]:
    """Rows that never came, in `/status`."""
    shown = lost._asdict()
    shown["last_seq"] = shown.pop("next_seq") - 1
    return shown


def refusals_as_status(counts: Mapping[tuple[str, str], int]) -> dict[str, dict[str, int]]:
    """Who was turned away, in `/status`: door to reason to how often."""
    shown: dict[str, dict[str, int]] = {}
    for (door, reason), count in sorted(counts.items()):
        shown.setdefault(door, {})[reason] = count
    return shown


def _unit(books: Books, unit: str) -> dict[str, Any]:
    def of(amount: Amount) -> int:
        return int(getattr(amount, unit))

    return {
        "received": of(books.received),
        "delivered": of(books.delivered),
        "waiting": of(books.waiting),
        "dropped": {reason: of(amount) for reason, amount in sorted(books.dropped.items())},
        "filtered": of(books.filtered),
        "redelivered": of(books.redelivered),
        "replayed": of(books.replayed),
    }


_SINK_GAUGES: tuple[tuple[str, str, Callable[[PumpStatus], float]], ...] = (
    ("sink_lag_seconds", "Age of the oldest row being delivered.", lambda sink: sink.lag_seconds),
    ("sink_failures", "Failed sends since the last good one.", lambda sink: sink.failures),
    ("dead_letters", "Rows refused for good, kept to be looked at.", lambda sink: sink.dead_letters),
)


def _books(unit: str, sinks: list[tuple[str, Books]]) -> Iterator[Metric]:
    """The books of all sinks in one unit."""
    for account, text in COUNTED.items():
        counter = CounterMetricFamily(f"wayside_{unit}_{account}", f"{unit.capitalize()} {text}.", labels=["sink"])
        for sink, books in sinks:
            counter.add_metric([sink], getattr(getattr(books, account), unit))
        yield counter
    text = f"{unit.capitalize()} received, neither delivered nor dropped."
    waiting = GaugeMetricFamily(f"wayside_{unit}_waiting", text, labels=["sink"])
    text = f"{unit.capitalize()} given up, by reason."
    dropped = CounterMetricFamily(f"wayside_{unit}_dropped", text, labels=["sink", "reason"])
    for sink, books in sinks:
        waiting.add_metric([sink], getattr(books.waiting, unit))
        for reason, amount in books.ever_dropped().items():
            dropped.add_metric([sink, reason], getattr(amount, unit))
    yield from (waiting, dropped)


class Health(Collector):
    """Reads the parts when asked. sinks, samplers, numbers: functions, since parts come and go. numbers: name without
    the prefix, what it is, and value; counters are those whose names end in `_total`. sources: those that go and get
    rows elsewhere, by name, with what they tell of themselves.
    """

    def __init__(
        self,
        spool: Spool,
        counters: Counters,
        sinks: Callable[[], Iterable[tuple[str, PumpStatus]]],
        samplers: Callable[[], Iterable[tuple[str, SamplerHealth]]],
        numbers: Callable[[], Iterable[tuple[str, str, float]]],
        refusals: Callable[[], dict[tuple[str, str], int]] = dict,
    ) -> None:
        self._spool = spool
        self._counters = counters
        self._sinks = sinks
        self._samplers = samplers
        self._numbers = numbers
        self._refusals = refusals
        self.sources: Callable[[], Iterable[tuple[str, Any]]] = list
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)

    def render(self, openmetrics: bool) -> bytes:
        """This page, in OpenMetrics or in the text format 0.0.4."""
        generate = generate_openmetrics if openmetrics else generate_latest
        page: bytes = generate(self._registry)
        return page

    def describe(self) -> Iterable[Metric]:
        return ()

    def collect(self) -> Iterator[Metric]:
        yield InfoMetricFamily("wayside_collector", "The collector's version.", {"version": __version__})
        yield from self._collect_sinks()
        counters = self._counters
        for name, text, count in (
            ("ingest_points", "Points stored in the spool.", counters.received_points),
            ("ingest_rows", "Rows stored in the spool.", counters.received_rows),
            ("ingest_events", "Events stored in the spool.", counters.received_events),
            ("ingest_media", "Files that events named, taken into the spool.", counters.media_files),
            ("ingest_media_lost", "Files that events named and that could not be had.", counters.media_lost),
            ("ingest_doubles", "Rows and events that came again and were refused.", counters.doubles),
            ("ingest_malformed", "Frames that made no sense and were left out.", counters.malformed),
            ("client_lost_rows", "Rows that clients had no room for, or did not post.", counters.lost_rows),
            ("client_lost_points", "Points of those rows.", counters.lost_points),
        ):
            yield CounterMetricFamily(f"wayside_{name}", text, count)
        text = "Points and events that clients refused: a value that is no number, a name that is none."
        refused = CounterMetricFamily("wayside_client_refused", text, labels=["reason"])
        for reason, count in sorted(counters.client_refused.items()):
            refused.add_metric([reason], count)
        yield refused
        spool = self._spool
        yield GaugeMetricFamily("wayside_spool_bytes", "Bytes of rows and events in the spool.", spool.size)
        yield GaugeMetricFamily("wayside_spool_limit_bytes", "The spool's limit.", spool.options.max_size)
        writable = float(spool.last_error is None)
        yield GaugeMetricFamily("wayside_spool_writable", "Whether the last write to the spool succeeded.", writable)
        for name, text, number in self._numbers():
            kind = CounterMetricFamily if name.endswith("_total") else GaugeMetricFamily
            yield kind(f"wayside_{name}", text, number)
        refused = CounterMetricFamily("wayside_refused", "Callers turned away, by door.", labels=["door", "reason"])
        for labels, count in sorted(self._refusals().items()):
            refused.add_metric(labels, count)
        yield refused
        yield from self._collect_samplers()
        yield from self._collect_sources()

    def _collect_sinks(self) -> Iterator[Metric]:
        sinks = list(self._sinks())
        for unit in UNITS:
            yield from _books(unit, [(name, status.books) for name, status in sinks])
        for name, text, read in _SINK_GAUGES:
            gauge = GaugeMetricFamily(f"wayside_{name}", text, labels=["sink"])
            for sink, status in sinks:
                gauge.add_metric([sink], read(status))
            yield gauge
        evicted = CounterMetricFamily(
            "wayside_dead_letters_evicted", "The oldest dead letters, removed to keep the limits.", labels=["sink"]
        )
        for sink, status in sinks:
            evicted.add_metric([sink], status.dead_letters_evicted)
        yield evicted
        left = GaugeMetricFamily(
            "wayside_sink_sessions_left_out",
            "Sessions a sink leaves out altogether, by reason.",
            labels=["sink", "reason"],
        )
        for name, status in sinks:
            for reason, number in status.left_out.items():
                left.add_metric([name, reason], number)
        yield left
        own = CounterMetricFamily("wayside_sink_events", "What a sink counts of its own.", labels=["sink", "what"])
        for sink, status in sinks:
            for what, count in status.counters.items():
                own.add_metric([sink, what], count)
        yield own

    def _collect_samplers(self) -> Iterator[Metric]:
        success = GaugeMetricFamily("wayside_sampler_success", "Whether the last call measured.", labels=["sampler"])
        duration = GaugeMetricFamily(
            "wayside_sampler_duration_seconds", "How long the last call took.", labels=["sampler"]
        )
        failures = CounterMetricFamily("wayside_sampler_failures", "Calls that failed.", labels=["sampler"])
        for name, health in self._samplers():
            if health.unavailable is None:
                success.add_metric([name], float(health.success))
                duration.add_metric([name], health.duration_seconds)
                failures.add_metric([name], health.failures)
        yield from (success, duration, failures)

    def _collect_sources(self) -> Iterator[Metric]:
        connected = GaugeMetricFamily("wayside_source_connected", "Whether it is connected.", labels=["source"])
        received = CounterMetricFamily("wayside_source_received", "Messages whose rows are stored.", labels=["source"])
        refused = CounterMetricFamily("wayside_source_refused", "Messages that are no rows.", labels=["source"])
        for name, health in self.sources():
            connected.add_metric([name], float(health.connected))
            received.add_metric([name], health.received)
            refused.add_metric([name], health.refused)
        yield from (connected, received, refused)
