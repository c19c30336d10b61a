"""The page: every series that a scrape shows, by family, and who holds which name.

A family is one dictionary from label text to value. So two lines can never carry equal labels, a snapshot is one
copy of each dictionary, and the ranks of a run share one label text over all their metrics. Nothing here knows of
runs, clocks or threads; the caller (`board.py`) holds the lock.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from ..names import (
    PREFIX,
    Kind,
    base_name,
    candidates,
    claims,
    escape,
    escape_help,
    foreign_claims,
    label_text,
    plain_name,
    sound,
)
from ..run_info import RUN_INFO, RUN_LAST_STEP

RUN_START = "wayside_run_start_timestamp_seconds"
RUN_END = "wayside_run_end_timestamp_seconds"
RUN_EXIT_CODE = "wayside_run_exit_code"
RUN_LAST_ROW = "wayside_run_last_row_timestamp_seconds"
RUN_ALERTS = "wayside_run_alerts_total"
RUN_NONFINITE = "wayside_run_nonfinite_total"
METRIC_NAMES = "wayside_metric_name_info"
COLLISIONS = "wayside_name_collisions_total"
DROPPED = "wayside_series_dropped_total"

OWN: dict[str, tuple[Kind, str]] = {
    RUN_INFO: ("info", "What is known of a run: one series for each run and host, for joins on (host) or (run)."),
    RUN_START: ("gauge", "When the run's first session started, Unix time."),
    RUN_END: ("gauge", "When the run's last session ended, Unix time; stays when the run's other series are gone."),
    RUN_EXIT_CODE: ("gauge", "The exit code of an ended run: the first rank's that is not 0; absent after a crash."),
    RUN_LAST_STEP: ("gauge", "The last step logged."),
    RUN_LAST_ROW: ("gauge", "When the last row was logged, Unix time."),
    RUN_ALERTS: ("counter", "Alerts sent by the training script."),
    RUN_NONFINITE: ("counter", "Values logged that were NaN or infinite."),
    METRIC_NAMES: ("info", "The name under which a metric was logged."),
    COLLISIONS: ("counter", "Names that had to take a suffix because another family held them."),
    DROPPED: ("counter", "Series not shown because of a limit."),
}

MAX_REMEMBERED = 10_000  #: series refused, of one run or host, that are remembered so as to be counted once


class Family:
    """Series of one name. original: the name as logged, or None for a family that no training script named."""

    __slots__ = ("headers", "help", "kind", "name", "original", "series")

    def __init__(self, name: str, kind: Kind, text: str, original: str | None = None) -> None:
        self.kind: Kind = kind
        self.help = text
        self.original = original
        self.series: dict[str, float] = {}
        self.rename(name)

    def rename(self, name: str) -> None:
        self.name = name
        base = base_name(name, self.kind)
        in_text = "gauge" if self.kind == "info" else self.kind  # the text format has no info
        self.headers = (
            f"# HELP {name} {escape_help(self.help)}\n# TYPE {name} {in_text}\n",
            f"# HELP {base} {escape(self.help)}\n# TYPE {base} {self.kind}\n",
        )


class Shot(NamedTuple):
    """A family at one instant: the header for either format (text, OpenMetrics), the name and the series. exact: the
    name of a metric as it was logged, behind our prefix; None for one that no training script named.
    """

    headers: tuple[str, str]
    name: str
    series: dict[str, float]
    exact: str | None = None


class Page:
    """All families. size: series, those of `wayside_metric_name_info` (one a metric) aside. renames: how often a family
    had to yield its name.
    """

    def __init__(self, limit: int, label_limit: int, reserved: Iterable[str] = ()) -> None:
        self.limit = limit
        self.size = 0
        self.renames = 0
        self._label_limit = label_limit
        self._holders: dict[str, Family | None] = {taken: None for name in reserved for taken in foreign_claims(name)}
        self._own: dict[str, Family] = {}
        self._sampled: dict[tuple[str, Kind], Family] = {}
        self._metrics: dict[str, Family] = {}
        for name, (kind, text) in OWN.items():
            self._own[name] = Family(name, kind, text)
            self._holders.update(dict.fromkeys(claims(name, kind), self._own[name]))
        self.put(COLLISIONS, " ", 0)

    @property
    def full(self) -> bool:
        return self.size >= self.limit

    def put(self, name: str, labels: str, value: float) -> None:
        """Set a series of one of our own families; never refused, since they are few for each session."""
        self.set(self._own[name], labels, value)

    def add(self, name: str, labels: str, by: float) -> None:
        """Add to a counter of our own."""
        self.put(name, labels, self._own[name].series.get(labels, 0) + by)

    def count_dropped(self, known: set[str], series: str, reason: str) -> bool:
        """Count a series that a limit keeps off the page, once for as long as `known` has room; whether it counted."""
        if series in known or len(known) >= MAX_REMEMBERED:
            return False
        known.add(series)
        self.add(DROPPED, label_text((("reason", reason),), self._label_limit), 1)
        return True

    def withdraw(self, name: str, labels: str) -> None:
        """Remove a series of one of our own families."""
        if self._own[name].series.pop(labels, None) is not None:
            self.size -= 1

    def set(self, family: Family, labels: str, value: float) -> None:
        if labels not in family.series:
            self.size += 1
        family.series[labels] = value

    def remove(self, family: Family, labels: str) -> None:
        """Remove a series; a family with none left gives its names back."""
        if family.series.pop(labels, None) is None:
            return
        self.size -= 1
        if family.series:
            return
        if family.original is not None:
            del self._metrics[family.original]
            self._announce(family, shown=False)
        else:
            self._sampled = {key: value for key, value in self._sampled.items() if value is not family}
        self._release(family)

    def metric(self, original: str, *, suffixed: bool = False) -> Family:
        """The family of a metric as logged. suffixed: it bore a suffix before, and keeps it."""
        family = self._metrics.get(original)
        if family is None:
            name = self._free_name(plain_name(original), "gauge", original, suffixed=suffixed)
            family = self._metrics[original] = Family(name, "gauge", f'Logged as "{original}".', original)
            self._hold(family)
            self._announce(family, shown=True)
        return family

    def sampled(self, plain: str, kind: Kind, text: str) -> Family:
        """The family of a sampled metric. Its name is ours: a metric of a training script that holds it yields."""
        family = self._sampled.get((plain, kind))
        if family is None:
            for taken in claims(plain, kind):
                holder = self._holders.get(taken)
                if holder is not None and holder.original is not None:
                    self._yield(holder)
            family = self._sampled[plain, kind] = Family(self._free_name(plain, kind, plain), kind, text)
            self._hold(family)
        return family

    def snapshot(self) -> list[Shot]:
        """A copy of every family that has series."""
        families = (*self._own.values(), *self._sampled.values(), *self._metrics.values())
        return [Shot(f.headers, f.name, f.series.copy(), self._exact(f)) for f in families if f.series]

    def _exact(self, family: Family) -> str | None:
        """A metric's name as logged, unless it is that of a family of ours."""
        if family.original is None:
            return None
        name = PREFIX + sound(family.original)
        if name in self._holders:
            holder = self._holders[name]
            if holder is None or holder.original is None:
                return family.name
        return name

    def _free_name(self, plain: str, kind: Kind, original: str, *, suffixed: bool = False) -> str:
        names = _after_first(candidates(plain, kind, original)) if suffixed else candidates(plain, kind, original)
        name = next(name for name in names if not any(taken in self._holders for taken in claims(name, kind)))
        if name != plain and not suffixed:
            self.add(COLLISIONS, " ", 1)
        return name

    def _yield(self, family: Family) -> None:
        """Give a metric's family a name with a suffix, and the one it held back."""
        self._announce(family, shown=False)
        original = family.original or ""
        name = self._free_name(plain_name(original), family.kind, original, suffixed=True)
        self.add(COLLISIONS, " ", 1)
        self.renames += 1
        self._release(family)
        family.rename(name)
        self._hold(family)
        self._announce(family, shown=True)

    def _hold(self, family: Family) -> None:
        self._holders.update(dict.fromkeys(claims(family.name, family.kind), family))

    def _release(self, family: Family) -> None:
        for taken in claims(family.name, family.kind):
            if self._holders.get(taken) is family:
                del self._holders[taken]

    def _announce(self, family: Family, *, shown: bool) -> None:
        pairs = (("metric", family.name), ("original", family.original))
        labels = label_text(pairs, self._label_limit)
        if shown:
            self._own[METRIC_NAMES].series[labels] = 1
        else:
            self._own[METRIC_NAMES].series.pop(labels, None)


def _after_first(names: Iterator[str]) -> Iterator[str]:
    next(names)
    return names
