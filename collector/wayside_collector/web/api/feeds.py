"""What live updates say: a feed looks at the store, and tells what is new since it last did, as server-sent events.

A feed is for all who listen to the same; each of them is first told how it stands (`snapshot`). `look` is called in a
thread, by one caller at a time; what it returns is told by nobody else, and must reach those who listen.
"""

import contextlib
from typing import Any, Protocol

import msgspec

from ...store import Reader
from ...store.answers import RunProgress
from ...store.reader import NotFound
from .encoding import encode, spelled

OVERLAP = 120.0  #: seconds: what was stored by the clocks of several collectors, and committed in another order
MAX_CHANGED = 500  #: runs of one update
MAX_ALERTS = 1000  #: alerts of one run in one update
RECENT = 10.0  #: seconds between asking for a list and listening to what changes in it


class Feed(Protocol):
    """over: nothing will follow."""

    over: bool

    def snapshot(self) -> bytes:
        """How things stand, for who begins to listen; empty before the first look."""

    def look(self, reader: Reader) -> bytes:
        """What is new; empty when nothing is. Raises StoreError, and then it tells of that the next time."""


def event(name: str, data: Any) -> bytes:
    """One server-sent event. JSON has no line ends of its own."""
    return b"event: %b\ndata: %b\n\n" % (name.encode(), encode(data))


class RunFeed:
    """One run: its last points as they come, its alerts, its end."""

    def __init__(self, id: str) -> None:
        self.over = False
        self._id = id
        self._touched: float | None = None
        self._run: RunProgress | None = None
        self._points: dict[str, Any] = {}
        self._alerts: set[tuple[str, int]] = set()
        self._heard = 0.0

    def snapshot(self) -> bytes:
        return b"" if self._run is None else _update(self._run, self._points)

    def look(self, reader: Reader) -> bytes:
        try:
            return self._look(reader)
        except NotFound:  # the store has let go of it
            self.over = True
            return event("end", {"state": None, "exit_code": None})

    def _look(self, reader: Reader) -> bytes:
        touched = reader.touched(self._id)
        if touched == self._touched:
            return b""
        run = reader.run_progress(self._id)
        points = {name: spelled(list(msgspec.structs.astuple(one))) for name, one in reader.latest(self._id).items()}
        fresh = {name: point for name, point in points.items() if self._points.get(name) != point}
        told = _update(run, fresh) if fresh or run != self._run else b""
        told += self._new_alerts(reader, run)
        self._touched, self._run, self._points = touched, run, points
        if run.state != "running":
            self.over = True
            told += event("end", {"state": run.state, "exit_code": run.exit_code})
        return told

    def _new_alerts(self, reader: Reader, run: RunProgress) -> bytes:
        """Those that are stored since the last look; at the first one none: they are asked for by themselves."""
        is_first = self._run is None
        since = (run.active if is_first else self._heard) - OVERLAP
        alerts = reader.events(self._id, ("alert",), limit=MAX_ALERTS, after=(since, "", -1))
        known, self._alerts = self._alerts, {(one.session, one.seq) for one in alerts}
        self._heard = run.active
        return b"".join(event("alert", one) for one in alerts if not is_first and (one.session, one.seq) not in known)


def _update(run: RunProgress, points: dict[str, Any]) -> bytes:
    return event("update", {"run": run, "points": points})


class RunsFeed:
    """All runs: those that have changed."""

    def __init__(self) -> None:
        self.over = False
        self._known: dict[str, float] | None = None
        self._latest: list[RunProgress] = []

    def snapshot(self) -> bytes:
        return event("runs", {"runs": self._latest}) if self._latest else b""

    def look(self, reader: Reader) -> bytes:
        known = self._known or {}
        since = max(known.values(), default=0.0) - OVERLAP
        found = dict(reader.changed(since, limit=MAX_CHANGED))
        if self._known is None:  # of all that ever changed, what a list asked for a moment ago may lack
            since = max(found.values(), default=0.0) - RECENT
            known = {id: touched for id, touched in found.items() if touched < since}
        runs = []
        for id in [id for id, touched in found.items() if known.get(id) != touched]:
            with contextlib.suppress(NotFound):  # the store has let go of it in this moment
                runs.append(reader.run_progress(id))
        self._known, self._latest = found, runs or self._latest
        return self.snapshot() if runs else b""
