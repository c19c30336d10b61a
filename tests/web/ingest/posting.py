"""A collector's ingest over HTTP, on a spool of its own, without sinks; and somebody who posts."""

import contextlib
import io
import json
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

from sources.place import Place, opened_place
from wayside.row import Event, Row
from wayside_collector.configuration.access import NOBODY, Outside
from wayside_collector.sources.posted import PostedSessions
from wayside_collector.web.ingest import ingest_routes
from web.serving import Served, served


class Answer(NamedTuple):
    status: int
    body: dict[str, Any]
    headers: dict[str, str]


class Clock:
    """Seconds that pass when told."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Post:
    """What a test has: the place where rows land, the sessions, and the server."""

    def __init__(self, place: Place, posted: PostedSessions, server: Served, clock: Clock) -> None:
        self.place = place
        self.posted = posted
        self.server = server
        self.clock = clock

    async def __call__(self, path: str, value: Any = None, *, public: bool = False, **headers: str) -> Answer:
        """Post this: bytes as they are, anything else as JSON."""
        data = value if isinstance(value, bytes) else b"" if value is None else json.dumps(value).encode()
        told = {name.replace("_", "-"): text for name, text in headers.items()}
        url = (self.server.public if public else self.server.local) + path
        async with self.server.asking.post(
            url, data=io.BytesIO(data), headers={"Content-Type": "application/json", **told}
        ) as answer:
            return Answer(answer.status, await answer.json(), dict(answer.headers))

    def rows(self, run: str) -> list[Row]:
        return self.place.rows(run)

    def events(self, run: str, kind: str) -> list[dict[str, Any]]:
        records = self.place.records(run)
        return [one.data for one in records if isinstance(one, Event) and one.kind == kind]


@contextlib.asynccontextmanager
async def posting(outside: Outside = NOBODY) -> AsyncIterator[Post]:
    clock = Clock()
    async with opened_place() as place:
        posted = PostedSessions(place.intake, clock=clock)
        async with served(outside, ingest_routes(posted)) as server:
            yield Post(place, posted, server, clock)
