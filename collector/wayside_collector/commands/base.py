"""What every command has: its place in the table, its exit codes, and the two ways to say something."""

import argparse
import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from ..configuration.units import parse_duration

EXIT_FAILED = 1  #: it could not be done, or not all of it
EXIT_CONFIG = 2  #: the configuration or the command line is wrong
EXIT_HELD = 3  #: another collector holds the socket or the spool
EXIT_INTERRUPTED = 130  #: Ctrl-C, as a shell tells it
EXIT_PIPE = 141  #: whoever read the output went away, as a shell tells it
SAY_EVERY = 2.0  #: seconds between two lines of progress


class Command(NamedTuple):
    """One command. help: one line. examples: command line to what it does. arguments: adds them to its parser. run:
    does it; returns the exit code.
    """

    name: str
    help: str
    examples: dict[str, str]
    arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]


def add_config(parser: argparse.ArgumentParser) -> None:
    """The option that nearly every command has."""
    parser.add_argument("-c", "--config", type=Path, metavar="FILE", help="YAML; see docs/configuration.md")


def parse_moment(text: str) -> float:
    """Unix time in seconds, of a time of day here or of so long ago; an argument's type."""
    try:
        return time.time() - parse_duration(text)
    except ValueError:
        try:
            return datetime.fromisoformat(text).timestamp()
        except ValueError:
            raise argparse.ArgumentTypeError(f'{text!r} is no time: "90m", "2d" ago, or 2026-01-31T12:00') from None


def format_examples(examples: dict[str, str]) -> str:
    """For the end of a help text."""
    width = max(map(len, examples))
    return "\n".join(["examples:", *(f"  {line.ljust(width)}  {meaning}" for line, meaning in examples.items())])


def say(text: str) -> None:
    """For the person at the terminal: on stderr, so that what is printed can be piped."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def show(text: str) -> None:
    """What was asked for."""
    sys.stdout.write(f"{text}\n")


@contextlib.contextmanager
def waiting(text: str) -> Iterator[None]:
    """Says what is waited for, again and again, when it takes longer than a moment."""
    over = threading.Event()

    def tell() -> None:
        while not over.wait(SAY_EVERY):
            say(f"{text} …")

    teller = threading.Thread(target=tell, name="progress", daemon=True)
    teller.start()
    try:
        yield
    finally:
        over.set()
        teller.join()
