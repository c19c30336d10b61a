"""The command `wayside-collector`: the table of commands, the parser made of it, and the only exit."""

import argparse
import os
import sys
from collections.abc import Sequence

from . import __version__
from .commands import asking, check, dead_letters, exec_, recover, run, status, sync, webhook
from .commands.base import EXIT_CONFIG, EXIT_INTERRUPTED, EXIT_PIPE, Command, format_examples, say
from .configuration.config import ConfigError

COMMANDS: tuple[Command, ...] = (
    run.COMMAND,
    check.COMMAND,
    status.COMMAND,
    sync.COMMAND,
    exec_.COMMAND,
    asking.RUNS,
    asking.QUERY,
    asking.EXPORT,
    asking.REPORT,
    asking.TOP,
    dead_letters.COMMAND,
    recover.COMMAND,
    asking.REBUILD,
    webhook.COMMAND,
)

_EXAMPLES = {
    "wayside-collector run": "with nothing configured: /metrics, and files below ./.wayside",
    "wayside-collector run --config wayside.yaml": "with a configuration",
    "wayside-collector check wayside.yaml": "say everything that is wrong with it, and stop",
    "wayside-collector status": "what the running collector has received and delivered",
    "wayside-collector sync ./.wayside": "deliver what an offline run left behind",
    "wayside-collector exec -- python train.py": "collector, job and delivery in one command, with the job's exit code",
    "wayside-collector runs": "the runs it knows; `top` shows them live",
    "wayside-collector query my-run train/loss --plot": "a metric of one, drawn in the terminal",
    "wayside-collector export my-run -o run.csv": "every point of it; `report` makes a page",
    "wayside-collector dead-letters list": "rows that a sink refused for good, and why",
    "wayside-collector recover": "look at a spool that will not open, and save what can be read",
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse the command line and run; exits."""
    parser = _parser()
    chosen = parser.parse_args(arguments)
    if chosen.run is None:
        parser.print_help()
        sys.exit(EXIT_CONFIG)
    sys.exit(_code(chosen))


def _code(chosen: argparse.Namespace) -> int:
    """Runs the command; its exit code, also where it was cut short."""
    try:
        code: int = chosen.run(chosen)
        sys.stdout.flush()
        return code
    except ConfigError as error:
        say(f"{getattr(chosen, 'config', None) or 'the configuration'} cannot be used:")
        for problem in error.problems:
            say(f"  {problem}")
        return EXIT_CONFIG
    except BrokenPipeError:  # `… | head`: nobody reads on, so nobody is to be told; not at the end, either
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_PIPE
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="wayside-collector",
        description="Keeps every metric of a training job on disk, and delivers it.",
        epilog=format_examples(_EXAMPLES),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"wayside-collector {__version__}")
    parser.set_defaults(run=None)
    commands = parser.add_subparsers(metavar="COMMAND")
    for command in COMMANDS:
        one = commands.add_parser(
            command.name,
            help=command.help,
            description=f"{command.help[0].upper()}{command.help[1:]}.",
            epilog=format_examples(command.examples),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.arguments(one)
        one.set_defaults(run=command.run)
    return parser
