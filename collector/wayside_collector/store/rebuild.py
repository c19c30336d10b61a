"""A store built again from what else is kept: files of JSON lines, and what still stands in the spool.

The lines name the run, the rank and the session of each row and event; who the sessions are (project, tags, workload,
host), and for which runs the samplers measured, is told beside them, and passed in. Rows that a store holds already are
left out, so this may also be run over a store that has a part of them.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta
from wayside import wire
from wayside.row import FINISH, Event, Row

from ..plausible import MAX_COUNT, MAX_TIME
from ..session import Kind, Run, Session
from .writer import Writer, Written

LINES = 4000  #: of one parcel

Record = Row | Event
OpenRuns = Callable[[str, int], Sequence[Session] | None]  #: by a sampler's session and its row's seq
Choice = Callable[[Session, list[Record]], list[Record]]  #: what of a session's records is for this store


@dataclass(frozen=True, slots=True)
class Found:
    """Records of one session that are to be stored. open_runs: of a sampler's, the sessions it measured for."""

    session: Session
    records: list[Record]
    open_runs: tuple[Session, ...] = ()


def store_all(writer: Writer, found: Iterable[Found], choose: Choice = lambda _, records: records) -> Written:
    """Write what was found, in its order. Raises StoreError."""
    written, parcel, count = Written(), list[Found](), 0
    for one in found:
        records = choose(one.session, one.records)
        if records:
            parcel.append(Found(one.session, records, one.open_runs))
            count += len(records)
        if count >= LINES:
            written, parcel, count = written.plus(writer.write(parcel)), [], 0
    return written.plus(writer.write(parcel)) if parcel else written


class _Line(msgspec.Struct):
    """A row or an event, as `sinks/jsonl.py` writes it."""

    time: Annotated[float, Meta(ge=0, lt=MAX_TIME)]
    step: Annotated[int, Meta(ge=-(1 << 63), le=(1 << 63) - 1)] | None
    run: Annotated[str, Meta(min_length=1)]
    session: Annotated[str, Meta(min_length=1)]
    seq: Annotated[int, Meta(ge=0, le=MAX_COUNT)]
    rank: Annotated[int, Meta(ge=0, lt=1 << 31)] | None = None
    metrics: dict[str, float | Literal["NaN", "Infinity", "-Infinity"]] | None = None
    event: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        if self.metrics is None and (self.event is None or not isinstance(self.event.get("kind"), str)):
            raise ValueError("neither metrics nor an event of some kind")


@dataclass(slots=True)
class _Reading:
    """sessions: known ones, and what the lines tell of others. open: those of runs whose end has not come yet."""

    sessions: dict[str, Session]
    open_runs: OpenRuns
    open: dict[str, Session] = field(default_factory=dict)

    def found(self, line: _Line) -> Found:
        session = self.sessions.get(line.session)
        if session is None:
            session = _session(line)
            self.sessions[session.id] = session
        record = _record(line)
        if session.kind == "system":
            return Found(session, [record], tuple(self._open_at(session, record)))
        if isinstance(record, Event) and record.kind == FINISH:
            self.open.pop(session.id, None)
        else:
            self.open[session.id] = session
        return Found(session, [record])

    def _open_at(self, session: Session, record: Record) -> Iterable[Session]:
        """As it was told, else all that were open."""
        told = self.open_runs(session.id, record.seq)
        if told is not None:
            return told
        return {one.run.id: one for one in self.open.values() if one.started <= record.time}.values()


def read_lines(
    files: Iterable[Path], sessions: Mapping[str, Session], open_runs: OpenRuns = lambda session, seq: None
) -> Iterator[Found]:
    """What the files hold, in their order. Lines that are none, as a crash may leave one at the end of a file, and such
    as `jsonl` does not write, are passed over. Raises OSError.
    """
    reading = _Reading(dict(sessions), open_runs)
    for line in _lines(files):
        yield reading.found(line)


def _lines(files: Iterable[Path]) -> Iterator[_Line]:
    read = msgspec.json.Decoder(_Line).decode
    for path in files:
        with path.open("rb") as file:
            for text in file:
                try:
                    line = read(text)
                except (msgspec.DecodeError, RecursionError):  # a ValidationError is a DecodeError, too
                    continue
                yield line


def _session(line: _Line) -> Session:
    """What a line tells of its session."""
    kind: Kind = "system" if line.run == "system" else "run"
    return Session(session=line.session, run=Run(id=line.run), kind=kind, rank=line.rank, started=line.time)


def _record(line: _Line) -> Record:
    head = (line.seq, line.time, line.step)
    if line.metrics is None:
        data = dict(line.event or {})
        return Event(*head, data.pop("kind"), data)
    values = tuple(wire.NON_FINITE[value] if isinstance(value, str) else value for value in line.metrics.values())
    return Row(*head, True, False, tuple(line.metrics), values)
