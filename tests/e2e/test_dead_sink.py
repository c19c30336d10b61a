"""Law 4: one sink's trouble is its own."""

import asyncio

import pytest
from e2e.checking import check_rows
from e2e.machine import Machine, until
from e2e.trainer import payload
from e2e.trainers import Trainer
from standins.lens_server import LensServer

pytestmark = pytest.mark.timeout(90)

ROWS = 300


async def later(machine: Machine, condition: str, ask: object) -> None:
    """`until`, beside the running server of this event loop."""
    await asyncio.to_thread(until, ask, condition)  # type: ignore[arg-type]


@pytest.mark.asyncio
async def test_a_dead_sink_delays_no_other(machine: Machine, transport: str) -> None:
    """Lens is away: jsonl and Prometheus deliver all the same, Lens's rows wait and are counted, and the status says
    why; when it comes, every step arrives, and nothing was dropped.
    """
    lens = LensServer()
    await lens.start()
    await lens.stop()  # the port is now ours, and nobody listens there
    sinks = {"jsonl": {}, "prometheus": {}, "lens": {"endpoint": lens.base, "workload_uid": "w-1"}}
    collector = machine.collector({"sinks": sinks, "sources": {}})
    await asyncio.to_thread(collector.wait_ready)
    trainer = Trainer(machine, "r1", rows=ROWS, WAYSIDE_TRANSPORT=transport)
    await later(machine, "the finish in jsonl", lambda: machine.events("finish", "r1"))
    await asyncio.to_thread(trainer.end)
    check_rows(machine.rows("r1"), ROWS, ROWS)
    status = await asyncio.to_thread(collector.wait_delivered, sinks=("jsonl", "prometheus"))
    assert status["sinks"]["lens"]["rows"]["waiting"] == ROWS
    assert status["sinks"]["lens"]["delivered"] == 0
    assert "127.0.0.1" in status["sinks"]["lens"]["last_error"]
    assert (await asyncio.to_thread(collector.is_ready)) is True

    await lens.start()
    try:
        status = await asyncio.to_thread(collector.wait_delivered, sinks=("jsonl", "prometheus", "lens"))
        assert status["sinks"]["lens"]["rows"]["delivered"] == ROWS
        assert status["sinks"]["lens"]["dropped"] == {}
        assert status["sinks"]["lens"]["last_error"] is None
        kept = lens.values("w-1")
        assert sorted(kept) == list(range(ROWS))
        assert all(kept[step]["n"] == payload(step)["n"] for step in kept)
    finally:
        await lens.stop()
        await lens.__aexit__()
