"""Whether a kill hit: rows that lie in a journal and are not in the spool, read from both as files."""

import contextlib
import sqlite3
from pathlib import Path

from wayside import wire
from wayside_collector.sources.confined import journal_folder
from wayside_collector.sources.segments import Owner, owner_of, read_segment


def rows_held(journals: list[Path], spool_db: Path, *, only_dead: bool = False) -> bool:
    """Whether some journal holds a row or event that is not stored. only_dead: of journals whose owner is dead."""
    stored = stored_seqs(spool_db)
    for folder in journals:
        if only_dead and owner_of(folder) is not Owner.DEAD:
            continue
        if any(end_seq(path) > stored.get(folder.name, 0) for path in folder.glob("*.seg")):
            return True
    return False


def stored_seqs(spool_db: Path) -> dict[str, int]:
    """Session to the seq below which all is stored; empty when there is no spool to ask."""
    with contextlib.suppress(sqlite3.Error), contextlib.closing(connect(spool_db)) as db:
        return dict(db.execute("SELECT id, next_seq FROM sessions").fetchall())
    return {}


def connect(spool_db: Path) -> sqlite3.Connection:
    """For reading only."""
    return sqlite3.connect(f"file:{spool_db}?mode=ro", uri=True, timeout=5)


def end_seq(path: Path) -> int:
    """The seq after the last one that is committed in a segment; 0 for one that is not begun, or gone."""
    with contextlib.suppress(OSError, wire.WireError):
        with journal_folder(path.parent) as folder:
            segment = read_segment(folder, path)
        if segment is not None:
            position, _ = segment.committed()
            data = segment.bytes_to(position, position)
            segment.close()
            return wire.totals(data, segment.header.first_seq, segment.header.first_point, 0)[0]
    return 0
