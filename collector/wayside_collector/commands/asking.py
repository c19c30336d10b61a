"""The commands that ask the history: what each is called, and what it takes. What it does stands in a file of its own,
and is imported when it is chosen, with the store: all other commands stay quick.
"""

import argparse
import json
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from .base import EXIT_CONFIG, EXIT_FAILED, Command, add_config, say

TOKEN = "WAYSIDE_TOKEN"  #: the variable with the token for --url
MOST_RUNS = 1000  #: of one list, as the store and the API have it
MOST_POINTS = 20_000  #: of one curve, likewise
ROWS = 20  #: values of one curve: what fits a terminal
FORMATS = ("csv", "json", "parquet")
_STATES = ("running", "finished", "failed", "crashed")


def _answer(name: str) -> Callable[[argparse.Namespace], int]:
    """Runs a function of these modules, "module:name"; what it cannot answer becomes a sentence and an exit code."""

    def run(chosen: argparse.Namespace) -> int:
        from ..store import StoreError
        from ..store.reader import NotFound, TooMany
        from .calling import NoAnswer
        from .history import Misused, Unanswered

        module, _, function = name.partition(":")
        try:
            code: int = getattr(import_module(f"{__package__}.{module}"), function)(chosen)
            return code
        except Misused as problem:
            say(str(problem))
            return EXIT_CONFIG
        except (Unanswered, NoAnswer, NotFound, TooMany) as problem:
            say(str(problem))
        except StoreError as problem:
            say(f"{problem}; another place: --config, --store, or --url of a running collector")
        return EXIT_FAILED

    return run


def add_place(parser: argparse.ArgumentParser) -> None:
    """The options that say where the history is."""
    parser.add_argument("--url", help="ask the collector or gateway there, like http://127.0.0.1:9750, over HTTP")
    parser.add_argument("--token-file", type=Path, metavar="FILE", help=f"the token to show there (default: ${TOKEN})")
    parser.add_argument("--store", metavar="PLACE", help="the store itself: its file, or postgresql://…")
    add_config(parser)


def add_ranks(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--rank", type=int, action="append", dest="ranks", metavar="N", help="only this rank's; may be repeated"
    )


def _up_to(most: int) -> Callable[[str], int]:
    """A whole number from 1 on; an argument's type."""

    def read(text: str) -> int:
        if not text.isascii() or not text.isdigit() or not 1 <= int(text[:20]) <= most:
            raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 to {most}")
        return int(text)

    return read


def pair(text: str) -> tuple[str, Any]:
    """KEY=VALUE, the value as JSON where it is any; an argument's type."""
    key, sign, value = text.partition("=")
    if not sign or not key:
        raise argparse.ArgumentTypeError(f"{text!r} is no KEY=VALUE, like lr=0.1 or model.depth=12")
    try:
        return key, json.loads(value)
    except ValueError:
        return key, value


# --- runs ------------------------------------------------------------------------------------------------------------


def _runs_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("text", nargs="?", metavar="TEXT", help="stands in the id, the name, the notes or the project")
    parser.add_argument("--project", metavar="NAME")
    parser.add_argument("--group", metavar="NAME")
    parser.add_argument("--workload", metavar="NAME", help="the job as the cluster knows it")
    parser.add_argument("--state", choices=_STATES)
    parser.add_argument("--tag", action="append", default=[], dest="tags", metavar="TAG", help="may be repeated")
    parser.add_argument(
        "--where", action="append", default=[], type=pair, metavar="KEY=VALUE", help="of the run's config, like lr=0.1"
    )
    parser.add_argument(
        "--limit", type=_up_to(MOST_RUNS), default=20, metavar="COUNT", help=f"at most (default 20, up to {MOST_RUNS})"
    )
    parser.add_argument("--json", action="store_true", help="as JSON")
    add_place(parser)


RUNS = Command(
    "runs",
    "list the runs that the store knows",
    {
        "wayside-collector runs": "the last 20, the one last begun first",
        "wayside-collector runs llama --state running": "with this text in id, name, notes or project",
        "wayside-collector runs --tag baseline --where lr=0.1": "by tag, and by a value of the config",
        "wayside-collector runs --json --limit 1000": "for programs",
        "wayside-collector runs --url http://gateway:9751 --token-file token": "those a gateway knows",
    },
    _runs_arguments,
    _answer("runs:list_runs"),
)


# --- query -----------------------------------------------------------------------------------------------------------


def _query_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("wanted", metavar="RUN", help="its id, the beginning of that, or its name")
    parser.add_argument("metrics", nargs="*", metavar="METRIC", help="a name, or a pattern like 'val/*'")
    parser.add_argument("--plot", action="store_true", help="draw them instead of listing values")
    parser.add_argument("--log", action="store_true", help="with --plot: a logarithmic axis")
    parser.add_argument(
        "--axis", choices=("step", "time"), help="what values stand over (default: step, and time where there is none)"
    )
    parser.add_argument("--from", dest="start", metavar="X", help='a step; with --axis time "1h" ago, 2026-01-31T12:00')
    parser.add_argument("--to", dest="end", metavar="X", help="likewise; both ends are included")
    parser.add_argument(
        "--points",
        type=_up_to(MOST_POINTS),
        metavar="COUNT",
        help=f"at most so many of each (default {ROWS}; a plot's)",
    )
    add_ranks(parser)
    parser.add_argument("--json", action="store_true", help="as JSON")
    add_place(parser)


QUERY = Command(
    "query",
    "show what a run logged: metrics, their last and best values, values, plots",
    {
        "wayside-collector query my-run": "its metrics, with last, best, least and greatest value",
        "wayside-collector query my-run train/loss --plot": "drawn in the terminal, a colour for each rank",
        "wayside-collector query my-run 'val/*' --from 1000 --rank 0": "values of a range of steps, of one rank",
        "wayside-collector query 3f2 lr --axis time --from 1h": "by the beginning of its id; of the last hour",
        "wayside-collector query my-run train/loss --json": "for programs",
    },
    _query_arguments,
    _answer("query:show_metrics"),
)


# --- export ----------------------------------------------------------------------------------------------------------


def _export_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("wanted", metavar="RUN", help="its id, the beginning of that, or its name")
    parser.add_argument("--format", choices=FORMATS, help="default: by the ending of -o, else csv")
    parser.add_argument(
        "-o", "--output", type=Path, metavar="FILE", help="default: stdout. Written whole, or not at all"
    )
    parser.add_argument(
        "--form", choices=("wide", "long"), default="wide",
        help="wide: a line for each logged row, a column for each metric (default); long: a line for each point",
    )  # fmt: skip
    parser.add_argument("--metric", action="append", metavar="NAME", help="only these, or patterns; may be repeated")
    add_ranks(parser)
    parser.add_argument("--system", action="store_true", help="also what the samplers measured on its hosts")
    add_place(parser)


EXPORT = Command(
    "export",
    "write every point of a run as CSV, JSON or Parquet",
    {
        "wayside-collector export my-run -o run.csv": "a line for each logged row, a column for each metric",
        "wayside-collector export my-run -o run.parquet": "for pandas, polars, DuckDB: wayside-collector[parquet]",
        "wayside-collector export my-run --form long --metric 'val/*'": "a line for each point, on stdout",
        "wayside-collector export my-run --format json | head": "an array, one object a line",
        "wayside-collector export my-run --system -o all.csv": "with what was measured on its hosts",
    },
    _export_arguments,
    _answer("export:export_run"),
)


# --- report ----------------------------------------------------------------------------------------------------------


def _report_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("wanted", nargs="+", metavar="RUN", help="1 to 5, each by id, the beginning of that, or name")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="default: stdout")
    parser.add_argument(
        "--metric", action="append", metavar="NAME", help="charts of these only, or patterns; repeatable"
    )
    add_place(parser)


REPORT = Command(
    "report",
    "write one or several runs as one HTML page that needs nothing else",
    {
        "wayside-collector report my-run -o my-run.html": "to be mailed, kept, printed",
        "wayside-collector report first second -o both.html": "beside each other, with where they differ",
        "wayside-collector report my-run --metric 'val/*' -o val.html": "with these charts only",
    },
    _report_arguments,
    _answer("report:write_report"),
)


# --- top -------------------------------------------------------------------------------------------------------------


def _top_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("text", nargs="?", metavar="TEXT", help="only runs with this in id, name, notes or project")
    parser.add_argument("--state", choices=_STATES, help="only runs in this state")
    parser.add_argument("--interval", type=_interval, default=2.0, metavar="SECONDS", help="between looks (default 2)")
    parser.add_argument("--once", action="store_true", help="one look, as text")
    add_place(parser)


def _interval(text: str) -> float:
    """Seconds, from a tenth to an hour; an argument's type."""
    try:
        return min(3600.0, max(0.1, float(text)))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds") from None


TOP = Command(
    "top",
    "watch a collector and its runs in the terminal",
    {
        "wayside-collector top": "sinks, runs, their speed and loss",
        "wayside-collector top llama --state running": "only these runs",
        "wayside-collector top --once": "one look, as text",
        "wayside-collector top --url http://gateway:9751 --token-file token": "of a gateway and all its runs",
    },
    _top_arguments,
    _answer("top:show_top"),
)


# --- rebuild ---------------------------------------------------------------------------------------------------------


def _rebuild_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--to", metavar="PLACE", help="build it there: a file, or postgresql://…; the store stays")
    parser.add_argument(
        "--lines", type=Path, action="append", metavar="FOLDER",
        help="a folder of JSON lines; may be repeated (default: the configuration's)",
    )  # fmt: skip
    parser.add_argument("--anew", action="store_true", help="also where the store there is has more in it")
    add_config(parser)


REBUILD = Command(
    "rebuild",
    "build the store anew, from the JSON lines and the spool",
    {
        "wayside-collector rebuild": "the old one is kept beside it",
        "wayside-collector rebuild --to /tmp/other.db": "into another file",
        "wayside-collector rebuild --to postgresql://wayside@db/wayside": "from files to PostgreSQL",
    },
    _rebuild_arguments,
    _answer("rebuild:rebuild_store"),
)
