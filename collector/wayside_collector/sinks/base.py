"""The contract of a sink.

A sink delivers; it keeps no position, no queue and no retry of its own. Its pump (`delivery/pump.py`) reads the
spool, applies the options every sink has (`ranks`, `include`, `exclude`, `rename`, `every`), and hands it one parcel
at a time.

A send ends in one of three ways, each an answer to "what should the pump do?":

    return          everything in the parcel is delivered
    raise Retry     try again later, perhaps not before a given time, perhaps without what did get through
    raise Reject    these rows will never be accepted, for this reason; everything else in the parcel is delivered

Anything else that escapes is a bug in the sink: the pump logs it with its traceback, counts it and treats it as Retry.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Literal, NamedTuple, Protocol

import msgspec
from wayside.row import Event, Row

from ..session import Session

Ref = tuple[str, int]  #: (session id, seq): what names a row or event for ever


class Step(NamedTuple):
    """The rows of one session that carry one step, merged: what a sink with `unit="step"` gets in the place of rows.

    seqs: the rows it is made of, in order. first_time, time: Unix time in seconds of the first and the last of them.
    metrics: name to value; a name logged twice has its last value. points: what the rows count in the books. late: a
    row of this step arrived after the step had been handed over, and this holds only such rows.
    """

    seqs: tuple[int, ...]
    first_time: float
    time: float
    step: int
    metrics: dict[str, float]
    points: int
    late: bool


Record = Row | Step | Event


class Part(NamedTuple):
    """Rows (or steps) and events of one session, in the order of the session; events stand where they happened.

    open_runs: for the collector's own samplers (`session.kind == "system"`), one session of each run that was open
    when the rows were taken; empty for training sessions. primary: whether this session speaks for its run (see
    `ranks`): a sink that keeps one config or summary a run prefers a primary session's.
    """

    session: Session
    records: list[Record]
    open_runs: tuple[Session, ...] = ()
    primary: bool = True


@dataclass(frozen=True, slots=True)
class Parcel:
    """What a pump hands a sink in one send: each session's parts in its order, those of several in the order in which
    the first of each was stored. The sink must not change it.
    """

    parts: list[Part]

    def refs(self) -> set[Ref]:
        """Every row and event in it."""
        found: set[Ref] = set()
        for part in self.parts:
            for record in part.records:
                seqs = record.seqs if isinstance(record, Step) else (record.seq,)
                found.update((part.session.id, seq) for seq in seqs)
        return found


Changes = Mapping[str, bytes | None]  #: changes of a sink's kept state; None removes a key


class Retry(Exception):
    """Try the parcel again. not_before: Unix time in seconds (from a Retry-After). delivered: what got through all
    the same.

    uncertain: the other side may have taken the rest although its answer was lost; what is sent again is then counted
    as redelivered. changes: the sink's kept state, committed with what was delivered. runs: ids of the runs that alone
    are in trouble; when nothing else is left of the parcel, the pump goes on with other runs, and comes back to these
    with a backoff of their own. Without it every run waits.
    """

    def __init__(
        self,
        message: str,
        *,
        not_before: float | None = None,
        delivered: Iterable[Ref] = (),
        uncertain: bool = False,
        changes: Changes | None = None,
        runs: Iterable[str] = (),
    ) -> None:
        super().__init__(message)
        self.runs = frozenset(runs)
        self.not_before = not_before
        self.delivered = frozenset(delivered)
        self.uncertain = uncertain
        self.changes = changes or {}


class Reject(Exception):
    """These rows will never be accepted, for this reason. They go to the dead letters; the rest of the parcel was
    delivered.
    """

    def __init__(self, message: str, rows: Iterable[Ref], *, changes: Changes | None = None) -> None:
        super().__init__(message)
        self.rows = frozenset(rows)
        self.changes = changes or {}


LeavesOut = Callable[[Session, Any], str | None]


def _none(session: Session, options: Any) -> str | None:
    return None


TakesEvent = Callable[[Event, Any], bool]


@dataclass(frozen=True, slots=True)
class Traits:
    """What a kind of sink needs of its pump.

    unit: "row", or "step" for rows merged into complete steps (a step is complete when the session logs a larger one,
    finishes, ends, or `step_timeout` seconds pass). iterations: whether the step of a row that was logged without one
    is looked for in its metrics (`delivery/iterations.py`). start: where a new sink begins: at the "oldest" stored row,
    or at rows stored from "now" on. ranks: the default of the option. system: whether it takes the samplers' rows.
    leaves_out: why a sink with these options leaves a training session out altogether, in a word; None: it takes it.
    max_records: the most a parcel holds. commit_interval: seconds between two commits of its cursor; 0 commits after
    each parcel. shows: it shows what it kept, and is opened before there is anything to send. rows: whether rows are
    anything to it. takes_event: whether a sink with these options takes this event; None: it takes each.
    """

    unit: Literal["row", "step"] = "row"
    start: Literal["oldest", "now"] = "oldest"
    ranks: Literal["primary", "all"] = "all"
    system: bool = True
    leaves_out: LeavesOut = _none
    max_records: int = 5000
    step_timeout: float = 30.0
    iterations: bool = False
    commit_interval: float = 0.0
    shows: bool = False
    rows: bool = True
    takes_event: TakesEvent | None = None


class Account(NamedTuple):
    """A sink's books, in points."""

    received: int = 0
    delivered: int = 0
    waiting: int = 0
    dropped: Mapping[str, int] = MappingProxyType({})
    filtered: int = 0
    redelivered: int = 0


class Report(NamedTuple):
    """How a collector fares, for a sink that tells others. alive: sessions that are not over. books: of this sink.
    lost_rows, lost_points: what clients had no room for, ever.
    """

    alive: tuple[Session, ...] = ()
    books: Account = Account()
    lost_rows: int = 0
    lost_points: int = 0


@dataclass(frozen=True, slots=True)
class Context:
    """What a sink gets when it is opened.

    name: the sink's name in the configuration. folder: a place for its own files, not yet created. state: what its
    sends kept, each commit of it together with the cursor. count: adds to a counter of the sink's own, shown beside
    the books and on `/metrics`, for example `count("restepped", 2)`. report: how the collector fares now. media: where
    a file is that an event names (`media_events.held_files`); it is there until the event is delivered.
    """

    name: str
    folder: Path
    state: Mapping[str, bytes] = field(default_factory=dict)
    count: Callable[[str, int], None] = lambda name, by: None
    report: Callable[[], Report] = Report
    media: Callable[[str], Path] = Path


class Sink(Protocol):
    """One destination.

    The pump calls `open` first, then `send` one parcel at a time, then `close`, and nothing concurrently. `open` may
    raise Retry (a library is missing, a file is held): the pump says so in the status and tries again later while
    rows wait. A failed `open` may be followed by `open` again. `send` may be cancelled; a cancelled parcel counts as
    not delivered and is sent again. `close` may be called without `open` and twice; it must not raise. What `send`
    returns is kept with the cursor in one transaction, and comes back as `context.state` at the next start. The same
    parcel may come twice after a crash: what then makes a row arrive once is each sink's own business, and said in
    its docstring.
    """

    traits: ClassVar[Traits]

    async def open(self, context: Context) -> None: ...

    async def send(self, parcel: Parcel) -> Changes: ...

    async def close(self) -> None: ...


Every = Annotated[
    str,
    msgspec.Meta(pattern=r"^[1-9][0-9]*( ?(steps?|s|seconds?|m|minutes?|h))?$", description='like "10 steps" or "30s"'),
]


class SinkOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options every sink has. What they leave out is counted as `filtered`, beside the books.

    ranks: "primary" takes the lowest rank that logs rows for the run, "all" takes every rank, with rank as a label.
    include, exclude: metric names, `*` and `?` as in a shell; exclude wins. rename: old name to new name. every: keep
    one step in so many ("10 steps") or one in so much time ("30s"). system: whether the samplers' rows are taken;
    each kind of sink has its own default.
    """

    ranks: Literal["primary", "all"] | None = None
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    rename: dict[str, str] = {}
    every: Every | None = None
    system: bool | None = None
