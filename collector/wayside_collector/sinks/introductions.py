"""What JSON lines of rows cannot say each time: who their sessions are, and for which runs the samplers measured.

    {"session": "…", "record": {"session": "…", "run": {"id": "r1", "project": "demo"}, "rank": 0, …}}
    {"session": "…", "seq": 17, "open_runs": ["…", "…"]}

The second is of a sampler's session: from this seq on its rows count for these sessions' runs. A line comes before the
first row it is about is delivered, and may stand there more than once: the last one counts.
"""

import bisect
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from ..session import Session, read_session
from .base import Part, Step

MOST = 4096  #: sessions that are remembered as told; beyond it some are told again


class Introductions:
    """Which of it is told already. told, open_runs: what would be, once it is written."""

    def __init__(self) -> None:
        self._told: set[str] = set()
        self._open: dict[str, tuple[str, ...]] = {}

    def lines(self, parts: Iterable[Part]) -> bytes:
        """What must be told for these parts; `done` when it is on disk, else it is told again."""
        out: list[dict[str, Any]] = []
        told, open = set(self._told), dict(self._open)
        for part in parts:
            for session in (part.session, *part.open_runs):
                if session.id not in told:
                    told.add(session.id)
                    out.append({"session": session.id, "record": msgspec.to_builtins(session)})
            runs = tuple(session.id for session in part.open_runs)
            if part.session.kind == "system" and part.records and open.get(part.session.id) != runs:
                open[part.session.id] = runs
                out.append({"session": part.session.id, "seq": _first_seq(part), "open_runs": runs})
        self._pending = told, open
        return b"".join(msgspec.json.encode(line) + b"\n" for line in out)

    def done(self) -> None:
        """What `lines` told last is written."""
        self._told, self._open = self._pending
        if len(self._told) > MOST:
            self._told.clear()
            self._open.clear()


def _first_seq(part: Part) -> int:
    first = part.records[0]
    return min(first.seqs) if isinstance(first, Step) else first.seq


class Introduced:
    """What such files told. sessions: by id."""

    def __init__(self, files: Iterable[Path] = ()) -> None:
        self.sessions: dict[str, Session] = {}
        self._open: dict[str, dict[int, tuple[str, ...]]] = {}
        for line in _lines(files):
            if isinstance(line.get("record"), dict):
                try:
                    session = read_session(line["record"])
                except msgspec.ValidationError:
                    continue
                self.sessions[session.id] = session
            elif isinstance(line.get("seq"), int) and isinstance(line.get("open_runs"), list):
                runs = tuple(id for id in line["open_runs"] if isinstance(id, str))
                self._open.setdefault(str(line.get("session")), {})[line["seq"]] = runs
        self._seqs = {session: sorted(found) for session, found in self._open.items()}

    def open_runs(self, session: str, seq: int) -> Sequence[Session] | None:
        """For whose runs a sampler's row counts; None where that was not told."""
        seqs = self._seqs.get(session, [])
        place = bisect.bisect_right(seqs, seq)
        if not place:
            return None
        runs = self._open[session][seqs[place - 1]]
        return [self.sessions[id] for id in runs if id in self.sessions]


def _lines(files: Iterable[Path]) -> Iterator[dict[str, Any]]:
    """Lines that are none, as a crash may leave one at the end of a file, are passed over. Raises OSError."""
    for path in files:
        with path.open("rb") as file:
            for text in file:
                try:
                    line = msgspec.json.decode(text)
                except msgspec.DecodeError:
                    continue
                if isinstance(line, dict):
                    yield line
