"""`rebuild`: the store anew, from the JSON lines and from what still stands in the spool. Its collector must be
stopped: the spool belongs to one process.
"""

import argparse
import asyncio
import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from wayside import wire

from ..configuration import config
from ..configuration.changes import Loaded, read
from ..delivery.selection import Selection, decode, merge
from ..registry import Known
from ..sinks import SINKS
from ..sinks.introductions import Introduced
from ..sinks.jsonl import JsonlOptions
from ..sinks.store import StoreOptions, StoreSink
from ..spool import Damaged, Spool, SpoolError, SpoolHeld
from ..store import StoreError, Writer, connect
from ..store.rebuild import Choice, Found, Record, read_lines, store_all
from ..store.writer import MAX_SERIES, Written
from .base import EXIT_HELD, say, show, waiting
from .history import Unanswered, store_of

BATCHES = 64  #: read from the spool's index at a time
_LESS = (
    "{place} has {more} points more than the JSON lines and the spool together, so it was left as it is; "
    "to have the new one all the same: --anew, or --to another place"
)


def rebuild_store(chosen: argparse.Namespace) -> int:
    """The new store takes the place of the old one when all of it is there."""
    loaded = read(chosen.config, config.environment())
    place = chosen.to or store_of(loaded.config)
    folders = chosen.lines or _folders(loaded)
    into = bool(chosen.to) or _is_server(place)  # what is there already; else a fresh file takes its place
    try:
        if into:
            written, kept = asyncio.run(_rebuild(loaded, place, folders)), ""
        else:
            written, kept = _rebuild_anew(loaded, Path(place), folders, chosen.anew)
    except SpoolHeld as holder:
        say(f"{holder} (its store is written meanwhile)")
        return EXIT_HELD
    except (SpoolError, StoreError, OSError) as problem:
        left = "what is written so far stays, and is left out when it is done again" if into else "nothing was changed"
        raise Unanswered(f"not rebuilt: {problem}; {left}") from problem
    show(
        f"{_shown(place)}: {written.points} points"
        + (f", {written.doubles} were there already" if written.doubles else "")
    )
    if kept:
        show(f"what was there before is in {kept}; remove it when you need it no more")
    return 0


def _rebuild_anew(loaded: Loaded, place: Path, folders: list[Path], anew: bool) -> tuple[Written, str]:
    """A new file in the place of the one there, and where that one is now. Raises Unanswered, and as _rebuild does."""
    fresh = place.with_name(f"{place.name}.rebuilding")
    _remove(fresh)
    try:
        written = asyncio.run(_rebuild(loaded, str(fresh), folders))
        if not anew and (more := _points(str(place)) - written.points) > 0:
            raise Unanswered(_LESS.format(place=place, more=more))
        return written, _replace(place, fresh)
    finally:
        _remove(fresh)


def _is_server(place: str) -> bool:
    return place.startswith(("postgresql://", "postgres://"))


def _shown(place: str) -> str:
    """As it may be printed: a server's address may hold a password."""
    return "the store in PostgreSQL" if _is_server(place) else place


def _folders(loaded: Loaded) -> list[Path]:
    """Where the configuration's JSON lines lie."""
    found = []
    for sink in loaded.config.sinks:
        if sink.kind is SINKS["jsonl"] and isinstance(sink.options, JsonlOptions) and sink.options.layout == "wayside":
            found.append(Path(sink.options.path) if sink.options.path else loaded.config.dir / sink.name)
    return found


async def _rebuild(loaded: Loaded, place: str, folders: list[Path]) -> Written:
    """All that is found, into the store at this place. Raises SpoolHeld, SpoolError, StoreError, OSError."""
    from ..assembly import Scope
    from ..daemon import Collector

    collector = Collector(loaded, environ=config.environment(), scope=Scope(listens=False))
    async with contextlib.AsyncExitStack() as stack:
        spool: Spool | None = None
        if loaded.config.spool_path.is_dir():
            await stack.enter_async_context(collector.opened())
            spool = collector.parts.spool
        registry = collector.parts.registry
        sessions = {known.session.id: known.session for known in registry.all()}
        return await asyncio.to_thread(_fill, place, _options(loaded), folders, sessions, (spool, registry))


def _fill(place: str, options: StoreOptions | None, folders: list[Path], sessions: Any, parts: Any) -> Written:
    spool, registry = parts
    db = connect(place)
    with contextlib.closing(db), waiting(f"writing {_shown(place)}"):
        db.migrate()
        writer = Writer(db, max_series=options.max_series if options is not None else MAX_SERIES)
        choose = _choice(options)
        written = Written()
        for folder in folders:
            told = Introduced(sorted(folder.glob("sessions-*.ndjson")))
            lines = sorted(folder.glob("rows-*.jsonl"))
            say(f"{folder}: {len(lines)} files of JSON lines, {len(told.sessions)} sessions")
            known = {**sessions, **told.sessions}
            written = written.plus(store_all(writer, read_lines(lines, known, told.open_runs), choose))
        if spool is not None:
            say(f"{spool.options.path}: what still stands in the spool")
            written = written.plus(store_all(writer, _of_spool(spool, registry), choose))
    return written


def _of_spool(spool: Spool, registry: Any) -> Iterator[Found]:
    """Everything that is stored there, in its order. What is damaged is left out, and said."""
    after = 0
    while batches := spool.batches(after, BATCHES):
        after = batches[-1].id
        for batch in batches:
            known: Known = registry.of(batch.session)
            records: list[Record] = []
            try:
                parts = [
                    decode(known, spool.read(extent), batch.first_seq) if extent is not None else []
                    for extent in (batch.rows, batch.events)
                ]
                records = merge(*parts)
            except (Damaged, OSError, wire.WireError, KeyError) as problem:
                say(f"batch {batch.id} of session {known.session.id[:8]} cannot be read, and is left out: {problem}")
            if records:
                system = known.session.kind == "system"
                yield Found(known.session, records, registry.open_runs(records[0].time) if system else ())


def _options(loaded: Loaded) -> StoreOptions | None:
    return next((sink.options for sink in loaded.config.sinks if isinstance(sink.options, StoreOptions)), None)


def _choice(options: StoreOptions | None) -> Choice:
    """What the store's own options let in, as in delivery. Which rank speaks for a run is not known any more: where
    only that one is wanted, all of them are taken.
    """
    selection = Selection(options or StoreOptions(), StoreSink.traits)
    known: dict[str, Known] = {}
    if selection.primary_only:
        say("`ranks: primary` is not followed: the rows of all ranks are taken")

    def choose(session: Any, records: list[Record]) -> list[Record]:
        there = known.setdefault(session.id, Known(len(known), session))
        return list(selection.rows(there, records, primary=True))

    return choose


# --- files -----------------------------------------------------------------------------------------------------------


def _beside(path: Path) -> Iterator[tuple[str, Path]]:
    """A store's files: the database and what SQLite keeps beside it."""
    for ending in ("", "-wal", "-shm"):
        yield ending, path.with_name(path.name + ending)


def _points(place: str) -> int:
    """How many there are in a store; 0 where none can be read."""
    try:
        with contextlib.closing(connect(place, reading=True)) as db:
            return int(db.query("SELECT coalesce(sum(points), 0) FROM sessions")[0][0])
    except StoreError:
        return 0


def _remove(path: Path) -> None:
    for _, file in _beside(path):
        file.unlink(missing_ok=True)


def _replace(path: Path, fresh: Path) -> str:
    """The fresh store in the place of the one there; where that one is now."""
    kept = path.with_name(f"{path.name}.before-{int(time.time())}")
    moved = False
    for ending, file in _beside(path):
        if file.exists():
            file.rename(kept.with_name(kept.name + ending))
            moved = True
    for ending, file in _beside(fresh):
        if file.exists():
            file.rename(path.with_name(path.name + ending))
    return str(kept) if moved else ""
