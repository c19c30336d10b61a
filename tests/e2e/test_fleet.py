"""Many sidecars at one gateway, which is killed under them and comes back: a thundering herd, and not a row amiss."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from e2e.gateways import Gateway
from e2e.machine import check_books, until
from sources.place import until as until_so
from standins.fleet import Sidecar

SIDECARS = 40
PARCELS = 12
ROWS = 5


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    made = Gateway(tmp_path / "gateway", store={})
    yield made
    made.machine.close()


async def meet(gateway: Gateway, sidecars: list[Sidecar]) -> None:
    """All deliver; in the middle the gateway is gone for a while, and all come back at once."""
    lives = [asyncio.ensure_future(sidecar.live(PARCELS, ROWS)) for sidecar in sidecars]
    third = SIDECARS * PARCELS * ROWS * 2 // 3
    await until_so(lambda: sum(len(sidecar.delivered) for sidecar in sidecars) >= third, "a third delivered")
    gateway.kill()
    await until_so(
        lambda: all(sidecar.retries or life.done() for sidecar, life in zip(sidecars, lives, strict=True)), "trouble"
    )
    await asyncio.to_thread(gateway.start)
    await asyncio.gather(*lives)


@pytest.mark.timeout(150)
def test_a_herd_comes_back(gateway: Gateway) -> None:
    """Each session's rows are in the store once, each run has its end, and the gateway says of each sidecar how many
    points it took of it.
    """
    collector = gateway.start()
    sidecars = [Sidecar(number, gateway.endpoint) for number in range(SIDECARS)]
    asyncio.run(meet(gateway, sidecars))
    assert gateway.collector is not None
    collector = gateway.collector
    until(lambda: not collector.status()["sinks"]["store"]["rows"]["waiting"], "all in the store", within=90)
    status = collector.status()
    check_books(status["sinks"]["store"])
    assert len(status["feeders"]) >= SIDECARS
    by_host: dict[str, int] = {}
    for feeder in status["feeders"]:
        by_host[feeder["host"]] = by_host.get(feeder["host"], 0) + feeder["points"]
    assert sum(by_host.values()) == SIDECARS * 2 * PARCELS * ROWS * 3 == status["sinks"]["store"]["delivered"]
    until(lambda: not any(one["state"] == "open" for one in collector.status()["sessions"]), "all over")
    reader = gateway.reader()
    runs = reader.runs(limit=1000).runs
    assert sorted(run.id for run in runs) == sorted(f"run-{sidecar.number}" for sidecar in sidecars)
    assert {run.state for run in runs} == {"finished"}
    for run in runs:
        for curve in reader.curves(run.id, "train/m1"):
            assert curve.steps == list(range(PARCELS * ROWS))
    reader.close()
    assert collector.stop() == 0
