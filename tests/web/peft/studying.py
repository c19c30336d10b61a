"""PEFT Studio's service on a spool of its own, with surroundings that are made up."""

import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

from sources.place import opened_place
from wayside_collector.session import Run
from wayside_collector.sinks.wandb import names
from wayside_collector.sinks.wandb.options import WandbOptions
from wayside_collector.sources.posted import PostedSessions
from wayside_collector.spool import SpoolError
from wayside_collector.store import Reader
from wayside_collector.store.answers import Comparison
from wayside_collector.web.api.readers import Unavailable
from wayside_collector.web.ingest import ingest_routes
from wayside_collector.web.ingest.runs import Runs
from wayside_collector.web.peft import Studio, Surroundings, peft_routes
from web.ingest.posting import Clock, Post
from web.serving import served


@dataclass
class Scenery:
    """What is around. options: the W&B sink's, None without one. own: the key's own entity. compared: what the store
    was asked to compare. full: nothing can be kept.
    """

    options: WandbOptions | None = field(default_factory=WandbOptions)
    own: str | None = None
    keys: list[str] = field(default_factory=list)
    kept: bytes | None = None
    full: bool = False
    answer: Comparison | None = None

    def page(self, run: Run) -> str | None:
        return None if self.options is None else names.page(run, self.options, self.own)

    async def hand_over(self, key: str) -> None:
        self.keys.append(key)

    async def ask(self, question: Callable[[Reader], Comparison]) -> Comparison:
        if self.answer is None:
            raise Unavailable("there is no store to ask")
        return self.answer

    async def keep(self, settings: bytes) -> None:
        if self.full:
            raise SpoolError("the disk is full")
        self.kept = settings


class Asked(Post):
    """Also asks."""

    async def get(self, path: str) -> tuple[int, dict[str, Any]]:
        async with self.server.asking.get(self.server.local + path) as answer:
            return answer.status, await answer.json()


@contextlib.asynccontextmanager
async def studying(scenery: Scenery) -> AsyncIterator[Asked]:
    clock = Clock()
    async with opened_place() as place:
        posted = PostedSessions(place.intake, clock=clock)
        around = Surroundings(
            registry=place.registry,
            page=scenery.page,
            available=lambda: scenery.options is not None,
            hand_over=scenery.hand_over,
            ask=scenery.ask,
            keep=scenery.keep,
            kept=lambda: scenery.kept,
            sinks=dict,
        )
        routes = [*peft_routes(Studio(Runs(posted), around)), *ingest_routes(posted)]
        async with served(routes=routes) as server:
            yield Asked(place, posted, server, clock)
