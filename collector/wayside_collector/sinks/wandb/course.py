"""One run's way to W&B, as long as it is of interest: what is on its way, what W&B has acknowledged, who set what.
Pure: `collect` compares what was shipped with what the relay saw, and waits for nothing.
"""

import math
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ..base import Ref
from .feed import Feed
from .flight import Flight, RunKey
from .protocol import AlertOp, ConfigOp, Made, MetricOp, SummaryOp

MAX_TITLES = 256  #: titles of alerts remembered for their `wait`; a run that uses more has no use for it
_ROUNDS = 2  # acknowledgements after which a change is in, even where W&B's spelling of it cannot be told from ours

Change = ConfigOp | SummaryOp | MetricOp


class Expected(NamedTuple):
    """A change that was shipped and is to be seen acknowledged. round: how many acknowledgements of its kind there
    had been then. since: when, in seconds of the monotonic clock.
    """

    op: Change
    round: int
    since: float


class Landing(NamedTuple):
    """What `collect` found: refs that W&B has, and refs it will not take, with the reason."""

    delivered: list[Ref]
    refused: dict[Ref, str]


@dataclass
class Course:
    """handle: what the run is called towards the child. segments: offline, folders of its files that are not read
    back yet, with the number of the first sample in each. known_last: a `_step` that W&B is known to have. folder:
    where its files are, while open. feed: online, while open. opened: whether the child holds it.
    introduced: whether it was opened before. used: when it last had something, monotonic seconds. exit_code,
    finished_at: of its finish, None while it runs. behind_since: since when W&B shows less than it acknowledged.
    step_told: whether the SDK knows of `wayside/step`. owners: config key to whether a session that speaks for the run
    set it. made: by ref and name, what the SDK made of media; uploads: of these, artifacts and files on their way.
    expected: changes on their way. alerts: alerts on their way, in order; alerts_seen: how many were answered.
    """

    key: RunKey
    handle: str
    flight: Flight = field(default_factory=Flight)
    segments: list[tuple[str, int]] = field(default_factory=list)
    known_last: int = -1
    folder: str = ""
    feed: Feed | None = None
    opened: bool = False
    introduced: bool = False
    used: float = 0.0
    exit_code: int | None = None
    finished_at: float | None = None
    behind_since: float | None = None
    step_told: bool = False
    owners: dict[str, bool] = field(default_factory=dict)
    expected: dict[Ref, Expected] = field(default_factory=dict)
    alerts: list[Ref] = field(default_factory=list)
    alerts_seen: int = 0
    made: dict[tuple[Ref, str], Made] = field(default_factory=dict)
    uploads: dict[Ref, Made] = field(default_factory=dict)
    _alerted: OrderedDict[str, float] = field(default_factory=OrderedDict)

    @property
    def settled(self) -> int:
        """The largest `_step` up to which nothing is on its way."""
        return min(self.flight.lines, default=self.flight.last + 1) - 1

    def carries(self, ref: Ref) -> bool:
        """Whether it is on its way."""
        return ref in self.flight or ref in self.expected or ref in self.alerts or ref in self.uploads

    def forget(self) -> None:
        """The child that held the run is gone, or the run closed. Lines and samples are still in question."""
        if self.flight.segment is not None:
            self.segments = [self.flight.segment]
        self.opened, self.feed, self.folder, self.step_told = False, None, "", False
        self.expected.clear()
        self.alerts.clear()
        self.alerts_seen = 0
        self.made.clear()
        self.uploads.clear()

    def may_set(self, op: ConfigOp, primary: bool) -> ConfigOp:
        """The part of a change that this session may make: a primary session's keys are its own."""
        own = {k: v for k, v in op.set.items() if primary or not self.owners.get(k, False)}
        gone = [k for k in op.remove if primary or not self.owners.get(k, False)]
        self.owners.update(dict.fromkeys(own, primary))
        for name in gone:
            self.owners.pop(name, None)
        return ConfigOp(own, gone)

    def may_alert(self, op: AlertOp, time: float, wait: float) -> bool:
        """Whether the last alert of this title is `wait` seconds ago, by the alerts' own times; itself is none."""
        last = self._alerted.get(op.title)
        if last is not None and 0 < time - last < wait:
            return False
        self._alerted[op.title] = time
        if len(self._alerted) > MAX_TITLES:
            self._alerted.popitem(last=False)
        return True

    def expect(self, ref: Ref, op: Change, now: float) -> None:
        """The change was shipped."""
        rounds = 0
        if self.feed is not None:
            rounds = self.feed.summaries if isinstance(op, SummaryOp) else self.feed.upserts
        self.expected[ref] = Expected(op, rounds, now)

    def withdraw(self, ref: Ref) -> None:
        """The SDK did not take it."""
        self.expected.pop(ref, None)
        if ref in self.alerts:
            self.alerts.remove(ref)
        self.flight.withdraw(ref)

    def collect(self) -> Landing:
        """What W&B has acknowledged since the last time."""
        feed = self.feed
        if feed is None:
            return Landing([], {})
        refused: dict[Ref, str] = {}
        for step in [step for step in feed.refused if step in self.flight.lines]:
            refused.update(dict.fromkeys(self.flight.take(step), feed.refused[step]))
        for number in [number for number in feed.refused_samples if number in self.flight.probes]:
            refused.update(dict.fromkeys(self.flight.take_sample(number), feed.refused_samples[number]))
        delivered = self.flight.land(feed.last) + self.flight.land_samples(feed.samples)
        answered = self.alerts[: max(0, feed.alerts - self.alerts_seen)]
        self.alerts_seen += len(answered)
        del self.alerts[: len(answered)]
        if feed.alert_problem is not None:
            refused.update(dict.fromkeys(answered[-1:], feed.alert_problem))
            feed.alert_problem = None
        met = _met(feed, self.expected)
        for ref in met:
            del self.expected[ref]
        met += self._uploaded(feed, refused)
        return Landing([*delivered, *(ref for ref in answered if ref not in refused), *met], refused)

    def _uploaded(self, feed: Feed, refused: dict[Ref, str]) -> list[Ref]:
        """Artifacts and saved files that W&B has, or will not have."""
        found = []
        for ref, made in list(self.uploads.items()):
            reasons = [feed.artifact_problems[one] for one in made.artifacts if one in feed.artifact_problems]
            if reasons:
                refused[ref] = reasons[0]
            elif feed.uploaded.issuperset(made.files) and feed.committed.keys() >= set(made.artifacts):
                found.append(ref)
            else:
                continue
            del self.uploads[ref]
        return found

    def land_all(self) -> list[Ref]:
        """Offline: all that was shipped stands in the run's file."""
        flight = self.flight
        found = flight.land(flight.last) + flight.land_samples(flight.samples) + list(self.expected) + self.alerts
        found += self.uploads
        self.uploads.clear()
        self.expected.clear()
        self.alerts.clear()
        return found


def _met(feed: Feed, expected: dict[Ref, Expected]) -> list[Ref]:
    """The changes that W&B shows, in the order they were shipped. Of several changes of one key the SDK sends the last
    alone: where that is shown, those before it are in, too.
    """
    found: list[Ref] = []
    overwritten: set[tuple[type, str]] = set()  # keys of config or summary that a later change shows
    for ref, one in reversed(expected.items()):
        op = one.op
        if isinstance(op, MetricOp):
            if feed.upserts >= one.round + _ROUNDS or _defines(feed, op):
                found.append(ref)
            continue
        names = {name for name in (*op.set, *op.remove) if (type(op), name) not in overwritten}
        left = {name: value for name, value in op.set.items() if name in names}
        if _shown(feed, one, left, [name for name in op.remove if name in names]):
            found.append(ref)
            overwritten.update((type(op), name) for name in names)
    return found[::-1]


def _shown(feed: Feed, one: Expected, told: dict[str, Any], removed: list[str]) -> bool:
    if isinstance(one.op, SummaryOp):
        return feed.summaries >= one.round + _ROUNDS or has_changes(feed.summary, told, removed)
    return feed.upserts >= one.round + _ROUNDS or is_in(feed.config, ConfigOp(told, removed))


def _defines(feed: Feed, op: MetricOp) -> bool:
    metrics = (feed.config.get("_wandb") or {}).get("m") or []
    return any(op.arguments["name"] in (metric.get("1"), metric.get("2")) for metric in metrics)


def is_in(config: dict[str, Any], op: ConfigOp) -> bool:
    """Whether the config is as after this change; the SDK strips dashes off the ends of its keys."""
    return has_changes(config, {name.strip("-"): value for name, value in op.set.items()}, op.remove)


def has_changes(values: dict[str, Any], told: dict[str, Any], removed: list[str]) -> bool:
    """Whether `values` is as after this change."""
    kept = all(name in values and same(values[name], value) for name, value in told.items())
    return kept and not any(name in values for name in removed if name not in told)


def same(there: Any, ours: Any) -> bool:
    """Whether two JSON values are the same, numbers as 64-bit floats, which the SDK makes of large integers."""
    if isinstance(there, dict) and isinstance(ours, dict):
        return there.keys() == ours.keys() and all(same(there[key], ours[key]) for key in ours)
    if isinstance(there, list) and isinstance(ours, list | tuple):
        return len(there) == len(ours) and all(map(same, there, ours))
    if isinstance(there, bool) or isinstance(ours, bool):
        return there is ours
    if isinstance(there, int | float) and isinstance(ours, int | float):
        return math.isclose(there, ours, rel_tol=1e-15) or there == ours
    return bool(there == ours)
