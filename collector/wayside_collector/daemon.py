"""The composition root: the only place that knows all parts. The life of the process reads from top to bottom.

Start against the flow: spool, sinks, pumps, then the sources. Stop with it: sources first, then the pumps have until
the grace time to deliver what waits, then the sinks close, and the spool last. Nothing relies on a stop: what is
accepted is on disk.
"""

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from . import __version__
from .access import NOBODY
from .config import Config, load_name
from .delivery.election import Election
from .delivery.pump import Pump, PumpStatus, Shared
from .delivery.retention import keep_limits
from .health import FAMILIES, Health, books_as_status, session_as_status
from .intake import Intake
from .places import journal_roots_of, socket_path
from .refusals import Refusals
from .registry import Registry
from .sinks.prometheus.encode import join
from .sinks.prometheus.negotiate import negotiate
from .sources.journal import JournalSource
from .sources.sampling import SamplerHealth, run_sampler
from .sources.socket import SocketSource
from .sources.system import SystemSession
from .spool import Spool, SpoolError, SpoolOptions, Stored
from .web.server import WebServer

TICK = 0.5  #: seconds between two looks of the election at what has waited long enough
DRAIN_LOOK = 0.05  #: seconds between looks whether everything is delivered

log = logging.getLogger(__name__)


class Collector:
    """One collector. Used as an async context manager around `run`; only one of them at a time may hold a spool.

    listens: whether it takes sessions from a socket and samples hardware; without it, it only delivers what it finds
    (`sync`). journal_roots: where journals without an owner are looked for, beside the usual places: their ends may lie
    in memory, in any of them.
    """

    def __init__(
        self,
        config: Config,
        *,
        environ: Mapping[str, str],
        listens: bool = True,
        journal_roots: Iterable[Path] = (),
        adopts: Callable[[dict[str, Any]], bool] | None = None,
    ) -> None:
        self.config = config
        self.started = time.time()
        self.ready = asyncio.Event()
        self.registry = Registry()
        self.election = Election(self.registry)
        self.socket_path = socket_path(config, environ)
        top = config.top
        options = SpoolOptions(config.spool_path, top.spool.max_size, top.spool.max_age)
        self.spool = Spool(options, on_stored=self._on_stored, on_forgotten=self._on_forgotten)
        self.intake = Intake(self.spool, self.registry)
        roots = [*journal_roots, *journal_roots_of(self.socket_path, config.dir)]
        self.journals = JournalSource(
            self.intake, roots, adopts or self._is_ours, config.spool_path / "damaged" / "journals"
        )
        self.refusals = Refusals()
        self.web = WebServer(self, *config.address, config.outside if listens else NOBODY, self.refusals)
        self.system = SystemSession(self.intake, environ)
        self.samplers = {sampler.name: SamplerHealth() for sampler in config.samplers}
        self.pumps: list[Pump] = []
        self.socket: SocketSource | None = None
        self._listens = listens
        self._pages: list[Any] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ended: set[int] = set()
        self._health = Health(
            self.spool,
            self.intake.counters,
            lambda: [(pump.name, pump.status()) for pump in self.pumps],
            lambda: list(self.samplers.items()),
            lambda: {
                "sessions": len(self.registry.alive()),
                "connections": self.socket.connections if self.socket else 0,
            },
            self.refusals.counts,
        )

    # --- life ------------------------------------------------------------------------------------

    @contextlib.asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """The spool and the pumps' accounts. Raises SpoolHeld or SpoolError."""
        self._loop = asyncio.get_running_loop()
        await asyncio.to_thread(self.spool.open)
        try:
            self.registry.load(self.spool)
            kept = self.spool.state("election").get("state")
            if kept is not None:
                self.election.load(kept)
            await self._catch_up_election()
            self._build_pumps()
            for pump in self.pumps:
                await pump.load()
            self.spool.readers = frozenset(pump.name for pump in self.pumps)
            yield
        finally:
            await asyncio.to_thread(self.spool.close)

    def _build_pumps(self) -> None:
        shared = Shared(self.spool, self.registry, self.election, self.config.dir)
        for sink in self.config.sinks:
            make = load_name(sink.kind.sink)
            built = make(sink.options, reserved=FAMILIES) if sink.kind.page else make(sink.options)
            if sink.kind.page:
                self._pages.append(built)
            self.pumps.append(Pump(sink.name, built, sink.options, shared))

    async def _catch_up_election(self) -> None:
        """Batches stored before a crash that the kept election has not seen."""
        while batches := await asyncio.to_thread(self.spool.batches, self.election.seen, 1000):
            for batch in batches:
                self.election.see(batch, time.time())

    async def run(self, stop: asyncio.Event) -> None:
        """Everything, until `stop` is set; then the orderly end. Within `opened`."""
        for warning in self.config.warnings:
            log.warning("%s", warning)
        async with asyncio.TaskGroup() as group:
            pumps = [group.create_task(pump.run(), name=f"pump-{pump.name}") for pump in self.pumps]
            keepers = [
                group.create_task(self._tick(), name="election"),
                group.create_task(keep_limits(self.spool, lambda: self.pumps), name="limits"),
            ]
            web = group.create_task(self.web.run(), name="web")
            if self._listens:
                await self.web.started.wait()
            journals = group.create_task(self.journals.run(), name="journals")
            sources = self._start_sources(group) if self._listens else []
            await self._resume_sessions()
            self.ready.set()
            await stop.wait()
            self.ready.clear()
            log.info("stopping: sources first, then up to %g s to deliver what waits", self.config.top.grace)
            self.journals.stop()
            await asyncio.wait([journals])
            await _cancel(sources)
            await self.intake.settle()
            with contextlib.suppress(SpoolError):
                await self.journals.look()
            await self.delivered(self.config.top.grace)
            await _cancel([*pumps, *keepers, web])

    async def _resume_sessions(self) -> None:
        """Sessions that were open when the collector last stopped: their journals are read on; what has none and does
        not come again is over.
        """
        for inlet, journals in self.intake.resume():
            folders = [Path(path) for path in journals if os.path.exists(path)]  # noqa: ASYNC240 -- once, at the start
            if inlet.known.session.kind == "system":
                await self.intake.end(inlet, reason="stopped")
            elif folders:
                self.journals.follow(inlet, folders)
            elif self.socket is not None:
                self.socket.expect(inlet)

    def _start_sources(self, group: asyncio.TaskGroup) -> list[asyncio.Task[None]]:
        self.socket = SocketSource(self.socket_path, self.intake, self.journals, self.web.url)
        tasks = [
            group.create_task(self.socket.run(), name="socket"),
            group.create_task(self.system.run(), name="system"),
        ]
        for config in self.config.samplers:
            sampler = load_name(config.kind.sampler)(config.options)
            run = run_sampler(
                config.name, sampler, config.options.interval, self.system.emit, self.samplers[config.name]
            )
            tasks.append(group.create_task(run, name=f"sampler-{config.name}"))
        return tasks

    @property
    def idle(self) -> bool:
        """Whether every sink has all there is for it. What was just stored may not be told to them yet."""
        return all(pump.idle for pump in self.pumps)

    async def delivered(self, timeout: float) -> bool:
        """Wait until no sink has anything waiting, at most `timeout` seconds; whether it came to that."""
        until = time.monotonic() + timeout
        while not self.idle:
            if time.monotonic() > until:
                return False
            await asyncio.sleep(DRAIN_LOOK)
        return True

    # --- between the parts -----------------------------------------------------------------------

    def _on_stored(self, batches: list[Stored]) -> None:
        """In the spool's thread: new batches are on disk."""
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody is left to tell
                self._loop.call_soon_threadsafe(self._see, batches)

    def _see(self, batches: list[Stored]) -> None:
        now = time.time()
        for batch in batches:
            self.election.see(batch, now)
        for pump in self.pumps:
            pump.stored(batches)

    def _on_forgotten(self, keys: list[int]) -> None:
        """In the spool's thread: sessions long over are known no longer."""
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._forget, keys)

    def _forget(self, keys: list[int]) -> None:
        self._ended.difference_update(keys)
        forgotten = self.registry.forget(keys)
        for known in forgotten:
            self.election.forget(known)
        for pump in self.pumps:
            pump.forget(forgotten)

    async def _tick(self) -> None:
        """Ends of sessions, and decisions that have waited long enough; what was decided is kept."""
        while True:
            now = time.time()
            self._see_ends(now)
            if self.election.tick(now) or self.election.changed:
                for pump in self.pumps:
                    pump.decided()
            if self.election.changed:
                self.election.changed = False
                self.spool.keep_state("election", [("state", self.election.to_text())])
            await asyncio.sleep(TICK)

    def _see_ends(self, now: float) -> None:
        for known in self.registry.all():
            if known.ended is not None and known.key not in self._ended:
                self._ended.add(known.key)
                self.election.ended(known.key, now)
            elif known.ended is None:
                self._ended.discard(known.key)

    def _is_ours(self, record: dict[str, Any]) -> bool:
        """Whether a journal without an owner was meant for this collector."""
        if record.get("mode") == "offline":
            return False
        return str(self.socket_path) in record.get("addresses", ()) or record.get("dir") == str(self.config.dir)

    # --- views -----------------------------------------------------------------------------------

    def missing(self) -> list[str]:
        """What keeps the collector from taking rows; empty when nothing does."""
        found = [] if self.ready.is_set() else ["not listening yet"]
        if self.spool.last_error is not None:
            found.append(self.spool.last_error)
        return found

    def metrics(self, accept: str | None) -> tuple[str, bytes]:
        chosen = negotiate(accept)
        pages = [page.render(accept)[1] for page in self._pages]
        return chosen.content_type, join([self._health.render(chosen.openmetrics), *pages])

    def statuses(self) -> list[tuple[str, PumpStatus]]:
        return [(pump.name, pump.status()) for pump in self.pumps]

    def status(self) -> dict[str, Any]:
        """Everything a person asks for: `/status`, and what `wayside-collector status` prints."""
        counters = asdict(self.intake.counters)
        counters["set_aside"] = self.journals.set_aside
        counters["samples_dropped"] = self.system.dropped
        return {
            "version": __version__,
            "started": self.started,
            "pid": os.getpid(),
            "ready": self.missing() or True,
            "socket": str(self.socket_path),
            "listen": self.web.url,
            "listen_public": self.web.public_url,
            "sessions": [session_as_status(known) for known in self.registry.all() if known.session.kind == "run"][
                -200:
            ],
            "ingest": counters,
            "sources": {name: asdict(health) for name, health in self.samplers.items()},
            "spool": {
                "path": str(self.config.spool_path),
                "bytes": self.spool.size,
                "max_bytes": self.spool.options.max_size,
                "last_error": self.spool.last_error,
                "damaged": self.spool.damaged,
                "salvaged": self.spool.salvaged,
            },
            "sinks": {name: books_as_status(status) for name, status in self.statuses()},
        }


async def _cancel(tasks: Iterable[asyncio.Task[None]]) -> None:
    """Cancel tasks and wait for their ends."""
    found = list(tasks)
    for task in found:
        task.cancel()
    await asyncio.gather(*found, return_exceptions=True)
