"""The composition root: every part of one collector, built and tied together. Nothing runs here; see `daemon.py`."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec

from .configuration.config import Config, ConfigError, SamplerConfig, SinkConfig, SourceConfig, load_name
from .configuration.places import journal_roots_of, socket_path
from .delivery.dead_letters import DeadLetters
from .delivery.election import Election
from .delivery.pump import Pump
from .delivery.pumps import Pumps
from .delivery.shared import Shared
from .health import FAMILIES
from .intake import Intake
from .intake.refusals import Refusals
from .registry import Registry
from .session import Session
from .sinks import SINKS
from .sinks.base import Sink
from .sinks.store import StoreOptions
from .sinks.wandb.options import WandbOptions, has_key
from .sources.abandoned import Adopted
from .sources.base import Sampler
from .sources.gateway import GatewaySource
from .sources.journal import JournalSource
from .sources.media import MediaSource
from .sources.named import more_roots
from .sources.posted import PostedSessions
from .sources.running import Source, Sources
from .sources.samplers import Samplers
from .sources.socket import SocketSource
from .sources.system import SystemSession
from .spool import Spool, SpoolOptions, Stored
from .wishes import Wishes, answer


@dataclass(frozen=True, slots=True)
class Scope:
    """What a collector is there for. listens: whether it takes sessions from a socket, samples hardware and follows its
    configuration; without it, it only delivers what it finds (`sync`). journal_roots: where journals without an owner
    are looked for, beside the usual places: their ends may lie in memory, in any of them. adopts: whether one with this
    session record is taken, when not by the usual rule. takes_over: whether the folder is somebody else's who is gone:
    sessions without a journal are over, and what waits for sinks that are not here stays.
    """

    listens: bool = True
    journal_roots: Iterable[Path] = ()
    adopts: Callable[[dict[str, Any]], bool] | None = None
    takes_over: bool = False


EVERYTHING = Scope()


class Parts:
    """config: what is in force; `follow`ing another is the daemon's. ended: sessions whose end the election knows.
    handed: API keys that came over HTTP, by sink; they are kept here alone, in memory.
    """

    def __init__(self, config: Config, environ: Mapping[str, str], scope: Scope) -> None:
        self.config = config
        self.scope = scope
        self.started = time.time()
        self.ready = asyncio.Event()
        self.refusals = Refusals()
        self.registry = Registry()
        self.election = Election(self.registry)
        self.socket_path = socket_path(config, environ)
        self.spool = Spool(spool_options(config), on_stored=self._on_stored, on_forgotten=self._on_forgotten)
        self.wishes = Wishes(lambda: self.config.sinks)
        self.intake = Intake(self.spool, self.registry, lambda known: self.wishes.hear(known.session))
        roots = [*scope.journal_roots, *journal_roots_of(self.socket_path, config.dir, environ)]
        self.journals = JournalSource(
            self.intake, roots, scope.adopts or self._is_ours, config.spool_path / "damaged" / "journals"
        )
        roots += more_roots(config.top.clients)
        files = [Path(path).expanduser().resolve() for path in config.top.clients.files]
        self.intake.claims = MediaSource(self.spool.media, self.socket_path.parent.resolve(), roots, files)
        self.gateway = GatewaySource(self.intake)
        self.posted = PostedSessions(self.intake)
        self.system = SystemSession(self.intake, environ)
        self.samplers = Samplers(self.system.emit)
        self.sources = Sources()
        self.pumps = Pumps(self.spool)
        self.letters = DeadLetters(self.spool, self.registry, self.pumps.get)
        self.handed: dict[str, str] = {}
        self.socket: SocketSource | None = None
        self.adopted = Adopted()
        self.ended: set[int] = set()
        self.loop: asyncio.AbstractEventLoop | None = None
        counters = self.intake.counters
        self._shared = Shared(
            self.spool,
            self.registry,
            self.election,
            config.dir,
            lost=lambda: (counters.lost_rows, counters.lost_points),
        )

    # --- building ---------------------------------------------------------------------------------

    def make_pump(self, sink: SinkConfig) -> Pump:
        key = self.handed.get(sink.name)
        if key is not None and isinstance(sink.options, WandbOptions):
            sink = replace(sink, options=msgspec.structs.replace(sink.options, api_key=key, api_key_file=None))
        return Pump(sink.name, make_sink(sink), sink.options, self._shared, kind=sink.kind_name)

    def answer_to(self, session: Session) -> dict[str, Any]:
        """What a client hears of what its environment asks, with the answer to its hello."""
        return answer(session, self.config.sinks, lambda name, options: name in self.handed or has_key(options))

    def wandb_sinks(self) -> list[SinkConfig]:
        return [sink for sink in self.config.sinks if isinstance(sink.options, WandbOptions)]

    @property
    def pages(self) -> list[Any]:
        """Sinks that have a part of `/metrics`."""
        names = {sink.name for sink in self.config.sinks if sink.kind.page}
        return [pump.sink for pump in self.pumps if pump.name in names]

    def store_location(self) -> str | None:
        """Where the first store is, as a reader takes it; None where no sink is one."""
        for sink in self.config.sinks:
            if isinstance(sink.options, StoreOptions):
                return sink.options.location(self.config.dir / sink.name)
        return None

    def sinks_elsewhere(self) -> frozenset[str]:
        """Sinks that this spool knows, that delivered elsewhere, and that are not configured. Blocks."""
        ours = {sink.name for sink in self.config.sinks}
        found = self.spool.sink_kinds().items()
        return frozenset(name for name, kind in found if name not in ours and not (kind in SINKS and SINKS[kind].local))

    # --- between the parts -----------------------------------------------------------------------

    def _on_stored(self, batches: list[Stored]) -> None:
        """In the spool's thread: new batches are on disk."""
        self._tell(self._see, batches)

    def _on_forgotten(self, keys: list[int]) -> None:
        """In the spool's thread: sessions long over are known no longer."""
        self._tell(self._forget, keys)

    def _tell(self, told: Callable[[Any], None], what: Any) -> None:
        if self.loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody is left to tell
                self.loop.call_soon_threadsafe(told, what)

    def _see(self, batches: list[Stored]) -> None:
        now = time.time()
        for batch in batches:
            self.election.see(batch, now)
        self.pumps.stored(batches)

    def _forget(self, keys: list[int]) -> None:
        self.ended.difference_update(keys)
        forgotten = self.registry.forget(keys)
        for known in forgotten:
            self.election.forget(known)
        self.pumps.forget(forgotten)

    def _is_ours(self, record: dict[str, Any]) -> bool:
        """Whether a journal without an owner was meant for this collector."""
        if record.get("mode") == "offline":
            return False
        addresses = record.get("addresses")
        return (isinstance(addresses, list) and str(self.socket_path) in addresses) or record.get("dir") == str(
            self.config.dir
        )


def spool_options(config: Config) -> SpoolOptions:
    spool = config.top.spool
    return SpoolOptions(config.spool_path, spool.max_size, spool.max_age, spool.max_media, spool.max_linked)


def make_sink(sink: SinkConfig) -> Sink:
    make = load_name(sink.kind.sink)
    built: Sink = make(sink.options, reserved=FAMILIES) if sink.kind.page else make(sink.options)
    return built


def make_sampler(config: SamplerConfig) -> Sampler:
    sampler: Sampler = load_name(config.kind.sampler)(config.options)
    return sampler


def make_source(config: SourceConfig, posted: PostedSessions) -> Source:
    source: Source = load_name(config.kind.source)(config.name, config.options, posted)
    return source


def check_sinks(sinks: Iterable[SinkConfig]) -> None:
    """Whether they can be made, before one that runs is given up for it. Raises ConfigError."""
    problems = []
    for sink in sinks:
        try:
            make_sink(sink)
        except (ImportError, OSError, ValueError) as problem:
            problems.append(f"sinks.{sink.name}: cannot be begun: {problem}")
    if problems:
        raise ConfigError(problems)
