"""`dead-letters`: rows and events that a sink refused for good, listed, shown, replayed and dropped.

The spool belongs to one process: where a collector runs, it is asked over HTTP; where none does, the spool is opened
here, and no sink is talked to: what is replayed waits for the next start.
"""

import argparse
import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlencode

import msgspec

from ..configuration import config
from ..configuration.changes import Loaded, read
from .base import EXIT_CONFIG, EXIT_FAILED, Command, add_config, format_examples, parse_moment, say, show, waiting
from .calling import NoAnswer, ask, url_of
from .showing import format_letters

_PATH = "/api/v1/dead-letters"
_EXAMPLES = {
    "wayside-collector dead-letters list": "what was refused, when, and why",
    "wayside-collector dead-letters list --sink lens --run r1 --since 1h": "of one sink and run, of the last hour",
    "wayside-collector dead-letters show 17": "one of them, with what was refused",
    "wayside-collector dead-letters replay --sink lens": "give them to their sink once more",
    "wayside-collector dead-letters drop --reason 'too large'": "remove them for good",
    "wayside-collector dead-letters drop --all": "remove all of them",
}
_ACTIONS = {
    "list": "what was refused, when, and why",
    "show": "one of them, with what was refused",
    "replay": "give them to their sink once more",
    "drop": "remove them for good; the books keep them as dropped",
}


def _arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    for name, help in _ACTIONS.items():
        examples = {line: meaning for line, meaning in _EXAMPLES.items() if f"dead-letters {name}" in line}
        one = actions.add_parser(
            name,
            help=help,
            description=f"{help[0].upper()}{help[1:]}.",
            epilog=format_examples(examples),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        if name == "show":
            one.add_argument("ids", nargs=1, type=int, metavar="ID")
        else:
            _add_choice(one)
            if name == "list":
                one.add_argument("--limit", type=int, default=100, metavar="COUNT", help="at most (default 100)")
            else:
                one.add_argument("ids", nargs="*", type=int, metavar="ID", help="numbers, as `list` shows them")
                one.add_argument("--all", action="store_true", help="all of them, when nothing else is said")
        one.add_argument("--json", action="store_true", help="as JSON")
        one.add_argument("--url", help="a running collector's address (default: from the configuration)")
        add_config(one)


def _add_choice(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--sink", metavar="NAME", help="of this sink")
    parser.add_argument("--run", metavar="ID", dest="of_run", help="of this run")
    parser.add_argument("--reason", metavar="TEXT", help="whose reason holds this text")
    parser.add_argument(
        "--since", metavar="TIME", type=parse_moment, help='refused since: "1h" ago, or 2026-01-31T12:00'
    )
    parser.add_argument("--until", metavar="TIME", type=parse_moment, help="refused until then, likewise")


def _run(chosen: argparse.Namespace) -> int:
    wanted = _wanted(chosen)
    if chosen.action in ("replay", "drop") and not wanted and not chosen.all:
        say(f"say which: by number, --sink, --run, --reason, --since, --until; or --all. {chosen.action} did nothing")
        return EXIT_CONFIG
    try:
        answer = _answer(chosen, wanted)
        if "sink" in wanted and not answer.get("total", len(answer)):
            known = _sinks(chosen)
            if wanted["sink"] not in known:
                say(f"there is no sink {wanted['sink']}, nor a dead letter of one; there are: {', '.join(known)}")
                return EXIT_CONFIG
        _say_answer(chosen, answer)
        return 0
    except NoAnswer as problem:
        say(str(problem))
        return EXIT_FAILED


def _sinks(chosen: argparse.Namespace) -> list[str]:
    """Names of the sinks there are now. Raises NoAnswer."""
    if chosen.url:
        return list(ask(chosen.url, "/status")["sinks"])
    return [sink.name for sink in config.load(chosen.config, config.environment()).sinks]


def _wanted(chosen: argparse.Namespace) -> dict[str, Any]:
    """What was chosen, as the collector takes it."""
    given = {name: getattr(chosen, name, None) for name in ("sink", "reason", "since", "until")}
    given |= {"run": getattr(chosen, "of_run", None), "ids": getattr(chosen, "ids", None) or None}
    return {name: value for name, value in given.items() if value is not None}


def _answer(chosen: argparse.Namespace, wanted: dict[str, Any]) -> Any:
    """From the running collector, or from the spool of one that is stopped. Raises NoAnswer."""
    from ..spool import SpoolHeld

    if chosen.url:
        return _ask_running(chosen.url, chosen, wanted)
    loaded = read(chosen.config, config.environment())
    if not loaded.config.spool_path.is_dir():
        raise NoAnswer(f"there is no spool at {loaded.config.spool_path}: is this the collector's --config, or `dir`?")
    try:
        with waiting(f"reading {loaded.config.spool_path}"):
            return asyncio.run(_ask_stopped(loaded, chosen, wanted))
    except SpoolHeld:
        return _ask_running(url_of(loaded.config), chosen, wanted)


def _ask_running(url: str, chosen: argparse.Namespace, wanted: dict[str, Any]) -> Any:
    if chosen.action == "list":
        return ask(url, f"{_PATH}?{urlencode({**wanted, 'limit': chosen.limit})}")
    if chosen.action == "show":
        return ask(url, f"{_PATH}/{chosen.ids[0]}")
    return ask(url, f"{_PATH}/{chosen.action}", wanted or {"all": True})


async def _ask_stopped(loaded: Loaded, chosen: argparse.Namespace, wanted: dict[str, Any]) -> Any:
    from ..assembly import Scope
    from ..daemon import Collector
    from ..delivery.dead_letters import Impossible, Wanted
    from ..spool import SpoolError

    collector = Collector(loaded, environ=config.environment(), scope=Scope(listens=False))
    letters = collector.parts.letters
    which = msgspec.convert(wanted, Wanted)
    actions: dict[str, Callable[[], Awaitable[Any]]] = {
        "list": lambda: letters.find(which, chosen.limit),
        "show": lambda: letters.show(chosen.ids[0]),
        "replay": lambda: letters.replay(which),
        "drop": lambda: letters.drop(which),
    }
    try:
        async with collector.opened():
            return await actions[chosen.action]()
    except (Impossible, SpoolError) as problem:
        raise NoAnswer(str(problem)) from problem


def _say_answer(chosen: argparse.Namespace, answer: Any) -> None:
    if chosen.json or chosen.action == "show":
        show(json.dumps(answer, indent=2))
    elif chosen.action == "list":
        show(format_letters(answer["letters"]) if answer["letters"] else "no dead letters")
        if answer["total"] > len(answer["letters"]):
            show(f"… and {answer['total'] - len(answer['letters'])} more: --limit, or choose fewer")
    else:
        what = "go again" if chosen.action == "replay" else "are dropped"
        show("\n".join(f"{sink}: {count} {what}" for sink, count in answer.items()) or "no dead letter was meant")


COMMAND = Command(
    "dead-letters", "rows that a sink refused for good, and what to do with them", _EXAMPLES, _arguments, _run
)
