"""The relay, between a client that speaks like the SDK and the stand-in backend."""

import asyncio
import contextlib
import io
import json
import logging
from contextlib import asynccontextmanager

import aiohttp
import pytest
from standins.certificates import make_certificate
from standins.wandb_backend import WandbBackend
from wayside_collector.sinks.base import Retry
from wayside_collector.sinks.wandb import WandbOptions
from wayside_collector.sinks.wandb.file_stream import EVENTS, HISTORY, SUMMARY
from wayside_collector.sinks.wandb.flight import RunKey
from wayside_collector.sinks.wandb.graphql import NOTHING, Standing
from wayside_collector.sinks.wandb.limits import Limits
from wayside_collector.sinks.wandb.relay import Relay
from wayside_collector.sinks.wandb.upstream import Upstream
from yarl import URL

KEY = RunKey("someone", "demo", "r1")
LIMITS = Limits(upstream_timeout=5.0, drain=1.0)
pytestmark = pytest.mark.asyncio


class Speaker:
    """Speaks to the relay as the SDK does, about one run."""

    def __init__(self, relay: Relay, session: aiohttp.ClientSession) -> None:
        self.relay = relay
        self.session = session
        self.feed = relay.admit(KEY)
        self.refused: list[tuple[int | None, int | None]] = []

    async def graphql(self, operation: str, **variables):
        body = {"query": f"query {operation} {{}}", "variables": {"name": "r1", "project": "demo", **variables}}
        data = io.BytesIO(json.dumps(body).encode())
        async with self.session.post(f"{self.relay.url(self.feed)}/graphql", data=data) as answer:
            return answer.status, await answer.json()

    async def post(self, *lines: str, offset: int = 0, name: str = HISTORY, feed=None, **beside):
        files = {name: {"offset": offset, "content": list(lines)}} if lines else {}
        url = f"{self.relay.url(feed or self.feed)}/files/someone/demo/r1/file_stream"
        body = io.BytesIO(json.dumps({"files": files, **beside}).encode())
        async with self.session.post(url, data=body) as answer:
            await answer.read()
            return answer.status, answer.headers.get("Retry-After")


@asynccontextmanager
async def speaking(backend: WandbBackend, limits: Limits = LIMITS, **options):
    upstream = Upstream(WandbOptions(**{"base_url": backend.url, **options}), limits)
    upstream.use(backend.key)
    await upstream.open()
    refused = []

    async def on_refused(feed, step, sample):
        refused.append((step, sample))

    relay = Relay(upstream, limits, 2.0, on_refused)
    await relay.start()
    async with aiohttp.ClientSession() as session:
        speaker = Speaker(relay, session)
        speaker.refused = refused
        try:
            yield speaker
        finally:
            await relay.stop()
            await upstream.close()


@pytest.fixture
def backend():
    with WandbBackend() as backend:
        yield backend


def line(step: int, **values) -> str:
    return json.dumps({"_step": step, "_timestamp": step / 2, **values})


async def test_what_the_backend_takes_is_known(backend):
    """Lines, samples, summary, config, alerts and the end: each when W&B has answered 200, and not before."""
    async with speaking(backend) as sdk:
        feed = sdk.feed
        await sdk.graphql("RunResumeStatus")
        assert feed.standing == NOTHING
        await sdk.graphql("UpsertBucket", config='{"lr": {"value": 1}}')
        assert feed.config == {"lr": 1}
        assert await sdk.post(line(0), line(7)) == (200, None)
        assert (feed.last, feed.samples, feed.completed) == (7, 0, False)
        await sdk.post('{"_timestamp": 1}', name=EVENTS, offset=0)
        await sdk.post('{"best": NaN}', name=SUMMARY)
        await sdk.graphql("NotifyScriptableRunAlert", entityName="someone", projectName="demo", runName="r1")
        await sdk.post(complete=True, exitcode=3)
        assert (feed.samples, feed.alerts, feed.completed) == (1, 1, True)
        assert str(feed.summary["best"]) == "nan"
    run = backend.run("r1")
    assert (run.exit_code, len(run.alerts), [row["_step"] for row in run.rows]) == (3, 1, [0, 7])


async def test_how_far_a_run_is_when_it_is_opened_again(backend):
    """A second feed learns what the first one's run has, and a summary that is ahead is lowered for the SDK."""
    async with speaking(backend) as sdk:
        await sdk.graphql("UpsertBucket")
        await sdk.post(line(0), line(4))
        await sdk.post('{"_step": 9}', name=SUMMARY)
        await sdk.relay.dismiss(sdk.feed)
        sdk.feed = sdk.relay.admit(KEY)
        _, answer = await sdk.graphql("RunResumeStatus")
        assert sdk.feed.standing == Standing(4, 2, 0)
        assert json.loads(answer["data"]["model"]["bucket"]["summaryMetrics"])["_step"] == 4


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 413, 429, 500, 503])
async def test_no_refusal_reaches_the_sdk(backend, status):
    """One 4xx would end the run's upload for good: the SDK hears "later", the sink hears what it was."""
    async with speaking(backend) as sdk:
        await sdk.graphql("UpsertBucket")
        backend.fail("file_stream", status, times=10)
        assert await sdk.post(line(0)) == (429, "2")
        assert f"answered {status}" in sdk.feed.problem.text
        assert sdk.feed.problem.status == status
        assert sdk.feed.last == -1
        backend.heal()
        assert await sdk.post(line(0)) == (200, None)
        assert sdk.feed.problem is None
    assert [row["_step"] for row in backend.run("r1").rows] == [0]


async def test_the_sdk_waits_longer_each_time(backend):
    """A server that says no for hours is not asked every other second; once it says yes, the patience begins anew."""
    async with speaking(backend) as sdk:
        await sdk.graphql("UpsertBucket")
        backend.fail("file_stream", 500, times=7)
        assert [(await sdk.post(line(0)))[1] for _ in range(7)] == ["2", "4", "8", "16", "32", "60", "60"]
        assert (await sdk.post(line(0)))[0] == 200
        backend.fail("file_stream", 500)
        assert (await sdk.post(line(1), offset=1))[1] == "2"


async def test_retry_after_is_passed_on(backend):
    """W&B says when to come again: the SDK is told no earlier time, and so is the pump."""
    async with speaking(backend) as sdk:
        await sdk.graphql("UpsertBucket")
        backend.fail("file_stream", 429, headers={"Retry-After": "30"})
        _, wait = await sdk.post(line(0))
        assert 29 <= int(wait) <= 31
        assert sdk.feed.problem.not_before is not None
        assert "raise upload_interval" in sdk.feed.problem.text


@pytest.mark.parametrize("how", ["drop", "drop late", "hang"])
async def test_a_lost_answer_is_no_acknowledgement(backend, how):
    """Whether W&B took the lines or not, they are sent again at the same place, and are there once."""
    limits = Limits(upstream_timeout=0.3) if how == "hang" else LIMITS
    async with speaking(backend, limits) as sdk:
        await sdk.graphql("UpsertBucket")
        fault = backend.hang("file_stream") if how == "hang" else backend.drop("file_stream", late=how == "drop late")
        assert (await sdk.post(line(0), line(1)))[0] == 429
        assert sdk.feed.last == -1
        assert "file_stream" in sdk.feed.problem.text
        fault.release.set()
        assert (await sdk.post(line(0), line(1)))[0] == 200
        assert sdk.feed.last == 1
    assert [row["_step"] for row in backend.run("r1").rows] == [0, 1]


async def test_a_refused_line_is_found_and_left_blank(backend):
    """Of a hundred lines the two bad ones are told, the rest arrives in its place, and later numbers still fit."""
    async with speaking(backend) as sdk:
        await sdk.graphql("UpsertBucket")
        backend.refuse(lambda text: '"bad"' in text)
        lines = [line(i, **({"bad": 1} if i in (13, 77) else {"x": i})) for i in range(100)]
        assert await sdk.post(*lines) == (200, None)
        assert set(sdk.feed.refused) == {13, 77}
        assert "answered 400" in sdk.feed.refused[13]
        assert sdk.refused == [(13, None), (77, None)]
        assert (sdk.feed.last, sdk.feed.problem) == (99, None)
        await sdk.post(line(100), offset=100)
    rows = backend.run("r1").rows
    assert [row["_step"] for row in rows] == list(range(101))
    assert rows[13] == {"_step": 13, "_timestamp": 6.5}


async def test_a_backend_that_refuses_everything_refuses_no_line(backend):
    """A 400 that a blank line gets as well is not about the line: nothing goes to the dead letters."""
    async with speaking(backend) as sdk:
        await sdk.graphql("UpsertBucket")
        backend.refuse(lambda text: True)
        assert (await sdk.post(*(line(i) for i in range(5))))[0] == 429
        assert sdk.feed.refused == {}
        assert sdk.feed.problem.status == 400
        backend.heal()
        assert (await sdk.post(*(line(i) for i in range(5))))[0] == 200
    assert len(backend.run("r1").rows) == 5


async def test_the_search_for_refused_lines_is_bounded(backend):
    """One request of the SDK costs W&B so many and no more; the search goes on where it was with the next."""
    async with speaking(backend, Limits(requests=30)) as sdk:
        await sdk.graphql("UpsertBucket")
        backend.refuse(lambda text: '"bad"' in text)
        lines = [line(i, **({"bad": 1} if i % 3 == 0 else {})) for i in range(60)]
        answers = []
        while not answers or answers[-1] != 200:
            before = len(backend.requests)
            answers.append((await sdk.post(*lines))[0])
            assert len(backend.requests) - before <= 30
            assert len(answers) < 20
        assert set(sdk.feed.refused) == set(range(0, 60, 3))
    assert [row["_step"] for row in backend.run("r1").rows] == list(range(60))


async def test_a_refused_sample_is_left_blank_too(backend):
    """System metrics have numbers of lines, and no steps."""
    async with speaking(backend) as sdk:
        await sdk.graphql("UpsertBucket")
        backend.fail("file_stream", 400, times=2)
        await sdk.post('{"_timestamp": 5, "system.cpu": 1}', name=EVENTS, offset=3)
        assert sdk.refused == [(None, 3)]
        backend.fail("file_stream", 400)
        assert (await sdk.post('{"_timestamp": 5, "system.cpu": 1}', name=EVENTS, offset=3))[0] == 200
        assert list(sdk.feed.refused_samples) == [3]


async def test_a_refused_summary_holds_nothing_up(backend):
    """It is told, and the rows beside it arrive."""
    async with speaking(backend) as sdk:
        await sdk.graphql("UpsertBucket")
        backend.fail("file_stream", 400)
        assert (await sdk.post('{"a": 1}', name=SUMMARY))[0] == 200
        assert "answered 400" in sdk.feed.summary_refused


async def test_an_end_is_kept_back_while_the_run_goes_on(backend):
    """A run that is closed for idleness is not over for W&B."""
    async with speaking(backend) as sdk:
        await sdk.graphql("UpsertBucket")
        sdk.feed.goes_on = True
        await sdk.post(line(0), complete=True, exitcode=0)
    assert (backend.run("r1").states, backend.run("r1").exit_code) == (["running"], None)


async def test_a_dismissed_feed_is_gone(backend):
    """What an earlier opening left behind cannot speak for the run any more, nor can a guess."""
    async with speaking(backend) as sdk:
        await sdk.graphql("UpsertBucket")
        old = sdk.feed
        await sdk.relay.dismiss(old)
        assert (await sdk.post(line(0), feed=old))[0] == 410
        sdk.feed.token = "0" * 40
        assert (await sdk.post(line(0)))[0] == 410
    assert backend.run("r1").rows == []


async def test_dismissing_waits_for_requests_under_way(backend):
    """The next opening must see what the last one's request has written."""
    async with speaking(backend) as sdk:
        await sdk.graphql("UpsertBucket")
        fault = backend.hang("file_stream")
        posting = asyncio.create_task(sdk.post(line(0)))
        await asyncio.to_thread(backend.wait_for, lambda: fault.met)
        leaving = asyncio.create_task(sdk.relay.dismiss(sdk.feed))
        await asyncio.sleep(0)
        assert not leaving.done()
        fault.release.set()
        await leaving
        assert sdk.feed.last == 0
        assert (await posting)[0] == 200


async def test_an_unreachable_backend_is_told(backend):
    """Refused connections are said with their place, in a way that GraphQL and file_stream of the SDK try again."""
    async with speaking(backend) as sdk:
        await sdk.graphql("UpsertBucket")
        backend.away()
        assert (await sdk.graphql("UpsertBucket"))[0] == 502
        assert "no connection" in sdk.feed.problem.text
        assert (await sdk.post(line(0)))[0] == 429
        backend.start()
        assert (await sdk.post(line(0)))[0] == 200


async def test_an_sdk_that_dies_in_the_middle_of_a_request(backend, caplog):
    """Half a request is none: nothing reaches W&B, and nothing is made of it."""
    async with speaking(backend) as sdk:
        await sdk.graphql("UpsertBucket")
        address = URL(sdk.relay.url(sdk.feed))
        _, writer = await asyncio.open_connection(address.host, address.port)
        sdk.relay.changed.clear()
        writer.write(f"POST {address.path}/files/someone/demo/r1/file_stream HTTP/1.1\r\n".encode())
        writer.write(b'Host: x\r\nContent-Length: 999\r\n\r\n{"files":')
        await sdk.relay.changed.wait()
        assert sdk.feed.busy == 1
        writer.transport.abort()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
        await sdk.relay.dismiss(sdk.feed)
        assert sdk.feed.busy == 0
    assert [where for where, _ in backend.requests] == ["UpsertBucket"]
    assert caplog.text == ""


async def test_a_wrong_key_is_said_and_never_shown(backend, caplog):
    """The error names the key's option, not the key."""
    caplog.set_level(logging.DEBUG)
    async with speaking(backend) as sdk:
        sdk.relay._upstream.use("wrong" * 10)
        status, _ = await sdk.graphql("UpsertBucket")
        assert status == 401
        assert "check the API key" in sdk.feed.problem.text
        assert (await sdk.post(line(0)))[0] == 429
        assert "wrongwrong" not in sdk.feed.problem.text + caplog.text


async def test_graphql_that_complains_with_200_is_a_problem(backend):
    """W&B says "permission denied" with status 200."""
    async with speaking(backend) as sdk:
        denied = '{"errors": [{"message": "permission denied"}]}'
        backend.fail("UpsertBucket", 200, body=denied, headers={"Content-Type": "application/json"})
        await sdk.graphql("UpsertBucket", config="{}")
        assert "(permission denied)" in sdk.feed.problem.text
        assert sdk.feed.upserts == 0


async def test_everything_else_is_streamed(backend):
    """An upload of any size passes in pieces, and is the same on the other side."""
    body = bytes(range(256)) * 4096 * 9
    async with speaking(backend) as sdk:
        url = f"{sdk.relay.url(sdk.feed)}/uploads/media%2Fimage.png"
        async with sdk.session.put(URL(url, encoded=True), data=io.BytesIO(body)) as answer:
            assert answer.status == 200
    assert backend.uploads == {"media/image.png": body}


async def test_a_large_request_passes_whole(backend):
    """As large as the SDK makes them, about 10 MiB."""
    async with speaking(backend) as sdk:
        await sdk.graphql("UpsertBucket")
        assert (await sdk.post(*(line(i, x="y" * 100_000) for i in range(100))))[0] == 200
    assert len(backend.run("r1").rows) == 100


async def test_a_large_answer_is_read_whole(backend):
    """A resumed run brings its whole config and summary along."""
    async with speaking(backend) as sdk:
        await sdk.graphql("UpsertBucket", config=json.dumps({"a": {"value": "x" * (3 << 20)}}))
        await sdk.post(line(6))
        await sdk.graphql("RunResumeStatus")
        assert sdk.feed.standing == Standing(6, 1, 0)


async def test_a_base_url_with_a_path():
    """A server behind a path, as companies have it."""
    with WandbBackend(prefix="/wandb/api") as backend:
        async with speaking(backend) as sdk:
            await sdk.graphql("UpsertBucket")
            assert (await sdk.post(line(0)))[0] == 200
        assert len(backend.run("r1").rows) == 1


async def test_requests_go_through_the_proxy(backend):
    """With `proxy`, the proxy is asked for the whole address, and its password is not in the errors."""
    seen = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await reader.readline())
        writer.write(b"HTTP/1.1 407 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as proxy:
        port = proxy.sockets[0].getsockname()[1]
        async with speaking(backend, proxy=f"http://user:hunter2@127.0.0.1:{port}") as sdk:
            assert (await sdk.post(line(0)))[0] == 429
            assert seen[0].startswith(f"POST {backend.url}/files/someone".encode())
            assert "proxy" in sdk.feed.problem.text
            assert "hunter2" not in sdk.feed.problem.text


async def test_the_servers_certificate_is_checked(tmp_path):
    """An unknown one is said, with the option that would make it known; with `ca_file`, or unchecked, it works."""
    certificate = make_certificate(tmp_path)
    with WandbBackend(tls=certificate.server_context()) as backend:
        async with speaking(backend) as sdk:
            assert (await sdk.post(line(0)))[0] == 429
            assert "its certificate is not trusted: if it is right, set ca_file" in sdk.feed.problem.text
        for options in ({"ca_file": str(certificate.cert)}, {"verify_tls": False}):
            async with speaking(backend, **options) as sdk:
                assert (await sdk.graphql("UpsertBucket"))[0] == 200
    with pytest.raises(Retry, match=r"ca_file: /nowhere: .*it must be a PEM file"):
        await Upstream(WandbOptions(ca_file="/nowhere"), LIMITS).open()
