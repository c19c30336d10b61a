"""A server of the query API in this process, and somebody who asks it."""

import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from wayside_collector.configuration.access import NOBODY, Outside
from wayside_collector.web.api import QueryApi, Readers
from wayside_collector.web.api.envelope import Bodies
from wayside_collector.web.api.live import INTERVAL
from wayside_collector.web.api.readers import USUAL, Limits
from web.serving import Served, served


@dataclass
class Asking:
    """base: where the API is, with `/api/v1`."""

    served: Served
    readers: Readers
    api: QueryApi

    @property
    def base(self) -> str:
        return f"{self.served.local}/api/v1"

    async def raw(self, path: str, **options: Any) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of what is asked below `base`."""
        async with self.served.asking.get(self.base + path, **options) as answer:
            return answer.status, dict(answer.headers), await answer.read()

    async def get(self, path: str, status: int = 200, **options: Any) -> Any:
        """What a body says, with this status."""
        found, _, body = await self.raw(path, **options)
        assert found == status, (path, found, body[:500])
        return json.loads(body, parse_constant=_refuse)


def _refuse(word: str) -> None:
    raise AssertionError(f"{word} is no JSON")


@contextlib.asynccontextmanager
async def asking(
    url: str | None,
    *,
    limits: Limits = USUAL,
    bodies: Bodies = "bare",
    outside: Outside = NOBODY,
    interval: float = INTERVAL,
) -> AsyncIterator[Asking]:
    """url: of the store; None for none. interval: seconds between two looks for live updates."""
    readers = Readers(lambda: url, limits)
    api = QueryApi(readers, bodies, interval=interval)
    async with readers.opened(), served(outside, api.routes()) as one:
        yield Asking(one, readers, api)
