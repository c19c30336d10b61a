"""`runs`: the runs the store knows, the one last begun first."""

import argparse
import time

from ..printing import json_text, number, plain, span, when
from ..store.answers import RunProgress, RunQuery
from .asking import MOST_RUNS
from .base import say, show
from .history import opened
from .showing import format_table


def list_runs(chosen: argparse.Namespace) -> int:
    """The runs that fit, as a table or as JSON."""
    query = RunQuery(
        text=chosen.text, project=chosen.project, group=chosen.group, workload=chosen.workload, state=chosen.state,
        tags=tuple(chosen.tags), config=dict(chosen.where),
    )  # fmt: skip
    with opened(chosen) as history:
        page = history.runs_progress(query, limit=chosen.limit)
    if chosen.json:
        show(json_text(page))
        return 0
    if page.runs:
        show(format_runs(page.runs, time.time()))
    if page.total > len(page.runs):
        more = "choose fewer" if chosen.limit == MOST_RUNS else "--limit, or choose fewer"
        say(f"… and {page.total - len(page.runs)} more: {more}")
    elif not page.runs:
        say("no run fits" if query != RunQuery() else "no run yet")
    return 0


def format_runs(runs: list[RunProgress], now: float) -> str:
    """A line for each."""
    rows = [["run", "name", "project", "state", "begun", "for", "step", "loss"]]
    for run in runs:
        end = now if run.state == "running" else run.active
        state = f"{run.state} ({run.exit_code})" if run.state == "failed" else run.state
        texts = [plain(text or "") for text in (run.id, run.name, run.project)]
        loss = "" if run.last_loss is None else number(run.last_loss.value, 4)
        rows.append([*texts, state, when(run.started), span(end - run.started), number(run.step), loss])
    return format_table(rows, right={5, 6, 7})
