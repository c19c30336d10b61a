"""The life of runs on the page: they begin, end, begin again and vanish.

A run ends when every session of it that was seen has finished; it is shown for `linger_scrapes` more scrapes, then
only its end timestamp stays. A new session of an ended run opens it again; what the ended attempt showed, and no new
session has taken over, still goes when its scrapes are done. Time is counted in scrapes, since a value that nobody
has scraped is not yet old.
"""

import logging
from collections.abc import Mapping
from functools import partial

from wayside.row import Event, Row

from .digest import digest
from .members import Member, Members, Slot
from .options import PrometheusOptions
from .page import RUN_END, RUN_EXIT_CODE
from .run import Run, ended, exit_code, inherit, pass_on

REAPPEAR = 300.0  #: seconds; a run that ended longer ago is not shown again after a restart: Prometheus' look-back

_log = logging.getLogger(__name__)


class Runs:
    """All runs on the page."""

    def __init__(self, options: PrometheusOptions, members: Members) -> None:
        self._options = options
        self._members = members
        self._page = members.page
        self._runs: dict[str, Run] = {}
        self._ended: dict[str, Run] = {}  # the longest ended first

    def attach(self, member: Member) -> None:
        """Show a session's run, anew if it had ended. Safe to call again."""
        id = member.session.run.id
        run = self._runs.get(id)
        if run is None:
            run = self._runs[id] = Run(id, self._options.max_label_length)
        vanished = [old for old in run.members if old is not member] if run.gone else []
        if run.ended_at is not None:
            self._reopen(run)
        member.gone = False
        run.add(member)
        for old in vanished:  # it kept the totals, which pass to the new one
            self._forget(run, old)
        run.show(self._page)
        run.show_host(self._page, member.session.host)

    def take_rows(self, member: Member, rows: list[Row]) -> tuple[int, int]:
        """Take rows; returns how many of their points were superseded, and how many refused."""
        if not member.open:  # it was given up too early: it is alive
            member.open, member.past, member.exit_code = True, False, None
            self.attach(member)
        run = self._runs[member.session.run.id]
        found = digest(rows)
        superseded, refused = self._members.write(member, found.latest, partial(self._new_slot, run, member))
        member.last_time = found.time
        member.last_step = member.last_step if found.step is None else found.step
        run.rank(member.session.rank).show(self._page)
        if found.nonfinite:
            run.count_nonfinite(member, found.nonfinite.items())
            run.show(self._page)
        return superseded + found.points - len(found.latest), refused

    def take_alert(self, member: Member, event: Event) -> None:
        run = self._runs[member.session.run.id]
        run.count_alert(member, str(event.data.get("level", "INFO")))
        if not run.gone:
            run.show(self._page)

    def take_finish(self, member: Member, event: Event) -> None:
        """A session ended; with the last one, its run. Without an exit code it is not known how."""
        code = event.data.get("exit_code")
        known = isinstance(code, int) and not isinstance(code, bool) and abs(code) < 1 << 32  # as wide as any system's
        if member.past or not (member.open or known):
            return  # of an attempt that is history; or given up for crashed after its own finish, which knew better
        member.open, member.ended = False, event.time
        member.exit_code = code if known else None
        run = self._runs[member.session.run.id]
        if any(other.open for other in run.members):
            run.rank(member.session.rank).show(self._page)
        elif run.ended_at is None:
            self._end(run)
        else:
            self._show_end(run)

    def tidy(self, member: Member) -> None:
        """Let an ended session go when others of its rank have taken over all it showed."""
        run = self._runs.get(member.session.run.id)
        if run is None or run.ended_at is not None or member.open or member.values or member.past:
            return
        present = [other for other in run.rank(member.session.rank).members if not other.past]
        heir = max(present, key=lambda other: other.standing)
        if heir is not member:
            pass_on(heir, member)
            self._members.changed.add(heir.session.id)
            self._forget(run, member)

    def expire(self) -> None:
        """Take off the page what was scraped often enough after its end. To be called when a scrape begins."""
        scrapes = self._members.scrapes
        for run in self._runs.values():
            if run.ended_at is not None and not run.gone and scrapes > run.ended_at + self._options.linger_scrapes:
                self._vanish(run)
            due = [member for last, member in run.past if scrapes > last and member.past]
            run.past = [(last, member) for last, member in run.past if scrapes <= last and member.past]
            for member in due:
                if member in run.members and len(run.members) > 1:
                    self._forget(run, member)

    def make_room(self) -> bool:
        """Whether one more series may stand on the page; to make room, what ended longest ago goes."""
        for run in self._ended.values() if self._page.full else ():
            if not run.gone:
                self._vanish(run)
            if not self._page.full:
                break
        return not self._page.full

    # --- restoring ---------------------------------------------------------------------------------------------------

    def restore(self, member: Member, values: Mapping[str, float], suffixed: set[str]) -> None:
        """Show a session as it was kept."""
        gone = member.gone
        self.attach(member)
        member.gone = gone
        run = self._runs[member.session.run.id]
        self._members.write(member, values, partial(self._new_slot, run, member, suffixed=suffixed))
        for name in member.values:
            member.slots[name].written = -1  # whether it was scraped is not known, so it counts as scraped
        run.rank(member.session.rank).show(self._page)
        if member.past:
            run.past.append((self._options.linger_scrapes, member))

    def settle(self, now: float) -> None:
        """When every session is restored: end the runs that had ended. now: Unix time in seconds."""
        closed = [run for run in self._runs.values() if not any(member.open for member in run.members)]
        for run in sorted(closed, key=ended):
            self._end(run)
            if any(m.gone for m in run.members) or now - max(m.taken for m in run.members) > REAPPEAR:
                self._vanish(run)

    # --- a run's life ------------------------------------------------------------------------------------------------

    def _reopen(self, run: Run) -> None:
        last = (run.ended_at or 0) + self._options.linger_scrapes
        for member in run.members:
            if not member.open and not member.past:
                member.past = True
                run.past.append((last, member))
                self._members.changed.add(member.session.id)
            run.add(member)  # a run that had vanished has no ranks any more
        run.ended_at, run.gone = None, False
        del self._ended[run.id]
        self._page.withdraw(RUN_END, run.labels)
        self._page.withdraw(RUN_EXIT_CODE, run.labels)

    def _end(self, run: Run) -> None:
        run.ended_at = self._members.scrapes
        self._ended[run.id] = run
        self._show_end(run)
        while len(self._ended) > self._options.ended_runs:
            oldest = next(iter(self._ended.values()))
            self._vanish(oldest)
            self._page.withdraw(RUN_END, oldest.labels)
            for member in oldest.members:
                self._members.forget(member)
            del self._ended[oldest.id], self._runs[oldest.id]

    def _show_end(self, run: Run) -> None:
        self._page.put(RUN_END, run.labels, ended(run))
        self._page.withdraw(RUN_EXIT_CODE, run.labels)
        code = exit_code(run)
        if code is not None and not run.gone:
            self._page.put(RUN_EXIT_CODE, run.labels, code)

    def _vanish(self, run: Run) -> None:
        """Leave of an ended run only its end timestamp, and of its sessions one, which keeps the totals."""
        heir = max(run.members, key=lambda member: member.standing)
        heir.ended, heir.past = ended(run), False
        for member in run.members:
            if member is not heir:
                inherit(heir, member)
                self._members.forget(member)
        for name in list(heir.values):
            self._members.drop(heir.slots, name)
        run.hide(self._page)
        run.members, run.past = [heir], []
        run.series, run.gone, heir.gone = 0, True, True
        run.dropped.clear()
        self._members.changed.add(heir.session.id)

    def _forget(self, run: Run, member: Member) -> None:
        """Let one session of a run go; another inherits its totals."""
        rank = run.rank(member.session.rank)
        run.members.remove(member)
        rank.members.remove(member)
        heir = max(run.members, key=lambda other: other.standing)
        inherit(heir, member)
        self._members.changed.add(heir.session.id)
        run.series -= len(member.values)
        self._members.forget(member)
        rank.hide(self._page)
        rank.show(self._page)
        if not rank.members:
            del run.ranks[member.session.rank]
        run.show_host(self._page, member.session.host)

    # --- limits ------------------------------------------------------------------------------------------------------

    def _new_slot(self, run: Run, member: Member, name: str, suffixed: set[str] | None = None) -> Slot | None:
        labels = run.rank(member.session.rank).labels
        full = run.series >= self._options.max_series_per_run
        if full or not self.make_room():
            self._refuse(run, name + labels, "run_limit" if full else "total_limit")
            return None
        run.series += 1
        return Slot(self._page.metric(name, suffixed=suffixed is not None and name in suffixed), labels, member)

    def _refuse(self, run: Run, series: str, reason: str) -> None:
        """Count a series that is not shown, and say so once a run and reason."""
        if self._page.count_dropped(run.dropped, series, reason) and reason not in run.told:
            run.told.add(reason)
            limits = f"{self._options.max_series_per_run} a run, {self._options.max_series} in all"
            _log.warning("run %s: series are not shown on /metrics, the limits are %s (%s)", run.id, limits, reason)
