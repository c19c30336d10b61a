"""Which rank speaks for a run, for sinks with `ranks: primary`.

The lowest rank that logs rows for the run does, a process without rank being the lowest; Megatron logs from the last
rank, Ray from a driver without one. A run whose first rows come from a higher rank waits a moment, since rank 0 may
be just behind. When all sessions of the speaking rank have ended, the others wait longer before the next one speaks:
at the end of a job ranks end one after the other, and the last rows of rank 1 are no news.

Decisions are by session and batch, are never changed, and are kept, so that whoever reads a batch, whenever, finds
the same.
"""

import json
from dataclasses import dataclass, field

import msgspec

from ..registry import Known, Registry, rank_order
from ..spool import Stored
from .texts import parse

SETTLE = 5.0  #: seconds a higher rank's first rows wait for a lower rank's: processes of one job start this far apart
REELECT = 30.0  #: seconds after the speaking rank's end: longer than ranks of one job take to end


@dataclass(slots=True)
class _Run:
    """speaking: the rank (-1 for none) whose rows count now, None while nobody is chosen. since: from which batch on
    a session was asked for and is not decided. decide_at: when it will be. vacant: no session of the speaking rank is
    left.
    """

    speaking: int | None = None
    since: dict[int, int] = field(default_factory=dict)
    decide_at: float | None = None
    vacant: bool = False


class Election:
    """Sees every stored batch in order, and the end of every session; then answers `verdict`."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._runs: dict[str, _Run] = {}
        self._spans: dict[int, list[tuple[int, bool]]] = {}  # session to (from batch, speaks), in order
        self.seen = 0
        self.changed = False

    def verdict(self, session: int, batch: int) -> bool | None:
        """Whether this batch's session speaks for its run, or None while that is not decided. From any thread."""
        found = False
        for start, speaks in self._spans.get(session, ()):
            if start > batch:
                break
            found = speaks
        run = self._runs.get(self._id_of(session))
        since = run.since.get(session) if run is not None else None
        return None if since is not None and batch >= since else found

    def leads(self, session: int) -> bool:
        """Whether a session is its run's lowest rank so far: whose config and summary count before any rows came."""
        known = self._registry.of(session)
        run = self._runs.get(self._id_of(session))
        if run is not None and run.speaking is not None:
            return rank_order(known.session) <= run.speaking
        return all(rank_order(known.session) <= rank_order(other.session) for other in self._alive(session))

    def see(self, batch: Stored, now: float) -> None:
        """A batch was stored."""
        if batch.id <= self.seen:
            return
        self.seen = batch.id
        known = self._registry.of(batch.session)
        if not batch.amount.rows or known.session.kind != "run":
            return
        rank = rank_order(known.session)
        run = self._runs.setdefault(known.session.run.id, _Run())
        if run.speaking is not None and rank == run.speaking and run.decide_at is None:
            run.vacant = False
            self._span(batch.session, batch.id, True)
        elif run.speaking is not None and rank > run.speaking and run.decide_at is None and not run.vacant:
            self._span(batch.session, batch.id, False)
        elif rank <= 0 or (run.speaking is not None and rank <= run.speaking):
            run.since.setdefault(batch.session, batch.id)
            self._decide(run, rank)
        else:
            run.since.setdefault(batch.session, batch.id)
            run.decide_at = now + SETTLE if run.decide_at is None else run.decide_at
            self.changed = True

    def ended(self, session: int, now: float) -> None:
        """A session is over. When it was the last of the speaking rank, the others will choose anew."""
        run = self._runs.get(self._id_of(session))
        if run is None:
            return
        alive = self._alive(session)
        if not alive:
            if run.since and run.speaking is not None:
                self._decide(run, run.speaking)
            run.decide_at = now if run.since else None
        elif run.speaking is not None and all(rank_order(known.session) != run.speaking for known in alive):
            run.decide_at = now + REELECT
            for known in alive:
                if known.key in self._spans:
                    run.since.setdefault(known.key, self.seen + 1)
            self.changed = True
        run.vacant = run.speaking is not None and all(rank_order(known.session) != run.speaking for known in alive)

    def tick(self, now: float) -> bool:
        """Decide what has waited long enough; whether anything was decided."""
        decided = False
        for run in self._runs.values():
            if run.decide_at is None or now < run.decide_at:
                continue
            waiting = [self._registry.of(session) for session in run.since]
            alive = [known for known in waiting if known.ended is None]
            if waiting:
                self._decide(run, min(rank_order(known.session) for known in alive or waiting))
                run.vacant = not alive
                decided = True
            run.decide_at = None
        return decided

    def forget(self, known: Known) -> None:
        """A session is known no longer; with its last one, nor is its run."""
        self._spans.pop(known.key, None)
        run = self._runs.get(known.session.run.id)
        if run is None:
            return
        run.since.pop(known.key, None)
        if not any(self._id_of(session) == known.session.run.id for session in self._spans):
            del self._runs[known.session.run.id]
        self.changed = True

    def _decide(self, run: _Run, rank: int) -> None:
        """This rank speaks, from each undecided session's first undecided batch on; another that spoke is silent from
        the next batch on: what was seen is decided.
        """
        if run.speaking is not None and run.speaking != rank:
            for session in self._spans:
                known = self._registry.of(session)
                if self._runs.get(known.session.run.id) is run and rank_order(known.session) == run.speaking:
                    self._span(session, self.seen + 1, False)
        run.speaking = rank
        for session, since in run.since.items():
            self._span(session, since, rank_order(self._registry.of(session).session) == rank)
        run.since.clear()
        run.decide_at = None
        run.vacant = False
        self.changed = True

    def _span(self, session: int, batch: int, speaks: bool) -> None:
        spans = self._spans.setdefault(session, [])
        if not spans or spans[-1][1] != speaks:
            spans.append((batch, speaks))
            self.changed = True

    def _alive(self, session: int) -> list[Known]:
        """Sessions of a session's run that are not over."""
        return self._registry.alive(self._id_of(session))

    def _id_of(self, session: int) -> str:
        return self._registry.of(session).session.run.id

    # --- kept -------------------------------------------------------------------------------------

    def to_text(self) -> bytes:
        """Everything, for the spool to keep."""
        runs = {
            id: {
                "speaking": run.speaking,
                "since": list(run.since.items()),
                "decide_at": run.decide_at,
                "vacant": run.vacant,
            }
            for id, run in self._runs.items()
        }
        return json.dumps({"seen": self.seen, "runs": runs, "spans": list(self._spans.items())}).encode()

    def load(self, text: bytes) -> None:
        """Sessions that are known no longer are left out. Raises texts.BadText, and then nothing has changed."""
        value = parse(text, _Kept)
        known = {session.key for session in self._registry.all()}
        self.seen = value.seen
        for id, run in value.runs.items():
            since = {session: batch for session, batch in run.since if session in known}
            self._runs[id] = _Run(run.speaking, since, run.decide_at, run.vacant)
        self._spans = {session: list(spans) for session, spans in value.spans if session in known}


class _KeptRun(msgspec.Struct, forbid_unknown_fields=True):
    """The shape of one run in that text."""

    speaking: int | None
    since: list[tuple[int, int]]
    decide_at: float | None
    vacant: bool


class _Kept(msgspec.Struct, forbid_unknown_fields=True):
    """The shape of that text."""

    seen: int
    runs: dict[str, _KeptRun]
    spans: list[tuple[int, list[tuple[int, bool]]]]
