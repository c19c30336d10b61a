"""The sink against a real gateway, and against one that answers as it is told."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import web
from sources.place import until
from standins.gateway_server import gateway_server
from wayside.row import FINISH
from wayside_collector.compression import DECOMPRESS
from wayside_collector.configuration.access import Outside, PublicSection
from wayside_collector.relay import Delivery, Receipt, decode
from wayside_collector.session import Session
from wayside_collector.sinks.base import Account, Context, Parcel, Part, Reject, Report, Retry
from wayside_collector.sinks.gateway import GatewayOptions, GatewaySink
from wayside_collector.sinks.gateway.send import MIN_REQUEST_SIZE, REGROW, REQUEST_SIZE
from wayside_collector.testing import make_event, make_parcel, make_rows, make_session

ONE, TWO = "1" * 32, "2" * 32
TOKEN = "w" * 24


@contextlib.asynccontextmanager
async def sink_to(
    endpoint: str, *, report: Callable[[], Report] = Report, state: dict[str, bytes] | None = None, **options: Any
) -> AsyncIterator[tuple[GatewaySink, dict[str, int]]]:
    """An open sink that loses no time, and its counters."""
    options = {"interval": 0.05, "heartbeat": 300.0, **options}
    sink = GatewaySink(GatewayOptions(endpoint=endpoint, **options), chance=lambda: 0.0)
    counters: dict[str, int] = {}

    def count(name: str, by: int) -> None:
        counters[name] = counters.get(name, 0) + by

    await sink.open(Context("gateway", Path("."), state or {}, count, report))
    try:
        yield sink, counters
    finally:
        await sink.close()


class Told:
    """Answers each request with the next of `answers`, a receipt or a response; then with an empty receipt. got: what
    was delivered.
    """

    def __init__(self, *answers: Receipt | web.Response | None) -> None:
        self.answers = list(answers)
        self.got: list[Delivery] = []
        self.headers: list[dict[str, str]] = []
        self.endpoint = ""

    async def handle(self, request: web.Request) -> web.Response:
        body = await request.read()
        encoding = request.headers.get("Content-Encoding")
        self.headers.append(dict(request.headers))
        self.got.append(decode(DECOMPRESS[encoding](body, 1 << 30) if encoding else body))
        answer = self.answers.pop(0) if self.answers else None
        if isinstance(answer, web.Response):
            return answer
        return web.Response(body=msgspec.json.encode(answer or Receipt([1])), content_type="application/json")

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator["Told"]:
        app = web.Application(client_max_size=1 << 30)
        app.router.add_post("/api/v1/batches", self.handle)
        # The sink packs its bodies itself; this server must not unpack them for it.
        runner = web.AppRunner(app, auto_decompress=False)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.endpoint = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield self
        finally:
            await runner.cleanup()

    def sessions(self) -> list[list[str]]:
        """Those of each request."""
        return [[lot.record["session"] for lot in one.lots] for one in self.got]


def parcel(*ids: str, count: int = 3) -> Parcel:
    return Parcel([Part(make_session(f"r{id[0]}", id=id), [*make_rows(count)]) for id in ids])


def refs(id: str, count: int = 3) -> set[tuple[str, int]]:
    return {(id, seq) for seq in range(count)}


@pytest.mark.asyncio
@pytest.mark.parametrize("compression", ["zstd", "gzip", "none"])
async def test_a_real_gateway_takes_it(compression: str) -> None:
    """However it is packed; and the same again is counted as doubles, and not stored."""
    async with gateway_server() as gateway, sink_to(gateway.endpoint, compression=compression) as (sink, counters):
        for _ in range(2):
            await sink.send(parcel(ONE, TWO))
        assert [record.seq for record in gateway.stored(ONE)] == [0, 1, 2]
        assert counters == {"doubles": 6}


@pytest.mark.asyncio
async def test_a_token_and_its_namespace(tmp_path: Path) -> None:
    """Without a good token rows wait, and no word repeats it; with one they arrive in its namespace."""
    file = tmp_path / "tokens"
    file.write_text(f"writer {TOKEN} namespace=team-a\nreader {'r' * 24}\n")
    outside = Outside("127.0.0.1:0", PublicSection(token_file=str(file)))
    async with gateway_server(outside) as gateway:
        for token in ("x" * 24, "r" * 24):
            headers = {"Authorization": f"Bearer {token}"}
            async with sink_to(gateway.serving.public, headers=headers) as (sink, _):
                with pytest.raises(Retry, match="credentials") as refused:
                    await sink.send(parcel(ONE))
                assert token not in str(refused.value)
        secret = tmp_path / "header"
        secret.write_text(f"Bearer {TOKEN}\n")
        files = {"Authorization": str(secret)}
        async with sink_to(gateway.serving.public, header_files=files) as (sink, _):
            await sink.send(parcel(ONE))
        assert gateway.known(ONE).session.namespace == "team-a"


@pytest.mark.asyncio
async def test_a_session_that_is_refused() -> None:
    """Its rows are refused, with what comes after them; those of others are delivered."""
    async with Told(Receipt([1], refused={ONE: "no"})).serving() as gateway, sink_to(gateway.endpoint) as (sink, _):
        with pytest.raises(Reject, match="the gateway refuses the session: no") as answer:
            await sink.send(parcel(ONE, TWO, ONE))
        assert answer.value.rows == refs(ONE)


@pytest.mark.asyncio
async def test_a_session_that_is_put_off() -> None:
    """Its run waits, others are delivered; and nothing of it overtakes what was put off, in the same parcel."""
    answers = [Receipt([1], later={ONE: "full"})]
    async with Told(*answers).serving() as gateway, sink_to(gateway.endpoint) as (sink, _):
        later = Part(make_session("r1", id=ONE), [*make_rows(3, {"wide": 1.0}, seq=3)])
        sink._size = 1  # a lot is a request
        with pytest.raises(Retry, match="puts off: full") as answer:
            await sink.send(Parcel([*parcel(ONE, TWO).parts, later]))
        assert answer.value.delivered == refs(TWO)
        assert answer.value.runs == {"r1"}
        assert gateway.sessions() == [[ONE], *[[TWO]] * 3]


@pytest.mark.asyncio
async def test_trouble_in_the_middle_keeps_what_was_delivered() -> None:
    """Nothing more is sent; the pump learns what got through, and when to come again."""
    busy = web.Response(status=503, headers={"Retry-After": "9"}, body=msgspec.json.encode(Receipt([1], error="busy")))
    async with Told(None, busy).serving() as gateway, sink_to(gateway.endpoint) as (sink, _):
        sink._size = 1
        with pytest.raises(Retry, match="busy") as answer:
            await sink.send(parcel(ONE, TWO, count=1))
        assert answer.value.delivered == refs(ONE, 1)
        assert answer.value.not_before is not None
        assert len(gateway.got) == 2


@pytest.mark.asyncio
async def test_a_body_that_is_refused_is_halved_until_the_bad_session_is_found() -> None:
    """A gateway of another version may find fault with one of them: the others are delivered."""
    ids = [f"{number:032x}" for number in range(1, 5)]
    body = msgspec.json.encode(Receipt([1], error="what is this"))

    class Picky(Told):
        async def handle(self, request: web.Request) -> web.Response:
            answer = await super().handle(request)
            return web.Response(status=400, body=body) if ids[2] in self.sessions()[-1] else answer

    async with Picky().serving() as gateway, sink_to(gateway.endpoint) as (sink, _):
        with pytest.raises(Reject, match="what is this") as answer:
            await sink.send(parcel(*ids))
        assert answer.value.rows == refs(ids[2])


@pytest.mark.asyncio
async def test_requests_shrink_where_something_takes_less() -> None:
    """A proxy that answers 413 is met with smaller ones, down to a least size."""
    large = [web.Response(status=413) for _ in range(10)]
    async with Told(*large).serving() as gateway, sink_to(gateway.endpoint) as (sink, _):
        for _ in range(10):
            with pytest.raises(Retry, match="413"):
                await sink.send(parcel(ONE))
        assert sink._size == MIN_REQUEST_SIZE
        await sink.send(parcel(ONE))


@pytest.mark.asyncio
async def test_what_is_too_large_together_is_sent_apart() -> None:
    """Several sessions whose rows no request may hold go one by one, in the same send."""
    async with Told(web.Response(status=413)).serving() as gateway, sink_to(gateway.endpoint) as (sink, _):
        await sink.send(parcel(ONE, TWO))
        assert gateway.sessions() == [[ONE, TWO], [ONE], [TWO]]


@pytest.mark.asyncio
async def test_requests_grow_again() -> None:
    """Once something on the way has taken so many smaller ones, up to the size they had."""
    end = make_parcel(make_session(id=ONE), [make_event(FINISH, {"exit_code": 0}, seq=0)])  # which waits for nothing
    async with Told(web.Response(status=413)).serving() as gateway, sink_to(gateway.endpoint) as (sink, _):
        sizes = []
        for _ in range(REGROW + 2):
            with contextlib.suppress(Retry):
                await sink.send(end)
            sizes.append(sink._size)
        assert sizes == [REQUEST_SIZE // 2] * REGROW + [REQUEST_SIZE] * 2


@pytest.mark.asyncio
async def test_an_answer_that_is_lost_may_have_been_taken() -> None:
    """So the pump counts as redelivered what goes again."""
    async with Told().serving() as gateway:
        endpoint = gateway.endpoint
    async with sink_to(endpoint) as (sink, _):
        with pytest.raises(Retry, match="no connection") as refused:
            await sink.send(parcel(ONE))
        assert not refused.value.uncertain
    async with Told(web.Response(body=b"hello")).serving() as gateway, sink_to(gateway.endpoint) as (sink, _):
        with pytest.raises(Retry, match="check that endpoint") as unsure:
            await sink.send(parcel(ONE))
        assert unsure.value.uncertain


@pytest.mark.asyncio
async def test_the_collectors_id_is_kept() -> None:
    """It comes with the first parcel, once, and is the same after a restart."""
    async with Told().serving() as gateway:
        async with sink_to(gateway.endpoint) as (sink, _):
            changes = await sink.send(parcel(ONE))
        id = changes["id"]
        assert id is not None
        async with sink_to(gateway.endpoint, state={"id": id}) as (sink, _):
            assert await sink.send(parcel(ONE)) == {}
        assert {one.sender.id.encode() for one in gateway.got} == {id}


@pytest.mark.asyncio
async def test_the_gateway_is_told_how_the_collector_fares() -> None:
    """With each request, and in a heartbeat when there is none: books, what clients lost, which sessions live; and of
    those that it does not know, the record.
    """
    alive: tuple[Session, ...] = (make_session("r1", id=ONE), make_session("r2", id=TWO))
    report = Report(alive, Account(9, 5, 3, {"age": 1}, 2, 1), 4, 40)
    answers = [Receipt([1], unknown=[TWO, "f" * 32])]
    async with (
        Told(*answers).serving() as gateway,
        sink_to(gateway.endpoint, report=lambda: report, heartbeat=1.0) as (sink, _),
    ):
        await sink.send(make_parcel(alive[0], make_rows(1)))
        await until(lambda: len(gateway.got) >= 3, "two heartbeats")
        assert gateway.sessions()[:3] == [[ONE], [TWO], []]
        for one in gateway.got:
            sender = one.sender
            assert (sender.alive, sender.lost_rows, sender.lost_points) == ([ONE, TWO], 4, 40)
            books = sender.books
            assert (books.received, books.delivered, books.waiting, books.dropped) == (9, 5, 3, {"age": 1})


@pytest.mark.asyncio
async def test_the_last_books_are_told_when_it_stops() -> None:
    """What became of the last rows is known after their own request only."""
    books = [Account(1, 0, 1, {}, 0, 0), Account(1, 1, 0, {}, 0, 0)]
    async with Told().serving() as gateway:
        async with sink_to(gateway.endpoint, report=lambda: Report((), books[0], 0, 0)) as (sink, _):
            await sink.send(parcel(ONE))
            del books[0]
        assert [one.sender.books.waiting for one in gateway.got] == [1, 0]


@pytest.mark.asyncio
async def test_a_heartbeat_that_fails_is_counted_and_harms_nothing() -> None:
    """The next one comes."""
    answers = [web.Response(status=500), web.Response(status=404)]
    async with (
        Told(*answers).serving() as gateway,
        sink_to(gateway.endpoint, heartbeat=1.0) as (_, counters),
    ):
        await until(lambda: len(gateway.got) >= 3, "three heartbeats")
        await until(lambda: counters.get("heartbeats_failed") == 2, "two counted")


@pytest.mark.asyncio
async def test_a_mistake_of_ours_ends_no_heartbeats(caplog: pytest.LogCaptureFixture) -> None:
    """It is counted, and logged with its traceback; the next one comes."""
    mistakes = [RuntimeError("a mistake")]

    def report() -> Report:
        if mistakes:
            raise mistakes.pop()
        return Report()

    async with (
        Told().serving() as gateway,
        sink_to(gateway.endpoint, heartbeat=1.0, report=report) as (_, counters),
    ):
        await until(lambda: bool(gateway.got), "a heartbeat")
        assert counters == {"heartbeats_failed": 1}
    (said,) = [record for record in caplog.records if record.exc_info]
    assert "please report it" in said.message


@pytest.mark.asyncio
async def test_trickling_rows_are_sent_together() -> None:
    """One request in an interval; neither a full parcel nor the end of a session waits."""
    async with Told().serving() as gateway, sink_to(gateway.endpoint, interval=5.0) as (sink, _):
        async with asyncio.timeout(10):
            await sink.send(parcel(ONE, count=sink.traits.max_records))
            await sink.send(make_parcel(make_session(id=ONE), [make_event(FINISH, {"exit_code": 0}, seq=10_000)]))
        sent = len(gateway.got)
        waiting = asyncio.ensure_future(sink.send(parcel(ONE)))
        done, _ = await asyncio.wait([waiting], timeout=0.3)
        assert (len(done), len(gateway.got)) == (0, sent)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
