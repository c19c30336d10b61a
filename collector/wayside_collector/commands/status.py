"""`status`: what a running collector has received and delivered."""

import argparse
import json
import time

from ..configuration import config
from .base import EXIT_FAILED, Command, add_config, say, show
from .calling import NoAnswer, ask, foreign, url_of
from .showing import format_status


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="as JSON")
    parser.add_argument("--url", help="the collector's address (default: from the configuration)")
    add_config(parser)


def _run(chosen: argparse.Namespace) -> int:
    try:
        url = chosen.url or url_of(config.load(chosen.config, config.environment()))
        status = ask(url, "/status")
        if not {"version", "sinks", "spool"} <= status.keys():
            raise NoAnswer(foreign(url))
    except NoAnswer as problem:
        say(str(problem))
        return EXIT_FAILED
    show(json.dumps(status, indent=2) if chosen.json else format_status(status, time.time()))
    return 0


COMMAND = Command(
    "status",
    "what a running collector has received and delivered",
    {
        "wayside-collector status": "the books of every sink, the open sessions, what is wrong",
        "wayside-collector status --json": "all of it, for programs",
        "wayside-collector status --url http://127.0.0.1:9751": "of a collector that listens elsewhere",
    },
    _arguments,
    _run,
)
