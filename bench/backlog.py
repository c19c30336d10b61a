"""A sink that is away: what the collector takes meanwhile, in memory and on disk, what it gives up, how soon it is back
after a kill with a full spool, and how fast the backlog leaves once the sink takes it.

    python bench/run.py backlog                       36 million points, as fast as log() goes
    WAYSIDE_BENCH_POINTS=360 python bench/run.py backlog         so many million
"""

import asyncio
import os
import signal
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, ClassVar

from wayside import wire
from wayside_collector.delivery.election import Election
from wayside_collector.delivery.pump import Pump
from wayside_collector.delivery.shared import Shared
from wayside_collector.registry import Registry
from wayside_collector.sinks.base import Changes, Context, Parcel, SinkOptions, Traits
from wayside_collector.spool import Amount, Batch, Spool, SpoolOptions

from bench.harness import Running, child, collector, gate, scratch, show, wait_for
from bench.ingest import BURST

WIDTH = 10
NOBODY = "{lens: {endpoint: 'http://127.0.0.1:9/v1', workload_uid: bench}}"  # nothing listens there
WAITING = 1 << 30  # bytes in the spool when the collector is killed
SMALL = 200_000  # batches of one row
DRAIN_FOR = 20.0  # seconds
SCHEMA = wire.schema_frame(0, [f"metric_{number}" for number in range(WIDTH)])


def main() -> None:
    away(int(float(os.environ.get("WAYSIDE_BENCH_POINTS", "36")) * 1e6))
    with scratch() as folder:
        points = fill(folder / "spool", WAITING)
        recovery(folder, points)
        for unit in ("row", "step"):
            rate = asyncio.run(drain(folder / "spool", unit))
            verdict = f"≥ 1 M: {gate(rate >= 1e6)}" if unit == "row" else ""
            show(f"drain into a fast sink, {unit} by {unit}", f"{rate / 1e6:.2f} M points/s", "", verdict)
    small()


def away(points: int) -> None:
    """Rows as fast as they go, the only sink being down."""
    with collector(sinks=NOBODY, sources="{}") as running:
        rows = points // WIDTH
        began, ended, dropped = child(BURST, rows, "away", environ=running.environ)
        wait_for(lambda: running.status()["ingest"]["received_rows"] >= rows - dropped, 600)
        took = time.time() - began
        wait_for(lambda: _within_limit(running), 60)
        status, peak = running.status(), running.peak_rss()
        sink, spool = status["sinks"]["lens"], status["spool"]
        disk = sum(path.stat().st_size for path in (running.folder / "spool").iterdir() if path.is_file())
    show(f"{points / 1e6:.0f} M points with the sink down: peak memory", f"{peak / 1e6:.0f} MB")
    show(
        "  disk: spool and its index · the spool's limit", f"{disk / 1e6:.0f} MB", f"{spool['max_bytes'] / 1e6:.0f} MB"
    )
    show("  waiting · dropped at the spool's limit", f"{sink['waiting']}", str(sink["dropped"] or "nothing"))
    show(
        "  never taken in: the client's journal was full",
        f"{dropped} rows",
        f"log() ran at {rows / (ended - began):.0f} rows/s",
    )
    show("  into the spool", f"{(rows - dropped) * WIDTH / took / 1e6:.2f} M points/s")


def small() -> None:
    """What jobs leave that log a row now and then: a batch for each row, of eight ranks by turns."""
    with scratch() as folder:
        fill(folder / "spool", SMALL * (wire.row_size(WIDTH) + 200), each=1, ranks=8)
        began = time.monotonic()
        with collector(sinks=NOBODY, sources="{}", folder=folder, end=signal.SIGKILL) as running:
            wait_for(lambda: _is_ready(running))
            took = time.monotonic() - began
            wait_for(lambda: not running.status()["counting"], 120)
            counted = time.monotonic() - began
        show(f"ready with {SMALL} batches of one row waiting", f"{took:.2f} s", f"counted after {counted:.2f} s")
        for unit in ("row", "step"):
            rate = asyncio.run(drain(folder / "spool", unit)) / WIDTH
            show(f"  drained, {unit} by {unit}", f"{rate / 1e3:.0f} k batches/s")


def _within_limit(running: Running) -> bool:
    spool = running.status()["spool"]
    return bool(spool["bytes"] <= spool["max_bytes"])


def fill(path: Path, size: int, *, each: int = (512 << 10) // wire.row_size(WIDTH), ranks: int = 1) -> int:
    """A spool with so many bytes of rows that nobody has read, in batches as intake makes them; its points."""
    spool = Spool(SpoolOptions(path, max_size=2 * size))
    spool.open()
    keys = []
    for rank in range(ranks):
        id = f"{rank + 1:032x}"
        record = wire.json_frame(wire.HELLO, {"session": id, "run": {"id": "bench"}, "rank": rank})
        keys.append(spool.begin_session(id, record, time.time()).result().key)
    layout, word, now = wire.row_struct(WIDTH), wire.row_head(WIDTH, 0, wire.COMMIT), time.time()
    at_once = max(1, 10_000 // each)
    seq = 0
    while spool.size < size:
        batches = []
        for _ in range(at_once):
            rows = [layout.pack(word, now, step, *([0.5 * step] * WIDTH), word) for step in range(seq, seq + each)]
            batches += [_batch(key, seq, each, b"".join(rows), now) for key in keys]
            seq += each
        spool.append(batches).result()
    spool.close()
    return seq * WIDTH * ranks


def _batch(key: int, seq: int, rows: int, data: bytes, now: float) -> Batch:
    place = (key, seq, seq + rows, (seq + rows) * WIDTH)
    framed = wire.seq_frame(seq, seq * WIDTH) + data
    return Batch(*place, framed, b"", Amount(rows * WIDTH, rows, 0), ((0, rows),), now, {0: SCHEMA})


def recovery(folder: Path, points: int) -> None:
    """From the start of the process to /readyz, and with it the books of what waits."""
    began = time.monotonic()
    with collector(
        sinks=NOBODY, sources="{}", folder=folder, top="spool: {max_size: 2GiB}\n", end=signal.SIGKILL
    ) as running:
        wait_for(lambda: _is_ready(running))
        took = time.monotonic() - began
        waiting = running.status()["sinks"]["lens"]["waiting"]
    assert waiting == points, (waiting, points)
    show("ready with 1 GiB waiting, from the start of the process", f"{took:.2f} s", "", f"≤ 2 s: {gate(took <= 2)}")


def _is_ready(running: Running) -> bool:
    try:
        with urllib.request.urlopen(f"{running.url}readyz", timeout=5) as answer:
            return bool(answer.status == 200)
    except urllib.error.HTTPError:
        return False


class NullSink:
    """Takes everything at once."""

    traits: ClassVar[Traits] = Traits()

    def __init__(self, traits: Traits) -> None:
        self.traits = traits  # type: ignore[misc]

    async def open(self, context: Context) -> None:
        return None

    async def send(self, parcel: Parcel) -> Changes:
        return {}

    async def close(self) -> None:
        return None


async def drain(path: Path, unit: Any) -> float:
    """Points a second through a pump, committed, from a spool on disk."""
    spool = Spool(SpoolOptions(path, max_size=2 * WAITING))
    spool.open()
    try:
        registry = Registry()
        registry.load(spool)
        election = Election(registry)
        while batches := spool.batches(election.seen, 1000):
            for batch in batches:
                election.see(batch, time.time())
        shared = Shared(spool, registry, election, path.parent)
        pump = Pump(f"null-{unit}", NullSink(Traits(unit=unit)), SinkOptions(), shared)
        await pump.load()
        began = time.monotonic()
        task = asyncio.create_task(pump.run())
        while pump.books.waiting and time.monotonic() - began < DRAIN_FOR:  # noqa: ASYNC110 -- seen from outside
            await asyncio.sleep(0.02)
        rate = pump.books.delivered.points / (time.monotonic() - began)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return rate
    finally:
        await asyncio.to_thread(spool.close)


if __name__ == "__main__":
    main()
