"""A scrape of 10,000 series: ours beside prometheus_client's, in one run, and what a scrape costs the event loop.

prometheus_client stands here twice: as a custom collector that builds families for each scrape (what an exporter of
other people's values should do) and as plain gauges that were set before. Its times are for encoding alone; ours hold
all of `render`: the snapshot, the encoding and the naps that let the event loop run. CPU seconds of the thread.
"""

import asyncio
import random
import threading
import time
from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, Gauge, Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from wayside.row import Row
from wayside_collector.sinks.base import Parcel, Part
from wayside_collector.sinks.prometheus import PrometheusOptions, PrometheusSink, join
from wayside_collector.testing import make_session

from bench.harness import gate, percentile, show

OPENMETRICS = "application/openmetrics-text; version=1.0.0"
TEXT = "text/plain; version=0.0.4"
REPEATS = 5
RANDOM = random.Random(1)

Values = dict[str, list[float]]  # metric to the value of each rank


def make_values(metrics: int, ranks: int) -> Values:
    return {f"layer_{i}/grad_norm": [RANDOM.random() for _ in range(ranks)] for i in range(metrics)}


def make_parcel(values: Values, ranks: int) -> Parcel:
    names = tuple(values)
    parts = []
    for rank in range(ranks):
        session = make_session(run="r-8f3a", rank=rank, id=f"{rank:032x}")
        row = Row(0, 1_767_225_600.0, 1, True, False, names, tuple(values[name][rank] for name in names))
        parts.append(Part(session, [row]))
    return Parcel(parts)


async def make_sink(values: Values, ranks: int) -> PrometheusSink:
    sink = PrometheusSink(PrometheusOptions(max_series=200_000, max_series_per_run=200_000))
    await sink.send(make_parcel(values, ranks))
    return sink


class Peer:
    """The same series as a custom collector of prometheus_client."""

    def __init__(self, values: Values) -> None:
        self.values = values

    def describe(self) -> list[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        for name, values in self.values.items():
            family = GaugeMetricFamily("wayside_" + name.replace("/", "_"), name, labels=["run", "rank"])
            for rank, value in enumerate(values):
                family.add_metric(["r-8f3a", str(rank)], value)
            yield family


def plain_gauges(values: Values) -> CollectorRegistry:
    registry = CollectorRegistry()
    for name, found in values.items():
        gauge = Gauge("wayside_" + name.replace("/", "_"), name, ["run", "rank"], registry=registry)
        for rank, value in enumerate(found):
            gauge.labels("r-8f3a", str(rank)).set(value)
    return registry


def cpu_ms(work: Callable[[], object]) -> float:
    """The best of some runs, in milliseconds of CPU time of this thread."""
    best = float("inf")
    for _ in range(REPEATS):
        start = time.thread_time()
        work()
        best = min(best, time.thread_time() - start)
    return best * 1000


def compare(metrics: int, ranks: int) -> None:
    values = make_values(metrics, ranks)
    sink = asyncio.run(make_sink(values, ranks))
    registry = CollectorRegistry()
    registry.register(Peer(values))  # type: ignore[arg-type]
    gauges = plain_gauges(values)
    for label, accept, encode in (("text", TEXT, generate_latest), ("OpenMetrics", OPENMETRICS, generate_openmetrics)):
        ours = cpu_ms(lambda accept=accept: sink.render(accept))
        peer = cpu_ms(lambda encode=encode: encode(registry))
        direct = cpu_ms(lambda encode=encode: encode(gauges))
        what = f"scrape of {metrics} metrics x {ranks} ranks, {label}, CPU"
        beside = f"prometheus_client {peer:.0f} ms, gauges {direct:.0f}"
        aim = f", ≤ 10 ms: {gate(ours <= 10)}" if metrics * ranks == 10_000 else ""
        show(what, f"{ours:.1f} ms", beside, f"{peer / ours:.0f} times{aim}")
    page, health = sink.render(TEXT)[1], generate_latest(plain_gauges({"health": [1.0]}))
    show("  joined to the page of health metrics, more", f"{cpu_ms(lambda: join([health, page])):.1f} ms")


async def loop_lag(metrics: int, ranks: int) -> None:
    """How late the event loop wakes while another thread renders one page after the other."""
    sink = await make_sink(make_values(metrics, ranks), ranks)
    stop = threading.Event()
    pages = 0

    def scrape() -> None:
        nonlocal pages
        while not stop.is_set():
            sink.render(TEXT)
            pages += 1

    for label, scraping in (("no scrape", False), ("scraped without pause", True)):
        thread = threading.Thread(target=scrape)
        if scraping:
            thread.start()
        late = []
        for _ in range(500):
            due = time.perf_counter() + 0.002
            await asyncio.sleep(0.002)
            late.append((time.perf_counter() - due) * 1000)
        stop.set()
        if scraping:
            thread.join()
        late.sort()
        lag = f"{percentile(late, 0.5):.2f} / {percentile(late, 0.99):.2f} ms"
        many = f"{pages} pages, most {late[-1]:.1f} ms" if scraping else f"most {late[-1]:.1f} ms"
        show(f"loop wakes late, {metrics * ranks} series, {label}, p50 / p99", lag, "", many)
        stop.clear()


async def intake(ranks: int, width: int, rows: int) -> None:
    """Rows taken a second, as they come from a training loop."""
    sink = PrometheusSink(PrometheusOptions())
    names = tuple(f"train/m{i}" for i in range(width))
    session = [make_session(run="r", rank=rank) for rank in range(ranks)]
    made = [Row(seq, float(seq), seq, True, False, names, tuple(map(float, range(width)))) for seq in range(rows)]
    parcel = Parcel([Part(one, list(made)) for one in session])
    start = time.process_time()
    await sink.send(parcel)
    spent = time.process_time() - start
    points = ranks * width * rows
    show(f"taking {ranks * rows} rows of {width} points, a CPU second", f"{points / spent / 1e6:.1f} M points")


def main() -> None:
    compare(100, 100)
    compare(1000, 10)
    compare(10, 100)
    asyncio.run(loop_lag(100, 100))
    asyncio.run(loop_lag(1000, 100))
    asyncio.run(intake(8, 10, 20_000))


if __name__ == "__main__":
    main()
