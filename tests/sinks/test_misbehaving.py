"""Every sink that speaks HTTP, before a server that does whatever a server can do: nothing is claimed delivered that is
not, nothing is refused, no send takes for ever, and once the server behaves, each row is there once.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio
from standins.certificates import make_certificate
from standins.gateway_server import GatewayServer, gateway_server
from standins.lens_server import LensServer
from standins.misbehaving import BEHAVIOURS, Misbehaving, unused_port
from standins.wandb_backend import WandbBackend
from standins.wandb_pump import ENVIRON, MiniPump, steps
from standins.webhook_server import WebhookServer
from wayside.row import ALERT, Row
from wayside_collector.configuration import config
from wayside_collector.sinks import SINKS
from wayside_collector.sinks.base import Parcel, Record, Retry, Sink
from wayside_collector.sinks.gateway import GatewayOptions, GatewaySink
from wayside_collector.sinks.lens import LensOptions, LensSink
from wayside_collector.sinks.wandb import WandbOptions, WandbSink
from wayside_collector.sinks.wandb.limits import Limits
from wayside_collector.sinks.webhook import WebhookOptions, WebhookSink
from wayside_collector.testing import make_event, make_parcel, make_rows, make_session

pytestmark = [pytest.mark.timeout(120), pytest.mark.asyncio(loop_scope="module")]

ROWS = 7
SENDS_WITHIN = 30.0  # seconds: more than every timeout set here together
FAST = Limits(pause=0.2, drain=1.0, upstream_timeout=1.0, connect_timeout=1.0, init_timeout=3.0)
KEY = "k" * 40
SESSION = make_session("r1", workload="w1", rank=0)


def lens_sink(origin: str, **options: object) -> LensSink:
    return LensSink(LensOptions(endpoint=f"{origin}/v1", timeout=1.0, **options), environ={})


def wandb_sink(origin: str, **options: object) -> WandbSink:
    chosen = WandbOptions(base_url=origin, api_key=KEY, upload_interval=1, finish_timeout=2.0, **options)
    return WandbSink(chosen, FAST, ENVIRON)


def gateway_sink(origin: str, **options: object) -> GatewaySink:
    return GatewaySink(GatewayOptions(endpoint=origin, timeout=1.0, interval=0.05, **options), environ={})


def webhook_sink(origin: str, **options: object) -> WebhookSink:
    return WebhookSink(WebhookOptions(endpoint=f"{origin}/hooks/x", format="slack", timeout=1.0, **options), environ={})


MAKERS: dict[str, Callable[..., GatewaySink | LensSink | WandbSink | WebhookSink]] = {
    "gateway": gateway_sink,
    "lens": lens_sink,
    "wandb": wandb_sink,
    "webhook": webhook_sink,
}

#: Sinks whose receivers misbehave in tests/sinks/{mqtt,otlp,remote_write}.
APART = {"mqtt", "otlp", "remote_write"}

#: Through the SDK and its pauses each takes three seconds and more.
QUICK = ("200 and a page", "redirect", "hang")
#: Answered with success, whatever follows: a message is never posted twice for that.
POSTED = ("200 and a page", "200 and half a body", "200 and binary", "flood")
CASES = [
    pytest.param(name, one, marks=[pytest.mark.long] if name == "wandb" and one not in QUICK else [])
    for name in MAKERS
    for one in BEHAVIOURS
    if not (name == "webhook" and one in POSTED)
]


@dataclass
class Bench:
    """A pump whose sink speaks to a server through one that misbehaves, and one run. arrived: the values of its rows.
    sent: how many were.
    """

    pump: MiniPump
    server: Misbehaving
    arrived: Callable[[], list[float]]
    sent: int = 0

    def following(self) -> Parcel:
        """The run's next rows."""
        parcel = make_parcel(SESSION, records(self.pump.sink, self.sent))
        self.sent += ROWS
        return parcel


def records(sink: Sink, first: int = 0) -> list[Record]:
    """Some in the sink's unit, each with its own number as its value."""
    if not sink.traits.rows:
        return [make_event(ALERT, {"title": f"{seq}.0"}, seq=seq) for seq in range(first, first + ROWS)]
    if sink.traits.unit == "row":
        return [make_rows(1, {"x": float(seq)}, seq=seq, step=seq)[0] for seq in range(first, first + ROWS)]
    return [*steps(ROWS, seq=first, step=first)]


def values_of(gateway: GatewayServer) -> list[float]:
    there = gateway.place.registry.by_id(SESSION.id) is not None
    return [row.values[0] for row in gateway.stored(SESSION.id) if isinstance(row, Row)] if there else []


@asynccontextmanager
async def bench(name: str, folder: Path) -> AsyncIterator[Bench]:
    async with AsyncExitStack() as stack:
        arrived: Callable[[], list[float]]
        if name == "lens":
            lens = await stack.enter_async_context(LensServer())
            port = lens.port
            arrived = lambda: [row["x"] for row in lens.values("w1").values()]  # noqa: E731 -- beside its server
        elif name == "gateway":
            gateway = await stack.enter_async_context(gateway_server())
            port = int(gateway.endpoint.rpartition(":")[2])
            arrived = lambda: values_of(gateway)  # noqa: E731
        elif name == "webhook":
            chat = await stack.enter_async_context(WebhookServer())
            port = chat.port
            arrived = lambda: [float(told["attachments"][0]["title"].split()[1]) for told in chat.messages]  # noqa: E731
        else:
            backend = stack.enter_context(WandbBackend(key=KEY))
            port = int(backend.url.rpartition(":")[2])
            arrived = lambda: [row["x"] for run in backend.runs for row in run.rows]  # noqa: E731
        server = await stack.enter_async_context(Misbehaving(port))
        sink = MAKERS[name](f"http://127.0.0.1:{server.port}")
        pump = MiniPump(WandbOptions(), folder, sink=sink)
        made = Bench(await stack.enter_async_context(pump), server, arrived)
        await pump.deliver(made.following(), SENDS_WITHIN)
        yield made


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Bench]:
    """One sink of each kind for all behaviours: starting W&B's SDK takes a second."""
    async with bench(request.param, tmp_path_factory.mktemp(request.param)) as made:
        yield made


async def test_every_http_sink_is_here() -> None:
    """A sink with an address of its own is tried like the others; those of `APART` have such tests of their own."""
    options = {name: set(config.load_name(kind.options).__struct_fields__) for name, kind in SINKS.items()}
    addressed = {name for name, fields in options.items() if fields & {"endpoint", "base_url"}}
    assert addressed - APART == set(MAKERS)


@pytest.mark.parametrize(("shared", "behaviour"), CASES, indirect=["shared"])
async def test_rows_survive_a_server_that_misbehaves(shared: Bench, behaviour: str) -> None:
    """While it does, the rows wait; when it stops, they arrive, each once."""
    there = shared.sent
    await shared.server.behave(behaviour)
    sending = asyncio.create_task(shared.pump.deliver(shared.following(), SENDS_WITHIN))
    async with asyncio.timeout(SENDS_WITHIN):
        while shared.server.met < 2:  # noqa: ASYNC110 -- the server counts, and tells nobody
            await asyncio.sleep(0.01)
    assert not sending.done(), "rows were given up, or claimed to be delivered"
    assert len(shared.arrived()) == there
    await shared.server.behave("ok")
    async with asyncio.timeout(SENDS_WITHIN):
        await sending
    assert sorted(shared.arrived()) == [float(row) for row in range(shared.sent)]
    assert shared.pump.rejected == {}


@pytest.mark.parametrize("name", ["gateway", "lens", "webhook", pytest.param("wandb", marks=pytest.mark.long)])
@pytest.mark.parametrize("where", ["nobody there", "no such name", "no TLS", "an unknown authority"])
async def test_rows_wait_for_a_server_that_cannot_be_reached(name: str, where: str, tmp_path: Path) -> None:
    """Nobody listens, DNS knows no such name, TLS is not spoken or not trusted: the rows wait, and the text says so."""
    async with AsyncExitStack() as stack:
        lens = LensServer(tls=make_certificate(tmp_path).server_context())
        tls = await stack.enter_async_context(lens)
        plain = await stack.enter_async_context(Misbehaving(tls.port))
        await plain.behave("not HTTP")
        origin, said = {
            "nobody there": (f"http://127.0.0.1:{unused_port()}", "refused"),
            "no such name": ("http://wayside-has-no-such-host.invalid", "name"),
            "no TLS": (f"https://127.0.0.1:{plain.port}", "TLS|SSL"),
            "an unknown authority": (tls.origin, "certificate"),
        }[where]
        pump = MiniPump(WandbOptions(), tmp_path, sink=MAKERS[name](origin))
        await stack.enter_async_context(pump)
        parcel = make_parcel(SESSION, records(pump.sink))
        with pytest.raises(Retry, match=f"(?i){said}"):
            await pump.sink.send(parcel)
        assert tls.requests == []
