"""Who may do what over HTTP: each listener, each role, each way to ask."""

import time
from pathlib import Path

import pytest
from aiohttp import web
from wayside_collector.configuration.access import IngestSection, Outside, PublicSection
from wayside_collector.web.access import NAMESPACE, Access, is_own_host
from wayside_collector.web.pages import own_path
from wayside_collector.web.roles import Role, Route
from wayside_collector.web.tokens import Tokens
from web.serving import served

READER, WRITER, BOTH = "r" * 20, "w" * 20, "b" * 20
EVERYBODYS = ("/metrics", "/livez", "/readyz")
READERS = ("/", "/status", "/no-such-page")


@pytest.fixture
def outside(tmp_path: Path) -> Outside:
    """A public listener with three tokens."""
    file = tmp_path / "tokens"
    file.write_text(f"# who\nreader {READER}\n\nwriter {WRITER}\nreader {BOTH}\nwriter {BOTH}\n")
    return Outside("127.0.0.1:0", PublicSection(token_file=str(file)))


async def _done(request: web.Request) -> web.Response:
    return web.Response(text="done")


WORK = (
    Route("POST", "/rows", _done, Role.WRITER),
    Route("POST", "/stop", _done, Role.OPERATOR),
    Route("GET", "/runs/{id}", _done, Role.READER),
    Route("POST", "/letters/{id:[0-9]{1,9}}", _done, Role.OPERATOR),
    Route("POST", "/letters/{id:[a-z]+}", _done, Role.WRITER),
)


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.mark.asyncio
async def test_loopback_gives_everything_without_a_token(outside: Outside) -> None:
    """On `listen` every route answers whoever asks for it by address or as localhost."""
    async with served(outside, WORK) as s:
        for path in (*EVERYBODYS, "/", "/status", "/runs/1"):
            assert await s.status(s.local + path) == 200, path
        for path in ("/rows", "/stop"):
            assert await s.status(s.local + path, "POST") == 200, path
        assert await s.status(s.local + "/no-such-page") == 404
        assert s.refusals.counts() == {}


@pytest.mark.asyncio
async def test_without_a_token_the_public_listener_gives_metrics_and_probes(outside: Outside) -> None:
    """Three pages are everybody's; every other, known or not, wants a token, and the refusals are counted."""
    async with served(outside, WORK) as s:
        for path in EVERYBODYS:
            assert await s.status(s.public + path) == 200, path
            assert await s.status(s.public + path, "HEAD") == 200, path
        for path in (*READERS, "/runs/1"):
            assert await s.status(s.public + path) == 401, path
            assert await s.status(s.public + path, headers=bearer("x" * 20)) == 401, path
        assert await s.status(s.public + "/rows", "POST") == 401
        assert await s.status(s.public + "/stop", "POST") == 403
        assert s.refusals.counts() == {("listen_public", "token"): 9, ("listen_public", "role"): 1}


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("token", "reads", "writes"), [(READER, 200, 403), (WRITER, 403, 200), (BOTH, 200, 200)], ids=["r", "w", "both"]
)
async def test_a_token_gives_the_roles_of_its_lines(outside: Outside, token: str, reads: int, writes: int) -> None:
    """A reader sees and does not write, a writer writes and does not see; nobody from elsewhere operates."""
    async with served(outside, WORK) as s:
        assert await s.status(s.public + "/status", headers=bearer(token)) == reads
        assert await s.status(s.public + "/runs/1", headers=bearer(token)) == reads
        assert await s.status(s.public + "/rows", "POST", headers=bearer(token)) == writes
        assert await s.status(s.public + "/stop", "POST", headers=bearer(token)) == 403
        assert await s.status(s.public + "/letters/7", "POST", headers=bearer(token)) == 403
        assert await s.status(s.public + "/letters/a", "POST", headers=bearer(token)) == writes
        assert await s.status(s.public + "/metrics", headers=bearer(token)) == 200


@pytest.mark.asyncio
async def test_a_route_whose_role_nobody_named_is_a_reader_s(outside: Outside) -> None:
    """Another method of a known path, and a path with too much behind it, are refused like unknown ones."""
    async with served(outside, WORK) as s:
        assert await s.status(s.public + "/metrics", "POST") == 401
        assert await s.status(s.public + "/rows") == 401
        assert await s.status(s.public + "/metrics/../status") == 401
        assert await s.status(s.public + "//metrics") == 401


@pytest.mark.asyncio
async def test_without_the_option_there_is_no_public_listener() -> None:
    """Nothing but loopback is listened on unless it was asked for."""
    async with served() as s:
        assert s.server.public_url is None
        assert len(s.server.listeners) == 1


@pytest.mark.asyncio
@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example:9750", "localhost.evil.example", "evil"])
async def test_a_name_of_somebody_s_domain_is_refused_on_loopback(host: str) -> None:
    """DNS rebinding: a page of evil.example whose name now leads to 127.0.0.1 gets no answer, also not /metrics."""
    async with served() as s:
        for path in ("/status", "/metrics", "/livez"):
            assert await s.status(s.local + path, headers={"Host": host}) == 421
        assert s.refusals.counts() == {("listen", "host"): 3}


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "localhost:1",
        "LOCALHOST.:1",
        "127.0.0.1:9750",
        "[::1]:9750",
        "[::1]",
        "10.0.0.7",
        "",
        "a.localhost",
    ],
)
def test_own_hosts(host: str) -> None:
    """By any address, as localhost, or without a Host, as HTTP/1.0 asks, it is ours: no stranger's page can do that."""
    assert is_own_host(host, "127.0.0.1")


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
    ids=lambda headers: "-".join(headers.values()),
)
async def test_a_page_of_another_origin_changes_nothing(outside: Outside, headers: dict[str, str]) -> None:
    """A stranger's page in a browser on this machine posts in vain, on either listener, with a token or without."""
    async with served(outside, WORK) as s:
        assert await s.status(s.local + "/rows", "POST", headers=headers) == 403
        assert await s.status(s.local + "/stop", "POST", headers=headers) == 403
        assert await s.status(s.public + "/rows", "POST", headers=headers | bearer(WRITER)) == 403
        assert s.refusals.counts() == {("listen", "origin"): 2, ("listen_public", "origin"): 1}


@pytest.mark.asyncio
async def test_our_own_page_may_change_something(outside: Outside) -> None:
    """A request that our own page makes carries our origin, and passes."""
    async with served(outside, WORK) as s:
        assert await s.status(s.local + "/rows", "POST", headers={"Origin": s.local}) == 200
        assert await s.status(s.local + "/rows", "POST", headers={"Sec-Fetch-Site": "same-origin"}) == 200
        own = {"Origin": s.public} | bearer(WRITER)
        assert await s.status(s.public + "/rows", "POST", headers=own) == 200


@pytest.mark.asyncio
async def test_no_origin_may_read_unless_it_is_named(outside: Outside) -> None:
    """CORS is off: no answer lets a stranger's script read it, and a preflight is refused like any request."""
    async with served(outside, WORK) as s:
        for base in (s.local, s.public):
            ask = {"Origin": "https://dash.example"} | bearer(READER)
            async with s.asking.get(f"{base}/status", headers=ask) as answer:
                assert "Access-Control-Allow-Origin" not in answer.headers
            preflight = {"Origin": "https://dash.example", "Access-Control-Request-Method": "GET"}
            assert await s.status(f"{base}/status", "OPTIONS", headers=preflight) >= 400


@pytest.mark.asyncio
async def test_a_named_origin_may_use_the_api_with_a_token(tmp_path: Path) -> None:
    """With public.origins its scripts read and write with a token, and without one get nothing."""
    (tmp_path / "tokens").write_text(f"reader {BOTH}\nwriter {BOTH}\n")
    named = PublicSection(token_file=str(tmp_path / "tokens"), origins=("https://dash.example",))
    async with served(Outside("127.0.0.1:0", named), WORK) as s:
        ask = {"Origin": "https://dash.example"}
        async with s.asking.options(f"{s.public}/status", headers=ask) as answer:
            assert answer.status == 204
            assert answer.headers["Access-Control-Allow-Origin"] == "https://dash.example"
            allowed = set(answer.headers["Access-Control-Allow-Headers"].split(", "))
            assert allowed == {"Authorization", "Content-Type", "Content-Encoding", "X-Lens-Envelope"}
            assert "Access-Control-Allow-Credentials" not in answer.headers
        async with s.asking.get(f"{s.public}/status", headers=ask | bearer(BOTH)) as answer:
            assert answer.status == 200
            assert answer.headers["Access-Control-Allow-Origin"] == "https://dash.example"
        assert await s.status(f"{s.public}/rows", "POST", headers=ask | bearer(BOTH)) == 200
        assert await s.status(f"{s.public}/status", headers=ask) == 401
        async with s.asking.get(f"{s.local}/status", headers=ask) as answer:
            assert "Access-Control-Allow-Origin" not in answer.headers


@pytest.mark.parametrize(
    ("peer", "trusted"),
    [
        ("10.1.2.3", True),
        ("::ffff:10.1.2.3", True),
        ("fd00::1", True),
        ("11.0.0.1", False),
        ("::ffff:11.0.0.1", False),
        ("fe80::1%eth0", False),
        (None, False),
        ("", False),
    ],
)
def test_trusted_networks_may_write_and_not_read(peer: str | None, trusted: bool) -> None:
    """An address within `ingest.trusted` has the role writer, also as IPv6 tells of an IPv4 one, and no other role."""
    trusting = Outside("[::]:1", ingest=IngestSection(trusted=("10.0.0.0/8", "fd00::/8")))
    access = Access(trusting, Tokens(None))
    assert access.grant("listen_public", peer, []).role == (Role.WRITER if trusted else Role.NONE)


@pytest.mark.asyncio
async def test_a_trusted_network_is_judged_by_the_connection(outside: Outside) -> None:
    """What a proxy or a liar says of addresses in headers counts for nothing."""
    lies = {"X-Forwarded-For": "10.0.0.1", "Forwarded": "for=10.0.0.1", "X-Real-IP": "10.0.0.1"}
    async with served(outside._replace(ingest=IngestSection(trusted=("10.0.0.0/8",))), WORK) as s:
        assert await s.status(f"{s.public}/rows", "POST", headers=lies) == 401
    async with served(outside._replace(ingest=IngestSection(trusted=("127.0.0.0/8",))), WORK) as s:
        assert await s.status(f"{s.public}/rows", "POST") == 200
        assert await s.status(f"{s.public}/status") == 401


@pytest.mark.asyncio
async def test_anonymous_readers_read_and_do_not_write(outside: Outside) -> None:
    """`anonymous: reader` opens the pages to everybody, and nothing else."""
    async with served(Outside("127.0.0.1:0", PublicSection(anonymous="reader")), WORK) as s:
        assert await s.status(s.public + "/status") == 200
        assert await s.status(s.public + "/rows", "POST") == 401
        assert await s.status(s.public + "/stop", "POST") == 403


@pytest.mark.asyncio
async def test_every_answer_forbids_what_a_browser_should_not_do(outside: Outside) -> None:
    """No sniffing, no framing, no scripts from elsewhere: on pages, refusals and what does not exist."""
    async with served(outside) as s:
        for url in (f"{s.local}/", f"{s.local}/nothing", f"{s.public}/status", f"{s.public}/metrics"):
            async with s.asking.get(url) as answer:
                assert answer.headers["X-Content-Type-Options"] == "nosniff"
                assert answer.headers["X-Frame-Options"] == "DENY"
                assert "default-src 'self'" in answer.headers["Content-Security-Policy"]


@pytest.mark.parametrize(
    "path", ["//evil.example", "/\\evil.example", "https://evil.example", "evil", "/a b", "/a\n", ""]
)
def test_a_login_leads_nowhere_else(path: str) -> None:
    """What a login goes on to is a path here, never another server's address that looks like one."""
    assert own_path(path) == "/"
    assert own_path("/runs/1?x=1#y") == "/runs/1?x=1#y"


@pytest.mark.asyncio
async def test_a_namespace_is_kept_to(tmp_path: Path) -> None:
    """A token for a namespace opens the routes that keep to it, which are told whose it is, and no other; with a
    cookie of another namespace it opens nothing.
    """
    file = tmp_path / "tokens"
    file.write_text(
        f"reader {READER} namespace=team-a\nwriter {READER} namespace=team-a\n"
        f"reader {WRITER} namespace=team-b\nreader {BOTH}\n"
    )

    async def told(request: web.Request) -> web.Response:
        return web.json_response(request[NAMESPACE])

    routes = [Route("GET", "/mine", told, Role.READER, scoped=True), Route("POST", "/mine", told, Role.WRITER)]
    public = PublicSection(token_file=str(file), anonymous="reader")
    async with served(Outside("127.0.0.1:0", public), routes) as s:
        for token, mine, namespace in ((READER, 200, "team-a"), (WRITER, 200, "team-b"), (BOTH, 200, None)):
            async with s.asking.get(f"{s.public}/mine", headers=bearer(token)) as answer:
                assert (answer.status, await answer.json()) == (mine, namespace)
        assert await s.status(f"{s.public}/mine", "POST", headers=bearer(READER)) == 403
        assert await s.status(f"{s.public}/status", headers=bearer(READER)) == 403
        assert await s.status(f"{s.public}/status", headers=bearer(BOTH)) == 200
        for path in EVERYBODYS:
            assert await s.status(s.public + path, headers=bearer(READER)) == 200
        cookie = s.server.access.tokens.cookie(WRITER, time.time())
        both = {**bearer(READER), "Cookie": f"wayside={cookie}"}
        assert await s.status(f"{s.public}/mine", headers=both) in (401, 403)
        assert await s.status(f"{s.local}/mine", headers=bearer(READER)) == 200
