"""How the page's files are served: kept for good or asked for anew, compressed, and never from elsewhere."""

import contextlib
import gzip
import re
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from wayside_collector.web.page_files import ADDRESSES, page_routes
from wayside_collector.web.roles import Role
from web.serving import served
from yarl import URL

SCRIPT = "assets/index-1a2b3c.js"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A page as Vite builds it."""
    (tmp_path / "assets").mkdir()
    (tmp_path / "index.html").write_text(f'<!doctype html><script src="/{SCRIPT}"></script>')
    (tmp_path / SCRIPT).write_text("let a = 1;" * 100)
    (tmp_path / "assets" / "index.css").write_text("a{}")
    (tmp_path / "assets" / "notes.md").write_text("not for browsers")
    return tmp_path


@contextlib.asynccontextmanager
async def serving(folder: Path) -> AsyncIterator[tuple[aiohttp.ClientSession, str]]:
    """A server of these files alone: who asks it, and where it is."""
    app = web.Application()
    for route in page_routes(plain, folder):
        app.router.add_get(route.path, route.handler)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        async with aiohttp.ClientSession(auto_decompress=False) as asking:
            yield asking, f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def plain(request: web.Request) -> web.Response:
    return web.Response(text="plain")


@pytest.mark.asyncio
async def test_one_page_at_all_its_addresses() -> None:
    """The list, a run, a comparison and the sinks are one file, which says where its scripts are."""
    async with served() as s:
        pages = set()
        for path in ("/", "/runs/some%20run", "/compare?runs=a,b", "/sinks"):
            async with s.asking.get(s.local + path) as answer:
                assert (answer.status, answer.content_type) == (200, "text/html")
                pages.add(await answer.text())
        (page,) = pages
        assert await s.status(f"{s.local}/runs/") == 404
        assert await s.status(f"{s.local}/runs/a/b") == 404
        scripts = re.findall(r'(?:src|href)="(/assets/[^"]+)"', page)
        assert len(scripts) == 2
        for script in scripts:
            assert await s.status(s.local + script) == 200
        assert "<script>" not in page, "a script in the page itself is forbidden by its Content-Security-Policy"


@pytest.mark.asyncio
async def test_what_is_named_by_its_hash_is_kept_for_good(folder: Path) -> None:
    """Assets are immutable; index.html is asked for anew, and told unchanged by its tag."""
    async with serving(folder) as (asking, url):
        async with asking.get(f"{url}/{SCRIPT}") as answer:
            assert answer.headers["Cache-Control"] == "private, max-age=31536000, immutable"
            assert answer.content_type == "text/javascript"
            tag = answer.headers["ETag"]
        async with asking.get(f"{url}/{SCRIPT}", headers={"If-None-Match": tag}) as answer:
            assert (answer.status, await answer.read()) == (304, b"")
        async with asking.get(f"{url}/") as answer:
            assert answer.headers["Cache-Control"] == "no-cache"
            own = answer.headers["ETag"]
        assert own != tag
        async with asking.get(f"{url}/compare", headers={"If-None-Match": f'"other", W/{own}'}) as answer:
            assert answer.status == 304
        async with asking.get(f"{url}/compare", headers={"If-None-Match": tag}) as answer:
            assert answer.status == 200


@pytest.mark.asyncio
async def test_compressed_for_who_can_read_it(folder: Path) -> None:
    """By gzip where the browser says so, and as it is otherwise; what it is does not change."""
    async with serving(folder) as (asking, url):
        bodies = []
        for accepted, sent in (("gzip, br", "gzip"), ("identity", None), ("gzip;q=0", None)):
            headers = {"Accept-Encoding": accepted}
            async with asking.get(f"{url}/{SCRIPT}", headers=headers) as answer:
                assert answer.headers.get("Content-Encoding") == sent
                assert answer.headers["Vary"] == "Accept-Encoding"
                body = await answer.read()
                bodies.append(gzip.decompress(body) if sent else body)
        assert bodies == [(folder / SCRIPT).read_bytes()] * 3


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "name", ["nothing.js", "..%2Findex.html", "%2e%2e%2f%2e%2e%2fpage_files.py", "notes.md", "..%5cx", "%00"]
)
async def test_nothing_but_the_page_is_there(folder: Path, name: str) -> None:
    """Whatever the path, a file that is not the page's is a 404, with what to do."""
    async with serving(folder) as (asking, url), asking.get(URL(f"{url}/assets/{name}", encoded=True)) as answer:
        assert answer.status in (400, 404)


def test_without_a_build_the_plain_page_is_everywhere(tmp_path: Path) -> None:
    """A clone without Node serves something at each address a run's url may lead to, to readers only."""
    routes = page_routes(plain, tmp_path)
    assert [route.path for route in routes] == list(ADDRESSES)
    assert {(route.handler, route.needs) for route in routes} == {(plain, Role.READER)}
