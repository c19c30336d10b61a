"""What the contract suite needs to make one of each kind of sink: options that work here, and parcels in its unit."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from standins.gateway_server import gateway_server
from standins.lens_server import LensServer
from standins.mosquitto import Mosquitto
from standins.remote_write_server import receiver
from standins.webhook_server import WebhookServer
from wayside.row import Row
from wayside_collector.configuration import config
from wayside_collector.health import FAMILIES
from wayside_collector.sinks import SINKS
from wayside_collector.sinks.base import Changes, Parcel, Record, Ref, Reject, Retry, Sink, Step
from wayside_collector.testing import make_parcel, make_rows, make_session
from web.ingest.posting import posting

#: What a kind cannot be made without: the test's own places in the place of LENS, GATEWAY and so on.
REQUIRED: dict[str, dict[str, str]] = {
    "gateway": {"endpoint": "GATEWAY", "interval": "0.05"},
    "lens": {"endpoint": "LENS", "workload_uid": "w1", "workload_wait": "1"},
    "mqtt": {"endpoint": "MQTT"},
    "otlp": {"endpoint": "OTLP"},
    "remote_write": {"endpoint": "REMOTE_WRITE"},
    "wandb": {"mode": "offline"},
    "webhook": {"endpoint": "WEBHOOK"},
}


def options_of(name: str, **places: str) -> Any:
    """The options of a kind, as a configuration would give them."""
    given = {key: places.get(value, value) for key, value in REQUIRED.get(name, {}).items()}
    environ = {f"WAYSIDE_SINKS__{name.upper()}__{key.upper()}": value for key, value in given.items()}
    found = config.build({"sinks": {name: {}}}, environ)
    return found.sinks[0].options


@asynccontextmanager
async def made(name: str, folder: Path) -> AsyncIterator[Sink]:
    """A sink of this kind that can deliver, closed at the end."""
    kind = SINKS[name]
    async with AsyncExitStack() as stack:
        places = {}
        if name == "lens":
            places["LENS"] = (await stack.enter_async_context(LensServer())).base
        if name == "gateway":
            places["GATEWAY"] = (await stack.enter_async_context(gateway_server())).endpoint
        if name == "webhook":
            places["WEBHOOK"] = (await stack.enter_async_context(WebhookServer())).url
        if name == "remote_write":
            places["REMOTE_WRITE"] = (await stack.enter_async_context(receiver())).url
        if name == "mqtt":
            (folder / "broker").mkdir()
            broker = await asyncio.to_thread(Mosquitto, folder / "broker")
            stack.callback(broker.stop)
            places["MQTT"] = broker.endpoint
        if name == "otlp":
            post = await stack.enter_async_context(posting())
            places["OTLP"] = post.server.local
        options = options_of(name, **places)
        make = config.load_name(kind.sink)
        sink: Sink = make(options, reserved=FAMILIES) if kind.page else make(options)
        try:
            yield sink
        finally:
            await sink.close()


def parcel_for(sink: Sink, records: Sequence[Record], run: str = "r1", **session: Any) -> Parcel:
    """A parcel in the sink's unit: its pump would have merged rows into steps."""
    if sink.traits.unit == "step":
        records = [as_step(record) if isinstance(record, Row) else record for record in records]
    return make_parcel(make_session(run, **session), records)


def as_step(row: Row) -> Step:
    return Step((row.seq,), row.time, row.time, row.step or 0, row.metrics, len(row.values), False)


def rows(count: int, seq: int = 0, **metrics: float) -> list[Row]:
    return make_rows(count, metrics or {"loss": 0.5}, seq=seq, step=seq)


async def outcome(sink: Sink, parcel: Parcel) -> str:
    """What a send came to, each way checked against the contract: anything else that escapes fails the test."""
    try:
        return check_changes(await sink.send(parcel)) or "delivered"
    except Retry as answer:
        return check_changes(answer.changes) or check_refs(answer, answer.delivered, parcel) or "retry"
    except Reject as answer:
        return check_changes(answer.changes) or check_refs(answer, answer.rows, parcel, least=1) or "reject"


def check_changes(changes: Changes) -> None:
    assert all(isinstance(key, str) and isinstance(value, bytes | None) for key, value in changes.items())


def check_refs(answer: Exception, named: frozenset[Ref], parcel: Parcel, least: int = 0) -> None:
    assert str(answer), "an answer without a word of why"
    assert named <= parcel.refs(), "rows that were not in the parcel"
    assert len(named) >= least
