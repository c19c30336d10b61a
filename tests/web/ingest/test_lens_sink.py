"""Our own Lens sink pushes what our own ingest takes: one collector can feed another in Lens's dialect."""

from pathlib import Path

import pytest
from sinks.lens.lens_bench import SESSION, steps
from wayside.row import ABOUT, CONFIG
from wayside_collector.sinks.base import Context, Parcel, Part
from wayside_collector.sinks.lens import LensOptions, LensSink
from wayside_collector.testing import make_event
from web.ingest.posting import posting


@pytest.mark.parametrize(("push", "prefix"), [("metrics", "/v1"), ("logs", "/api/v1")])
@pytest.mark.asyncio
async def test_what_the_sink_sends_is_what_arrives(tmp_path: Path, push: str, prefix: str) -> None:
    """Every step with its numbers and its time, and what the run is, at either address."""
    async with posting() as post:
        sink = LensSink(LensOptions(endpoint=post.server.local + prefix, push=push))  # type: ignore[arg-type]
        await sink.open(Context("lens", tmp_path))
        try:
            events = [make_event("config", {"set": {"lr": 0.1}}, seq=0)]
            await sink.send(Parcel([Part(SESSION, [*events, *steps(120)])]))
        finally:
            await sink.close()
        run = SESSION.run.id
        assert [one.step for one in post.rows(run)] == list(range(120))
        assert [one.metrics for one in post.rows(run)] == [{"train/loss": 1.0 / (1 + step)} for step in range(120)]
        assert {known.session.workload for known in post.place.registry.all()} == {SESSION.workload}
        assert len(post.events(run, ABOUT)) <= 1
        assert all(told["set"] == {"lr": 0.1} for told in post.events(run, CONFIG))
