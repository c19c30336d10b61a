"""A gateway with 200 simulated sidecars, on one machine with them: rows that trickle, and all coming back at once with
what they kept meanwhile. And what packing rows anew costs beside compressing them.

    python bench/run.py gateway
"""

import asyncio
import secrets
import time
from dataclasses import dataclass, field

import aiohttp
from wayside_collector.compression import COMPRESS
from wayside_collector.relay import MEDIA, Delivery, Lot, Sender, encode
from wayside_collector.sinks.base import Part
from wayside_collector.sinks.gateway.encode import pack
from wayside_collector.testing import make_rows, make_session

from bench.harness import Running, collector, percentile, show, wait_for

SIDECARS = 200
RANKS = 8
METRICS = 20
SECONDS = 20  #: of rows that trickle, one a second and rank
KEPT = 60  #: seconds of rows that each has kept when all come back


def main() -> None:
    packing()
    with collector(sinks="{store: {}}", sources="{}") as running:
        sidecars = [Sidecar(number) for number in range(SIDECARS)]
        asyncio.run(trickle(running.url, sidecars, running))
        asyncio.run(herd(running.url, sidecars, running))


def packing() -> None:
    """One parcel: rows into frames, and those compressed."""
    metrics = {f"train/layer{number}/loss": 0.1 + number / 7 for number in range(METRICS)}
    rows = [
        row._replace(values=tuple(value * (1 + row.seq / 977) for value in row.values))
        for row in make_rows(10_000, metrics)
    ]
    parts = [Part(make_session(), list(rows))]
    packed, best = [], float("inf")
    for _ in range(5):
        began = time.perf_counter()
        packed = list(pack(parts, 1 << 30, []))
        best = min(best, time.perf_counter() - began)
    body = encode(Delivery(Sender(secrets.token_hex(16)), lots=[one.lot for one in packed]))
    points = len(rows) * METRICS
    show("rows packed into frames", f"{points / best / 1e6:.1f} M points/s")
    for how in ("zstd", "gzip"):
        began = time.perf_counter()
        small = COMPRESS[how](body)
        took = time.perf_counter() - began
        show(
            f"  and compressed by {how}",
            f"{points / took / 1e6:.1f} M points/s",
            "",
            f"{len(small) / points:.1f} bytes a point",
        )


@dataclass
class Sidecar:
    """Bodies made ahead, so that what is measured is the gateway. waited: seconds for each answer that took one."""

    number: int
    id: str = field(default_factory=lambda: secrets.token_hex(16))
    next_seq: int = 0
    waited: list[float] = field(default_factory=list)
    put_off: int = 0

    def body(self, rows: int) -> bytes:
        metrics = {f"train/m{number}": 0.1 * number for number in range(METRICS)}
        sessions = [
            make_session(
                f"run-{self.number}", id=f"{self.number:016x}{rank:016x}", rank=rank, host=f"node-{self.number}"
            )
            for rank in range(RANKS)
        ]
        parts = [
            Part(session, [*make_rows(rows, metrics, seq=self.next_seq, step=self.next_seq)]) for session in sessions
        ]
        self.next_seq += rows
        lots: list[Lot] = [one.lot for one in pack(parts, 1 << 30, [])]
        alive = [session.id for session in sessions]
        return COMPRESS["zstd"](encode(Delivery(Sender(self.id, f"node-{self.number}", alive=alive), lots=lots)))

    async def post(self, asking: aiohttp.ClientSession, url: str, body: bytes) -> None:
        headers = {"Content-Type": MEDIA, "Content-Encoding": "zstd"}
        while True:
            began = time.perf_counter()
            async with asking.post(f"{url}api/v1/batches", data=body, headers=headers) as answer:
                await answer.read()
            if answer.status == 200:
                self.waited.append(time.perf_counter() - began)
                return
            self.put_off += 1
            await asyncio.sleep(float(answer.headers.get("Retry-After", 1)))


def asking() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=SIDECARS), timeout=aiohttp.ClientTimeout(120))


async def trickle(url: str, sidecars: list[Sidecar], running: Running) -> None:
    """Each sends a second's rows each second, at a moment of its own."""
    bodies = [[sidecar.body(1) for _ in range(SECONDS)] for sidecar in sidecars]
    processor = running.cpu_seconds()
    began = time.perf_counter()
    async with asking() as client:

        async def live(sidecar: Sidecar, mine: list[bytes]) -> None:
            for number, body in enumerate(mine):
                due = began + number + sidecar.number / SIDECARS
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
                await sidecar.post(client, url, body)

        await asyncio.gather(*map(live, sidecars, bodies))
    took = time.perf_counter() - began
    waited = [one for sidecar in sidecars for one in sidecar.waited]
    points = SIDECARS * RANKS * METRICS * SECONDS
    share = (running.cpu_seconds() - processor) / took
    what = f"{SIDECARS} sidecars of {RANKS} ranks, {METRICS} metrics, a row a second"
    show(what, f"{points / took / 1000:.0f} K points/s", "", f"{share:.2f} of a core, store included")
    show("  an answer, p50 and p99", f"{percentile(waited, 0.5) * 1000:.0f}/{percentile(waited, 0.99) * 1000:.0f} ms")
    put_off = sum(sidecar.put_off for sidecar in sidecars)
    show("  the gateway's memory", f"{running.rss() / 1e6:.0f} MB", "", f"{put_off} times put off")
    for sidecar in sidecars:
        sidecar.waited.clear()
        sidecar.put_off = 0


async def herd(url: str, sidecars: list[Sidecar], running: Running) -> None:
    """All at once, each with a minute of rows in one request."""
    bodies = [sidecar.body(KEPT) for sidecar in sidecars]
    points = SIDECARS * RANKS * METRICS * KEPT
    before = sum(one["points"] for one in running.status()["feeders"])
    began = time.perf_counter()
    async with asking() as client:
        await asyncio.gather(*(sidecar.post(client, url, body) for sidecar, body in zip(sidecars, bodies, strict=True)))
    took = time.perf_counter() - began
    put_off = sum(sidecar.put_off for sidecar in sidecars)
    what = f"all {SIDECARS} at once, {KEPT} s of rows each: all on disk"
    show(what, f"{took:.1f} s", f"{points / took / 1e6:.2f} M points/s", f"{put_off} times put off")
    stored = sum(one["points"] for one in running.status()["feeders"]) - before
    assert stored == points, f"{stored} points stored of {points}"
    show("  the gateway's memory at most", f"{running.peak_rss() / 1e6:.0f} MB")
    wait_for(lambda: not running.status()["sinks"]["store"]["waiting"], 300)
    show("  and in its store", f"{time.perf_counter() - began:.1f} s")
