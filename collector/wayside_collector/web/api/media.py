"""Endpoints about pictures, tables and histograms of a run; their bytes are handed on as they are.

What a training script calls a picture may be anything, so a browser is told to take it for what its format says and
for nothing else, to run nothing that could reach this page or any other, and to save what it cannot show.
"""

from collections.abc import Awaitable, Callable
from typing import Annotated

import msgspec
from aiohttp import hdrs, web
from msgspec import Meta

from ...store import Reader, media
from ...store.media import Content, MediaItem, MediaName, Moment
from ...store.reader import NotFound
from ..access import NAMESPACE
from .asked import read_asked
from .endpoint import Endpoint
from .readers import Readers
from .runs import RunAsked, RunId

CONTENT = "/runs/{id}/media/{session}/{seq}/{number}/content"
Name = Annotated[str, Meta(min_length=1, max_length=2000, description="the name it was logged under")]
#: It reaches no page of ours, and fetches nothing. A script may run, in an origin of its own: plots are made of them.
POLICY = (
    "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline';"
    " img-src data: blob:; media-src data: blob: 'self'; font-src data:; frame-ancestors 'self'"
)
_SHOWN = ("image/", "video/", "audio/", "text/html")


class NamedAsked(msgspec.Struct, frozen=True, kw_only=True):
    """What was logged under one name."""

    id: RunId
    name: Name


class ItemsAsked(msgspec.Struct, frozen=True, kw_only=True):
    """What was logged under one name at one moment, the latest unless one is given."""

    id: RunId
    name: Name
    step: Annotated[int, Meta(ge=-(1 << 63), le=(1 << 63) - 1)] | None = None
    time: Annotated[float, Meta(description="of what was logged without a step")] | None = None


class ContentAsked(msgspec.Struct, frozen=True, kw_only=True):
    """Which bytes. number: 0 for its own, 1 and on for those in a table's cells."""

    id: RunId
    session: Annotated[str, Meta(pattern="^[0-9a-f]{32}$")]
    seq: Annotated[int, Meta(ge=0, le=1 << 53)]
    number: Annotated[int, Meta(ge=0, le=100_000)]


class MediaTold(msgspec.Struct, frozen=True):
    """Names, in their order."""

    media: list[MediaName]


class MomentsTold(msgspec.Struct, frozen=True):
    """Moments, in their order."""

    moments: list[Moment]


class ItemsTold(msgspec.Struct, frozen=True):
    """By rank, session and seq."""

    items: list[MediaItem]


def _media(reader: Reader, asked: RunAsked) -> MediaTold:
    return MediaTold(reader.media(asked.id, media.names))


def _moments(reader: Reader, asked: NamedAsked) -> MomentsTold:
    return MomentsTold(reader.media(asked.id, lambda db, run: media.moments(db, run, asked.name)))


def _items(reader: Reader, asked: ItemsAsked) -> ItemsTold:
    moment = Moment(asked.step, asked.time or 0.0)
    if asked.step is None and asked.time is None:
        known = _moments(reader, NamedAsked(id=asked.id, name=asked.name)).moments
        if not known:
            return ItemsTold([])
        moment = known[-1]
    folder = reader.media_folder
    return ItemsTold(reader.media(asked.id, lambda db, run: media.items(db, run, asked.name, moment, folder)))


MEDIA = (
    Endpoint("/runs/{id}/media", "Pictures, tables, histograms: under which names", RunAsked, MediaTold, _media),
    Endpoint("/runs/{id}/media/moments", "When something was logged under a name", NamedAsked, MomentsTold, _moments),
    Endpoint("/runs/{id}/media/items", "What was logged under a name at a moment", ItemsAsked, ItemsTold, _items),
)


def content_handler(readers: Readers) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def answer(request: web.Request) -> web.StreamResponse:
        asked = read_asked(ContentAsked, request.match_info, request.query)
        namespace = request[NAMESPACE]

        def find(reader: Reader) -> Content | None:
            seen = reader.within(namespace)
            told = (asked.session, asked.seq, asked.number, seen.media_folder)
            return seen.media(asked.id, lambda db, run: media.content(db, run, *told))

        found = await readers.ask(find)
        if found is None:
            raise NotFound("its bytes are not here: the store keeps them up to max_media, the oldest go")
        return _answer(asked, found)

    return answer


def _answer(asked: ContentAsked, found: Content) -> web.StreamResponse:
    shown = found.type.startswith(_SHOWN)
    name = f"{asked.seq}-{asked.number}.{found.format if found.format.isalnum() else 'bin'}"
    headers = {
        hdrs.CONTENT_TYPE: found.type,
        hdrs.CONTENT_DISPOSITION: f'{"inline" if shown else "attachment"}; filename="{name[:80]}"',
        hdrs.CACHE_CONTROL: "private, max-age=3600",
        "Content-Security-Policy": POLICY,
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "SAMEORIGIN",
        "Cross-Origin-Resource-Policy": "same-origin",
    }
    if isinstance(found.body, bytes):
        return web.Response(body=found.body, headers=headers)
    return web.FileResponse(found.body, headers=headers)
