"""`sync`: delivers what an offline run left behind, and stops."""

import argparse
import asyncio
import math
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ..configuration import config
from ..configuration.changes import Loaded, read
from ..configuration.places import journal_roots_of, socket_path
from ..configuration.units import show_seconds
from ..log import set_up_log
from ..sources.segments import journal_folders, read_record
from .base import EXIT_CONFIG, EXIT_FAILED, SAY_EVERY, Command, add_config, say, show
from .life import guarded, signals, until_delivered
from .showing import format_sinks


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("path", type=Path, help="the folder: WAYSIDE_DIR of the run")
    parser.add_argument(
        "--timeout", type=float, default=600.0, metavar="SECONDS", help="give up after this (default 600)"
    )
    add_config(parser)


def _run(chosen: argparse.Namespace) -> int:
    environ = {**config.environment(), "WAYSIDE_LISTEN": "127.0.0.1:0"}
    loaded = read(chosen.config, environ)
    if not loaded.config.level_given:
        environ["WAYSIDE_LOG__LEVEL"] = "warning"  # what it found is told at the end
        loaded = read(chosen.config, environ)
    folder = chosen.path.resolve()
    if not chosen.path.is_dir():  # a run killed young may have left everything in memory, and made no folder yet
        places = journal_roots_of(socket_path(loaded.config, environ), loaded.config.dir, environ)
        if chosen.path.exists() or not _is_named(folder, places):
            looked = ", ".join(map(str, places))
            say(f"{chosen.path} is not a folder, and no journal in {looked} is of a run with that WAYSIDE_DIR")
            say("give the folder where the run kept its journal (WAYSIDE_DIR)")
            return EXIT_CONFIG
    set_up_log(loaded.config)
    return guarded(lambda: _deliver_folder(loaded, folder, chosen.timeout))


def _is_named(folder: Path, places: Iterable[Path]) -> bool:
    """Whether some run's journal in these places says that the run's WAYSIDE_DIR is this folder."""
    records = (read_record(journal) for place in places for journal in journal_folders(place))
    return any(record.get("dir") == str(folder) for record in records)


async def _deliver_folder(loaded: Loaded, folder: Path, timeout: float) -> int:
    from ..assembly import Scope
    from ..daemon import Collector

    scope = Scope(False, [folder], lambda record: record.get("dir") == str(folder) or not record.get("dir"))
    collector = Collector(loaded, environ=config.environment(), scope=scope)
    async with collector.opened():
        stop = asyncio.Event()
        with signals(stop):
            running = asyncio.create_task(collector.run(stop), name="collector")
            until = time.monotonic() + timeout
            saying = _Saying(collector, until)
            complete = await until_delivered(collector.parts, running, until, each_look=saying)
            stop.set()
            await running
        show(_found(collector.parts.journals.orphans, collector.parts.intake.counters.received_rows, folder))
        show(format_sinks(collector.views.status()["sinks"]))
    if not complete:
        say("not everything could be delivered; what waits is kept in the spool: run the same command again")
    return 0 if complete else EXIT_FAILED


def _found(journals: int, rows: int, folder: Path) -> str:
    """What came in now: the table under it adds up all that the spool ever had."""
    if not journals:
        return f"no journals found below {folder}; since the spool began:"
    return f"{journals} journal{'s' * (journals != 1)}, {rows} row{'s' * (rows != 1)} this time; since the spool began:"


class _Saying:
    """Says how far it is, when that is another thing than before."""

    def __init__(self, collector: Any, until: float) -> None:
        self._collector = collector
        self._until = until
        self._said = ""
        self._next = time.monotonic() + SAY_EVERY

    def __call__(self) -> None:
        if time.monotonic() > self._next:
            self._next = time.monotonic() + SAY_EVERY
            progress = _progress(self._collector.views.status()["sinks"], self._until - time.monotonic())
            if progress != self._said:
                self._said = progress
                say(progress)


def _progress(sinks: Mapping[str, Mapping[str, Any]], left: float) -> str:
    """What still waits, and for which sink; with trouble in it, how long that is tried and how to end it."""
    waiting = [
        f"{sink['waiting']} points for {name}" + (f" ({sink['last_error']})" if sink["last_error"] else "")
        for name, sink in sinks.items()
        if sink["waiting"] or sink["rows"]["waiting"] or sink["events"]["waiting"]
    ]
    trouble = any(sink["last_error"] for sink in sinks.values())
    end = f"; tried for {show_seconds(60 * math.ceil(left / 60))} more, Ctrl-C keeps what waits" if trouble else ""
    return f"delivering: {', '.join(waiting)}{end}" if waiting else "reading journals"


COMMAND = Command(
    "sync",
    "deliver what an offline run left behind",
    {
        "wayside-collector sync ./.wayside": "everything below it; run it again for what could not be delivered",
        "wayside-collector sync --config wayside.yaml /data/run-7": "to the sinks of a configuration",
    },
    _arguments,
    _run,
)
