"""`report`: one or several runs as one HTML page that needs nothing else."""

import argparse
import time
from fnmatch import fnmatchcase

from .. import __version__
from ..report import RunStory, Story, write_page
from ..report.story import Plot
from ..store.answers import Axis, Curve, RunInfo
from ..store.walk import Range
from .base import say, waiting
from .choosing import choose_runs
from .history import History, Misused, Unanswered, opened
from .target import target

MOST_RUNS = 5  #: as the page compares
CHARTS = 120  #: of one report: some 2 MB, which a mail still carries
CURVES = 8  #: of one metric of one run, the lowest ranks': more are a tangle
POINTS = 250  #: of one curve: a point for each two or three pixels
EVENTS = 200  #: of one run
#: Kinds that are told elsewhere, or not at all.
QUIET = frozenset({"config", "summary", "about", "client", "define_metric", "alert"})


def write_report(chosen: argparse.Namespace) -> int:
    """The page, into a file or to stdout."""
    if len(chosen.wanted) > MOST_RUNS:
        raise Misused(f"a report tells of at most {MOST_RUNS} runs, not {len(chosen.wanted)}")
    with opened(chosen) as history, waiting("reading what the runs logged"):
        runs = choose_runs(history, chosen.wanted)
        stories = [_story(history, run) for run in runs]
        names = _names(stories, chosen.metric)
        if chosen.metric and not names:
            raise Unanswered(f"none of the runs has a metric {', '.join(chosen.metric)}")
        plots = [_plot(history, stories, name, kind, axis) for name, kind, axis in names[:CHARTS]]
        comparison = history.compare([run.id for run in runs]) if len(runs) > 1 else None
    story = Story(stories, plots, comparison, max(0, len(names) - CHARTS), time.time(), __version__)
    with target(chosen.output, binary=False) as file:
        file.write(write_page(story).encode("utf-8", "replace"))
    if chosen.output:
        say(f"{chosen.output}: {len(runs)} run{'s' * (len(runs) != 1)}, {len(plots)} charts")
    return 0


def _story(history: History, run: RunInfo) -> RunStory:
    every = history.events(run.id, limit=5 * EVENTS)
    about = next((event.data for event in every if event.kind == "about"), {})
    alerts = history.events(run.id, ("alert",), limit=EVENTS)
    told = [event for event in every if event.kind not in QUIET]
    return RunStory(
        run, history.sessions(run.id), history.config(run.id), history.summary(run.id), history.series(run.id),
        alerts, told[:EVENTS], about, len(told[EVENTS:]),
    )  # fmt: skip


def _names(stories: list[RunStory], patterns: list[str] | None) -> list[tuple[str, str, Axis]]:
    """Which charts there are: metrics of any of the runs, their own first."""
    found: dict[tuple[str, str], Axis] = {}
    for one in (one for story in stories for one in story.series):
        if not patterns or any(one.name == pattern or fnmatchcase(one.name, pattern) for pattern in patterns):
            axis: Axis = "step" if one.last_step is not None and one.kind == "run" else "time"
            found.setdefault((one.kind, one.name), axis)
    return [(name, kind, found[kind, name]) for kind, name in sorted(found, key=_order)]


def _order(key: tuple[str, str]) -> tuple[bool, str, str]:
    """The run's own before its hosts'; a metric without a group after those that have one."""
    kind, name = key
    group = name.partition("/")[0] if "/" in name else "~"
    return kind == "system", group, name


def _plot(history: History, stories: list[RunStory], name: str, kind: str, axis: Axis) -> Plot:
    """The chart of one metric; at most so many curves of a run."""
    curves: list[tuple[int, Curve]] = []
    left_out = 0
    for place, story in enumerate(stories):
        ranks = list(dict.fromkeys(one.rank for one in story.series if (one.name, one.kind) == (name, kind)))
        if ranks:
            wanted = Range(axis, None, None)
            found = history.curves(story.info.id, name, wanted, max_points=POINTS, ranks=ranks[:CURVES])
            own = [(place, curve) for curve in found if curve.series_kind == kind]
            curves += own[:CURVES]
            left_out += len(ranks[CURVES:]) + len(own[CURVES:])
    return Plot(name, kind, axis, curves, left_out)
