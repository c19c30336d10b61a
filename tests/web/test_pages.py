"""Each path of the server: what it answers, what it asks of nobody, and its limits."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from wayside_collector.web import server as servers
from wayside_collector.web.pages import landing_page
from web import serving
from web.serving import Served, served

pytestmark = pytest.mark.asyncio


@pytest_asyncio.fixture
async def here() -> AsyncIterator[Served]:
    async with served() as found:
        yield found


async def test_each_path_answers_in_its_own_type(here: Served) -> None:
    """And what is not there is a 404, what may not be done a 405, whatever the method."""
    for path, kind in (
        ("/", "text/html"),
        ("/metrics", "text/plain"),
        ("/livez", "text/plain"),
        ("/readyz", "text/plain"),
        ("/status", "application/json"),
    ):
        async with here.asking.get(here.local + path) as answer:
            assert (answer.status, answer.content_type) == (200, kind), path
            assert await answer.read()
        async with here.asking.head(here.local + path) as answer:
            assert (answer.status, await answer.read()) == (200, b"")
        assert await here.status(here.local + path, "DELETE") in (403, 405)
    assert await here.status(here.local + "/nothing") == 404
    assert await here.status(here.local + "/status/") == 404
    assert await here.status(here.local + "/../etc/passwd") in (400, 404)


async def test_what_is_logged_is_never_markup() -> None:
    """Names of runs and errors of sinks are text on the plain page, whatever they hold."""
    page = landing_page(serving.MadeUp().status())
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert "<b>r1" not in page


async def test_readiness_says_what_is_missing(here: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """503 and one line for each thing; liveness does not ask for it."""
    monkeypatch.setattr(serving.MadeUp, "missing", lambda self: ["the spool could not be written: no space", "x"])
    async with here.asking.get(here.local + "/readyz") as answer:
        assert (answer.status, await answer.text()) == (503, "the spool could not be written: no space\nx\n")
    assert await here.status(here.local + "/livez") == 200


async def test_so_many_pages_are_rendered_at_once(here: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """More scrapes wait for their turn; meanwhile everything else is answered."""
    go, lock = threading.Event(), threading.Lock()
    now = most = 0

    def metrics(self: Any, accept: str | None) -> tuple[str, bytes]:
        nonlocal now, most
        with lock:
            now, most = now + 1, max(most, now + 1)
        assert go.wait(15)
        with lock:
            now -= 1
        return "text/plain", b"up 1\n"

    monkeypatch.setattr(serving.MadeUp, "metrics", metrics)
    scrapes = [asyncio.ensure_future(here.status(here.local + "/metrics")) for _ in range(3 * servers.MAX_SCRAPES)]
    async with asyncio.timeout(10):
        while now < servers.MAX_SCRAPES:  # noqa: ASYNC110 -- told by threads
            await asyncio.sleep(0.005)
    assert await here.status(here.local + "/livez") == 200
    assert not any(scrape.done() for scrape in scrapes)
    go.set()
    assert await asyncio.gather(*scrapes) == [200] * len(scrapes)
    assert most == servers.MAX_SCRAPES


async def test_a_body_beyond_the_limit_is_refused(here: Served) -> None:
    """413, and nothing of it is kept; the connection's neighbour is answered."""
    body = b"token=" + b"x" * (servers.MAX_REQUEST + 1)
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Origin": here.local}
    assert await here.status(here.local + "/login", "POST", data=body, headers=headers) in (403, 413)
    assert await here.status(here.local + "/livez") == 200


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/x-www-form-urlencoded", b"token=\xe8"),
        ("application/x-www-form-urlencoded; charset=none", b"token=x"),
        ("multipart/form-data; boundary=", b"x"),
        ("multipart/form-data", b"x"),
        ("multipart/form-data; boundary=b", b"--b\r\nContent-Disposition: nonsense\r\n\r\nx"),
    ],
)
async def test_a_form_that_is_none(here: Served, caplog: pytest.LogCaptureFixture, kind: str, body: bytes) -> None:
    """The sender's mistake, and told so; nothing of it reaches the log."""
    status = await here.status(here.local + "/login", "POST", data=body, headers={"Content-Type": kind})
    assert status in (400, 403)
    assert caplog.text == ""


async def test_a_scrape_that_fails_is_an_error_of_its_own(
    here: Served, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A bug while a page is made is a 500 for that scrape, and logged; the next one, and all else, is answered."""

    def fails(self: Any, accept: str | None) -> tuple[str, bytes]:
        raise ValueError("a bug")

    with monkeypatch.context() as broken:
        broken.setattr(serving.MadeUp, "metrics", fails)
        assert await here.status(here.local + "/metrics") == 500
        assert await here.status(here.local + "/status") == 200
    assert await here.status(here.local + "/metrics") == 200
    assert "ValueError: a bug" in caplog.text


async def test_what_is_no_http_is_counted_and_not_logged(here: Served, caplog: pytest.LogCaptureFixture) -> None:
    """Anybody can send it, and would fill the log: it is answered with a 400."""
    for _ in range(3):
        reader, writer = await asyncio.open_connection("127.0.0.1", here.server.listeners[0].port)
        writer.write(b"GET / \x00 HTTP/nonsense\r\n\r\n")
        assert (await reader.read()).startswith(b"HTTP/1.0 400")
        writer.close()
        await writer.wait_closed()
    assert here.refusals.counts() == {("listen", "malformed"): 3}
    assert caplog.text == ""


async def test_status_is_json_of_what_the_views_say(here: Served) -> None:
    """As it is, without a word of the server's own."""
    async with here.asking.get(here.local + "/status") as answer:
        assert json.loads(await answer.text()) == serving.MadeUp().status()
