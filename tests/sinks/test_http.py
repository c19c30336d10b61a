"""What HTTP sinks share: what an answer means, and one bounded request that never shows a secret."""

import asyncio
import gzip
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from standins.certificates import make_certificate
from wayside_collector.sinks import http
from wayside_collector.sinks.base import Reject, Retry
from wayside_collector.sinks.http import Answer, HttpOptions, HttpPeer, Outcome, compress, outcome, retry_after

NOW = 1_767_225_600.0  # Thu, 01 Jan 2026 00:00:00 GMT
URL = "http://lens.example:8989/v1/wandb/metrics"

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def judged(status: int, headers: Mapping[str, str] | None = None, body: bytes = b"") -> Outcome:
    return outcome(Answer(status, headers or {}, body), URL, NOW)


@asynccontextmanager
async def serving(handler: Handler, **site: object) -> AsyncIterator[str]:
    """A server whose every path is `handler`; gives its host and port."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.5)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, **site).start()
    try:
        yield f"127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def peer(endpoint: str, environ: Mapping[str, str] | None = None, **options: object) -> AsyncIterator[HttpPeer]:
    made = HttpPeer(HttpOptions(endpoint=endpoint, **options), environ or {})
    await made.open()
    try:
        yield made
    finally:
        await made.close()


async def failure(endpoint: str, **options: object) -> Retry:
    """The Retry that one post to `endpoint` raises."""
    async with peer(endpoint, **options) as made:
        with pytest.raises(Retry) as caught:
            await made.post(endpoint, b"{}", {})
    return caught.value


async def ok(request: web.Request) -> web.Response:
    return web.Response(text="fine")


# --- what an answer means --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_success_is_accepted(status):
    """Every 2xx means the server took it."""
    assert judged(status).verdict == "accepted"


@pytest.mark.parametrize(
    ("status", "uncertain"),
    [(408, False), (425, False), (429, False), (500, True), (502, True), (503, False), (504, True), (507, False)],
)
def test_trouble_is_tried_again(status, uncertain):
    """Overload and server errors are tried again, uncertain only where the server may have taken the request."""
    result = judged(status)
    assert (result.verdict, result.uncertain) == ("retry", uncertain)


@pytest.mark.parametrize("status", [400, 402, 406, 409, 410, 413, 415, 422, 431, 451])
def test_what_is_wrong_with_the_rows_is_refused(status):
    """A 4xx that speaks of the request itself refuses it for good, with what the server said."""
    result = judged(status, body=b'{"error":"bad"}')
    assert result.verdict == "refused"
    assert result.message == f'{URL} answered {status}: {{"error":"bad"}}'


@pytest.mark.parametrize("status", [401, 403, 404, 405, 407])
def test_what_is_wrong_with_the_configuration_waits(status):
    """A refused login or a wrong path says nothing of the rows: they wait, and the text names the option to look at."""
    result = judged(status)
    assert result.verdict == "retry"
    assert "check " in result.message


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_told_not_followed(status):
    """A redirect waits for a person, and names where it led without what may be secret in the address."""
    result = judged(status, {"Location": "https://u:p@other.example/v2?token=abc"})
    assert result.verdict == "retry"
    assert "redirects to https://other.example/v2, and redirects are not followed" in result.message


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7.0),
        (" 2.5 ", 2.5),
        ("0", 0.0),
        ("Thu, 01 Jan 2026 00:00:30 GMT", 30.0),
        ("Wed, 31 Dec 2025 23:00:00 GMT", 0.0),
        ("999999999", http.MAX_RETRY_AFTER),
        ("9" * 5000, http.MAX_RETRY_AFTER),
        ("Fri, 01 Jan 2027 00:00:00 GMT", http.MAX_RETRY_AFTER),
    ],
)
def test_retry_after_is_honoured_within_its_limit(status, value, seconds):
    """Retry-After is read as seconds or as a date, never into the past and never further than the limit."""
    assert judged(status, {"Retry-After": value}).not_before == NOW + seconds


@pytest.mark.parametrize("value", ["", "soon", "-5", "nan", "inf", "1e9", "٣", "Thu, 99 Jan 2026 00:00:30 GMT"])
def test_an_unreadable_retry_after_is_no_time(value):
    """A Retry-After that is neither seconds nor a date is as if it were not there."""
    assert retry_after(value, NOW) is None


@given(st.text(max_size=60))
def test_no_retry_after_breaks_the_limit(value):
    """Whatever the header holds, the time is within the limit, or none."""
    at = retry_after(value, NOW)
    assert at is None or NOW <= at <= NOW + http.MAX_RETRY_AFTER


def test_an_outcome_settles_as_the_contract_says():
    """Accepted returns, retry raises Retry with all it knows, refused raises Reject with exactly these rows."""
    rows = {("s", 1), ("s", 2)}
    judged(200).settle(rows)
    with pytest.raises(Retry) as again:
        judged(500, {"Retry-After": "3"}).settle(rows)
    assert (again.value.not_before, again.value.uncertain, again.value.delivered) == (NOW + 3, True, frozenset())
    with pytest.raises(Reject) as never:
        judged(422).settle(rows)
    assert never.value.rows == rows


def test_a_quoted_body_is_one_short_line():
    """What a server says is quoted on one line, without control characters, up to a limit."""
    quoted = Answer(500, {}, b"a\r\n\x1b[31mb\t" + b"x" * 5000).quote()
    assert quoted.startswith(": a [31mb xxx")
    assert quoted.endswith("…")
    assert len(quoted) < 210
    assert "\n" not in quoted
    assert "\x1b" not in quoted


def test_compress_says_what_it_did():
    """A packed body unpacks to itself and names its encoding; "none" changes nothing."""
    body, headers = compress(b"abc" * 100, "gzip")
    assert gzip.decompress(body) == b"abc" * 100
    assert headers == {"Content-Encoding": "gzip"}
    assert compress(b"abc", "none") == (b"abc", {})


# --- one request -----------------------------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_a_request_carries_our_headers_and_the_secret_ones(tmp_path):
    """Headers from the options, from files and from the environment arrive, beside a User-Agent of our own; a
    header's file is read anew for each request.
    """
    seen = []

    async def handler(request):
        seen.append(request.headers)
        return web.Response(text="fine")

    token = tmp_path / "token"
    token.write_text("Bearer first\n")
    options = {
        "headers": {"X-Team": "a b"},
        "header_files": {"Authorization": str(token)},
        "header_env": {"X-Key": "LENS_KEY"},
    }
    async with serving(handler) as host, peer(f"http://{host}", {"LENS_KEY": "k-1"}, **options) as made:
        answer = await made.post(f"http://{host}/x", b"{}", {"Content-Type": "application/json"})
        token.write_text("Bearer second\n")
        await made.post(f"http://{host}/x", b"{}", {})
    assert (answer.status, answer.body, answer.cut) == (200, b"fine", False)
    assert seen[0]["Authorization"] == "Bearer first"
    assert seen[1]["Authorization"] == "Bearer second"
    assert (seen[0]["X-Team"], seen[0]["X-Key"], seen[0]["Content-Type"]) == ("a b", "k-1", "application/json")
    assert seen[0]["User-Agent"].startswith("wayside-collector/")


@pytest.mark.asyncio
async def test_a_users_header_takes_the_place_of_ours():
    """A header the user sets replaces our own of that name in any case, and is not sent twice."""
    seen = []

    async def handler(request):
        seen.append(request.headers.getall("User-Agent"))
        return web.Response()

    async with serving(handler) as host, peer(f"http://{host}", headers={"user-agent": "mine"}) as made:
        await made.post(f"http://{host}", b"", {})
    assert seen == [["mine"]]


@pytest.mark.asyncio
async def test_what_a_server_repeats_of_our_secrets_is_hidden():
    """A server that echoes our headers, as debug pages do, does not get them into an error text."""

    async def handler(request):
        return web.json_response({"you sent": dict(request.headers)}, status=403)

    secrets = {"Authorization": 'Bearer s3cr"t-t0ken', "X-Key": "k9"}
    async with serving(handler) as host, peer(f"http://{host}", headers=secrets) as made:
        answer = await made.post(f"http://{host}", b"", {})
        text = outcome(answer, f"http://{host}", NOW).message
    assert b"t0ken" in answer.body
    assert "***" in text
    assert not any(secret in text for secret in ("s3cr", "t0ken", "k9"))


@pytest.mark.asyncio
async def test_a_long_answer_is_cut():
    """Of an endless answer only the limit is read, and the next request goes on."""

    async def handler(request):
        reply = web.StreamResponse()
        await reply.prepare(request)
        while True:  # until the client hangs up, which ends the handler
            await reply.write(b"x" * 65536)

    async with serving(handler) as host, peer(f"http://{host}") as made:
        for _ in range(2):
            answer = await made.post(f"http://{host}", b"", {})
            assert (len(answer.body), answer.cut) == (http.MAX_ANSWER, True)


@pytest.mark.asyncio
async def test_a_redirect_is_not_followed():
    """No request goes where a redirect points, for our headers would go with it."""
    seen = []

    async def handler(request):
        seen.append(request.path)
        return web.Response(status=307, headers={"Location": "/elsewhere"})

    async with serving(handler) as host, peer(f"http://{host}") as made:
        assert (await made.post(f"http://{host}/here", b"", {})).status == 307
    assert seen == ["/here"]


@pytest.mark.asyncio
async def test_no_answer_in_time_is_uncertain():
    """A request that is taken and not answered in time may have been stored."""

    async def handler(request):
        await asyncio.Event().wait()
        raise AssertionError

    async with serving(handler) as host:
        trouble = await failure(f"http://{host}", timeout=0.5)
    assert trouble.uncertain
    assert "no answer within 0.5 s (option timeout)" in str(trouble)


@pytest.mark.asyncio
async def test_a_connection_that_breaks_off_is_uncertain():
    """A server that hangs up on a request may have stored it."""

    async def handler(request):
        request.transport.abort()
        return web.Response()

    async with serving(handler) as host:
        trouble = await failure(f"http://{host}")
    assert trouble.uncertain
    assert "broke off" in str(trouble)


@pytest.mark.asyncio
async def test_an_answer_that_breaks_off_is_uncertain():
    """Half a body is no answer."""

    async def handler(request):
        reply = web.StreamResponse(headers={"Content-Length": "100"})
        await reply.prepare(request)
        await reply.write(b"half")
        request.transport.close()
        return reply

    async with serving(handler) as host:
        assert (await failure(f"http://{host}")).uncertain


@pytest.mark.asyncio
async def test_nobody_there_is_certain():
    """Where no connection stands nothing was taken, and the text says so in the system's words."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, never listening: nobody else can take the port
        trouble = await failure(f"http://127.0.0.1:{taken.getsockname()[1]}")
    assert not trouble.uncertain
    assert "no connection: Connection refused" in str(trouble)


@pytest.mark.asyncio
async def test_an_unknown_host_is_certain(monkeypatch):
    """A name that does not resolve is told as such."""

    async def fail(*args, **kwargs):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", fail)
    trouble = await failure("http://lens.example")
    assert not trouble.uncertain
    assert "host name is not known" in str(trouble)


@pytest.mark.asyncio
async def test_a_connection_that_never_stands_is_certain(monkeypatch):
    """When connecting takes too long, nothing was taken."""

    async def never(*args, **kwargs):
        await asyncio.Event().wait()

    monkeypatch.setattr(http, "CONNECT_TIMEOUT", 0.05)
    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", never)
    trouble = await failure("http://lens.example")
    assert not trouble.uncertain
    assert "no connection within 0.05 s" in str(trouble)


@pytest.mark.asyncio
async def test_a_peer_can_be_closed_twice_and_without_open():
    """Closing is safe at any time, and a closed peer sends nothing."""
    made = HttpPeer(HttpOptions(endpoint="http://127.0.0.1:1"), {})
    await made.close()
    await made.open()
    await made.open()
    await made.close()
    await made.close()
    with pytest.raises(Retry, match="not open"):
        await made.post("http://127.0.0.1:1", b"", {})


# --- TLS and proxies -------------------------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_an_unknown_certificate_is_refused_unless_its_authority_is_named(tmp_path):
    """A self-signed server is refused by default, in words that name the way out; with ca_file it is accepted, and so
    it is with verify_tls off.
    """
    made = make_certificate(tmp_path)
    async with serving(ok, ssl_context=made.server_context()) as host:
        trouble = await failure(f"https://{host}")
        for options in ({"ca_file": str(made.cert)}, {"verify_tls": False}):
            async with peer(f"https://{host}", **options) as trusting:
                assert (await trusting.post(f"https://{host}", b"", {})).body == b"fine"
    assert not trouble.uncertain
    assert "certificate is not trusted: self-signed certificate" in str(trouble)
    assert "set ca_file" in str(trouble)


@pytest.mark.asyncio
async def test_a_wrong_host_name_is_refused_even_of_a_known_authority(tmp_path):
    """A certificate that is for another host is refused."""
    made = make_certificate(tmp_path, hosts="DNS:other.example")
    async with serving(ok, ssl_context=made.server_context()) as host:
        trouble = await failure(f"https://{host}", ca_file=str(made.cert))
    assert not trouble.uncertain
    assert "not trusted: IP address mismatch" in str(trouble)


@pytest.mark.asyncio
async def test_our_own_certificate_is_shown_to_a_server_that_asks(tmp_path):
    """A server that wants a client's certificate lets in one with cert_file and key_file, and no other."""
    server, client = make_certificate(tmp_path), make_certificate(tmp_path, "client")
    own = {"cert_file": str(client.cert), "key_file": str(client.key)}
    async with serving(ok, ssl_context=server.server_context(client_ca=client.cert)) as host:
        async with peer(f"https://{host}", ca_file=str(server.cert), **own) as known:
            assert (await known.post(f"https://{host}", b"", {})).status == 200
        await failure(f"https://{host}", ca_file=str(server.cert))


@pytest.mark.asyncio
async def test_https_to_a_server_without_it_is_told(tmp_path):
    """A plain server behind an https address is no TLS, and nothing was taken."""
    async with serving(ok) as host:
        trouble = await failure(f"https://{host}")
    assert not trouble.uncertain
    assert "no TLS" in str(trouble)


@pytest.mark.parametrize(
    "options",
    [
        {"ca_file": "missing.pem"},
        {"cert_file": "missing.pem"},
        {"header_files": {"Authorization": "missing.txt"}},
        {"header_env": {"Authorization": "MISSING_VARIABLE"}},
    ],
)
@pytest.mark.asyncio
async def test_a_missing_file_is_said_when_opening(options):
    """A file or variable that is not there fails `open` with the option's name, and is tried again later."""
    with pytest.raises(Retry, match=next(iter(options))):
        await HttpPeer(HttpOptions(endpoint="https://lens.example", **options), {}).open()


@pytest.mark.parametrize("text", ["", " \n", "two\nlines", "x" * (16 << 10) + "y"])
@pytest.mark.asyncio
async def test_a_file_that_holds_no_headers_value_is_said(tmp_path, text):
    """An empty, many-lined or huge file is no header's value; what it holds is not shown."""
    token = tmp_path / "token"
    token.write_text(text)
    with pytest.raises(Retry, match="header_files") as caught:
        await HttpPeer(HttpOptions(endpoint="http://h", header_files={"Authorization": str(token)}), {}).open()
    assert "two" not in str(caught.value)
    assert "xxx" not in str(caught.value)


@pytest.mark.asyncio
async def test_a_proxy_is_used_and_its_password_never_shown():
    """Requests go through the proxy with its credentials; when it refuses or is away, the text hides them."""
    heads = []

    async def proxy(reader, writer):
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        status = b"200 OK" if len(heads) == 1 else b"407 Proxy Authentication Required"
        writer.write(b"HTTP/1.1 " + status + b"\r\nContent-Length: 9\r\nConnection: close\r\n\r\nhunter-22")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(proxy, "127.0.0.1", 0)
    address = f"http://anna:hunter-22@127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server, peer("http://lens.example/v1", proxy=address) as made:
        assert (await made.post("http://lens.example/v1", b"", {})).status == 200
        refused = outcome(await made.post("http://lens.example/v1", b"", {}), URL, NOW)
    assert heads[0].startswith(b"POST http://lens.example/v1 ")
    assert b"Proxy-Authorization: Basic" in heads[0]
    assert "check proxy: ***" in refused.message
    away = str(await failure("http://lens.example/v1", proxy=address))
    assert "no connection to the proxy http://127.0.0.1" in away
    assert "hunter" not in away + refused.message
    assert "anna" not in away + refused.message


# --- options ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("option", "values"),
    [
        ("endpoint", {"endpoint": "lens:8989"}),
        ("endpoint", {"endpoint": "ftp://lens"}),
        ("endpoint", {"endpoint": "http://"}),
        ("endpoint", {"endpoint": "http://lens:99999/v1"}),
        ("endpoint", {"endpoint": "http://[::1/v1"}),
        ("endpoint", {"endpoint": "http://anna:pw@lens/v1"}),
        ("endpoint", {"endpoint": "http://lens/v1?key=1"}),
        ("endpoint", {"endpoint": "http://lens/v 1"}),
        ("proxy", {"proxy": "socks5://proxy"}),
        ("headers", {"headers": {"Bad Name": "x"}}),
        ("headers", {"headers": {"X-A": "two\r\nlines"}}),
        ("headers", {"headers": {"Content-Length": "3"}}),
        ("header_env", {"headers": {"X-A": "1"}, "header_env": {"x-a": "B"}}),
        ("header_files", {"header_files": {"X-A": ""}}),
        ("key_file", {"key_file": "k.pem"}),
        ("ca_file", {"ca_file": "c.pem", "verify_tls": False}),
    ],
)
def test_check_names_the_option_that_is_wrong(option, values):
    """Each mistake is told with the option's name in front, and what may be secret is not repeated."""
    problems = HttpOptions(**{"endpoint": "http://lens/v1", **values}).check()
    assert [problem.split(":")[0] for problem in problems] == [option]
    assert "pw" not in problems[0]
    assert "lines" not in problems[0].replace("one line of text", "")


def test_check_accepts_what_is_right_without_touching_anything():
    """A whole and correct set of options has no problem, though none of its files exists."""
    options = HttpOptions(
        endpoint="https://lens.example:8989/v1",
        headers={"X-Scope": "a"},
        header_files={"Authorization": "/nowhere/token"},
        header_env={"X-Key": "NOT_SET"},
        ca_file="/nowhere/ca.pem",
        cert_file="/nowhere/cert.pem",
        key_file="/nowhere/key.pem",
        proxy="http://u:p@proxy:3128",
    )
    assert options.check() == []


def test_options_do_not_show_their_secrets():
    """The text of the options, as a log or a traceback would hold it, has no header's value and no password."""
    text = repr(HttpOptions(endpoint="http://a:b-pass@h/v1", headers={"Authorization": "tok"}, proxy="http://u:pw@p"))
    assert "Authorization" in text
    assert not any(secret in text for secret in ("tok", "b-pass", "pw"))


def test_aiohttp_errors_are_all_translated():
    """Every error class of aiohttp's client leads to a Retry, whatever is raised from it."""
    bare = [aiohttp.ClientError(), aiohttp.ServerDisconnectedError(), aiohttp.ClientPayloadError(), OSError(5, "io")]
    for problem in [*bare, TimeoutError(), aiohttp.InvalidURL("x")]:
        with pytest.raises(Retry):
            http._translate(problem, "http://h", HttpOptions(endpoint="http://h"))
