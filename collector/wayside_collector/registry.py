"""Who is here: sessions and runs, as everyone downstream of the spool needs to know them.

One object on the event loop. The spool keeps the truth (`sessions`, `schemas`); this is what has been read of it, and
the small questions asked of it: whose rows are these, which names has this schema, which runs are open.
"""

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

import msgspec
from wayside import wire

from .session import Run, Session, read_session
from .spool import SessionRow, Spool

Group = TypeVar("Group")


@dataclass(slots=True)
class Known:
    """A session by its key in the spool. ended: Unix time in seconds, None while it lives. finish: as in `SessionRow`.
    schemas: number to names.
    """

    key: int
    session: Session
    ended: float | None = None
    finish: tuple[int, int] | None = None
    schemas: dict[int, tuple[str, ...]] = field(default_factory=dict)


class Registry:
    """Sessions by key and by id."""

    def __init__(self) -> None:
        self._by_key: dict[int, Known] = {}
        self._by_id: dict[str, Known] = {}
        # A gateway has thousands, and is asked of one run's, or one collector's, with every parcel.
        self._by_run: dict[str, dict[int, Known]] = {}
        self._by_via: dict[str | None, dict[int, Known]] = {}

    def load(self, spool: Spool) -> None:
        """Everything the spool knows from before."""
        for row in spool.sessions():
            known = self.add(row)
            for number, frame in spool.schemas(row.key).items():
                with contextlib.suppress(wire.WireError, IndexError):  # rows of such a schema are told to be damaged
                    known.schemas[number] = wire.read_schema(frame, wire.scan(frame).spans[0])

    def add(self, row: SessionRow) -> Known:
        """A session the spool has begun or knows; a session that was over lives again."""
        known = self._by_key.get(row.key)
        if known is None:
            known = self._by_key[row.key] = self._by_id[row.id] = Known(row.key, _read_record(row))
            self._by_run.setdefault(known.session.run.id, {})[row.key] = known
            self._by_via.setdefault(known.session.via, {})[row.key] = known
        known.ended, known.finish = row.ended, row.finish
        return known

    def forget(self, keys: Iterable[int]) -> list[Known]:
        """Sessions the spool has forgotten; what was known of them."""
        found = [known for key in keys if (known := self._by_key.pop(key, None)) is not None]
        for known in found:
            del self._by_id[known.session.id]
            _take_out(self._by_run, known.session.run.id, known)
            _take_out(self._by_via, known.session.via, known)
        return found

    def of(self, key: int) -> Known:
        return self._by_key[key]

    def get(self, key: int) -> Known | None:
        """The same, where the spool may have forgotten the session."""
        return self._by_key.get(key)

    def by_id(self, id: str) -> Known | None:
        return self._by_id.get(id)

    def all(self) -> Iterator[Known]:
        return iter(list(self._by_key.values()))

    def alive(self, run: str | None = None) -> list[Known]:
        """Training sessions that are not over, of one run or of all."""
        found = self.all() if run is None else list(self._by_run.get(run, {}).values())
        return [known for known in found if known.ended is None and known.session.kind == "run"]

    def keys_of(self, run: str) -> list[int]:
        """Keys of every session of a run that is known."""
        return list(self._by_run.get(run, {}))

    def open_runs(self, at: float, via: str | None = None) -> tuple[Session, ...]:
        """One session of each run that was open at a time (Unix time in seconds), the lowest rank's. via: of those that
        this collector feeds us; the others' samplers measure other machines, by other clocks.
        """
        found: dict[str, Session] = {}
        for known in list(self._by_via.get(via, {}).values()):
            session = known.session
            if session.kind != "run" or session.started > at or (known.ended is not None and known.ended < at):
                continue
            other = found.get(session.run.id)
            if other is None or rank_order(session) < rank_order(other):
                found[session.run.id] = session
        return tuple(found.values())


def _take_out(groups: dict[Group, dict[int, Known]], of: Group, known: Known) -> None:
    del groups[of][known.key]
    if not groups[of]:
        del groups[of]


def rank_order(session: Session) -> int:
    """Ranks in the order of who speaks for a run: a process without rank first, then the lowest."""
    return -1 if session.rank is None else session.rank


def _read_record(row: SessionRow) -> Session:
    """The session of a stored HELLO frame. A record this version cannot read still names its session."""
    try:
        return read_session(wire.read_json(row.record, wire.scan(row.record).spans[0]))
    except (wire.WireError, msgspec.ValidationError, UnicodeError, IndexError):
        return Session(session=row.id, run=Run(id="unknown"), started=row.started)
