"""`export`: every point of a run, exactly as it was logged, as CSV, JSON or Parquet, in bounded memory."""

import argparse
import contextlib
import time
from collections.abc import Iterator
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path

from ..store import connect
from ..store.answers import RunInfo
from ..store.catalog import Key
from ..store.logged import Logged
from .base import SAY_EVERY, say
from .choosing import choose_run
from .history import History, Misused, Unanswered, opened, place_of
from .remote_rows import RemoteRows
from .tables import FORMATS, About, Layout, Table
from .target import target

_LOOK = 4096  #: rows between two looks at the clock


def export_run(chosen: argparse.Namespace) -> int:
    """All rows of the run, into a file or to stdout."""
    name = chosen.format or (chosen.output.suffix.lstrip(".").lower() if chosen.output else "csv")
    if name not in FORMATS:
        raise Misused(f"{chosen.output} ends in none of {', '.join(FORMATS)}: say which by --format")
    make = FORMATS[name].load()
    with opened(chosen) as history:
        run = choose_run(history, chosen.wanted)
        about = About(run, history.config(run.id), history.summary(run.id))
        with _rows_of(chosen, history, run) as logged:
            if chosen.metric and not logged.names:
                known = f"`wayside-collector query {run.id}`"
                raise Unanswered(f"run {run.id} has no metric {', '.join(chosen.metric)}: {known}")
            layout = Layout(tuple(logged.names), long=chosen.form == "long")
            with target(chosen.output, FORMATS[name].binary) as file:
                rows, points = _write(make(file, layout, about), logged)
    _say_result(run, chosen.output, rows, points, logged.points, exact=not chosen.system)
    return 0


@contextlib.contextmanager
def _rows_of(chosen: argparse.Namespace, history: History, run: RunInfo) -> Iterator[Logged | RemoteRows]:
    """Every row that is wanted, from the store, or asked over HTTP."""
    wanted = partial(_is_wanted, chosen=chosen)
    if chosen.url:
        yield RemoteRows(history, run.id, wanted)
        return
    with contextlib.closing(connect(place_of(chosen), reading=True)) as db:
        yield Logged(db, run.id, wanted)


def _is_wanted(key: Key, chosen: argparse.Namespace) -> bool:
    if chosen.ranks is not None and key.rank not in chosen.ranks and key.kind == "run":
        return False
    named = not chosen.metric or any(key.name == one or fnmatchcase(key.name, one) for one in chosen.metric)
    return named and (key.kind == "run" or chosen.system)


def _write(table: Table, logged: Logged | RemoteRows) -> tuple[int, int]:
    """All rows; how many they and their points were."""
    rows = points = 0
    next_word = time.monotonic() + SAY_EVERY
    for owner, row in logged:
        table.add(owner, row)
        rows += 1
        points += len(row.values)
        if not rows % _LOOK and time.monotonic() > next_word:
            next_word = time.monotonic() + SAY_EVERY
            say(f"exporting: {points} of {logged.points} points, {100 * points // max(1, logged.points)} %")
    table.end()
    return rows, points


def _say_result(run: RunInfo, path: Path | None, rows: int, points: int, known: int, *, exact: bool) -> None:
    where = f" into {path}" if path else ""
    say(f"run {run.id}: {rows} rows, {points} points{where}")
    if exact and points < known:
        say(f"{known - points} more points were let go of by the store's limits; `query` still has their summaries")
