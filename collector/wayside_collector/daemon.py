"""The life of the process, from top to bottom; the parts are built in `assembly.py`.

Start against the flow: spool, sinks, pumps, then the sources. Stop with it: sources first, then the pumps have until
the grace time to deliver what waits, then the sinks close, and the spool last. Nothing relies on a stop: what is
accepted is on disk.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from functools import partial

from .alone import Alone, others_run, shares_processes
from .assembly import EVERYTHING, Parts, Scope, check_sinks, make_sampler, make_source, spool_options
from .configuration.access import NOBODY
from .configuration.changes import Changes, Loaded
from .configuration.config import SinkConfig
from .configuration.reload import Reload
from .delivery.retention import keep_limits
from .delivery.texts import BadText
from .intake.inlet import Inlet
from .intake.relayed import RelayedInlet
from .log import set_up_log
from .sources.named import more_roots, still_readable
from .sources.socket import SocketSource
from .spool import SpoolError
from .studio import studio_of
from .views import CollectorViews
from .web.api import QueryApi, Readers
from .web.batches import batch_routes
from .web.dead_letters import dead_letter_routes
from .web.ingest import ingest_routes
from .web.peft import peft_routes
from .web.server import WebServer

TICK = 0.5  #: seconds between two looks of the election at what has waited long enough
KEPT_EVERY = 10_000  #: batches seen by the election before it is kept anew: so many it sees again after a crash

log = logging.getLogger(__name__)


class Collector:
    """One collector. Used as an async context manager around `run`; only one of them at a time may hold a spool."""

    def __init__(self, loaded: Loaded, *, environ: Mapping[str, str], scope: Scope = EVERYTHING) -> None:
        self.parts = Parts(loaded.config, environ, scope)
        self.reload = Reload(loaded, environ, self._follow)
        self.views = CollectorViews(self.parts, self.reload)
        config = loaded.config
        outside = config.outside if scope.listens else NOBODY
        self.readers = Readers(self.parts.store_location)
        routes = [
            *dead_letter_routes(self.parts.letters),
            *batch_routes(self.parts.gateway),
            *QueryApi(self.readers, config.top.api.lens_bodies).routes(),
            *ingest_routes(self.parts.posted),
            *peft_routes(studio_of(self.parts, self.readers, self._hand_over, self.views.status)),
        ]
        self.web = WebServer(self.views, *config.address, outside, self.parts.refusals, routes)
        self._group: asyncio.TaskGroup | None = None
        self._exchanging = asyncio.Lock()
        self._left: list[Inlet] = []

    # --- life ------------------------------------------------------------------------------------

    @contextlib.asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """The spool and the pumps' accounts. Raises SpoolHeld or SpoolError."""
        parts = self.parts
        parts.loop = asyncio.get_running_loop()
        await asyncio.to_thread(parts.spool.open)
        try:
            parts.registry.load(parts.spool)
            parts.intake.counters.lost_rows, parts.intake.counters.lost_points = parts.spool.client_lost()
            parts.gateway.resume()
            await self._resume_election()
            if parts.scope.takes_over:
                parts.pumps.others = parts.sinks_elsewhere()
            await parts.pumps.load({sink.name: partial(parts.make_pump, sink) for sink in parts.config.sinks})
            async with self.readers.opened():
                yield
        finally:
            await asyncio.to_thread(parts.spool.close)

    async def _resume_election(self) -> None:
        """As it was kept, and what was stored before a crash that it has not seen."""
        parts = self.parts
        kept = parts.spool.state("election").get("state")
        if kept is not None:
            try:
                parts.election.load(kept)
            except BadText as problem:
                parts.spool.damaged += 1
                log.error("which rank speaks for which run is damaged, and is decided anew: %s", problem)
        while batches := await asyncio.to_thread(parts.spool.batches, parts.election.seen, 1000):
            for batch in batches:
                parts.election.see(batch, time.time())

    async def run(self, stop: asyncio.Event) -> None:
        """Everything, until `stop` is set; then the orderly end. Within `opened`."""
        parts = self.parts
        for warning in parts.config.warnings:
            log.warning("%s", warning)
        async with asyncio.TaskGroup() as self._group:
            group = self._group
            parts.pumps.start(group)
            keepers = [
                group.create_task(self._tick(), name="election"),
                group.create_task(
                    keep_limits(parts.spool, lambda: None if parts.pumps.counting else parts.pumps), name="limits"
                ),
            ]
            web = group.create_task(self.web.run(), name="web")
            if parts.scope.listens:
                await self.web.started.wait()
                self.views.urls = self.web.url, self.web.public_url
            journals = group.create_task(parts.journals.run(), name="journals")
            sources = self._start_sources(group) if parts.scope.listens else []
            await self._resume_sessions()
            parts.ready.set()
            after = parts.config.top.exit_when_alone
            if after is not None and parts.scope.listens:
                keepers.append(group.create_task(self._alone(after).run(stop), name="alone"))
            await stop.wait()
            parts.ready.clear()
            log.info("stopping: sources first, then up to %g s to deliver what waits", parts.config.top.grace)
            parts.journals.stop()
            await asyncio.wait([journals])
            await _cancel(sources)
            await parts.samplers.stop_all()
            await parts.sources.stop_all()
            await parts.intake.settle()
            with contextlib.suppress(SpoolError):
                await parts.journals.look()
            await parts.pumps.delivered(parts.config.top.grace)
            await parts.pumps.stop()
            await _cancel([*keepers, web])

    async def _resume_sessions(self) -> None:
        """Sessions that were open when the collector last stopped: their journals are read on; what has none and does
        not come again is over.
        """
        parts = self.parts
        resumed = parts.intake.resume()
        if parts.scope.listens:
            parts.gateway.expect(inlet for inlet, _ in resumed if isinstance(inlet, RelayedInlet))
        ours = [inlet for inlet, _ in resumed if not isinstance(inlet, RelayedInlet)]
        self._left = [inlet for inlet in ours if inlet.known.session.kind == "system"]
        await self._end_left()
        for inlet, journals in resumed:
            folders = still_readable(journals, [*parts.journals.roots, *more_roots(parts.config.top.clients)])
            if isinstance(inlet, RelayedInlet) or inlet in self._left or inlet.known.ended is not None:
                continue  # the first lives as long as its collector says
            if folders:
                parts.journals.follow(inlet, folders)
            elif inlet.known.session.posted:
                parts.posted.resume(inlet)
            elif parts.socket is not None:
                parts.socket.expect(inlet)
            elif parts.scope.takes_over:
                await parts.intake.end(inlet)

    def _alone(self, after: float) -> Alone:
        registry, sees_others = self.parts.registry, shares_processes()
        return Alone(
            after,
            lambda: bool(registry.alive()) or (sees_others and others_run()),
            lambda: any(known.session.kind == "run" for known in registry.all()),
        )

    async def _end_left(self) -> None:
        """End the samplers' sessions of collectors that are no more; where the disk is full, at a later tick."""
        for inlet in list(self._left):
            try:
                await self.parts.intake.end(inlet, reason="stopped")
            except SpoolError:
                return
            self._left = [one for one in self._left if one is not inlet]

    def _start_sources(self, group: asyncio.TaskGroup) -> list[asyncio.Task[None]]:
        parts = self.parts
        parts.socket = SocketSource(
            parts.socket_path, parts.intake, parts.journals, self.web.url, parts.config.top.clients, parts.refusals
        )
        parts.socket.more = parts.answer_to
        for config in parts.config.samplers:
            parts.samplers.start(config.name, make_sampler(config), config.options.interval, group)
        for source in parts.config.sources:
            parts.sources.start(source.name, make_source(source, parts.posted), group)
        return [
            group.create_task(self.reload.run(), name="reload"),
            group.create_task(parts.socket.run(), name="socket"),
            group.create_task(parts.system.run(), name="system"),
            group.create_task(parts.posted.run(), name="posted"),
            group.create_task(parts.gateway.run(), name="gateway"),
        ]

    async def _tick(self) -> None:
        """Ends of sessions, and decisions that have waited long enough; what was decided is kept."""
        parts = self.parts
        kept = 0
        while True:
            now = time.time()
            await self._end_left()
            self._see_ends(now)
            if parts.election.tick(now) or parts.election.changed:
                parts.pumps.decided()
            if parts.election.changed or parts.election.seen > kept + KEPT_EVERY:
                before, kept, parts.election.changed = kept, parts.election.seen, False
                try:
                    state = parts.election.to_text()
                    await asyncio.wrap_future(parts.spool.keep_state("election", [("state", state)]))
                except SpoolError:  # after a crash it would decide the same batches anew, and perhaps otherwise
                    kept, parts.election.changed = before, True
            await asyncio.sleep(TICK)

    def _see_ends(self, now: float) -> None:
        ended = self.parts.ended
        for known in self.parts.registry.all():
            if known.ended is not None and known.key not in ended:
                ended.add(known.key)
                self.parts.election.ended(known.key, now)
            elif known.ended is None:
                ended.discard(known.key)

    # --- another configuration ---------------------------------------------------------------------

    async def _follow(self, changes: Changes) -> None:
        """What runs becomes what the configuration says. Raises ConfigError before anything is touched."""
        parts, config, group = self.parts, changes.config, self._group
        assert group is not None
        new = {*changes.sinks.added, *changes.sinks.changed}
        check_sinks(sink for sink in config.sinks if sink.name in new)
        fresh = {*changes.samplers.added, *changes.samplers.changed}
        samplers = [(one, make_sampler(one)) for one in config.samplers if one.name in fresh]
        coming = {*changes.sources.added, *changes.sources.changed}
        sources = [(one.name, make_source(one, parts.posted)) for one in config.sources if one.name in coming]
        parts.config = config
        set_up_log(config, parts.handed.values())
        parts.spool.set_limits(spool_options(config))
        for name in (*changes.samplers.removed, *changes.samplers.changed):
            await parts.samplers.stop(name)
        for one, sampler in samplers:
            parts.samplers.start(one.name, sampler, one.options.interval, group)
        for name in (*changes.sources.removed, *changes.sources.changed):
            await parts.sources.stop(name)
        for name, source in sources:
            parts.sources.start(name, source, group)
        async with self._exchanging:
            await asyncio.gather(
                *(parts.pumps.remove(name, config.top.grace) for name in changes.sinks.removed),
                *(self._exchange(sink) for sink in config.sinks if sink.name in new),
            )
        parts.pumps.sort(sink.name for sink in config.sinks)

    async def _hand_over(self, key: str) -> None:
        """The W&B sinks go on with this API key."""
        parts = self.parts
        async with self._exchanging:
            fresh = [sink for sink in parts.wandb_sinks() if parts.handed.get(sink.name) != key]
            parts.handed.update((sink.name, key) for sink in fresh)
            set_up_log(parts.config, parts.handed.values())
            for sink in fresh:
                await self._exchange(sink)

    async def _exchange(self, sink: SinkConfig) -> None:
        """A new sink, or another one in its place. One of another kind is a new one: the old one ends as if removed."""
        parts = self.parts
        before = parts.pumps.get(sink.name)
        if before is not None and before.kind != sink.kind_name:
            await parts.pumps.remove(sink.name, parts.config.top.grace)
        await parts.pumps.put(sink.name, partial(parts.make_pump, sink))


async def _cancel(tasks: Iterable[asyncio.Task[None]]) -> None:
    """Cancel tasks and wait for their ends."""
    found = list(tasks)
    for task in found:
        task.cancel()
    await asyncio.gather(*found, return_exceptions=True)
