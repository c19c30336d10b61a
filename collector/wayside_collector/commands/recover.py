"""`recover`: looks at a spool that will not open, says what is wrong, and saves what can be read."""

import argparse
from pathlib import Path

from ..configuration import config
from ..configuration.units import show_size
from .base import EXIT_CONFIG, EXIT_FAILED, EXIT_HELD, Command, add_config, say, show, waiting

_MEANING = {
    "sessions": "sessions are known by what the files say of them",
    "sinks": "sinks begin at the oldest row that is stored, and where a sink cannot tell, rows may arrive twice",
    "cursors": "sinks may be handed rows once more that were on their way",
    "state": "sinks begin without what they kept: jsonl begins a new file, Prometheus an empty page",
    "dead_letters": "the dead letters are gone",
    "lost": "what clients had to drop is counted from zero",
    "schemas": "names of metrics are taken from the files",
}


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("path", type=Path, nargs="?", help="the spool's folder (default: from the configuration)")
    parser.add_argument("--look", action="store_true", help="only say what is wrong; change nothing")
    parser.add_argument("--anew", action="store_true", help="make a new database although the old one looks sound")
    add_config(parser)


def _run(chosen: argparse.Namespace) -> int:
    from ..spool import SpoolError, SpoolHeld
    from ..spool.recover import held, holds_spool

    folder = chosen.path or config.load(chosen.config, config.environment()).spool_path
    if not folder.is_dir():
        say(f"there is no spool at {folder}: give its folder, or --config; it is `spool` below `dir`")
        return EXIT_CONFIG
    if not holds_spool(folder):
        say(f"{folder} holds no spool: give the folder with spool.db and the segment files; it is `spool` below `dir`")
        return EXIT_CONFIG
    try:
        with held(folder):
            return _recover(folder, chosen)
    except SpoolHeld as holder:
        say(str(holder))
        return EXIT_HELD
    except (SpoolError, OSError) as problem:
        say(f"not recovered: {problem}")
        return EXIT_FAILED


def _recover(folder: Path, chosen: argparse.Namespace) -> int:
    from ..spool.recover import Findings, examine, keep_original, make_anew

    with waiting(f"reading {folder}"):
        found: Findings = examine(folder)
    size = show_size(sum(file.size for file in found.files))
    show(f"{folder}: {len(found.files)} segment files, {size}")
    for file in found.damaged_files:
        what = file.problem or f"{file.damaged} damaged places; {file.blocks} whole blocks can be read"
        show(f"  {file.name}: {what}")
    if found.newer is not None:
        say(f"the database is of a newer collector (format {found.newer}): start that one; nothing was changed")
        return EXIT_FAILED
    show(f"  spool.db: {found.database or 'sound'}")
    if found.database is None and not chosen.anew:
        if found.damaged_files:
            show("The collector starts with it; each sink counts what it finds damaged as dropped, and goes on.")
            return EXIT_FAILED
        show("Nothing is wrong here. Should a collector still not start with it: --anew")
        return 0
    saving = found.saving
    show(f"Can be saved: {saving.sessions} sessions and {saving.batches} batches, as far as they are whole")
    for table in saving.lost:
        show(f"Cannot be saved: {table}: {_MEANING.get(table, '')}")
    if chosen.look:
        show("Nothing was changed. Without --look it is saved.")
        return EXIT_FAILED if found.database or found.damaged_files else 0
    with waiting(f"saving what is in {folder}"):
        kept = keep_original(folder)
        told = make_anew(folder, found.database or "made anew on request")
    show(f"Saved: {told}")
    show(f"Everything as it was before is in {kept}; remove it when you need it no more")
    return EXIT_FAILED if saving.lost or found.damaged_files else 0


COMMAND = Command(
    "recover",
    "look at a spool that will not open, and save what can be read",
    {
        "wayside-collector recover": "of the configuration, its collector stopped; exit code 1: not all was saved",
        "wayside-collector recover --look ./.wayside/spool": "only say what is wrong; exit code 1 when something is",
        "wayside-collector recover --anew ./.wayside/spool": "although its database looks sound",
    },
    _arguments,
    _run,
)
