"""The page's files, as `page/` was built into `web/page/`: read when first asked for, and served from memory.

A file below `assets/` has its hash in its name, so a browser keeps it for good; `index.html` is asked for each time,
and answered with 304 where it has not changed. It stands at all of the page's addresses: what is shown at which is the
browser's to find out. Where the page was not built, as in a clone without Node, a plain one is shown instead.
"""

import functools
import gzip
import hashlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import NamedTuple

from aiohttp import hdrs, web

from .api.encoding import accepts_gzip
from .roles import Role, Route

BUILT = Path(__file__).parent / "page"  #: where Vite puts it
ADDRESSES = ("/", "/runs/{id}", "/compare", "/sinks")
FOR_GOOD = "private, max-age=31536000, immutable"  #: private, since a token may be needed to see it
TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class File(NamedTuple):
    """One file. zipped: the same by gzip."""

    content_type: str
    tag: str
    body: bytes
    zipped: bytes


def page_routes(plain: Handler, folder: Path = BUILT) -> list[Route]:
    """plain: what answers where the page was not built."""
    if not (folder / "index.html").is_file():
        return [Route("GET", address, plain, Role.READER) for address in ADDRESSES]
    files = functools.cache(functools.partial(read_files, folder))

    async def index(request: web.Request) -> web.Response:
        return _answer(request, files()["index.html"], "no-cache")

    async def asset(request: web.Request) -> web.Response:
        found = files().get(f"assets/{request.match_info['name']}")
        if found is None:
            text = "there is no such file in this version of the page: load the page anew"
            return web.json_response({"error": text}, status=404)
        return _answer(request, found, FOR_GOOD)

    # scoped: these files are the same for everybody, and hold nothing of anybody's runs
    routes = [Route("GET", address, index, Role.READER, scoped=True) for address in ADDRESSES]
    return [*routes, Route("GET", "/assets/{name}", asset, Role.READER, scoped=True)]


def read_files(folder: Path) -> dict[str, File]:
    """The files by their names below the folder."""
    found = {}
    for path in folder.rglob("*"):
        if path.suffix in TYPES and path.is_file():
            body = path.read_bytes()
            tag = hashlib.sha256(body).hexdigest()[:20]
            found[str(path.relative_to(folder))] = File(TYPES[path.suffix], tag, body, gzip.compress(body, mtime=0))
    return found


def _answer(request: web.Request, file: File, kept: str) -> web.Response:
    headers = {hdrs.ETAG: f'"{file.tag}"', hdrs.CACHE_CONTROL: kept, hdrs.VARY: hdrs.ACCEPT_ENCODING}
    if any(tag.value in (file.tag, "*") for tag in request.if_none_match or ()):
        return web.Response(status=304, headers=headers)
    body = file.body
    if accepts_gzip(request.headers.get(hdrs.ACCEPT_ENCODING, "")):
        headers[hdrs.CONTENT_ENCODING] = "gzip"
        body = file.zipped
    return web.Response(body=body, headers=headers, content_type=file.content_type, charset="utf-8")
