"""The command `wayside`: what a training would see here, a script with wandb hooked, journals that nobody reads. Only
this module of the client exits and prints.
"""

import argparse
import json
import os
import platform
import sys
import time
from typing import Any, Dict, List, Optional, Sequence

from . import wire
from ._version import __version__
from .examination import Report, Value, examine, orphans_of
from .hook.launch import launch
from .identity import look
from .orphans import Orphan, count, remove
from .settings import read_settings

MAX_SHOWN = 20  #: journals that are named one by one
PATIENCE = 10.0  #: seconds a collector has to store the test row: a hundred times what it needs

_EXAMPLES = """examples:
  wayside doctor                                      socket, identity, journal, and a test row there and back
  wayside run -- python train.py                      a script that logs to wandb, heard without a change to it
  wayside clear                                       delete journals that nobody reads, after a question
  wayside doctor --json | jq '.checks[] | select(.ok | not)'
  kubectl exec POD -c CONTAINER -- wayside doctor     what a training process of that container would see
  srun --jobid JOB --overlap wayside doctor           the same within a Slurm job
"""
_DOCTOR = """Says what a training process started here, with this environment, would see: whether a collector
answers, what the run would be called and which variable said so, and where its journal would lie. Sends the collector
a test row of a run `wayside-doctor`, which is stored and told as stored, and then left out by every sink. Leaves
nothing behind.
"""
_RUN = """Starts a command with wandb hooked in every Python it starts: what they log to wandb comes to the collector,
too. Nothing need be installed where they run, and nothing in them is changed.
"""
_RUN_EXAMPLES = """examples:
  wayside run -- python train.py
  wayside run -- torchrun --nproc-per-node 8 train.py
  wayside run --hook divert -- python train.py     the collector talks to W&B; no wandb-core, no network in the script
"""
_CLEAR = """Deletes journals that nobody reads: their process is gone, and no collector took them. They count against
the limit of all journals in memory. Says first what they hold, and asks. Journals of living processes, and those that
a running collector is about to take, are left alone.
"""
_CLEAR_EXAMPLES = """examples:
  wayside clear                  all of them, after a question
  wayside clear 3f2a91c0 --yes   this one, without
"""


def main(arguments: Optional[Sequence[str]] = None) -> None:
    """Parse the command line and run; exits: 0 when all is well, 1 when a check fails, 2 for a wrong command line."""
    parser = _parser()
    chosen = parser.parse_args(arguments)
    if chosen.run is None:
        parser.print_help()
        sys.exit(2)
    sys.exit(chosen.run(chosen))


def _parser() -> argparse.ArgumentParser:
    style: Dict[str, Any] = {"epilog": _EXAMPLES, "formatter_class": argparse.RawDescriptionHelpFormatter}
    parser = argparse.ArgumentParser(prog="wayside", description="The training-side client of Wayside.", **style)
    parser.add_argument("--version", action="version", version=f"wayside {__version__}")
    parser.set_defaults(run=None)
    commands = parser.add_subparsers(metavar="COMMAND")
    doctor = commands.add_parser(
        "doctor", help="say what the client sees, and what is wrong", description=_DOCTOR, **style
    )
    doctor.add_argument("--json", action="store_true", help="as JSON")
    doctor.add_argument(
        "--timeout",
        type=_seconds,
        default=PATIENCE,
        metavar="SECONDS",
        help=f"how long a collector may take to store the test row (default {PATIENCE:g})",
    )
    doctor.set_defaults(run=_doctor)
    run = commands.add_parser(
        "run", help="start a command with wandb hooked", description=_RUN, **dict(style, epilog=_RUN_EXAMPLES)
    )
    run.add_argument(
        "--hook", choices=("mirror", "divert"), default="", help="how (default: WAYSIDE_WANDB_HOOK, or mirror)"
    )
    run.add_argument("command", nargs=argparse.REMAINDER, metavar="-- COMMAND", help="the command and its arguments")
    run.set_defaults(run=_run)
    clear = commands.add_parser(
        "clear", help="delete journals that nobody reads", description=_CLEAR, **dict(style, epilog=_CLEAR_EXAMPLES)
    )
    clear.add_argument("sessions", nargs="*", metavar="SESSION", help="only these, by the first letters of their name")
    clear.add_argument("--yes", action="store_true", help="do not ask")
    clear.set_defaults(run=_clear)
    return parser


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 < seconds <= 3600:
        raise argparse.ArgumentTypeError(f"must be more than 0 and at most 3600 seconds, not {text}")
    return seconds


def _doctor(chosen: argparse.Namespace) -> int:
    report = examine(os.environ, look(os.environ), chosen.timeout)
    sys.stdout.write(as_json(report) if chosen.json else as_text(report))
    return 0 if report.ok else 1


def _run(chosen: argparse.Namespace) -> int:
    command = chosen.command[1:] if chosen.command[:1] == ["--"] else chosen.command
    if not command:
        sys.stderr.write("wayside run: which command? wayside run -- python train.py\n")
        return 2
    return launch(command, chosen.hook)


def _clear(chosen: argparse.Namespace) -> int:
    found = [orphan for orphan in orphans_of(read_settings(os.environ)) if not orphan.taken]
    asked = [one for one in found if not chosen.sessions or one.session.startswith(tuple(chosen.sessions))]
    for name in chosen.sessions:
        if not any(one.session.startswith(name) for one in found):
            sys.stderr.write(f"no journal that nobody reads is called {name}; `wayside doctor` names them\n")
            return 2
    if not asked:
        sys.stdout.write("no journals that nobody reads\n")
        return 0
    sys.stdout.write("\n".join(_orphans(asked)) + "\n")
    rows = sum(one.rows for one in asked)
    sys.stdout.write(f"{count(len(asked), 'journal')} with {rows} rows and events that were never delivered.\n")
    for folder in sorted({one.dir for one in asked if one.rows and one.dir}):
        sys.stdout.write(f"`wayside-collector sync {folder}` delivers those of that folder.\n")
    if not chosen.yes and not _agreed():
        sys.stdout.write("nothing is deleted\n")
        return 1
    left = [one for one in asked if not remove(one)]
    sys.stdout.write(f"{len(asked) - len(left)} deleted\n")
    for one in left:
        sys.stderr.write(f"{one.folders[0]} could not be deleted: it belongs to another user, or holds other files\n")
    return 1 if left else 0


def _agreed() -> bool:
    """Whether a person at a terminal says yes; where nobody sits, nobody does."""
    if not sys.stdin.isatty():
        sys.stdout.write("Nobody is asked here: --yes deletes them.\n")
        return False
    sys.stdout.write("Delete them for good? [y/N] ")
    sys.stdout.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def as_json(report: Report) -> str:
    """One object: `ok`, `versions`, `settings`, `sockets`, `identity`, `orphans`, `checks`."""
    shown: Dict[str, Any] = {"ok": report.ok, "versions": _versions()}
    for part, rows in report._asdict().items():
        shown[part] = [row._asdict() for row in rows]
    return json.dumps(shown, indent=2) + "\n"


def as_text(report: Report) -> str:
    """The same for people."""
    versions = _versions()
    lines = [f"wayside {versions['wayside']}, wire version {versions['wire']}, Python {versions['python']}"]
    lines += ["", "settings", *_table(report.settings)]
    if report.sockets:
        lines += ["", "socket", *(f"  {socket.path}: {socket.state}" for socket in report.sockets)]
    lines += ["", "identity", *_table(report.identity)]
    if report.orphans:
        lines += ["", "journals that nobody reads", *_orphans(report.orphans)]
    lines += ["", "checks"]
    for check in report.checks:
        lines.append(f"  {'OK  ' if check.ok else 'FAIL'} {check.name}: {check.found}")
        if check.do:
            lines.append(f"       {check.do}")
    return "\n".join(lines) + "\n"


def _orphans(orphans: Sequence[Orphan]) -> List[str]:
    """A line for each; of many the oldest."""
    lines = []
    for one in orphans[:MAX_SHOWN]:
        begun = time.strftime("%Y-%m-%d %H:%M", time.localtime(one.began))
        run = f"run {one.run} of project {one.project}" if one.run else "a run that is not known"
        held = f"{one.rows} rows and events, {one.bytes >> 10} KiB"
        lines.append(f"  {one.session[:8]}  {run}, begun {begun}: {held}; {one.why}")
    if len(orphans) > MAX_SHOWN:
        lines.append(f"  and {len(orphans) - MAX_SHOWN} more")
    return lines


def _versions() -> Dict[str, Any]:
    return {"wayside": __version__, "wire": wire.VERSION, "python": platform.python_version()}


def _table(values: List[Value]) -> List[str]:
    wide = [max(len(value[column]) for value in values) for column in (0, 1)]
    return [f"  {value.name:{wide[0]}}  {value.value:{min(wide[1], 40)}}  {value.source}".rstrip() for value in values]
