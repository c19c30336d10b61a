"""A store built again from the files of JSON lines, which hold every row and event.

The lines name the run, the rank and the session; what else a session said of itself (project, tags, workload, host) is
in the spool as long as it knows the session, and is passed in. Rows that a store holds already are left out, so this
may also be run over a store that has a part of them.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
from wayside import wire
from wayside.row import FINISH, Event, Row

from ..session import Kind, Run, Session
from .writer import Writer, Written

LINES = 4000  #: of one parcel


@dataclass(frozen=True, slots=True)
class _Lot:
    session: Session
    records: list[object]
    open_runs: tuple[Session, ...] = ()


@dataclass(slots=True)
class _Reading:
    """sessions: known ones, and what the lines tell of others. open: those of runs whose end has not come yet."""

    sessions: dict[str, Session]
    open: dict[str, Session] = field(default_factory=dict)

    def lot(self, line: dict[str, Any]) -> _Lot:
        session = self.sessions.get(line["session"])
        if session is None:
            session = _session(line)
            self.sessions[session.id] = session
        record = _record(line)
        if session.kind == "system":
            runs = {one.run.id: one for one in self.open.values() if one.started <= line["time"]}
            return _Lot(session, [record], tuple(runs.values()))
        if isinstance(record, Event) and record.kind == FINISH:
            self.open.pop(session.id, None)
        else:
            self.open[session.id] = session
        return _Lot(session, [record])


def rebuild(writer: Writer, files: Iterable[Path], sessions: Mapping[str, Session]) -> Written:
    """Write what the files hold, in their order. Lines that are none, as a crash may leave one at the end of a file,
    are passed over. Raises OSError, StoreError.
    """
    reading, written = _Reading(dict(sessions)), Written()
    lots: list[_Lot] = []
    for line in _lines(files):
        lots.append(reading.lot(line))
        if len(lots) >= LINES:
            written, lots = written.plus(writer.write(lots)), []
    return written.plus(writer.write(lots))


def _lines(files: Iterable[Path]) -> Iterator[dict[str, Any]]:
    for path in files:
        with path.open("rb") as file:
            for text in file:
                try:
                    line = msgspec.json.decode(text)
                except msgspec.DecodeError:
                    continue
                if isinstance(line, dict) and {"session", "seq", "run", "time"} <= line.keys():
                    yield line


def _session(line: dict[str, Any]) -> Session:
    """What a line tells of its session."""
    kind: Kind = "system" if line["run"] == "system" else "run"
    return Session(
        session=line["session"], run=Run(id=line["run"]), kind=kind, rank=line.get("rank"), started=line["time"]
    )  # fmt: skip


def _record(line: dict[str, Any]) -> Row | Event:
    head = (line["seq"], float(line["time"]), line["step"])
    if "event" in line:
        data = dict(line["event"])
        return Event(*head, data.pop("kind"), data)
    metrics = line["metrics"]
    values = tuple(wire.NON_FINITE[value] if isinstance(value, str) else float(value) for value in metrics.values())
    return Row(*head, True, False, tuple(metrics), values)
