"""One run: its sessions by rank, and the lines that speak of it as a whole.

Totals (alerts, values that were not finite) are sums over the run's sessions; a session that is let go leaves its
part to another. How a run begins, ends and vanishes is in `runs.py`.
"""

from collections.abc import Iterable

from ..names import label_text, sound
from ..run_info import RUN_INFO, RUN_LAST_STEP, info
from .members import Member, Slots
from .page import (
    RUN_ALERTS,
    RUN_EXIT_CODE,
    RUN_LAST_ROW,
    RUN_NONFINITE,
    RUN_START,
    Page,
)

LEVELS = ("INFO", "WARN", "ERROR", "OTHER")  #: the label `level` of alerts; any other word counts as OTHER
MAX_NONFINITE = 20  #: metrics of a run whose NaNs are counted one by one; a run that diverges has them in all
OTHER = "other"  #: the label `original` of the rest


class Rank:
    """The sessions of a run with the same rank (None is one, too), and the series they share."""

    __slots__ = ("labels", "members", "slots")

    def __init__(self, labels: str) -> None:
        self.labels = labels
        self.members: list[Member] = []
        self.slots: Slots = {}

    def show(self, page: Page) -> None:
        """The last step and the time of the last row. A step may go back, when a run goes on from a checkpoint: the
        session of highest standing has it. Time does not: hang alerts lean on it.
        """
        times = [member.last_time for member in self.members if member.last_time is not None]
        steps = [(member.standing, member.last_step) for member in self.members if member.last_step is not None]
        if times:
            page.put(RUN_LAST_ROW, self.labels, max(times))
        if steps:
            page.put(RUN_LAST_STEP, self.labels, max(steps)[1])

    def hide(self, page: Page) -> None:
        page.withdraw(RUN_LAST_ROW, self.labels)
        page.withdraw(RUN_LAST_STEP, self.labels)


class Run:
    """ended_at: how many scrapes there had been when it ended, None while open. gone: only its end timestamp is left.
    past: sessions of earlier attempts, and after how many scrapes they go. hosts: host to the labels of its
    `wayside_run_info`. series: of its metrics. nonfinite: metrics counted one by one. dropped: series refused; told:
    reasons that were logged.
    """

    def __init__(self, id: str, label_limit: int) -> None:
        self.id = id
        self.labels = label_text((("run", id),), label_limit)
        self.members: list[Member] = []
        self.ranks: dict[int | None, Rank] = {}
        self.hosts: dict[str, str] = {}
        self.past: list[tuple[int, Member]] = []
        self.ended_at: int | None = None
        self.gone = False
        self.series = 0
        self.nonfinite: set[str] = set()
        self.dropped: set[str] = set()
        self.told: set[str] = set()
        self._label_limit = label_limit

    def rank(self, number: int | None) -> Rank:
        if number not in self.ranks:
            pairs = (("run", self.id), ("rank", None if number is None else str(number)))
            self.ranks[number] = Rank(label_text(pairs, self._label_limit))
        return self.ranks[number]

    def add(self, member: Member) -> Rank:
        """Count a session among the run's; safe to call again."""
        rank = self.rank(member.session.rank)
        member.slots = rank.slots
        for members in (self.members, rank.members):
            if member not in members:
                members.append(member)
        self.nonfinite.update(name for name in member.nonfinite if name != OTHER)
        return rank

    def count_alert(self, member: Member, level: str) -> None:
        level = level.upper() if level.upper() in LEVELS else "OTHER"
        member.alerts[level] = member.alerts.get(level, 0) + 1

    def count_nonfinite(self, member: Member, found: Iterable[tuple[str, int]]) -> None:
        for original, times in found:
            name = sound(original)
            if name not in self.nonfinite and len(self.nonfinite) >= MAX_NONFINITE:
                name = OTHER
            elif name != OTHER:
                self.nonfinite.add(name)
            member.nonfinite[name] = member.nonfinite.get(name, 0) + times

    def show(self, page: Page) -> None:
        """The start, and the totals; levels without an alert stand at 0, so that the first is seen as an increase."""
        started = [member.started for member in self.members if member.started > 0]
        if started:
            page.put(RUN_START, self.labels, min(started))
        for level in LEVELS:
            page.put(RUN_ALERTS, self._with("level", level), sum(m.alerts.get(level, 0) for m in self.members))
        for name in (*self.nonfinite, OTHER):
            if total := sum(member.nonfinite.get(name, 0) for member in self.members):
                page.put(RUN_NONFINITE, self._with("original", name), total)

    def show_host(self, page: Page, host: str) -> None:
        """One `wayside_run_info` for each host of the run, so that a join on (host) finds exactly one."""
        there = [member for member in self.members if member.session.host == host]
        if host in self.hosts:
            page.withdraw(RUN_INFO, self.hosts.pop(host))
        if there:
            newest = max(there, key=lambda member: member.standing)
            self.hosts[host] = label_text(info(newest.session), self._label_limit)
            page.put(RUN_INFO, self.hosts[host], 1)

    def hide(self, page: Page) -> None:
        """Take all of this off the page."""
        for rank in self.ranks.values():
            rank.hide(page)
        for labels in self.hosts.values():
            page.withdraw(RUN_INFO, labels)
        for level in LEVELS:
            page.withdraw(RUN_ALERTS, self._with("level", level))
        for name in (*self.nonfinite, OTHER):
            page.withdraw(RUN_NONFINITE, self._with("original", name))
        page.withdraw(RUN_START, self.labels)
        page.withdraw(RUN_EXIT_CODE, self.labels)
        self.ranks, self.hosts = {}, {}

    def _with(self, label: str, value: str) -> str:
        return label_text((("run", self.id), (label, value)), self._label_limit)


def exit_code(run: Run) -> int | None:
    """The exit code of an ended run: of the lowest rank that failed, else 0; None when a rank ended without one.

    A rank may have had several sessions (it was started again, it forked workers): the one that ended last counts.
    """
    codes = []
    for _, rank in sorted(run.ranks.items(), key=lambda item: -1 if item[0] is None else item[0]):
        members = [member for member in rank.members if not member.past]
        if members:
            codes.append(max(members, key=lambda member: (member.ended, member.order)).exit_code)
    failed = [code for code in codes if code]
    if failed:
        return failed[0]
    return None if None in codes or not codes else 0


def ended(run: Run) -> float:
    """When a run that ended did so, Unix time in seconds: when the last session of its last attempt finished."""
    last = [member for member in run.members if not member.past] or run.members  # none: its kept state was damaged
    return max(member.ended for member in last)


def inherit(heir: Member, member: Member) -> None:
    """Add the totals of a session that is let go to another's of the same run."""
    for mine, theirs in ((heir.alerts, member.alerts), (heir.nonfinite, member.nonfinite)):
        for key, times in theirs.items():
            mine[key] = mine.get(key, 0) + times
    heir.started = min((started for started in (heir.started, member.started) if started > 0), default=0.0)


def pass_on(heir: Member, member: Member) -> None:
    """Tell of its rank's progress what only a session that is let go knew."""
    if member.last_time is not None and (heir.last_time is None or heir.last_time < member.last_time):
        heir.last_time = member.last_time
    if heir.last_step is None:
        heir.last_step = member.last_step
