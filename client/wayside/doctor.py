"""The command `wayside`. Only this module of the client exits and prints."""

import argparse
import json
import os
import platform
import sys
from typing import Any, Dict, List, Optional, Sequence

from . import wire
from ._version import __version__
from .examination import Report, Value, examine
from .identity import look

PATIENCE = 10.0  #: seconds a collector has to store the test row: a hundred times what it needs

_EXAMPLES = """examples:
  wayside doctor                                      socket, identity, journal, and a test row there and back
  wayside doctor --json | jq '.checks[] | select(.ok | not)'
  kubectl exec POD -c CONTAINER -- wayside doctor     what a training process of that container would see
  srun --jobid JOB --overlap wayside doctor           the same within a Slurm job
"""
_DOCTOR = """Says what a training process started here, with this environment, would see: whether a collector
answers, what the run would be called and which variable said so, and where its journal would lie. Sends the collector
a test row of a run `wayside-doctor`, which is stored and told as stored, and then left out by every sink. Leaves
nothing behind.
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


def as_json(report: Report) -> str:
    """One object: `ok`, `versions`, `settings`, `sockets`, `identity`, `checks`."""
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
    lines += ["", "identity", *_table(report.identity), "", "checks"]
    for check in report.checks:
        lines.append(f"  {'OK  ' if check.ok else 'FAIL'} {check.name}: {check.found}")
        if check.do:
            lines.append(f"       {check.do}")
    return "\n".join(lines) + "\n"


def _versions() -> Dict[str, Any]:
    return {"wayside": __version__, "wire": wire.VERSION, "python": platform.python_version()}


def _table(values: List[Value]) -> List[str]:
    wide = [max(len(value[column]) for value in values) for column in (0, 1)]
    return [f"  {value.name:{wide[0]}}  {value.value:{min(wide[1], 40)}}  {value.source}".rstrip() for value in values]
