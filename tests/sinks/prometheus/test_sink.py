"""The sink as its pump and the web route see it."""

import asyncio
import sys
import threading
import time
from pathlib import Path

import pytest
from sinks.prometheus.pages import make_system, read_series, shown
from wayside.row import Row
from wayside_collector.sinks.base import Changes, Context, Parcel, Part
from wayside_collector.sinks.prometheus import PrometheusOptions, PrometheusSink
from wayside_collector.sinks.prometheus.digest import SLICE_RECORDS
from wayside_collector.testing import FakeClock, make_event, make_parcel, make_rows, make_session

OPENMETRICS = "application/openmetrics-text; version=1.0.0"


class Pump:
    """Opens a sink, keeps what its sends return, and its counters."""

    def __init__(self) -> None:
        self.state: dict[str, bytes] = {}
        self.counters: dict[str, int] = {}
        self.clock = FakeClock()

    async def start(self, **options: object) -> PrometheusSink:
        sink = PrometheusSink(PrometheusOptions(**options), clock=self.clock)  # type: ignore[arg-type]
        await sink.open(Context("prometheus", Path(), dict(self.state), self.count))
        return sink

    def count(self, name: str, by: int) -> None:
        self.counters[name] = self.counters.get(name, 0) + by

    def commit(self, changes: Changes) -> None:
        for key, record in changes.items():
            if record is None:
                self.state.pop(key, None)
            else:
                self.state[key] = record


def page(sink: PrometheusSink, *about: str) -> dict[str, float]:
    content_type, body = sink.render(None)
    assert content_type == "text/plain; version=0.0.4; charset=utf-8"
    return shown(read_series(body.decode(), openmetrics=False), about=[f"wayside_{name}" for name in about or ("",)])


@pytest.mark.asyncio
async def test_a_row_stands_on_the_page_when_send_returns() -> None:
    """Delivered means that a scrape would show it, in the format that the scraper asks for."""
    pump = Pump()
    sink = await pump.start()
    session = make_session(run="r1", rank=0)
    await sink.send(make_parcel(session, make_rows(3, {"train/loss": 0.5}, step=7)))
    assert page(sink, "train", "run_last_step") == {
        "wayside_train_loss{rank=0,run=r1}": 0.5,
        "wayside_run_last_step{rank=0,run=r1}": 9,
    }
    content_type, body = sink.render(OPENMETRICS)
    assert content_type == "application/openmetrics-text; version=1.0.0; charset=utf-8"
    assert read_series(body.decode(), openmetrics=True)


def test_what_the_pump_must_know_of_it() -> None:
    """It takes single rows of every rank and the samplers' too, and begins now: a page shows latest values."""
    traits = PrometheusSink.traits
    assert (traits.unit, traits.start, traits.ranks, traits.system) == ("row", "now", "all", True)
    assert traits.commit_interval == 1.0
    assert traits.max_records >= SLICE_RECORDS


@pytest.mark.asyncio
async def test_superseded_and_refused_points_are_counted() -> None:
    """Every point of a parcel is on the page, or in a counter that says why not."""
    pump = Pump()
    sink = await pump.start(max_series_per_run=2)
    session = make_session(run="r1")
    await sink.send(make_parcel(session, make_rows(10, {"a": 1.0, "b": 2.0})))
    assert pump.counters == {"superseded": 18}
    await sink.send(make_parcel(session, make_rows(1, {"c": 1.0}, seq=10)))
    assert pump.counters == {"superseded": 18, "over_limit": 1}
    await sink.send(make_parcel(make_system(), make_rows(1, {"disk/vda/read_bytes_total": -1.0})))
    assert pump.counters == {"superseded": 18, "over_limit": 1, "impossible": 1}


@pytest.mark.asyncio
async def test_the_page_comes_back_after_a_restart() -> None:
    """What the sends returned is all a new sink needs to show the same page."""
    pump = Pump()
    sink = await pump.start()
    for rank in range(3):
        session = make_session(run="r1", rank=rank)
        pump.commit(await sink.send(make_parcel(session, make_rows(2, {"loss": float(rank)}))))
    pump.commit(await sink.send(make_parcel(make_system(), make_rows(1, {"gpu/0/power_watts": 7.0}))))
    before = page(sink)
    await sink.close()
    again = await pump.start()
    assert page(again) == before
    assert len(pump.state) == 4


@pytest.mark.asyncio
async def test_damaged_state_does_not_keep_it_from_opening() -> None:
    """A record that cannot be read is counted and dropped with the next send; the sink works on."""
    pump = Pump()
    pump.state["f" * 32] = b"\x93not a record"
    sink = await pump.start()
    assert pump.counters == {"state_damaged": 1}
    pump.commit(await sink.send(make_parcel(make_session(run="r1"), make_rows(1))))
    assert "f" * 32 not in pump.state
    assert len(pump.state) == 1


@pytest.mark.asyncio
async def test_a_cancelled_send_and_its_repetition_count_once() -> None:
    """A parcel that was cancelled on its way is sent again whole; what had been taken of it counts nothing twice."""
    pump = Pump()
    sink = await pump.start()
    session = make_session(run="r1", rank=0)
    rows = make_rows(SLICE_RECORDS * 3, {"loss": float("nan")})
    parcel = make_parcel(session, [*rows, make_event("alert", {"level": "WARN"}, seq=len(rows))])
    task = asyncio.create_task(sink.send(parcel))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert page(sink, "run_alerts")["wayside_run_alerts_total{level=WARN,run=r1}"] == 0  # it did stop on its way
    pump.commit(await sink.send(parcel))
    found = page(sink, "run_alerts", "run_nonfinite")
    assert found["wayside_run_alerts_total{level=WARN,run=r1}"] == 1
    assert found["wayside_run_nonfinite_total{original=loss,run=r1}"] == len(rows)


@pytest.mark.asyncio
async def test_the_event_loop_runs_while_a_large_parcel_is_taken() -> None:
    """A parcel of the largest size is taken in slices, between which others run."""
    pump = Pump()
    sink = await pump.start()
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    await sink.send(make_parcel(make_session(run="r1"), make_rows(PrometheusSink.traits.max_records)))
    task.cancel()
    assert turns >= PrometheusSink.traits.max_records // SLICE_RECORDS


@pytest.mark.asyncio
async def test_close_without_open_and_twice() -> None:
    """Closing needs no opening and may come twice; the page can still be scraped, empty or not."""
    sink = PrometheusSink(PrometheusOptions())
    await sink.close()
    await sink.close()
    assert page(sink) == {"wayside_name_collisions_total{}": 0}


@pytest.mark.asyncio
async def test_opening_again_begins_with_the_kept_state() -> None:
    """A second `open` shows what is kept and nothing that was only in memory, so that nothing stands there twice."""
    pump = Pump()
    sink = await pump.start()
    pump.commit(await sink.send(make_parcel(make_session(run="r1"), make_rows(1, {"kept": 1.0}))))
    await sink.send(make_parcel(make_session(run="r2"), make_rows(1, {"lost": 1.0})))
    await sink.open(Context("prometheus", Path(), dict(pump.state), pump.count))
    assert page(sink, "kept", "lost") == {"wayside_kept{run=r1}": 1.0}


@pytest.mark.asyncio
async def test_scrapes_from_other_threads_show_whole_rows() -> None:
    """Two threads scrape while rows come, runs end and devices leave: each page reads well, and shows of each row all
    of its values or none.
    """
    pump = Pump()
    sink = await pump.start()
    width, count = 40, 300
    names = tuple(f"m{number}" for number in range(width))
    sessions = [make_session(run=f"r{number}", rank=0) for number in range(3)]
    stop = threading.Event()
    pages: list[list[bytes]] = [[], []]

    def scrape(found: list[bytes]) -> None:
        while not stop.is_set():
            found.append(sink.render(OPENMETRICS)[1])

    threads = [threading.Thread(target=scrape, args=(found,)) for found in pages]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for thread in threads:
            thread.start()
        seq, deadline = 0, time.monotonic() + 15
        while seq < count or min(map(len, pages)) < 20:
            assert time.monotonic() < deadline, "the scrapes did not come"
            row = Row(seq, float(seq), seq, True, False, names, (float(seq),) * width)
            sample = Row(seq, float(seq), None, True, False, (f"gpu/{seq % 4}/power_watts",), (1.0,))
            parts = [Part(session, [row]) for session in sessions]
            await sink.send(Parcel([*parts, Part(make_system(id="e" * 32), [sample])]))
            if seq % 50 == 49:
                await sink.send(make_parcel(sessions[0], [make_event("finish", {"exit_code": 0}, seq=seq + 1)]))
                sessions[0] = make_session(run="r0", rank=0, started=float(seq))
                pump.clock.forward(70)
            seq += 1
    finally:
        stop.set()
        sys.setswitchinterval(interval)
        for thread in threads:
            thread.join()
    for found in pages:
        assert len(found) >= 20
        for body in (found[0], *found[1:-1][:: max(1, len(found) // 30)], found[-1]):
            series = shown(read_series(body.decode(), openmetrics=True), about=["wayside_m"])
            for run in ("r1", "r2"):
                values = [value for name, value in series.items() if name.endswith(f"run={run}}}")]
                assert len(set(values)) <= 1, "a page shows a part of a row"
                assert len(values) in (0, width)
