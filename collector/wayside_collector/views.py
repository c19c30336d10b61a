"""What is shown of a collector: `/status`, `/metrics` and readiness. Reads the parts when asked, and keeps nothing."""

import os
import time
from dataclasses import asdict
from typing import Any

from . import __version__
from .assembly import Parts
from .configuration.config import environment
from .configuration.reload import Reload
from .health import Health, books_as_status, losses_as_status, refusals_as_status, session_as_status
from .redaction import Redaction, secrets_in
from .sinks.prometheus.encode import join
from .sinks.prometheus.negotiate import negotiate
from .spool import SpoolError

SHOWN_SESSIONS = 200  #: in `/status`, the newest ones: a page that people and scripts can still read
SHOWN_FEEDERS = 1000  #: likewise, the collectors that feed this one
SHOWN_LOSSES = 200  #: likewise, the latest


class CollectorViews:
    """See `web.server.Views`. urls: where the pages are, and where the public ones, if there are any."""

    def __init__(self, parts: Parts, reload: Reload) -> None:
        self.urls: tuple[str, str | None] = "", None
        self._parts = parts
        self._reload = reload
        self._health = Health(
            parts.spool,
            parts.intake.counters,
            parts.pumps.statuses,
            lambda: list(parts.samplers),
            self._numbers,
            parts.refusals.counts,
        )
        self._health.sources = lambda: list(parts.sources)

    def _numbers(self) -> list[tuple[str, str, float]]:
        """Name, what it is, and value."""
        parts, reload = self._parts, self._reload
        connections = parts.socket.connections if parts.socket else 0
        last = "config_last_reload"  # as Prometheus names its own
        return [
            ("sessions", "Sessions that are open now.", len(parts.registry.alive())),
            ("connections", "Connections that are open now.", connections),
            ("feeders", "Collectors that feed this one and were heard lately.", parts.gateway.alive),
            (f"{last}_successful", "Whether the last attempt to read it succeeded.", reload.last_error is None),
            (f"{last}_success_timestamp_seconds", "When it was last read with success.", reload.loaded),
            ("spool_damaged_total", "Blocks and kept values whose checksum was wrong.", parts.spool.damaged),
            ("journals_set_aside_total", "Pieces of journals that could not be read.", parts.journals.set_aside),
            ("samples_dropped_total", "Samples that could not be stored in time, or at all.", parts.system.dropped),
            *self._adopted(),
            *self._stored(),
        ]

    def _adopted(self) -> list[tuple[str, str, float]]:
        """Likewise, of what other collectors left behind."""
        found = self._parts.adopted
        return [
            ("adopted_total", "Folders of collectors that are gone, of which everything was delivered.", found.emptied),
            ("adopted_waiting", "Those in which something waits.", found.left),
        ]

    def _stored(self) -> list[tuple[str, str, float]]:
        """Likewise, of what is in the spool."""
        spool = self._parts.spool
        try:
            oldest, count = spool.batches(0, 1), spool.count_batches()
        except SpoolError:
            return []  # the spool's own trouble is told beside it
        age = max(0.0, time.time() - oldest[0].time) if oldest else 0.0
        return [
            ("spool_batches", "Batches that are stored.", count),
            ("spool_oldest_age_seconds", "Age of the oldest row or event that is stored.", age),
        ]

    def missing(self) -> list[str]:
        """What keeps the collector from taking rows; empty when nothing does."""
        found = [] if self._parts.ready.is_set() else ["not listening yet"]
        if self._parts.spool.last_error is not None:
            found.append(self._parts.spool.last_error)
        return found

    def metrics(self, accept: str | None) -> tuple[str, bytes]:
        shown = self._parts.pages
        chosen = negotiate(accept, utf8=any(page.utf8 for page in shown))
        pages = [page.render_as(chosen) for page in shown]
        return chosen.content_type, join([self._health.render(chosen.openmetrics), *pages])

    def status(self) -> dict[str, Any]:
        """Everything a person asks for: `/status`, and what `wayside-collector status` prints."""
        parts = self._parts
        counters = asdict(parts.intake.counters)
        counters["set_aside"] = parts.journals.set_aside
        counters["samples_dropped"] = parts.system.dropped
        redaction = Redaction(secrets_in(parts.config, environment(), parts.handed.values()))
        newest = [known for known in parts.registry.all() if known.session.kind == "run"][-SHOWN_SESSIONS:]
        status = {
            "version": __version__,
            "started": parts.started,
            "pid": os.getpid(),
            "ready": self.missing() or True,
            "socket": str(parts.socket_path),
            "listen": self.urls[0],
            "listen_public": self.urls[1],
            "config": self._reload.status(),
            "warnings": parts.wishes.shown(known.session for known in parts.registry.alive()),
            "sessions": [session_as_status(known) for known in newest],
            "ingest": counters,
            "client_losses": self._client_losses(),
            "feeders": parts.gateway.feeders.shown(SHOWN_FEEDERS),
            "adopted": asdict(parts.adopted),
            "refusals": refusals_as_status(parts.refusals.counts()),
            "sources": {name: asdict(health) for name, health in parts.samplers},
            "subscriptions": {name: asdict(health) for name, health in parts.sources},
            "spool": {
                "path": str(parts.config.spool_path),
                "bytes": parts.spool.size,
                "max_bytes": parts.spool.options.max_size,
                "last_error": parts.spool.last_error,
                "damaged": parts.spool.damaged,
                "salvaged": parts.spool.salvaged,
            },
            "counting": parts.pumps.counting,
            "sinks": {name: books_as_status(status) for name, status in parts.pumps.statuses()},
        }
        shown: dict[str, Any] = redaction.hide_in(status)
        return shown

    def _client_losses(self) -> list[dict[str, Any]]:
        """The latest rows that clients had no room for: whose they were, and which."""
        try:
            return [losses_as_status(lost) for lost in self._parts.spool.client_losses(SHOWN_LOSSES)]
        except SpoolError:
            return []  # the spool's own trouble is told beside it
