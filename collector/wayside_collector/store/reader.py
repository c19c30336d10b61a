"""Asks the store. Every method answers from one moment, and raises StoreError when the store cannot be asked.

One reader is used by one thread at a time; readers cost a connection each.
"""

from collections.abc import Callable, Iterable, Sequence
from copy import copy
from typing import Any, Self, TypeVar

from . import events, facts, performance, told
from .answers import (
    Comparison,
    Curve,
    EventInfo,
    EventPage,
    LastPoint,
    MetricInfo,
    PerformancePage,
    PerformancePoint,
    ProgressPage,
    RunInfo,
    RunPage,
    RunProgress,
    RunQuery,
    SeriesInfo,
    SessionInfo,
    SourceInfo,
    WorkloadPage,
)  # fmt: skip
from .attempts import repeated_steps
from .catalog import Kept, Key, definitions, describe, find
from .chart import draw
from .comparing import compare
from .database import Database, connect
from .finding import ALL, RUN, Scope, find_runs, find_workloads, run_info
from .media import folder_of
from .performance import Wanted
from .progress import changed, latest, progress
from .sqlite import EmptyDatabase
from .walk import Range, Unpacked, walk

EVERY_STEP = Range("step", None, None)
EVERYTHING = Wanted()
Told = TypeVar("Told")

MAX_POINTS = 20_000  #: points of one curve: several screens wide; more is asked for page by page, as rows
MAX_VALUES = 300_000  #: points of all curves of one answer: some 30 MB of JSON; so many curves at most have 60 each
MAX_CURVES = 5000  #: of one answer: a metric of every rank of a large job
MAX_ROWS = 50_000  #: rows of one page: some 10 MB of JSON


class TooMany(ValueError):
    """More is asked for than one answer has."""


class NotFound(LookupError):
    """There is no such run."""


class Reader:
    """Reads what a `Writer` has written, from another connection. url: None for a store in which there is nothing."""

    def __init__(self, url: str | None) -> None:
        self._db: Database = EmptyDatabase() if url is None else connect(url, reading=True)
        self._scope = ALL
        self.media_folder = None if url is None else folder_of(url)

    def within(self, namespace: str | None) -> Self:
        """The same reader, which sees the runs of this namespace alone; None for all."""
        found = copy(self)
        found._scope = Scope(namespace)
        return found

    @property
    def lost(self) -> bool:
        """Whether what is read is not there any more, or something else in its place."""
        return self._db.lost()

    def give_up(self) -> None:
        """From another thread: what is being asked ends soon, with StoreError; so does what is asked afterwards."""
        self._db.give_up()

    def close(self) -> None:
        self._db.close()

    # --- runs -----------------------------------------------------------------------------------------

    def runs(self, query: RunQuery | None = None, *, limit: int = 100, offset: int = 0) -> RunPage:
        """Runs that fit, the one last begun first."""
        with self._db.snapshot():
            return find_runs(self._db, query or RunQuery(), limit, offset, self._scope)

    def run(self, id: str) -> RunInfo:
        """Raises NotFound, as everything below does that names a run."""
        with self._db.snapshot():
            return self._run(id)[1]

    def runs_progress(self, query: RunQuery | None = None, *, limit: int = 100, offset: int = 0) -> ProgressPage:
        """The same runs as `runs`, and how far each has come."""
        with self._db.snapshot():
            page = find_runs(self._db, query or RunQuery(), limit, offset, self._scope)
            return ProgressPage([progress(self._db, *self._run(info.id)) for info in page.runs], page.total)

    def run_progress(self, id: str) -> RunProgress:
        with self._db.snapshot():
            return progress(self._db, *self._run(id))

    def latest(self, run: str) -> dict[str, LastPoint]:
        """The last point of each metric of the rank that speaks for the run."""
        with self._db.snapshot():
            return latest(self._db, self._run(run)[0])

    def touched(self, run: str) -> float:
        """When something was last stored of the run, by the clock of who stored it."""
        with self._db.snapshot():
            return float(self._db.query("SELECT touched FROM runs WHERE run = ?", self._run(run)[0])[0][0])

    def changed(self, since: float, *, limit: int = 1000) -> list[tuple[str, float]]:
        """Runs that something was stored of since then, the latest first, each with when that was."""
        with self._db.snapshot():
            return changed(self._db, since, limit, self._scope)

    def workloads(self, text: str | None = None, *, limit: int = 100, offset: int = 0) -> WorkloadPage:
        """Workloads that have this text in their name, the one whose run began last first."""
        with self._db.snapshot():
            return find_workloads(self._db, text, limit, offset, self._scope)

    def sessions(self, run: str) -> list[SessionInfo]:
        """The run's sessions, by start."""
        with self._db.snapshot():
            key, _ = self._run(run)
            found = self._db.query(
                "SELECT id, rank, host, started, active, finished, exit_code, rows, points, record FROM sessions"
                " WHERE run = ? AND kind = 'run' ORDER BY started, session",
                key,
            )
        return [told.session(run, row) for row in found]

    def repeated_steps(self, run: str) -> int:
        """How many of the run's steps a later attempt did again."""
        with self._db.snapshot():
            return repeated_steps(self._db, self._run(run)[0])

    def config(self, run: str) -> dict[str, Any]:
        with self._db.snapshot():
            return facts.read(self._db, self._run(run)[0], "config")

    def summary(self, run: str) -> dict[str, Any]:
        """What the run put there itself; last and best values are with the series."""
        with self._db.snapshot():
            return facts.read(self._db, self._run(run)[0], "summary")

    def event_page(
        self, run: str, kinds: Sequence[str] = (), *, limit: int = 1000, after: events.Place | None = None
    ) -> EventPage:
        """The run's next events by time, session and seq; fewer than `limit` where they are long."""
        with self._db.snapshot():
            return events.page(self._db, (self._run(run)[0], run), kinds, limit, after)

    def events(
        self, run: str, kinds: Sequence[str] = (), *, limit: int = 1000, after: events.Place | None = None
    ) -> list[EventInfo]:
        """So many of them, however long."""
        found: list[EventInfo] = []
        with self._db.snapshot():
            known = self._run(run)[0], run
            while len(found) < limit:
                page = events.page(self._db, known, kinds, limit - len(found), after)
                found, after = found + page.events, page.next
                if after is None:
                    break
        return found

    def alerts(self, run: str, *, limit: int = 1000) -> list[EventInfo]:
        return self.events(run, ("alert",), limit=limit)

    def media(self, run: str, ask: Callable[[Database, int], Told]) -> Told:
        """What is asked of the run's media, see `media.py`."""
        with self._db.snapshot():
            return ask(self._db, self._run(run)[0])

    # --- series ---------------------------------------------------------------------------------------

    def series(self, run: str) -> list[SeriesInfo]:
        """Every metric of every rank, and of the hosts the run was on: in a stable order."""
        with self._db.snapshot():
            key, _ = self._run(run)
            return describe(self._db, find(self._db, key), definitions(self._db, key))

    def curves(
        self,
        run: str,
        names: str | Sequence[str],
        wanted: Range = EVERY_STEP,
        *,
        max_points: int = 1000,
        ranks: Iterable[int | None] | None = None,
    ) -> list[Curve]:
        """A metric, or several in their order: one curve for each rank (or each of these) and host, of at most so many
        points: all there are, or buckets whose min and max hold every point there is. Many curves have fewer points
        each. Raises TooMany.
        """
        ranks = None if ranks is None else set(ranks)
        unpacked: Unpacked = {}
        with self._db.snapshot():
            run_key, _ = self._run(run)
            chosen: list[tuple[Key, list[Kept]]] = []
            for name in [names] if isinstance(names, str) else names:
                found = find(self._db, run_key, name)
                chosen += [(key, found[key]) for key in sorted(found, key=lambda key: key.order)]
            chosen = [(key, some) for key, some in chosen if ranks is None or key.rank in ranks]
            if len(chosen) > MAX_CURVES:
                raise TooMany(f"{len(chosen)} curves, and {MAX_CURVES} is the limit: ask for fewer metrics or ranks")
            most = max(1, min(max_points, MAX_POINTS, MAX_VALUES // max(1, len(chosen))))
            curves = []
            for key, some in chosen:
                legs = [kept.leg for kept in some if wanted.axis == "time" or kept.stepped]
                drawn = draw(*walk(self._db, legs, wanted, most, unpacked), most)
                curves.append(told.curve(run, key, wanted.axis, drawn))
        return curves

    # --- rows, as Lens has them -----------------------------------------------------------------------

    def performance(
        self,
        workload: str,
        wanted: Wanted = EVERYTHING,
        *,
        run: str | None = None,
        limit: int = MAX_ROWS,
        after: tuple[str, int] | None = None,
    ) -> PerformancePage:
        """What the workload's runs (or one of them) logged, a row for each run and step."""
        with self._db.snapshot():
            runs = self._runs_of(workload, run)
            return performance.page(self._db, runs, wanted, max(1, min(limit, MAX_ROWS)), after)

    def performance_thinned(
        self, workload: str, wanted: Wanted = EVERYTHING, *, run: str | None = None, most: int = MAX_ROWS
    ) -> list[PerformancePoint]:
        """About so many points of such rows, from end to end, by run, name and time."""
        with self._db.snapshot():
            return performance.thinned(self._db, self._runs_of(workload, run), wanted, most)

    def available(self, workload: str, *, run: str | None = None) -> list[MetricInfo]:
        """Which metrics such rows have."""
        with self._db.snapshot():
            return performance.available(self._db, self._runs_of(workload, run))

    def iterations(
        self, workload: str, *, run: str | None = None, limit: int = MAX_ROWS, after: tuple[str, int] | None = None
    ) -> PerformancePage:
        """When each step was first logged, with the metric `target_iteration` where there is one."""
        wanted = Wanted(frozenset({"target_iteration"}), empty=True)
        return self.performance(workload, wanted, run=run, limit=limit, after=after)

    def sources(self, workload: str, *, run: str | None = None) -> list[SourceInfo]:
        """The workload's data sources: `wandb`, as AMD calls what training code logs, once it has logged a step."""
        sql = "SELECT sum(count) FROM strides WHERE run = ?"
        with self._db.snapshot():
            count = sum(self._db.query(sql, key)[0][0] or 0 for key, _ in self._runs_of(workload, run))
        return [SourceInfo("wandb", int(count))] if count else []

    def workload_runs(self, workload: str) -> list[str]:
        """Ids of the workload's runs, the first begun first."""
        with self._db.snapshot():
            return [id for _, id in self._runs_of(workload, None)]

    # --- several runs ---------------------------------------------------------------------------------

    def compare(self, runs: Sequence[str]) -> Comparison:
        """Two to five runs: where their configs differ, and each metric's last and best values."""
        if not 2 <= len(runs) <= 5 or len(set(runs)) != len(runs):
            raise ValueError(f"2 to 5 different runs are compared, not {len(runs)}: {', '.join(runs)}")
        with self._db.snapshot():
            return compare(self._db, [self._run(run) for run in runs])

    # --- inside a snapshot ----------------------------------------------------------------------------

    def _run(self, id: str) -> tuple[int, RunInfo]:
        found = self._db.query(f"{RUN} WHERE id = ? AND kind = 'run'{self._scope.where}", id, *self._scope.values)
        if not found:
            raise NotFound(f"there is no run {id!r}")
        return run_info(found[0])

    def _runs_of(self, workload: str, run: str | None) -> list[tuple[int, str]]:
        sql = f"SELECT run, id FROM runs WHERE workload = ? AND kind = 'run'{self._scope.where} ORDER BY started, id"
        return [(key, id) for key, id in self._db.query(sql, workload, *self._scope.values) if run in (None, id)]
