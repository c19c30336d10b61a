"""`runs`: the runs the store knows, the one last begun first."""

import argparse
import time

from ..store.answers import RunProgress, RunQuery
from ..table import format_table
from .base import Command, say, show
from .choosing import pair
from .history import add_place, answered, opened
from .printing import json_text, number, plain, span, when

_STATES = ("running", "finished", "failed", "crashed")


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("text", nargs="?", metavar="TEXT", help="stands in the id, the name, the notes or the project")
    parser.add_argument("--project", metavar="NAME")
    parser.add_argument("--group", metavar="NAME")
    parser.add_argument("--workload", metavar="NAME", help="the job as the cluster knows it")
    parser.add_argument("--state", choices=_STATES)
    parser.add_argument("--tag", action="append", default=[], dest="tags", metavar="TAG", help="may be repeated")
    parser.add_argument(
        "--where", action="append", default=[], type=pair, metavar="KEY=VALUE", help="of the run's config, like lr=0.1"
    )
    parser.add_argument("--limit", type=int, default=20, metavar="COUNT", help="at most (default 20)")
    parser.add_argument("--json", action="store_true", help="as JSON")
    add_place(parser)


def _run(chosen: argparse.Namespace) -> int:
    return answered(_list, chosen)


def _list(chosen: argparse.Namespace) -> int:
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
        say(f"… and {page.total - len(page.runs)} more: --limit, or choose fewer")
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


COMMAND = Command(
    "runs",
    "list the runs that the store knows",
    {
        "wayside-collector runs": "the last 20, the one last begun first",
        "wayside-collector runs llama --state running": "with this text in id, name, notes or project",
        "wayside-collector runs --tag baseline --where lr=0.1": "by tag, and by a value of the config",
        "wayside-collector runs --json --limit 1000": "for programs",
        "wayside-collector runs --url http://gateway:9751 --token-file token": "those a gateway knows",
    },
    _arguments,
    _run,
)
